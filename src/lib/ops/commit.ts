/** Load, plan, commit, and again when another writer was faster: how every command that changes something runs. */
import type {Change} from '../model/change.js'
import {reduceAll} from '../model/change.js'
import {AtlasError} from '../model/errors.js'
import type {Fleet} from '../model/fleet.js'
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
  for (let attempt = 1; ; attempt += 1) {
    const before = await store.load()
    const changes = plan(before)
    if (options.dryRun === true || changes.length === 0) return {before, changes, after: reduceAll(before, changes)}
    try {
      return {before, changes, after: await store.commit(before, changes)}
    } catch (error) {
      if (!(error instanceof AtlasError) || error.code !== 'conflict' || attempt >= attempts) throw error
    }
  }
}
