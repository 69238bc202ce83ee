/**
 * When what is missing or due is issued: soon after a change, when a renewal comes due, and again after a failure. What that is, is
 * planned by ops/reconcile; writer.ts writes it.
 */
import {setTimeout as sleep} from 'node:timers/promises'
import {AtlasError} from '../../lib/model/errors.js'
import {type Change, madeDue, reduceAll} from '../../lib/model/change.js'
import type {Fleet} from '../../lib/model/fleet.js'
import type {Owners} from '../../lib/model/kinds.js'
import type {Owner} from '../../lib/model/names.js'
import {type RequestTimes, defaultRequestTimes} from '../../lib/model/request.js'
import {ownersOfUnmarkedObjects} from '../../lib/ops/derive.js'
import {planProtected} from '../../lib/ops/protect.js'
import {planReplicas} from '../../lib/ops/replicas.js'
import {hasOlderCredentials, ownersToSupersede} from '../../lib/ops/superseded.js'
import type {OpsDependencies} from '../../lib/ops/dependencies.js'
import type {CommitConflict} from '../../lib/store/commit.js'
import type {StateStore} from '../../lib/store/store.js'
import type {CurrentFleet, FleetObserver} from '../fleet/current-fleet.js'
import type {Log} from '../log.js'
import {openIdlePasses} from './idle-passes.js'
import {type NextPassTimes, defaultNextPassTimes, untilNextPass} from './next-pass.js'
import {type RetryTimes, defaultRetryTimes, openPassFailures} from './pass-failures.js'
import {type PauseTimes, defaultPauseTimes} from './pauses.js'
import {planAnswersInTurns, planInTurns} from './plan-in-turns.js'
import {type RenewalGate, type RenewalSources, type RenewalTimes, defaultRenewalTimes, openRenewals} from './renewals.js'
import {openUnsignedLog} from './unsigned-log.js'
import {type WriteConflictTimes, defaultWriteConflictTimes} from './write-conflicts.js'
import {openWriter} from './writer.js'
import {type ZoneSerial, openZoneSerial} from './zone-serial.js'

/** All durations in milliseconds. */
export interface ReconcilerTimes extends NextPassTimes, PauseTimes, RenewalTimes, RequestTimes, RetryTimes, WriteConflictTimes {}

export const defaultReconcilerTimes: ReconcilerTimes = {
  ...defaultNextPassTimes,
  ...defaultPauseTimes,
  ...defaultRenewalTimes,
  ...defaultRequestTimes,
  ...defaultRetryTimes,
  ...defaultWriteConflictTimes,
}

/** The first pass of a leader waits no longer than this, milliseconds, for the Envoys that are opening streams … */
const ENVOYS_FIRST = 3000
/** … and looks so often whether they are, milliseconds. */
const CONNECTING_LOOK = 50

export type ReconcileOutcome = 'conflict' | 'done' | 'failed' | 'nothing'

export interface ReconcilerDependencies {
  readonly fleet: Pick<CurrentFleet, 'protection' | 'stored'>
  readonly store: StateStore
  readonly dependencies: OpsDependencies
  readonly log: Log
  readonly times: ReconcilerTimes
  readonly renewals: RenewalSources
  /** Whether the DNS zone is kept, where the store keeps derived objects. */
  readonly withZone: boolean
  /** Whether Envoys are opening streams right now. */
  readonly isConnecting: () => boolean
  /** The changes that follow from the Alertmanagers in Kubernetes. */
  readonly planAlertmanagers: (fleet: Fleet) => readonly Change[]
  /** Called after each pass. */
  reconciled(outcome: ReconcileOutcome): void
  /** An object can't be written; called once for each reason. */
  refused(refusal: CommitConflict): void
  /** There is a reason why certificates are not signed; called once for each. */
  unsigned(fleet: Fleet): void
}

export interface Reconciler extends FleetObserver {
  /** The fleet is known. A server that leads makes its first pass, over all owners; resolves after it, however it ended. */
  start(): Promise<void>
  /** Whether this server leads: if so there is a pass over all owners, if not there is none any more. */
  lead(isLeader: boolean): void
  /** The clock is doubted, believed again, or was set: a pass over all owners follows at once. No due date computed before counts. */
  clockChanged(): void
  /** The server replicas that are alive. */
  living(replicas: readonly string[]): void
  /** An Envoy of the owner has connected to this server, or is gone. In a store that servers share, reports show it. */
  proxiesChanged(owner: Owner): void
  /** There may be other changes of `planAlertmanagers`. */
  alertmanagersFound(): void
  /** Why what is due could not be issued, as a sentence; undefined while this server does not lead. */
  readonly failure: () => string | undefined
  /** Resolves once no pass is under way. */
  stop(): Promise<void>
}

