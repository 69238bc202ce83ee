/**
 * Keeps in mind what the records of a store protected before it was put back to an earlier state, until that is written again. What of a record
 * protects is in lib/ops/protect.ts; how a server notices is in current-fleet.ts.
 */
import type {Change} from '../../lib/model/change.js'
import type {Fleet} from '../../lib/model/fleet.js'
import type {Owner} from '../../lib/model/names.js'
import {type Records, isProtected, ownersPutBack, planProtected, unitedRecords} from '../../lib/ops/protect.js'

export interface ProtectionParts {
  /** What a store that was put back has lost is kept in mind at least for so long, milliseconds, and until it is written again. */
  readonly protectedMs: number
  /** The time by which denials end. */
  readonly now: () => Date
  /** Milliseconds of a clock that is never set. */
  readonly steady: () => number
}

export interface Protection {
  /** Records as they were before the store was put back; none where it was not, or has them again. */
  records(stored: Fleet): Records
  /** The changes that give a store back what it has lost. */
  lost(stored: Fleet): readonly Change[]
  /** The store was put back. @param before its records until then */
  wentBack(stored: Fleet, before: Records): void
  /** The owners for which a store protects less than was served until now: where there are any, it was put back. */
  look(stored: Fleet, served: {readonly before: Fleet; readonly after: Fleet}): readonly Owner[]
}

const noRecords: Records = new Map()

/** Nothing at first. */
export function openProtection({protectedMs, now, steady}: ProtectionParts): Protection {
  let restored: {readonly records: Records; readonly at: number} | undefined

  function records(stored: Fleet): Records {
    // Where no leader has written it again, such as without a right to write, it is still protected.
    if (restored !== undefined && steady() - restored.at > protectedMs && isProtected(stored, restored.records, now())) restored = undefined
    return restored?.records ?? noRecords
  }

  function lost(stored: Fleet): readonly Change[] {
    return planProtected(stored, records(stored))
  }

  function wentBack(stored: Fleet, before: Records): void {
    restored = {records: unitedRecords(records(stored), before), at: steady()}
  }

  return {
    records,
    lost,
    wentBack,
    look(stored, {before, after}) {
      const owners = ownersPutBack(before, after, now())
      if (owners.length > 0) wentBack(stored, before.records)
      return owners
    },
  }
}
