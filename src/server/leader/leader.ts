/** What the leader alone does: issues and writes what is due (reconciler.ts), and records Kubernetes Events (events.ts). */
import type {OpsDependencies} from '../../lib/ops/dependencies.js'
import type {StateStore} from '../../lib/store/store.js'
import type {CurrentFleet, FleetObserver} from '../fleet/current-fleet.js'
import type {Log} from '../log.js'
import {openEventRecorder} from './events.js'
import type {RenewalSources} from './renewals.js'
import {type ReconcileOutcome, type Reconciler, type ReconcilerTimes, openReconciler} from './reconciler.js'

export interface LeaderDependencies {
  readonly fleet: CurrentFleet
  readonly store: StateStore
  readonly dependencies: OpsDependencies
  readonly log: Log
  readonly times: ReconcilerTimes
  readonly renewals: RenewalSources
  /** Called after each pass of the reconciler. */
  reconciled(outcome: ReconcileOutcome): void
}

export interface Leader {
  /** Records Events while this server leads. */
  readonly events: FleetObserver
  /** Issues what a change makes due while this server leads. */
  readonly reconciler: FleetObserver
  /** The clock is doubted, believed again, or was set: all that is due by time is looked at again. */
  clockChanged(): void
  /** Whether this server leads; it does not until this is called. */
  lead(isLeader: boolean): void
  /** The server replicas that are alive. */
  readonly living: Reconciler['living']
  readonly start: Reconciler['start']
  readonly failure: Reconciler['failure']
  readonly stop: Reconciler['stop']
}

/** Observes changes from the beginning, and acts on them while this server leads. */
export function openLeader({fleet, store, dependencies, log, times, renewals, reconciled}: LeaderDependencies): Leader {
  const events = openEventRecorder(store, log, dependencies)
  const reconciler = openReconciler({
    fleet,
    store,
    dependencies,
    log,
    times,
    renewals,
    reconciled,
    refused: events.refused,
    unsigned: events.unsigned,
  })
  let isLeading = false
  return {
    events: {
      started(known) {
        if (isLeading) events.begin(known)
      },
      changed(update) {
        if (isLeading) events.changed(update)
      },
    },
    reconciler,
    lead(isLeader) {
      isLeading = isLeader
      reconciler.lead(isLeader)
      if (isLeader && fleet.isKnown()) events.begin(fleet.served())
    },
    clockChanged() {
      reconciler.clockChanged()
      if (isLeading && fleet.isKnown()) events.unsigned(fleet.served())
    },
    living: reconciler.living,
    start: reconciler.start,
    failure: reconciler.failure,
    stop: reconciler.stop,
  }
}
