/** Load, plan, commit, and again when another writer was faster: how every command that changes something runs. */
import {isDeepStrictEqual} from 'node:util'
import {type Change, reduceAll} from '../model/change.js'
import {AtlasError} from '../model/errors.js'
import type {Fleet} from '../model/fleet.js'
import {nameIn} from '../model/kinds.js'
import type {StateStore} from '../store/store.js'

export interface Committed {
  /** The fleet that was planned on. */
  readonly before: Fleet
  readonly changes: readonly Change[]
  /** The fleet after the changes; what it would be, where `dryRun` was asked for. */
  readonly after: Fleet
}

export interface CommitOptions {
  readonly dryRun?: boolean
  /** How often a lost race is tried again before it is reported; 50 where nothing is said. */
  readonly attempts?: number
}

/**
 * Plans on what is stored and commits it. `plan` must be repeatable: after a conflict it is asked again, on the newer fleet.
 * @throws AtlasError what `plan` or the store throws; `conflict` when every attempt lost its race
 */
export async function commitPlan(
  store: StateStore,
  plan: (fleet: Fleet) => readonly Change[],
  options: CommitOptions = {},
): Promise<Committed> {
  const attempts = options.attempts ?? 50
  const first = await store.load()
  // An attempt that loses its race has written a part of its plan: what was done is the sum of all attempts.
  let planned: readonly Change[] = []
  for (let attempt = 1, before = first; ; attempt += 1, before = await store.load()) {
    const changes = plan(before)
    planned = united(planned, changes)
    if (options.dryRun === true || changes.length === 0) return {before: first, changes: planned, after: reduceAll(before, changes)}
    try {
      return {before: first, changes: planned, after: await store.commit(before, changes)}
    } catch (error) {
      if (!(error instanceof AtlasError) || error.code !== 'conflict' || attempt >= attempts) throw error
    }
  }
}

/** Whether two plain values are equal in all their parts: a value that did not change is not written. */
export function sameValue<T>(a: T | undefined, b: T | undefined): boolean {
  return isDeepStrictEqual(a, b)
}

/** Of several changes to one entry the last counts. */
function united(earlier: readonly Change[], later: readonly Change[]): readonly Change[] {
  const entryOf = (change: Change): string => `${change.kind}/${nameIn(change)}`
  const replaced = new Set(later.map(change => entryOf(change)))
  return [...earlier.filter(change => !replaced.has(entryOf(change))), ...later]
}
