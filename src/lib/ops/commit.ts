/** Loads, plans and commits, and starts again when another writer was faster. Every change by a command goes through here. */
import {isDeepStrictEqual} from 'node:util'
import {type Change, reduceAll} from '../model/change.js'
import {AtlasError} from '../model/errors.js'
import type {Fleet} from '../model/fleet.js'
import {nameIn, valueIn} from '../model/kinds.js'
import type {StateStore} from '../store/store.js'

export interface Committed {
  /** The fleet that was planned on. */
  readonly before: Fleet
  readonly changes: readonly Change[]
  /** The fleet after the changes; with `dryRun`, the fleet as it would be. */
  readonly after: Fleet
}

export interface CommitOptions {
  readonly dryRun?: boolean
  /** After so many commits that lost a race to another writer, the conflict is reported; 50 by default. */
  readonly attempts?: number
}

/**
 * Plans on the stored fleet and commits the plan. After a conflict `plan` is called again, with the newer fleet.
 * @throws AtlasError what `plan` or the store throws; `conflict` when every attempt lost its race
 */
export async function commitPlan(
  store: StateStore,
  plan: (fleet: Fleet) => readonly Change[],
  options: CommitOptions = {},
): Promise<Committed> {
  const attempts = options.attempts ?? 50
  const first = await store.load()
  // An attempt that loses its race may have written a part of its plan: of that part the caller is told, too.
  let planned: readonly Change[] = []
  for (let attempt = 1, before = first; ; attempt += 1, before = await store.load()) {
    const changes = plan(before)
    planned = united(
      planned.filter(change => isStoredIn(before, change)),
      changes,
    )
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

/** Whether a store holds what an attempt planned. What another writer has put there instead, such as a root of its own, is not the caller's. */
function isStoredIn(fleet: Fleet, change: Change): boolean {
  return sameValue<unknown>(valueIn(fleet, change), change.value)
}

/** Of several changes to one entry the last counts. */
function united(earlier: readonly Change[], later: readonly Change[]): readonly Change[] {
  const entryOf = (change: Change): string => `${change.kind}/${nameIn(change)}`
  const replaced = new Set(later.map(change => entryOf(change)))
  return [...earlier.filter(change => !replaced.has(entryOf(change))), ...later]
}