/** Issues nothing before `start`, and nothing while this server does not lead. */
export function openReconciler({fleet, store, dependencies, log, times, reconciled, refused, ...from}: ReconcilerDependencies): Reconciler {
  /** The owners whose certificates and records the next pass looks at; an empty set: all of them, when the time comes. */
  let ownersDue: Set<Owner> | 'all' = 'all'
  let timer: NodeJS.Timeout | undefined
  /** When the next pass begins, by `performance.now()`. */
  let dueAt = 0
  /** Whether an urgent change has come during the pass that is under way. */
  let isUrgent = false
  let running: Promise<void> | undefined
  const failures = openPassFailures(times, log)
  const idle = openIdlePasses({first: times.settleMs, longest: times.overdueMs})
  const logUnsigned = openUnsignedLog(log, dependencies, from.unsigned)
  let [isSoon, isStarted, isStopped, isLeading] = [false, false, false, false]
  let replicas: readonly string[] | undefined
  /** When the first pass of this leader begins at the latest, by `performance.now()`. */
  let firstPassBy = 0
  const renewals = openRenewals(from.renewals, dependencies, times)
  const writer = openWriter({store, dependencies, log, times, refused})
  const zoneSerial = openZoneSerial()

  const longestWait = (): number => (isUrgent ? times.urgentMs : Infinity)

  function lookAt(owners: Iterable<Owner> | 'all'): void {
    if (owners === 'all') ownersDue = 'all'
    else if (ownersDue !== 'all') for (const owner of owners) ownersDue.add(owner)
  }

  function schedule(milliseconds: number): void {
    clearTimeout(timer)
    if (!isStarted || isStopped || !isLeading) return
    isSoon = milliseconds <= times.settleMs
    dueAt = performance.now() + milliseconds
    timer = setTimeout(run, milliseconds)
  }

  function run(): void {
    const mayWait = (): boolean => !isStopped && performance.now() < firstPassBy
    running = envoysFirst(mayWait, from.isConnecting)
      .then(pass)
      .finally(() => (running = undefined))
  }

  async function pass(): Promise<void> {
    if (!isLeading) return
    const base = fleet.stored()
    lookAt(writer.due())
    const owners = ownersDue === 'all' || ownersDue.size === 0 || writer.isContestedDue() ? 'all' : ownersDue
    ownersDue = new Set()
    isUrgent = false
    firstPassBy = 0
    idle.began()
    logUnsigned(base)
    try {
      const sources = {...from, fleet, store, dependencies, times, zoneSerial}
      const planned = await planPass(base, owners, sources, {renewed: await renewals.take(base), replicas})
      const missing = writer.take(base, planned, owners)
      const isDone = await writer.write(base, missing, fleet.stored)
      idle.ended({hasWritten: missing.length > 0})
      failures.forget()
      reconciled(isDone ? (missing.length > 0 ? 'done' : 'nothing') : 'failed')
      endPass(waitAfter(owners))
    } catch (error) {
      lookAt(owners)
      reconciled(error instanceof AtlasError && error.code === 'conflict' ? 'conflict' : 'failed')
      endPass(Math.min(failures.failed(error), longestWait()))
    }
  }

  /** Synchronous, so that no change is lost between the end of a pass and the scheduling of the next. */
  function endPass(milliseconds: number): void {
    running = undefined
    schedule(milliseconds)
  }

  /** Until the next pass, unless something changes before. */
  function waitAfter(owners: Set<Owner> | 'all'): number {
    const [isAsked, wasOverAll] = [ownersDue === 'all' || ownersDue.size > 0, owners === 'all']
    return untilNextPass({times, idle, renewals, writer}, {isAsked, wasOverAll, fleet: fleet.stored(), now: dependencies.now()})
  }

  function lookSoon(owners: Owners): void {
    lookAt(owners)
    if (running === undefined) schedule(times.settleMs)
  }

  return {
    async start() {
      isStarted = true
      run()
      await running
    },

    lead(isLeader) {
      isLeading = isLeader
      ownersDue = 'all'
      // What this server could not do when it led before says nothing about now, and is another leader's affair meanwhile.
      for (const part of [failures, idle, renewals, writer]) part.forget()
      firstPassBy = performance.now() + ENVOYS_FIRST
      // Another server may have written the list meanwhile; it is written again once this one has looked at the Leases.
      replicas = undefined
      if (!isLeader) clearTimeout(timer)
      else if (running === undefined) schedule(0)
    },

    clockChanged: () => lookSoon('all'),

    living(names) {
      replicas = names
      // A pass that is under way has not seen these names: there must be another.
      lookSoon(['atlas'])
    },

    proxiesChanged(owner) {
      if (isStarted && isLeading && hasOlderCredentials(fleet.stored(), owner)) lookSoon([owner])
    },

    alertmanagersFound: () => lookSoon(['atlas']),

    changed(update) {
      // Also while another server leads: its zone is the one that name servers have.
      zoneSerial.look(update.after)
      if (!isStarted) return
      idle.changed(update)
      for (const change of update.changes) {
        lookAt(ownersAffectedBy(change, fleet.stored()))
        if (change.kind === 'revision') writer.changed(change.object)
      }

      const hasUrgent = update.changes.some(({kind}) => urgentKinds.has(kind))
      if (running !== undefined) isUrgent ||= hasUrgent
      // After a failure only an urgent change shortens the wait.
      else if (failures.isFailing() && hasUrgent) schedule(Math.max(0, Math.min(dueAt - performance.now(), times.urgentMs)))
      else if (!failures.isFailing() && !isSoon && (ownersDue === 'all' || ownersDue.size > 0))
        // Changes that follow each other must not put the next pass off again and again.
        schedule(Math.min(waitAfter('all'), Math.max(0, dueAt - performance.now())))
    },

    failure() {
      if (!isLeading) return undefined
      const why = failures.reason() ?? writer.failure()
      return why === undefined ? renewals.failure() : `what is due could not be issued: ${why}`
    },

    async stop() {
      isStopped = true
      clearTimeout(timer)
      await running
    },
  }
}

