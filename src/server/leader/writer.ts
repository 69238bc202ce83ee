/** Writes what was planned: leaves out objects that pause because a write was refused (pauses.ts) or another writer overwrites them (write-conflicts.ts), and answers requests that can't be fulfilled. */
import {isStored, objectOf} from '../../lib/manifest/encode.js'
import type {Change} from '../../lib/model/change.js'
import type {Fleet, ObjectKey} from '../../lib/model/fleet.js'
import {type Owner, derivedOwner, isEndpoints} from '../../lib/model/names.js'
import type {Request} from '../../lib/model/request.js'
import {refusedAnswer} from '../../lib/ops/answer-requests.js'
import type {OpsDependencies} from '../../lib/ops/dependencies.js'
import {type CommitConflict, RefusedCommit} from '../../lib/store/commit.js'
import type {StateStore} from '../../lib/store/store.js'
import type {Log} from '../log.js'
import {type PauseTimes, openPauses} from './pauses.js'
import {type WriteConflictTimes, openWriteConflicts} from './write-conflicts.js'

export interface Writer {
  /** The changes that may be written now. @param owners those that `planned` is made for: no other object of theirs waits any more */
  take(fleet: Fleet, planned: readonly Change[], owners: ReadonlySet<Owner> | 'all'): readonly Change[]
  /**
   * @param newest gives the fleet as it is after the write
   * @returns false where a write was refused: its object pauses, and the rest is written
   * @throws AtlasError what the store throws
   */
  write(fleet: Fleet, missing: readonly Change[], newest: () => Fleet): Promise<boolean>
  /** The object has changed in the store: a write that was refused is tried again at once. */
  changed(object: ObjectKey): void
  /** Another server leads, or led meanwhile: nothing pauses, and no object counts as overwritten. */
  forget(): void
  /** Owners of objects whose pauses are over. */
  due(): readonly Owner[]
  /** Whether an overwritten object may be written again. */
  isContestedDue(): boolean
  /** Milliseconds until the next pause is over; undefined: nothing pauses. */
  wait(): number | undefined
  /** Why a write is refused, in words. */
  failure(): string | undefined
}

export interface WriterDependencies {
  readonly store: StateStore
  readonly dependencies: OpsDependencies
  readonly log: Log
  readonly times: PauseTimes & WriteConflictTimes
  /** An object can't be written; called once for each reason. */
  refused(refusal: CommitConflict): void
}

/** Nothing pauses at first. */
export function openWriter({store, dependencies, log, times, refused}: WriterDependencies): Writer {
  const clock = (): number => performance.now()
  const pauses = openPauses(times, clock)
  const conflicts = openWriteConflicts(
    times,
    object => {
      log.warn('another writer overwrites an object of Atlas; Atlas writes it again, less and less often', {object})
    },
    clock,
  )

  function report(all: readonly CommitConflict[]): void {
    for (const refusal of pauses.refused(all)) {
      const {object, error} = refusal
      log.error('can not write an object; it is tried again less and less often, and all others are written', {
        object,
        error: error.message,
        hint: error.hint,
      })
      refused(refusal)
    }
  }

  /** Requests that can't be fulfilled are answered with the reason. Those that an outage delays go on waiting. */
  async function answer(all: readonly CommitConflict[], fleet: Fleet): Promise<void> {
    const answers = [...fleet.requests].flatMap(([id, request]): readonly Change[] => {
      if (request.state !== 'waiting') return []
      const why = all.find(refusal => refusal.error.code !== 'unreachable' && isAbout(request, refusal))
      return why === undefined ? [] : refusedAnswer(id, request, why.error.message, dependencies.now())
    })
    if (answers.length > 0) await store.commit(fleet, answers)
  }

  return {
    take(fleet, planned, owners) {
      pauses.retain(planned, owners)
      return pauses.take(conflicts.take(fleet, planned, owners === 'all' ? 'all' : 'some'))
    },

    async write(fleet, missing, newest) {
      try {
        if (missing.length > 0) await store.commit(fleet, missing)
        conflicts.wrote(fleet, missing)
        pauses.wrote(missing)
        return true
      } catch (error) {
        if (!(error instanceof RefusedCommit)) throw error
        const objects = new Set(error.refusals.map(({object}) => object))
        const written = missing.filter(change => isStored(change) && !objects.has(objectOf(change)))
        conflicts.wrote(fleet, written)
        pauses.wrote(written)
        report(error.refusals)
        await answer(error.refusals, newest())
        return false
      }
    },

    changed: pauses.changed,
    forget() {
      pauses.forget()
      conflicts.forget()
    },
    due: pauses.due,
    isContestedDue: () => conflicts.wait() === 0,
    wait() {
      const [refusedFor, contestedFor] = [pauses.wait(), conflicts.wait()]
      return refusedFor === undefined && contestedFor === undefined ? undefined : Math.min(refusedFor ?? Infinity, contestedFor ?? Infinity)
    },
    failure: pauses.failure,
  }
}

/** Whether an object that can't be written is a part of what was asked. A request for all owners does not ask for zone and endpoints. */
function isAbout(request: Request, {object, owners}: CommitConflict): boolean {
  if (request.owners.length > 0) return owners.some(owner => request.owners.includes(owner as Owner))
  return owners.length > 0 || (derivedOwner(object) === undefined && !isEndpoints(object))
}
