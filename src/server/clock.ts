/** Looks at the clocks of this machine and of the store now and then, and reports what ops/clock.ts makes of them: log, metrics, /readyz. */
import {type ClockDoubt, type ClockState, CLOCK_HINT, likelyTime, newestTime, renderDoubt, stepClock, wasSet} from '../lib/ops/clock.js'
import type {StateStore} from '../lib/store/store.js'
import type {CurrentFleet} from './fleet/current-fleet.js'
import type {Log} from './log.js'

/** Milliseconds. */
export interface ClockTimes {
  /** How often at least the clock is looked at. */
  readonly clockLookMs: number
  /** A clock that was set is believed after it has kept the new time for so long, where no API server confirms it. */
  readonly clockHeldMs: number
}

export const defaultClockTimes: ClockTimes = {clockLookMs: 5000, clockHeldMs: 600_000}

export interface ServerClock {
  /** Why this machine's clock is not believed, as a sentence; undefined: it is. */
  readonly doubt: () => string | undefined
  /** Whether it is confirmed by the API server, or has held since it was last set. */
  readonly isConfirmed: () => boolean
  /** When it has held, unless it is set before; undefined where it is confirmed, and where the API server confirms it. */
  readonly heldUntil: () => Date | undefined
  /** The most likely time: who is admitted must not depend on a clock that has just been set. */
  readonly now: () => Date
  /** By how much the clock is ahead of the API server's, milliseconds; undefined: there is none. */
  readonly ahead: () => number | undefined
  /** Looks from now on. @param changed called when the clock is doubted, is doubted for another reason, is believed again, or was set */
  start(changed: () => void): void
  stop(): void
}

export interface ClockDependencies {
  readonly now: () => Date
  /** Milliseconds of a clock that is never set. */
  readonly steady: () => number
  readonly store: Pick<StateStore, 'serverTime'>
  readonly fleet: Pick<CurrentFleet, 'isKnown' | 'stored'>
  readonly times: ClockTimes
  readonly log: Log
}

/** A look is good for so long, milliseconds: a pass of the leader asks a dozen times, and each look reads /proc/uptime. */
const LOOK_KEPT = 20

/** The clock is not judged before the store has been read. */
export function openClock({now, steady, store, fleet, times, log}: ClockDependencies): ServerClock {
  let state: ClockState | undefined
  let timer: NodeJS.Timeout | undefined
  /** When the clocks were last looked at, by the clock that is judged. */
  let lookedAt = Infinity
  let onChange = (): void => undefined

  const reading = () => ({wall: now().getTime(), steady: steady(), server: store.serverTime()})

  function look(): ClockDoubt | undefined {
    if (!fleet.isKnown()) return undefined
    const before = state
    const wall = now().getTime()
    if (before !== undefined && wall >= lookedAt && wall - lookedAt < LOOK_KEPT) return before.doubt
    lookedAt = wall
    const newest = before?.believed === undefined ? newestTime(fleet.stored()) : undefined
    state = stepClock(before, {...reading(), newest}, {heldMs: times.clockHeldMs})
    report(before?.doubt, state.doubt)
    if (before?.doubt !== state.doubt || (before !== undefined && wasSet(before, state))) onChange()
    return state.doubt
  }

  /** One line when a doubt begins, and one when it ends. */
  function report(before: ClockDoubt | undefined, after: ClockDoubt | undefined): void {
    if (after !== undefined && after.kind !== before?.kind) log.error(renderDoubt(after, times.clockHeldMs), {hint: CLOCK_HINT})
    if (after === undefined && before !== undefined) log.info('the clock of this machine is believed again: what is due is signed')
  }

  return {
    doubt() {
      const doubt = look()
      return doubt && renderDoubt(doubt, times.clockHeldMs)
    },

    isConfirmed: () => state?.isConfirmed === true,

    heldUntil() {
      const {wall, steady: time, server} = reading()
      if (state === undefined || state.isConfirmed || server !== undefined) return undefined
      return new Date(wall + Math.max(0, times.clockHeldMs - (time - state.shown.since)))
    },

    now() {
      return state?.doubt === undefined ? now() : new Date(likelyTime(state, reading()))
    },

    ahead() {
      const {wall, server} = reading()
      return server === undefined ? undefined : wall - server
    },

    start(changed) {
      onChange = changed
      look()
      timer = setInterval(look, times.clockLookMs).unref()
    },

    stop() {
      clearInterval(timer)
    },
  }
}
