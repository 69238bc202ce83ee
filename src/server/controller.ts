/** Keeps the fleet in memory as the store has it, and has the store kept as it should be (reconciler.ts). */
import {type Change, reduceAll} from '../lib/model/change.js'
import type {Fleet} from '../lib/model/fleet.js'
import {withRecovered} from '../lib/ops/recover.js'
import type {World} from '../lib/ops/world.js'
import type {StateStore} from '../lib/store/store.js'
import type {Log} from './log.js'
import {type ReconcileOutcome, type ReconcilerTimes, openReconciler} from './reconciler.js'

export interface ControllerEvents {
  /** After every change, own ones included. */
  changed(fleet: Fleet, changes: readonly Change[]): void
  store(isReachable: boolean): void
  reconciled(outcome: ReconcileOutcome): void
}

export interface Controller {
  /** As it is to be served: with what could be recovered of lost records. */
  readonly fleet: () => Fleet
  /** Why the last attempt to issue what is due failed. */
  readonly failure: () => string | undefined
  /** Resolves once no attempt is under way. */
  stop(): Promise<void>
}

/**
 * Reads the store, issues what is missing, and goes on doing so. Resolves after the first full sync and the first attempt to issue;
 * a failed attempt is tried again and is no error here.
 * @throws AtlasError what `store.watch` throws
 */
export async function startController(
  store: StateStore,
  world: World,
  log: Log,
  times: ReconcilerTimes,
  events: ControllerEvents,
): Promise<Controller> {
  const stopping = new AbortController()
  /** Changes that come before the fleet is known which they begin at. */
  const early: Change[] = []
  /** As it is stored. */
  let fleet: Fleet | undefined
  let served: Fleet | undefined
  const reconciler = openReconciler(store, world, log, times, outcome => {
    events.reconciled(outcome)
  })

  function changed(changes: readonly Change[]): void {
    if (fleet === undefined) {
      early.push(...changes)
      return
    }

    fleet = reduceAll(fleet, changes)
    // The streams first: planning takes longer than handing on.
    served = withRecovered(fleet)
    events.changed(served, changes)
    reconciler.changed(fleet, changes)
  }

  const first = await store.watch(
    {
      changed,
      failed(error) {
        log.error('store failed; what was known stays in force', {store: store.description, error: error.message})
        events.store(false)
      },
      recovered() {
        log.info('store is readable again', {store: store.description})
        events.store(true)
      },
    },
    stopping.signal,
  )
  fleet = first
  served = withRecovered(first)
  if (early.length > 0) changed(early)
  await reconciler.start(fleet)
  return {
    fleet: () => served ?? first,
    failure: reconciler.failure,
    async stop() {
      stopping.abort()
      await reconciler.stop()
    },
  }
}
