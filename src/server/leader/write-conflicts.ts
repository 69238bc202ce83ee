/**
 * Keeps this server from overwriting in a circle with another writer: another controller, the 2021 program left running, a policy that
 * changes objects. An object that another writer has overwritten once is written again at once; from the second time on there is a back-off.
 */
import {backOff} from '../../lib/model/back-off.js'
import {isDerivedChange, isStored, objectOf} from '../../lib/manifest/encode.js'
import type {Change} from '../../lib/model/change.js'
import type {Fleet, ObjectKey} from '../../lib/model/fleet.js'
import {valueIn} from '../../lib/model/kinds.js'
import {isEndpoints} from '../../lib/model/names.js'

/** Milliseconds. */
export interface WriteConflictTimes {
  /** From the second time on an overwritten object is left alone for this long, twice as long each further time … */
  readonly rewriteMs: number
  /** … up to this. */
  readonly rewriteMaxMs: number
}

export const defaultWriteConflictTimes: WriteConflictTimes = {rewriteMs: 1000, rewriteMaxMs: 300_000}

export interface WriteConflicts {
  /** Those of `changes` that may be written now; the others wait. @param scope `all`: `changes` are complete, so no other object waits any more */
  take(fleet: Fleet, changes: readonly Change[], scope: 'all' | 'some'): readonly Change[]
  /** These changes were written. @param fleet the one that they were planned on */
  wrote(fleet: Fleet, changes: readonly Change[]): void
  /** Another server leads, or led meanwhile: what it has written is no conflict. */
  forget(): void
  /** Milliseconds until a waiting change may be written; undefined: none waits. */
  wait(): number | undefined
}

/** An object as this server has last written it. */
interface Written {
  readonly text: string
  readonly at: number
  /** How often in a row another writer has overwritten it. */
  readonly times: number
  readonly isReported: boolean
}

/**
 * @param contested called once when an object is left alone, until it was quiet for long
 * @param now milliseconds, of a clock that only goes forward
 */
export function openWriteConflicts(times: WriteConflictTimes, contested: (object: ObjectKey) => void, now: () => number): WriteConflicts {
  const written = new Map<ObjectKey, Written>()
  /** When the waiting objects may be written. */
  const waiting = new Map<ObjectKey, number>()

  /** Undefined where the object is as this server has written it, or is gone. */
  function overwritten({object, present}: Text): Written | undefined {
    const last = written.get(object)
    // A deleted object is created again at once: Kubernetes collects objects whose registration was deleted and created again.
    return last === undefined || present === undefined || last.text === present ? undefined : last
  }

  /** When an object may be written again. */
  function freeAt({at, times: count}: Written): number {
    return at + backOff(count, {first: times.rewriteMs, longest: times.rewriteMaxMs})
  }

  function isFree(text: Text): boolean {
    const last = overwritten(text)
    waiting.delete(text.object)
    if (last === undefined || now() >= freeAt(last)) return true
    waiting.set(text.object, freeAt(last))
    if (!last.isReported) contested(text.object)
    written.set(text.object, {...last, isReported: true})
    return false
  }

  /** Kubernetes deletes the objects of a registration that is gone, and nothing asks for them again: their names are forgotten. */
  function forgetGone(fleet: Fleet, changes: readonly Change[]): void {
    const wanted = new Set(changes.map(change => textOf(fleet, change)?.object))
    for (const object of written.keys())
      if (!isEndpoints(object) && !fleet.derived.has(object) && !wanted.has(object)) {
        written.delete(object)
        waiting.delete(object)
      }
  }

  return {
    take(fleet, changes, scope) {
      forgetGone(fleet, changes)
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

        const last = overwritten(text)
        const isQuiet = last === undefined || now() - last.at > 2 * times.rewriteMaxMs
        const count = isQuiet ? 0 : last.times + 1
        written.set(text.object, {text: text.wanted, at: now(), times: count, isReported: !isQuiet && last.isReported})
      }
    },

    forget() {
      written.clear()
      waiting.clear()
    },

    wait: () => (waiting.size === 0 ? undefined : Math.max(0, Math.min(...waiting.values()) - now())),
  }
}

/** A change of a derived object. */
interface Text {
  readonly object: ObjectKey
  readonly wanted: string | undefined
  readonly present: string | undefined
}

/** Undefined for a change of any other object, which is written on condition and needs no back-off. */
function textOf(fleet: Fleet, change: Change): Text | undefined {
  if (!isStored(change) || !isDerivedChange(change)) return undefined
  const [wanted, present] = [change.value, valueIn(fleet, change)]
  return {object: objectOf(change), wanted: contentOf(wanted), present: contentOf(present)}
}

/** The endpoints, or the text of another derived object. */
function contentOf(value: unknown): string | undefined {
  return value === undefined || typeof value === 'string' ? value : JSON.stringify(value)
}
