/** Objects that can't be read, and clusters that come or go meanwhile. */
import {mkdtemp, readFile, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {expect} from 'chai'
import {renderYaml} from '../../src/lib/manifest/yaml.js'
import {encodeOnto} from '../../src/lib/manifest/encode.js'
import {shardOf} from '../../src/lib/manifest/layout.js'
import type {Change} from '../../src/lib/model/change.js'
import {objectNames, parseClusterName} from '../../src/lib/model/names.js'
import {planReconcile} from '../../src/lib/ops/reconcile.js'
import {memoryStore} from '../helpers/memory-store.js'
import {openDirectory} from '../../src/lib/store/open.js'
import type {StateStore} from '../../src/lib/store/store.js'
import {testCluster} from '../helpers/fleet.js'
import {testFleet, testDependencies} from '../helpers/dependencies.js'
import {until} from './recorder.js'

const paris = parseClusterName('paris')
/** A cluster whose identity is in the same shard as that of paris. */
const mate = parseClusterName(Array.from({length: 1000}, (_, index) => `c${index}`).find(name => shardOf(name) === shardOf(paris)) ?? '')
const shard = `Secret/${objectNames.identities(shardOf(paris))}`

const commitAll = async (store: StateStore, names: readonly string[] = ['paris']): Promise<void> => {
  const fleet = testFleet(testDependencies(), names)
  const changes: Change[] = [
    {kind: 'settings', value: fleet.settings},
    ...[...fleet.authority].map(([part, value]): Change => ({kind: 'authority', part, value})),
    {kind: 'trust', value: fleet.trust},
    ...[...fleet.registrations].map(([name, value]): Change => ({kind: 'registration', name, value})),
    ...[...fleet.records].map(([owner, value]): Change => ({kind: 'record', owner, value})),
    ...[...fleet.identities].map(([owner, value]): Change => ({kind: 'identity', owner, value})),
    ...[...fleet.credentials].map(([owner, value]): Change => ({kind: 'credential', owner, value})),
  ]
  await store.commit(await store.load(), changes)
}

const service = (name: string): unknown =>
  encodeOnto(undefined, {kind: 'registration', name: parseClusterName(name), value: testCluster(name)}, 'atlas')

describe('store: objects that can not be read', () => {
  it('may hold an entry of a cluster that is added later: that cluster waits, and no other does', async () => {
    const store = memoryStore()
    await commitAll(store)
    const told: Change[] = []
    const stop = new AbortController()
    await store.watch({changed: changes => told.push(...changes), failed: () => undefined, recovered: () => undefined}, stop.signal)
    await store.load()
    store.put(shard, 'half of')
    await store.load()
    store.put(`Service/${mate}`, service(mate))
    store.put('Service/lyon', service('lyon'))

    const fleet = await store.load()
    expect([...fleet.faults.keys()].sort()).to.include.members([`identity/${mate}`, 'identity/paris'].sort())
    expect(fleet.faults.has('identity/lyon')).to.equal(false)
    const after = await store.commit(fleet, planReconcile(fleet, testDependencies()))
    expect(after.credentials.has(mate) && after.credentials.has(parseClusterName('lyon'))).to.equal(true)
    expect(after.identities.has(parseClusterName('lyon'))).to.equal(true)
    const toldOfMate = (): readonly Change[] => told.filter(change => change.kind === 'fault' && change.subject === `identity/${mate}`)
    await until(() => toldOfMate().length > 0)
    expect(toldOfMate()).to.have.length(1)
    stop.abort()
  })

  it('when they can be read again, the new cluster turns out not to be in them, and is served', async () => {
    const store = memoryStore()
    await commitAll(store)
    const whole = store.get(shard)
    store.put(shard, 'half of')
    await store.load()
    store.put(`Service/${mate}`, service(mate))
    expect((await store.load()).faults.has(`identity/${mate}`)).to.equal(true)
    store.put(shard, whole)
    const healed = await store.load()
    expect([...healed.faults.keys()]).to.deep.equal([])
    expect(healed.identities.has(paris)).to.equal(true)
    const after = await store.commit(healed, planReconcile(healed, testDependencies()))
    expect(after.identities.has(mate)).to.equal(true)
  })

  it('a mistyped kind removes no cluster, whether it was known before or not', async () => {
    const directory = await mkdtemp(path.join(tmpdir(), 'atlas-unread-'))
    try {
      const store = openDirectory({directory})
      await commitAll(store)
      const file = path.join(directory, 'service-paris.yaml')
      await writeFile(file, (await readFile(file, 'utf8')).replace('kind: Service', 'kind: Servcie'))
      for (const looking of [store, openDirectory({directory})]) {
        const fleet = await looking.load()
        const fault = fleet.faults.get('registration/paris')
        expect(fault?.message).to.contain('ConfigMap, Secret, Service').and.to.contain('"Servcie"')
        expect(fault?.source).to.equal('service-paris.yaml')
      }
    } finally {
      await rm(directory, {recursive: true})
    }
  })

  it('an object of another kind with nothing of Atlas in it is ignored', async () => {
    const directory = await mkdtemp(path.join(tmpdir(), 'atlas-unread-'))
    try {
      const store = openDirectory({directory})
      await commitAll(store)
      await writeFile(path.join(directory, 'account.yaml'), renderYaml({apiVersion: 'v1', kind: 'ServiceAccount', metadata: {name: 'x'}}))
      expect((await store.load()).faults.size).to.equal(0)
    } finally {
      await rm(directory, {recursive: true})
    }
  })
})
