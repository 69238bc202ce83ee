/** A store keeps in memory nothing of a cluster that was removed, the private key of its credential least of all. */
import {expect} from 'chai'
import {type Change, reduceAll} from '../../src/lib/model/change.js'
import type {Fleet} from '../../src/lib/model/fleet.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import {planRemoval} from '../../src/lib/ops/revoke.js'
import type {StateStore} from '../../src/lib/store/store.js'
import {testDependencies, testFleet} from '../helpers/dependencies.js'
import {changesOf} from '../helpers/fleet-changes.js'
import {collectGarbage} from '../helpers/heap.js'
import {memoryStore} from '../helpers/memory-store.js'
import {eventually} from '../server/support/network.js'

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
      await collectGarbage()
      const left = refs.filter(ref => ref.deref() !== undefined)
      stop.abort()
      expect(left).to.have.length(0)
    })
})
