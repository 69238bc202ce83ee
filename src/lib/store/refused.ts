/** A commit of which something could not be written: the rest is, and what could not be is named with whom it concerns. */
import {AtlasError} from '../model/errors.js'
import type {Fleet, ObjectKey} from '../model/fleet.js'

export interface CommitConflict {
  readonly object: ObjectKey
  /** Whose later changes were left out, too; nobody's: it concerns everybody. */
  readonly owners: readonly string[]
  readonly error: AtlasError
}

/** Says what its first refusal says. */
export class RefusedCommit extends AtlasError {
  /** The fleet after what was written. */
  readonly fleet: Fleet
  readonly refusals: readonly CommitConflict[]

  constructor(fleet: Fleet, refusals: readonly CommitConflict[]) {
    const first = refusals[0]?.error
    super(first?.code ?? 'failed', first?.message ?? 'nothing could be written', {
      ...(first?.hint !== undefined && {hint: first.hint}),
      cause: first,
    })
    this.fleet = fleet
    this.refusals = refusals
  }
}
