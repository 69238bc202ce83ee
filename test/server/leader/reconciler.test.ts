/** The reconciler alone: what it learns during a pass is not lost at the end of the pass. */
import {expect} from 'chai'
import type {OpsDependencies} from '../../../src/lib/ops/dependencies.js'
import {defaultFirstReadTimes, openCurrentFleet} from '../../../src/server/fleet/current-fleet.js'
import {silentLog} from '../../../src/server/log.js'
import {type Reconciler, defaultReconcilerTimes, openReconciler} from '../../../src/server/leader/reconciler.js'
import {changesOf} from '../../helpers/fleet-changes.js'
import {testFleet, testDependencies} from '../../helpers/dependencies.js'
import {eventually} from '../support/network.js'
import {type TestStore, testStore} from '../support/store.js'

/** As if other servers shared the store. */
function inCluster(store: TestStore): TestStore {
  return Object.assign(store, {namespace: 'atlas', keepsDerived: true, isShared: true})
}

describe('the reconciler', () => {
  const dependencies = testDependencies()
  let onLook = (): void => undefined
  /** Calls `onLook` when the clock is read. */
  const watched: OpsDependencies = {
    ...dependencies,
    now() {
      onLook()
      return dependencies.now()
    },
  }
  let store: TestStore
  let reconciler: Reconciler

  /** A reconciler that leads, and observes what it has written. */
  async function open(clusters: readonly string[]): Promise<void> {
    store = testStore()
    store.write(...changesOf(testFleet(dependencies, clusters)))
    const fleet = openCurrentFleet(store, silentLog, defaultFirstReadTimes)
    reconciler = openReconciler({
      fleet,
      store: inCluster(store),
      dependencies: watched,
      log: silentLog,
      times: defaultReconcilerTimes,
      reconciled: () => undefined,
      refused: () => undefined,
    })
    await fleet.follow([reconciler], new AbortController().signal)
    reconciler.lead(true)
  }
  afterEach(async () => {
    onLook = () => undefined
    await reconciler.stop()
  })

  it('writes the list of living servers, also when it learns of one during a pass that finds nothing to do', async () => {
    await open(['paris'])
    reconciler.living([])
    await reconciler.start()
    await eventually(() => store.fleet().replicas !== undefined, 'an empty list is written')
    await new Promise(resolve => setTimeout(resolve, 100))
    // A pass reads the clock for requests, for the list of servers, and then for certificates, when it has used the list already.
    let looks = 0
    onLook = () => {
      looks += 1
      if (looks === 3) reconciler.living(['atlas-ads-0'])
    }
    reconciler.lead(false)
    reconciler.lead(true)
    await eventually(() => store.fleet().replicas?.join() === 'atlas-ads-0', 'the list is written')
    expect(looks).to.be.greaterThan(3)
  })
})
