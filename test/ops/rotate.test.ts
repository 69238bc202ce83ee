/** New leaves on a person's word, by a command that signs itself: what a leader does with a request is in answer-requests.test.ts. */
import {expect} from 'chai'
import {init} from '../../src/lib/ops/init.js'
import {rotateLeaves} from '../../src/lib/ops/rotate.js'
import {ownCertificate} from '../../src/lib/ops/trust.js'
import {issuerSpec} from '../../src/lib/pki/certificate-specs.js'
import {issue} from '../../src/lib/pki/issue.js'
import {testDependencies, testSettings} from '../helpers/dependencies.js'
import {testStore} from '../server/support/store.js'

describe('ops/rotate', () => {
  it('trusts an issuer that a person has put in its place before identities below it, where no server has done so', async () => {
    const [store, dependencies] = [testStore(), testDependencies()]
    await init(store, {}, dependencies)
    const value = issue(issuerSpec(testSettings), store.fleet().authority.get('root'), dependencies.now(), dependencies.signer)
    store.write({kind: 'authority', part: 'issuer', value})
    const {changes} = await rotateLeaves(store, [], dependencies)
    expect(changes.map(({kind}) => kind)).to.deep.equal(['trust', 'identity', 'server'])
    expect(store.fleet().trust?.issuers).to.include(ownCertificate(value))
    expect((await rotateLeaves(store, [], dependencies)).changes.map(({kind}) => kind)).to.deep.equal(['identity', 'server'])
  })
})
