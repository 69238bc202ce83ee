/** What commands do on a machine whose clock is wrong: none makes what ends too early, and each names the reason. */
import {expect} from 'chai'
import {renderAdded} from '../../src/lib/cli/text/cluster.js'
import {defaultStack, targetsOf} from '../../src/lib/model/stack.js'
import {addCluster} from '../../src/lib/ops/cluster/add.js'
import {removeCluster} from '../../src/lib/ops/cluster/remove.js'
import {init} from '../../src/lib/ops/init.js'
import {testDependencies} from '../helpers/dependencies.js'
import {testStore} from '../server/support/store.js'

const input = {request: {}, defaults: targetsOf(defaultStack)}
const flags = {'dry-run': false} as Parameters<typeof renderAdded>[1]

describe('with a wrong clock', () => {
  it('init makes no root before the release of Atlas, and writes nothing', async () => {
    const store = testStore()
    const error: unknown = await init(store, {}, testDependencies('1970-01-01T00:00:10.000Z')).catch((thrown: unknown) => thrown)
    expect(error).to.have.property('code', 'failed')
    expect(error).to.have.property('message').that.contains('the clock of this machine shows 1970-01-01T00:00:10.000Z')
    expect(store.fleet().settings).to.equal(undefined)
    expect((await init(store, {}, testDependencies())).created).to.equal(true)
  })

  it('an hour behind: add registers and names the reason instead of next steps; remove removes', async () => {
    const [store, dependencies] = [testStore(), testDependencies()]
    await init(store, {}, dependencies)
    await addCluster(store, 'lyon', input, dependencies)
    dependencies.pass(-3600)
    const added = await addCluster(store, 'paris', input, dependencies)
    expect(store.fleet().registrations.has(added.cluster.name)).to.equal(true)
    const text = renderAdded(added, flags, '1.0.0')
    expect(text).to.contain('Warning: the issuer (Secret atlas-issuer) cannot sign: it is valid from')
    expect(text).not.to.contain('Next:')
    await removeCluster(store, 'lyon', dependencies)
    expect([...store.fleet().registrations.keys()]).to.deep.equal(['paris'])

    dependencies.pass(3600)
    const again = await addCluster(store, 'paris', input, dependencies)
    expect(again.unsigned).to.deep.equal([])
    expect(renderAdded(again, flags, '1.0.0')).not.to.contain('Warning')
    expect(store.fleet().credentials.has(added.cluster.name)).to.equal(true)
  })
})