/** All that is missing in the fleet, of `owners`, to which those whose renewals are let through are added. */
async function planPass(
  base: Fleet,
  owners: Set<Owner> | 'all',
  {
    fleet,
    store,
    dependencies,
    times,
    withZone,
    planAlertmanagers,
    zoneSerial,
  }: Pick<ReconcilerDependencies, 'dependencies' | 'fleet' | 'planAlertmanagers' | 'store' | 'times' | 'withZone'> & {
    readonly zoneSerial: ZoneSerial
  },
  {renewed, replicas}: {readonly renewed: Awaited<ReturnType<RenewalGate['take']>>; readonly replicas: readonly string[] | undefined},
): Promise<readonly Change[]> {
  const lost = planProtected(base, fleet.protection())
  const answers = await planAnswersInTurns(reduceAll(base, lost), dependencies, times)
  // What servers showed that are dead, or what those hide that are new, is no evidence: the next pass sees the new list.
  const shared = planReplicas(base, replicas, dependencies, {shared: store.isShared})
  const asked = [...lost, ...answers, ...shared, ...planAlertmanagers(base)]
  if (owners !== 'all') for (const owner of renewed.owners) owners.add(owner)
  const evidence = shared.length === 0 ? renewed.evidence : undefined
  zoneSerial.look(base)
  const servedSerial = zoneSerial.highest()
  const scope = {withDerived: store.keepsDerived, withZone, servedSerial, renewals: renewed, evidence, used: evidence && renewed.used}
  return [...asked, ...(await planInTurns(reduceAll(base, asked), dependencies, owners, scope))]
}

/**
 * After a restart all Envoys come back at once, and the first pass looks at every certificate: for 1,000 clusters half a second of CPU
 * time, in which they would wait for what is, as a rule, due in days.
 */
async function envoysFirst(mayWait: () => boolean, isConnecting: () => boolean): Promise<void> {
  while (mayWait() && isConnecting()) await sleep(CONNECTING_LOOK)
}

/** What a removal is asked with, and what cuts a cluster off: it must take effect in seconds, whatever else fails. */
const urgentKinds: ReadonlySet<Change['kind']> = new Set(['record', 'registration', 'request'])

/**
 * The owners that the leader looks at after a change. A report may show that the 2021 program's objects can be taken over, or that Envoys
 * have come with other credentials.
 */
function ownersAffectedBy(change: Change, fleet: Fleet): Owners {
  if (change.kind !== 'report') return madeDue(change)
  const unmarked = ownersOfUnmarkedObjects(fleet)
  return change.value === undefined ? unmarked : [...unmarked, ...ownersToSupersede(fleet, change.value.report)]
}
