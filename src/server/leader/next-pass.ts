/** How long the reconciler waits between two passes, unless something changes before. When a change shortens the wait: reconciler.ts. */
import type {Fleet} from '../../lib/model/fleet.js'
import {nextDue} from '../../lib/ops/due.js'
import type {IdlePasses} from './idle-passes.js'
import type {PauseTimes} from './pauses.js'
import type {RenewalGate} from './renewals.js'
import type {Writer} from './writer.js'

/** Milliseconds. */
export interface NextPassTimes {
  /** A pass begins this much later than the change that asks for it, as a rule others follow. */
  readonly settleMs: number
  /** The longest time between two passes. */
  readonly lookMs: number
  /** What is overdue and can't be issued is tried again after this time. */
  readonly overdueMs: number
}

export const defaultNextPassTimes: NextPassTimes = {settleMs: 20, lookMs: 3_600_000, overdueMs: 60_000}

export interface NextPassDependencies {
  readonly times: NextPassTimes & Pick<PauseTimes, 'failedMaxMs'>
  readonly idle: Pick<IdlePasses, 'wait'>
  readonly renewals: Pick<RenewalGate, 'wait'>
  readonly writer: Pick<Writer, 'wait'>
}

/** Of the pass that has ended. */
export interface EndedPass {
  /** Whether something has changed since it began that its successor is to look at. */
  readonly isAsked: boolean
  /** Whether it has looked at all owners. */
  readonly wasOverAll: boolean
  readonly fleet: Fleet
  readonly now: Date
}

/** Milliseconds from now. Whatever asks for the next pass, the leader never spins. */
export function untilNextPass({times, idle, renewals, writer}: NextPassDependencies, ended: EndedPass): number {
  const {settleMs, lookMs, failedMaxMs} = times
  // What was refused or overwritten has back-offs of its own: a revocation may be among it, and must not wait for as long as passes that
  // change nothing do. What waits behind a refused object has no back-off of its own, so that the leader would look at it all the time.
  const untilRetry = Math.max(writer.wait() ?? Infinity, settleMs, Math.min(idle.wait(), failedMaxMs))
  const untilRenewals = Math.max(settleMs, renewals.wait() ?? Infinity)
  return Math.min(Math.max(untilWanted(times, ended), idle.wait()), untilRetry, untilRenewals, lookMs)
}

function untilWanted({settleMs, lookMs, overdueMs}: NextPassDependencies['times'], {isAsked, wasOverAll, fleet, now}: EndedPass): number {
  if (isAsked) return settleMs
  const left = untilDue(fleet, now) ?? lookMs
  if (left > 0) return left
  // An owner that this pass has not looked at is due; or, where it has looked at all of them, what is due can't be issued now.
  return wasOverAll ? overdueMs : settleMs
}

/** Milliseconds, negative for what is overdue; undefined where nothing comes due. */
function untilDue(fleet: Fleet, now: Date): number | undefined {
  try {
    const due = nextDue(fleet, now)
    return due && due.getTime() - now.getTime()
  } catch {
    // An entry that does not decode has no end, and is a fault of its own.
    return undefined
  }
}
