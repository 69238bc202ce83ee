/** Back-off for objects whose write was refused: each object pauses on its own, so that one that is always refused delays no other. */
import {type StoredChange, isBehind, isDerivedChange, isNeededByAll, isStored, objectOf, ownersOf} from '../../lib/manifest/encode.js'
import {backOff} from '../../lib/model/back-off.js'
import type {Change} from '../../lib/model/change.js'
import type {ObjectKey} from '../../lib/model/fleet.js'
import {type Owner, derivedOwner, ownerIn} from '../../lib/model/names.js'
import type {CommitConflict} from '../../lib/store/commit.js'

/** Milliseconds. */
export interface PauseTimes {
  /** The first pause after a refused write, twice as long each further time … */
  readonly refusedMs: number
  /** … up to this. */
  readonly refusedMaxMs: number
  /** … or up to this, where the API server failed at an object that is not derived: a revocation may wait for it. */
  readonly failedMaxMs: number
}

export const defaultPauseTimes: PauseTimes = {refusedMs: 1000, refusedMaxMs: 60_000, failedMaxMs: 4000}

export interface Pauses {
  /**
   * Forgets the objects that a plan does not name any more: nothing would ever write them and end their pauses.
   * @param planned what is missing, of pausing objects too @param owners those that the plan is made for; what has no owner is always planned
   */
  retain(planned: readonly Change[], owners: ReadonlySet<Owner> | 'all'): void
  /** The changes that may be tried now: without those of pausing objects, and without later changes of the same owners. */
  take(changes: readonly Change[]): readonly Change[]
  /** These changes were written: their objects pause no more. */
  wrote(changes: readonly Change[]): void
  /** Begins or lengthens the pauses. @returns those that are refused for the first time, or for another reason than before */
  refused(refusals: readonly CommitConflict[]): readonly CommitConflict[]
  /** The object has changed in the store: it pauses no more. */
  changed(object: ObjectKey): void
  /** Another server leads, or led meanwhile: nothing pauses. */
  forget(): void
  /** Owners of objects whose pauses are over. */
  due(): readonly Owner[]
  /** Milliseconds until the next pause is over; undefined: nothing pauses. */
  wait(): number | undefined
  /** Which object is refused and why, in words. */
  failure(): string | undefined
}

interface Paused {
  readonly refusal: CommitConflict
  readonly count: number
  readonly until: number
}

/** @param now milliseconds of a clock that only goes forward */
export function openPauses(times: PauseTimes, now: () => number): Pauses {
  const paused = new Map<ObjectKey, Paused>()
  return {
    retain(planned, owners) {
      if (paused.size === 0) return
      const wanted = new Set(planned.filter(change => isStored(change)).map(change => objectOf(change)))
      for (const [object, {refusal}] of paused) {
        const isPlannedFor = owners === 'all' || refusal.owners.every(owner => ownerIn(owner) === undefined || owners.has(owner as Owner))
        if (isPlannedFor && !wanted.has(object)) paused.delete(object)
      }
    },

    take(changes) {
      if (paused.size === 0) return changes
      const left = new Set<string>()
      let isAllLeft = false
      const isLeft = (change: StoredChange): boolean => {
        const [object, owners] = [objectOf(change), ownersOf(change)]
        const pause = paused.get(object)
        const isPausing = pause !== undefined && pause.until > now()
        isAllLeft ||= isPausing && isNeededByAll(object)
        const waits = isPausing || isAllLeft || isBehind(change, left)
        if (waits && owners !== 'all') for (const owner of owners) left.add(owner)
        // An answer to a request for all owners waits for every object that was asked for.
        if (waits && !isDerivedChange(change)) left.add(object)
        return waits
      }

      return changes.filter(change => !isStored(change) || !isLeft(change))
    },

    wrote(changes) {
      if (paused.size > 0) for (const change of changes) if (isStored(change)) paused.delete(objectOf(change))
    },

    refused(refusals) {
      return refusals.filter(refusal => {
        const before = paused.get(refusal.object)
        const count = (before?.count ?? 0) + 1
        const isFailure = refusal.error.code === 'unreachable' && derivedOwner(refusal.object) === undefined
        const pause = backOff(count, {first: times.refusedMs, longest: isFailure ? times.failedMaxMs : times.refusedMaxMs})
        paused.set(refusal.object, {refusal, count, until: now() + pause})
        return before?.refusal.error.message !== refusal.error.message
      })
    },

    changed(object) {
      paused.delete(object)
    },

    forget() {
      paused.clear()
    },

    due: () => [...paused.values()].filter(({until}) => until <= now()).flatMap(({refusal}) => refusal.owners as readonly Owner[]),

    wait() {
      const ends = [...paused.values()].map(({until}) => until)
      return ends.length === 0 ? undefined : Math.max(0, Math.min(...ends) - now())
    },

    failure() {
      const [first, ...others] = [...paused.values()]
      if (first === undefined) return undefined
      const {object, error} = first.refusal
      return `${object}: ${error.message}${flat(error.hint)}${others.length === 0 ? '' : `, and ${others.length} more`}`
    },
  }
}

/** A hint may be a rule in several lines. */
function flat(hint: string | undefined): string {
  return hint === undefined ? '' : `; ${hint.replaceAll(/\s+/g, ' ')}`
}
