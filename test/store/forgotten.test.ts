/** A store keeps in memory nothing of a cluster that was removed, the private key of its credential least of all. */
import {expect} from 'chai'
import {entriesOf} from '../../src/lib/manifest/decode.js'
import {shardOf} from '../../src/lib/manifest/layout.js'
import {type Change, reduceAll} from '../../src/lib/model/change.js'
import type {Fleet, ObjectKey} from '../../src/lib/model/fleet.js'
import {objectNames, parseClusterName} from '../../src/lib/model/names.js'
import {planRemoval} from '../../src/lib/ops/revoke.js'
import {type Known, openDecode, openKnown} from '../../src/lib/store/diff.js'
import type {StoredObject} from '../../src/lib/store/objects.js'
import type {StateStore} from '../../src/lib/store/store.js'
import {testDependencies, testFleet} from '../helpers/dependencies.js'
import {changesOf} from '../helpers/fleet-changes.js'
import {collectGarbage} from '../helpers/heap.js'
import {memoryStore} from '../helpers/memory-store.js'
import {eventually} from '../server/support/network.js'
import {until} from './recorder.js'

const paris = parseClusterName('paris')
const dependencies = testDependencies()

/** A watch, and the fleet as it reports it. */
async function follow(store: StateStore, signal: AbortSignal): Promise<{fleet: Fleet}> {
  const state: {fleet: Fleet} = {fleet: await store.load()}
  const changed = (changes: readonly Change[]): void => {
    state.fleet = reduceAll(state.fleet, changes)
  }

  state.fleet = await store.watch({changed, failed: () => undefined, recovered: () => undefined}, signal)
  return state
}

/** What a fleet holds of paris. A function of its own, so that no variable of the test keeps it. */
function weakly({credentials, identities, registrations}: Fleet): readonly WeakRef<object>[] {
  return [credentials.get(paris), identities.get(paris), registrations.get(paris)].flatMap(value => (value ? [new WeakRef(value)] : []))
}

async function remove(store: StateStore): Promise<void> {
  const base = await store.load()
  await store.commit(base, planRemoval(base, paris, dependencies))
}

describe('a store forgets', () => {
  it('what was decoded ahead and is gone before it is compared: an object, by its event or by a list, and an entry of one that stays', async () => {
    const store = memoryStore()
    const fleet = testFleet(dependencies, ['paris'])
    await store.commit(await store.load(), changesOf(fleet))
    const object = (key: ObjectKey): StoredObject => ({key, revision: '1', manifest: store.get(key)})
    const [registration, records] = [object('Service/paris'), object(`ConfigMap/${objectNames.records(shardOf(paris))}`)]
    const emptied: StoredObject = {...records, revision: '2', manifest: records.manifest && {...records.manifest, data: {}}}
    const rows: readonly (readonly [StoredObject, (known: Known) => unknown])[] = [
      [registration, known => known.some([{key: registration.key, object: undefined}], fleet)],
      [registration, known => known.all([records], fleet)],
      [records, known => known.some([{key: records.key, object: emptied}], fleet)],
    ]
    for (const [ahead, compare] of rows) {
      const decode = openDecode()
      const entry = entriesOf(ahead.manifest ?? expect.fail('no object'))[0] ?? expect.fail('no entry')
      expect([...decode.ahead([ahead])]).to.have.length(1)
      const first = decode.entry(entry, ahead)
      expect(decode.entry(entry, ahead), 'kept until it is compared').to.equal(first)
      compare(openKnown(decode))
      expect(decode.entry(entry, ahead), 'decoded again, since it was forgotten').not.to.equal(first)
    }
  })

  for (const remover of ['itself', 'another process'] as const)
    it(`the credential, identity and registration of a cluster that was removed by ${remover}`, async () => {
      const stop = new AbortController()
      const store = memoryStore()
      const other = store.again()
      await store.commit(await store.load(), changesOf(testFleet(dependencies, [])))
      const state = await follow(store, stop.signal)
      // Issued by this process, as a leader does.
      await store.commit(
        state.fleet,
        changesOf(testFleet(dependencies, ['paris'])).filter(change => 'owner' in change || 'name' in change),
      )
      const refs = weakly(state.fleet)
      expect(refs.filter(ref => ref.deref() !== undefined)).to.have.length(3)
      await remove(remover === 'itself' ? store : other)
      await eventually(() => !state.fleet.credentials.has(paris), 'the removal is seen')
      other.close()
      const left = (): readonly unknown[] => refs.filter(ref => ref.deref() !== undefined)
      // What the watch is still about holds the fleet of before for some turns.
      await until(async () => {
        await collectGarbage()
        return left().length === 0
      })
      stop.abort()
      expect(left()).to.have.length(0)
    })
})
