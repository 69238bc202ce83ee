/**
 * Keeps this server from writing in a circle with somebody else: another controller, the 2021 program left running, a policy that
 * changes what is written. What was written over once is written again at once; who goes on meets ever longer pauses.
 */
import {backOff} from '../../lib/model/back-off.js'
import type {Change} from '../../lib/model/change.js'
import type {Fleet, ObjectKey} from '../../lib/model/fleet.js'
import {objectNames} from '../../lib/model/names.js'

/** Milliseconds. */
export interface WriteConflictTimes {
  /** From the second time on an object is left alone for this long, twice as long each time … */
  readonly rewriteMs: number
  /** … up to this. */
  readonly rewriteMaxMs: number
}

export const defaultWriteConflictTimes: WriteConflictTimes = {rewriteMs: 1000, rewriteMaxMs: 300_000}

export interface WriteConflicts {
  /** Those of `changes` that may be made now; the others wait. @param scope `all`: nothing is to be done that is not among them */
  take(fleet: Fleet, changes: readonly Change[], scope: 'all' | 'some'): readonly Change[]
  /** These were made. @param fleet that they were planned on */
  wrote(fleet: Fleet, changes: readonly Change[]): void
  /** Until something that waits may be made, milliseconds; undefined where nothing does. */
  wait(): number | undefined
}

/** An object as this server has written it last. */
interface Written {
  readonly text: string
  readonly at: number
  /** How often in a row something else has written over it. */
  readonly overwritten: number
  readonly isTold: boolean
}

/**
 * @param contested told of an object when it is left alone for the first time
 * @param now milliseconds, of a clock that only goes up
 */
export function openWriteConflicts(times: WriteConflictTimes, contested: (object: ObjectKey) => void, now: () => number): WriteConflicts {
  const written = new Map<ObjectKey, Written>()
  /** Until when what waits does so. */
  const waiting = new Map<ObjectKey, number>()

  /** How this server has written it, where somebody else has written over that; what is as it was written is to be changed with the fleet. */
  function writtenOver({object, present}: Text): Written | undefined {
    const last = written.get(object)
    // What is gone is made at once: the garbage collector takes what belonged to a registration that was made anew.
    return last === undefined || present === undefined || last.text === present ? undefined : last
  }

  /** When an object may be written again. */
  function freeAt({at, overwritten}: Written): number {
    return at + backOff(overwritten, {first: times.rewriteMs, longest: times.rewriteMaxMs})
  }

  function isFree(text: Text): boolean {
    const last = writtenOver(text)
    waiting.delete(text.object)
    if (last === undefined || now() >= freeAt(last)) return true
    waiting.set(text.object, freeAt(last))
    if (!last.isTold) contested(text.object)
    written.set(text.object, {...last, isTold: true})
    return false
  }

  return {
    take(fleet, changes, scope) {
      if (scope === 'all') waiting.clear()
      return changes.filter(change => {
        const text = textOf(fleet, change)
        return text?.wanted === undefined || isFree(text)
      })
    },

    wrote(fleet, changes) {
      for (const change of changes) {
        const text = textOf(fleet, change)
        if (text === undefined) continue
        if (text.wanted === undefined) {
          written.delete(text.object)
          continue
        }

        const last = writtenOver(text)
        const isQuiet = last === undefined || now() - last.at > 2 * times.rewriteMaxMs
        const overwritten = isQuiet ? 0 : last.overwritten + 1
        written.set(text.object, {text: text.wanted, at: now(), overwritten, isTold: !isQuiet && last.isTold})
      }
    },

    wait: () => (waiting.size === 0 ? undefined : Math.max(0, Math.min(...waiting.values()) - now())),
  }
}

/** What a change makes of an object that can be made again at any time; undefined: it is of another kind. */
interface Text {
  readonly object: ObjectKey
  readonly wanted: string | undefined
  readonly present: string | undefined
}

function textOf(fleet: Fleet, change: Change): Text | undefined {
  if (change.kind === 'derived') return {object: change.object, wanted: change.value, present: fleet.derived.get(change.object)}
  if (change.kind === 'endpoints') return {object: `ConfigMap/${objectNames.endpoints}`, wanted: change.value, present: fleet.endpoints}
  return undefined
}
