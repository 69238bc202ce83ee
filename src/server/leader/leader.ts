/** What the leader alone does: issues and writes what is due (reconciler.ts), and records Kubernetes Events (events.ts). */
import type {Fleet} from '../../lib/model/fleet.js'
import type {OpsDependencies} from '../../lib/ops/dependencies.js'
import type {StateStore} from '../../lib/store/store.js'
import type {CurrentFleet, FleetObserver} from '../fleet/current-fleet.js'
import type {Log} from '../log.js'
import {type AlertmanagerTimes, openAlertmanagerDiscovery} from './alertmanagers.js'
import {openEventRecorder} from './events.js'
import type {RenewalSources} from './renewals.js'
import {openTextLimits} from './text-limits.js'
import {type ReconcileOutcome, type Reconciler, type ReconcilerTimes, openReconciler} from './reconciler.js'

export interface LeaderDependencies {
  readonly fleet: CurrentFleet
  readonly store: StateStore
  readonly dependencies: OpsDependencies
  readonly log: Log
  readonly times: AlertmanagerTimes & ReconcilerTimes
  readonly renewals: RenewalSources
  /** Whether the DNS zone is kept, where the store keeps derived objects. */
  readonly withZone: boolean
  /** Whether Envoys are opening streams right now. */
  readonly isConnecting: () => boolean
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
  readonly proxiesChanged: Reconciler['proxiesChanged']
  readonly start: Reconciler['start']
  readonly failure: Reconciler['failure']
  /** What is too long for Thanos Query, and why the list of Alertmanagers may not be as it is in Kubernetes; a sentence each. */
  readonly warnings: () => readonly string[]
  readonly stop: Reconciler['stop']
}

/** Observes changes from the beginning, and acts on them while this server leads. */
export function openLeader(sources: LeaderDependencies): Leader {
  const {fleet, store, dependencies, log, times, renewals, withZone, isConnecting, reconciled} = sources
  const events = openEventRecorder(store, log, dependencies)
  const limits = openTextLimits({log, withZone, tooLong: events.tooLong})
  const alertmanagers = openAlertmanagerDiscovery({
    store,
    log,
    times,
    found() {
      reconciler.alertmanagersFound()
    },
    warned: events.alertmanagers,
  })
  const reconciler = openReconciler({
    fleet,
    store,
    dependencies,
    log,
    times,
    renewals,
    withZone,
    reconciled(outcome) {
      if (isLeading && store.keepsDerived) limits.look(fleet.stored())
      reconciled(outcome)
    },
    isConnecting,
    planAlertmanagers: alertmanagers.plan,
    refused: events.refused,
    unsigned: events.unsigned,
  })
  let isLeading = false

  function begin(known: Fleet): void {
    events.begin(known)
    alertmanagers.follow(known)
  }

  return {
    events: {
      started(known) {
        if (isLeading) begin(known)
      },
      changed(update) {
        if (!isLeading) return
        events.changed(update)
        alertmanagers.follow(fleet.stored())
      },
    },
    reconciler,
    lead(isLeader) {
      isLeading = isLeader
      reconciler.lead(isLeader)
      if (!isLeader) {
        limits.forget()
        alertmanagers.stop()
      }

      if (isLeader && fleet.isKnown()) begin(fleet.served())
    },
    clockChanged() {
      reconciler.clockChanged()
      if (isLeading && fleet.isKnown()) events.unsigned(fleet.served())
    },
    living: reconciler.living,
    proxiesChanged: reconciler.proxiesChanged,
    start: reconciler.start,
    failure: reconciler.failure,
    warnings: () => [...limits.warnings(), ...alertmanagers.warnings()],
    async stop() {
      alertmanagers.stop()
      await reconciler.stop()
    },
  }
}
