/** Writes what was planned: without what pauses because it was refused or is fought over, and with a word to whoever asked for it. */
import {isStored, objectOf} from '../../lib/manifest/encode.js'
import type {Change} from '../../lib/model/change.js'
import type {Fleet, ObjectKey} from '../../lib/model/fleet.js'
import type {Owner} from '../../lib/model/names.js'
import {refusedAnswer} from '../../lib/ops/answer-requests.js'
import type {OpsDependencies} from '../../lib/ops/dependencies.js'
import {type CommitConflict, RefusedCommit} from '../../lib/store/commit.js'
import type {StateStore} from '../../lib/store/store.js'
import type {Log} from '../log.js'
import {type PauseTimes, openPauses} from './pauses.js'
import {type WriteConflictTimes, openWriteConflicts} from './write-conflicts.js'

export interface Writer {
  /** The changes that may be made now. @param scope `all`: nothing is to be done that is not among them */
  take(fleet: Fleet, planned: readonly Change[], scope: 'all' | 'some'): readonly Change[]
  /**
   * @param newest the fleet as it is when all is written
   * @returns false where something was refused: it pauses, and the rest is written
   * @throws AtlasError what the store throws
   */
  write(fleet: Fleet, missing: readonly Change[], newest: () => Fleet): Promise<boolean>
  /** Somebody has changed this object: it is worth another try. */
  changed(object: ObjectKey): void
  /** Whose pauses are over. */
  due(): readonly Owner[]
  /** Whether something that is fought over may be written again. */
  isContestedDue(): boolean
  /** Milliseconds until the next pause is over; undefined: nothing pauses. */
  wait(): number | undefined
  /** What is refused, for people. */
  failure(): string | undefined
}

export interface WriterDependencies {
  readonly store: StateStore
  readonly dependencies: OpsDependencies
  readonly log: Log
  readonly times: PauseTimes & WriteConflictTimes
  /** An object can't be written; told once for each reason. */
  refused(refusal: CommitConflict): void
}

/** Nothing pauses at first. */
export function openWriter({store, dependencies, log, times, refused}: WriterDependencies): Writer {
  const clock = (): number => performance.now()
  const refusals = openPauses(times, clock)
  const rewrites = openWriteConflicts(
    times,
    object => {
      log.warn('somebody else writes over what Atlas writes; it is written again after ever longer pauses', {object})
    },
    clock,
  )

  function tell(all: readonly CommitConflict[]): void {
    for (const refusal of refusals.refused(all)) {
      const {object, error} = refusal
      log.error('can not be written; it is tried again after ever longer pauses, the rest goes on', {
        object,
        error: error.message,
        hint: error.hint,
      })
      refused(refusal)
    }
  }

  /** Whoever asked for what can't be written is told why. */
  async function answer(all: readonly CommitConflict[], fleet: Fleet): Promise<void> {
    const answers = [...fleet.requests].flatMap(([id, request]): Change[] => {
      if (request.state !== 'waiting') return []
      const why = all.find(({owners}) => request.owners.length === 0 || owners.some(owner => request.owners.includes(owner as Owner)))
      return why === undefined ? [] : [refusedAnswer(id, request, why.error.message, dependencies.now())]
    })
    if (answers.length > 0) await store.commit(fleet, answers)
  }

  return {
    take: (fleet, planned, scope) => refusals.take(rewrites.take(fleet, planned, scope)),

    async write(fleet, missing, newest) {
      try {
        if (missing.length > 0) await store.commit(fleet, missing)
        rewrites.wrote(fleet, missing)
        refusals.wrote(missing)
        return true
      } catch (error) {
        if (!(error instanceof RefusedCommit)) throw error
        const objects = new Set(error.refusals.map(({object}) => object))
        const written = missing.filter(change => isStored(change) && !objects.has(objectOf(change)))
        rewrites.wrote(fleet, written)
        refusals.wrote(written)
        tell(error.refusals)
        await answer(error.refusals, newest())
        return false
      }
    },

    changed: refusals.changed,
    due: refusals.due,
    isContestedDue: () => rewrites.wait() === 0,
    wait() {
      const [refusedFor, contestedFor] = [refusals.wait(), rewrites.wait()]
      return refusedFor === undefined && contestedFor === undefined ? undefined : Math.min(refusedFor ?? Infinity, contestedFor ?? Infinity)
    },
    failure: refusals.failure,
  }
}
