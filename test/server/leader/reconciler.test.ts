/** The reconciler alone: what is told while it is at work is not forgotten when it has done. */
import {expect} from 'chai'
import type {OpsDependencies} from '../../../src/lib/ops/dependencies.js'
import {defaultFirstReadTimes, openCurrentFleet} from '../../../src/server/current-fleet.js'
import {silentLog} from '../../../src/server/log.js'
import {type Reconciler, defaultReconcilerTimes, openReconciler} from '../../../src/server/leader/reconciler.js'
import {changesOf} from '../../helpers/fleet-changes.js'
import {testFleet, testDependencies} from '../../helpers/dependencies.js'
import {eventually} from '../support/network.js'
import {type TestStore, testStore} from '../support/store.js'

/** As if others shared it. */
function inCluster(store: TestStore): TestStore {
  return Object.assign(store, {kubernetes: {namespace: 'atlas'}})
}

describe('the reconciler', () => {
  const dependencies = testDependencies()
  let onLook = (): void => undefined
  /** Tells when the clock is looked at. */
  const watched: OpsDependencies = {
    ...dependencies,
    now() {
      onLook()
      return dependencies.now()
    },
  }
  let store: TestStore
  let reconciler: Reconciler

  /** One that leads, and tells itself what it has written, as a store does. */
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

  it('writes down who lives though it hears of it while it looks at everything and finds nothing to do', async () => {
    await open(['paris'])
    reconciler.living([])
    await reconciler.start()
    await eventually(() => store.fleet().replicas !== undefined, 'nobody lives yet')
    await new Promise(resolve => setTimeout(resolve, 100))
    // The clock is looked at for requests, for the list of replicas, and then for certificates: the list has been read by then.
    let looks = 0
    onLook = () => {
      looks += 1
      if (looks === 3) reconciler.living(['atlas-ads-0'])
    }
    reconciler.lead(false)
    reconciler.lead(true)
    await eventually(() => store.fleet().replicas?.join() === 'atlas-ads-0', 'who lives is written')
    expect(looks).to.be.greaterThan(3)
  })
})
