/** Counts passes of the reconciler that fail in a row: the more there are, the later the next one begins. */
import {backOff, withJitter} from '../../lib/model/back-off.js'
import {AtlasError, messageOf} from '../../lib/model/errors.js'
import type {Log} from '../log.js'

/** Milliseconds. */
export interface RetryTimes {
  /** After a failure the next pass waits this long, twice as long after each further one … */
  readonly retryMs: number
  /** … up to this … */
  readonly retryMaxMs: number
  /** … and at most this long after a change that may cut a cluster off or ask for it. */
  readonly urgentMs: number
}

export const defaultRetryTimes: RetryTimes = {retryMs: 100, retryMaxMs: 30_000, urgentMs: 1000}

/** So many conflicts in a row are not other writers that came first: this server does not see what is in the store. */
const CONFLICTS_IN_A_ROW = 5

export interface PassFailures {
  /** Whether the last pass failed. */
  readonly isFailing: () => boolean
  /** Why, in words; undefined after a race that was lost, too. */
  readonly reason: () => string | undefined
  /** A pass ended well, or another server led meanwhile. */
  forget(): void
  /** @returns the next pass begins after so many milliseconds */
  failed(error: unknown): number
}

/** None has failed at first. @param times `settleMs`: the first wait after a race with another writer that was lost */
export function openPassFailures(times: RetryTimes & {readonly settleMs: number}, log: Log): PassFailures {
  let count = 0
  let reason: string | undefined
  return {
    isFailing: () => count > 0,
    reason: () => reason,
    forget() {
      count = 0
      reason = undefined
    },
    failed(error) {
      const isConflict = error instanceof AtlasError && error.code === 'conflict'
      count += 1
      if (!isConflict || count >= CONFLICTS_IN_A_ROW) {
        reason = messageOf(error)
        log.error('can not issue what is due', {error: reason, failures: count})
      }

      const first = isConflict ? times.settleMs : times.retryMs
      return withJitter(backOff(count, {first, longest: times.retryMaxMs}), Math.random())
    },
  }
}
