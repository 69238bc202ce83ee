/** When what is missing or due is issued: soon after a change, when a renewal comes due, and again after a failure. What it is, ops/reconcile plans. */
import {setImmediate as nextTurn} from 'node:timers/promises'
import {isMarked} from '../../lib/manifest/derived.js'
import {backOff, withJitter} from '../../lib/model/back-off.js'
import {type Change, madeDue, reduceAll} from '../../lib/model/change.js'
import {AtlasError, messageOf} from '../../lib/model/errors.js'
import type {Fleet} from '../../lib/model/fleet.js'
import {type Owners, ownersOfDerived} from '../../lib/model/kinds.js'
import type {Owner} from '../../lib/model/names.js'
import {planAnswers} from '../../lib/ops/answer-requests.js'
import {nextDue} from '../../lib/ops/due.js'
import {isLed} from '../../lib/ops/ask-leader.js'
import {knownOwners, planReconcile, whyUnsigned} from '../../lib/ops/reconcile.js'
import {planReplicas} from '../../lib/ops/replicas.js'
import type {OpsDependencies} from '../../lib/ops/dependencies.js'
import type {CommitConflict} from '../../lib/store/refused.js'
import type {StateStore} from '../../lib/store/store.js'
import type {Log} from '../log.js'
import {type PauseTimes, defaultPauseTimes} from './pauses.js'
import {type WriteConflictTimes, defaultWriteConflictTimes} from './write-conflicts.js'
import {openWriter} from './writer.js'

/** All durations in milliseconds. */
export interface ReconcilerTimes extends PauseTimes, WriteConflictTimes {
  /** After a failure the next try waits this long, twice as long each time … */
  readonly retryMs: number
  /** … up to this. */
  readonly retryMaxMs: number
  /** After a change others follow as a rule: what is missing is found out this much later. */
  readonly settleMs: number
  /** What is due is looked at again at the latest after this time. */
  readonly lookMs: number
  /** What is overdue and can't be issued is looked at again after this time. */
  readonly overdueMs: number
}

export const defaultReconcilerTimes: ReconcilerTimes = {
  ...defaultPauseTimes,
  ...defaultWriteConflictTimes,
  retryMs: 100,
  retryMaxMs: 30_000,
  settleMs: 20,
  lookMs: 3_600_000,
  overdueMs: 60_000,
}

export type ReconcileOutcome = 'conflict' | 'done' | 'failed' | 'nothing'

export interface ReconcilerEvents {
  reconciled(outcome: ReconcileOutcome): void
  /** An object can't be written; told once for each reason. */
  refused(refusal: CommitConflict): void
}

export interface Reconciler {
  /** The fleet is known. Where this server leads: the first attempt, for everybody; resolves after it, however it ended. */
  start(fleet: Fleet): Promise<void>
  /** Whether this server is the one that writes: if so everything is looked at, if not nothing is done. */
  lead(isLeader: boolean): void
  /** The server replicas that live. */
  living(replicas: readonly string[]): void
  changed(fleet: Fleet, changes: readonly Change[]): void
  /** Why the last attempt failed. */
  readonly failure: () => string | undefined
  /** Resolves once no attempt is under way. */
  stop(): Promise<void>
}

/** Longest turn of planning before others are let in, milliseconds, and how many owners are planned for in one go. */
const SLICE = 8
const OWNERS_AT_ONCE = 8

/** Changes are heard from the beginning; nothing is issued before `start`, nor by whoever does not lead. */
export function openReconciler(
  store: StateStore,
  deps: OpsDependencies,
  log: Log,
  times: ReconcilerTimes,
  events: ReconcilerEvents,
): Reconciler {
  let newest: Fleet | undefined
  /** Whom to look at; nobody in particular: everybody, when the time comes. */
  let todo: Set<Owner> | 'all' = 'all'
  let timer: NodeJS.Timeout | undefined
  let isSoon = false
  let running: Promise<void> | undefined
  let failures = 0
  let failure: string | undefined
  /** Why nothing at all is signed, as it was last told. */
  let unsigned: string | undefined
  let isStopped = false
  let isLeader = false
  let replicas: readonly string[] | undefined
  const writer = openWriter({store, dependencies: deps, log, times, refused: events.refused})

  function lookAt(owners: Iterable<Owner> | 'all'): void {
    if (owners === 'all') todo = 'all'
    else if (todo !== 'all') for (const owner of owners) todo.add(owner)
  }

  function schedule(milliseconds: number): void {
    clearTimeout(timer)
    if (isStopped || !isLeader) return
    isSoon = milliseconds <= times.settleMs
    timer = setTimeout(() => {
      running = pass().finally(() => {
        running = undefined
      })
    }, milliseconds)
  }

  async function pass(): Promise<void> {
    if (newest === undefined || !isLeader) return
    const fleet = newest
    lookAt(writer.due())
    const asked = todo === 'all' || todo.size === 0 || writer.isContestedDue() ? 'all' : todo
    todo = new Set()
    tellUnsigned(fleet)
    try {
      const asks = [...(await inTurns(planAnswers(fleet, deps))), ...planReplicas(fleet, replicas, deps.now(), {shared: isLed(store)})]
      const planned = [...asks, ...(await planInTurns(reduceAll(fleet, asks), deps, asked, {derives: isLed(store)}))]
      const missing = writer.take(fleet, planned, asked === 'all' ? 'all' : 'some')
      const isDone = await writer.write(fleet, missing, () => newest ?? fleet)
      failures = 0
      failure = undefined
      events.reconciled(isDone ? (missing.length > 0 ? 'done' : 'nothing') : 'failed')
      rest(waitAfter(asked))
    } catch (error) {
      lookAt(asked)
      rest(failed(error))
    }
  }

  /** In one step: what changes between the end of a pass and its being known to have ended would be looked at by nobody. */
  function rest(milliseconds: number): void {
    running = undefined
    schedule(milliseconds)
  }

  /** Once, and again when it is another reason: whoever waits for a certificate looks here. */
  function tellUnsigned(fleet: Fleet): void {
    const why = whyUnsigned(fleet)
    if (why !== undefined && why !== unsigned) log.error(why, {hint: 'restore it from a backup; a server never makes a root'})
    if (why === undefined && unsigned !== undefined) log.info('what is due is signed again')
    unsigned = why
  }

  /** Until the next pass, unless something changes before. */
  function waitAfter(asked: Set<Owner> | 'all'): number {
    if (todo === 'all' || todo.size > 0) return times.settleMs
    const left = Math.min(untilDue(newest, deps.now()) ?? times.lookMs, writer.wait() ?? Infinity)
    if (left > 0) return Math.min(left, times.lookMs)
    // Due for somebody who was not looked at; or, after everybody was, what can't be issued now.
    return asked === 'all' ? Math.min(times.overdueMs, times.lookMs) : 0
  }

  function failed(error: unknown): number {
    const isConflict = error instanceof AtlasError && error.code === 'conflict'
    failures += 1
    const wait = retryDelay(failures, isConflict ? times.settleMs : times.retryMs, times.retryMaxMs)
    if (!isConflict) {
      failure = messageOf(error)
      log.error('could not issue what is due', {error: failure, failures})
    }

    events.reconciled(isConflict ? 'conflict' : 'failed')
    return wait
  }

  return {
    async start(fleet) {
      newest = fleet
      running = pass().finally(() => {
        running = undefined
      })
      await running
    },

    lead(leads) {
      isLeader = leads
      todo = 'all'
      failures = 0
      failure = undefined
      // Whoever led meanwhile knows better; the Leases are looked at anew.
      replicas = undefined
      if (!leads) clearTimeout(timer)
      else if (newest !== undefined && running === undefined) schedule(0)
    },

    living(names) {
      replicas = names
      // A pass that is under way has not heard of it: there must be another.
      lookAt(['atlas'])
      if (newest !== undefined && running === undefined) schedule(times.settleMs)
    },

    changed(fleet, changes) {
      if (newest === undefined) return
      newest = fleet
      for (const change of changes) {
        lookAt(touchedBy(change, fleet))
        if (change.kind === 'revision') writer.changed(change.object)
      }

      // After a failure a change is no reason to hurry.
      if (failures === 0 && running === undefined && !isSoon && (todo === 'all' || todo.size > 0)) schedule(times.settleMs)
    },

    failure: () => failure ?? writer.failure(),

    async stop() {
      isStopped = true
      clearTimeout(timer)
      await running
    },
  }
}

/** All changes, with a pause for others whenever they have taken long. */
async function inTurns(parts: Iterable<readonly Change[]>): Promise<readonly Change[]> {
  const all: Change[] = []
  let until = performance.now() + SLICE
  for (const changes of parts) {
    all.push(...changes)
    if (performance.now() < until) continue
    await nextTurn()
    until = performance.now() + SLICE
  }

  return all
}

/** As `planReconcile`, in short turns: a fleet to be signed anew takes seconds. */
async function planInTurns(
  fleet: Fleet,
  deps: OpsDependencies,
  asked: Set<Owner> | 'all',
  {derives}: {readonly derives: boolean},
): Promise<readonly Change[]> {
  const known = knownOwners(fleet)
  const owners = asked === 'all' ? known : known.filter(owner => asked.has(owner))
  function* parts(): Generator<readonly Change[], void> {
    let planned = fleet
    for (let from = 0; from < Math.max(1, owners.length); from += OWNERS_AT_ONCE) {
      const isLast = from + OWNERS_AT_ONCE >= owners.length
      // What tells Thanos Query whom to dial comes once, when all that is dialled has been planned.
      const missing = planReconcile(planned, deps, {owners: owners.slice(from, from + OWNERS_AT_ONCE), derives, announces: isLast})
      planned = reduceAll(planned, missing)
      yield missing
    }
  }

  return inTurns(parts())
}

/** The owners that a change makes the leader look at: a proxy's report may release what the program of 2021 has left. */
function touchedBy(change: Change, fleet: Fleet): Owners {
  return change.kind === 'report' ? ownersOfForeign(fleet) : madeDue(change)
}

function ownersOfForeign(fleet: Fleet): readonly Owner[] {
  return [...fleet.derived].flatMap(([object, text]) => (isMarked(text) ? [] : ownersOfDerived(object)))
}

/** Milliseconds, negative for what is overdue; undefined where nothing is to come. */
function untilDue(fleet: Fleet | undefined, now: Date): number | undefined {
  try {
    const due = fleet && nextDue(fleet)
    return due && due.getTime() - now.getTime()
  } catch {
    // An entry that does not decode has no end, and is a fault of its own.
    return undefined
  }
}

function retryDelay(failures: number, first: number, longest: number): number {
  return withJitter(backOff(failures, {first, longest}), Math.random())
}
