/** What protects must outlive a store that was put back to an earlier state: revocations, denied names, generations. */
import type {CredentialRecord, DeniedName, OwnerRecord} from '../model/authority.js'
import type {Change} from '../model/change.js'
import {type Fleet, isBroken, recordOf} from '../model/fleet.js'
import type {Owner} from '../model/names.js'
import {differingKeys} from '../model/persistent-map.js'
import {sameValue} from './commit.js'
import {withoutEnded} from './revoke.js'

export type Records = ReadonlyMap<Owner, OwnerRecord>

/** The changes that give a fleet back what its records have lost, compared with how they were before. */
export function planProtected(fleet: Fleet, before: Records): readonly Change[] {
  return [...before].flatMap(([owner, record]): readonly Change[] => {
    if (isBroken(fleet, 'record', owner)) return []
    const present = recordOf(fleet, owner)
    const value = withProtection(present, record)
    return sameValue(present, value) ? [] : [{kind: 'record', owner, value}]
  })
}

/** Whether a fleet has all that still protects in these records. A record that can't be read lacks it. */
export function isProtected(fleet: Fleet, before: Records, now: Date): boolean {
  if ([...before.keys()].some(owner => isBroken(fleet, 'record', owner))) return false
  return planProtected(fleet, new Map([...before].map(([owner, record]) => [owner, withoutEnded(record, now)]))).length === 0
}

/**
 * The owners whose records protect less than before: the generation is lower, a revoked credential is valid again, or a denial is gone
 * before its end. No command and no leader does that: the store was put back to an earlier state. A cluster that is no longer revoked,
 * at the same generation, was restored by a person.
 */
export function ownersPutBack(before: Fleet, after: Fleet, now: Date): readonly Owner[] {
  return differingKeys(before.records, after.records).filter(
    owner => !isBroken(after, 'record', owner) && isPutBack(recordOf(before, owner), recordOf(after, owner), now),
  )
}

function isPutBack(before: OwnerRecord, after: OwnerRecord, now: Date): boolean {
  const valid = new Set(after.credentials.filter(({state}) => state === 'valid').map(({sha256}) => sha256))
  const denied = new Set(after.denied.map(({name}) => name))
  return (
    after.generation < before.generation ||
    before.credentials.some(({state, sha256}) => state === 'revoked' && valid.has(sha256)) ||
    before.denied.some(({name, until}) => Date.parse(until) > now.getTime() && !denied.has(name))
  )
}

/** All that either of two versions of the records protects. */
export function unitedRecords(first: Records, second: Records): Records {
  const owners = new Set([...first.keys(), ...second.keys()])
  return new Map(
    [...owners].flatMap(owner => {
      const [one, other] = [first.get(owner), second.get(owner)]
      const record = one === undefined || other === undefined ? (one ?? other) : withProtection(other, one)
      return record === undefined ? [] : [[owner, record] as const]
    }),
  )
}

/**
 * The later generation, and all that is revoked or denied in either. What was valid is not made valid again. Whether the cluster itself is
 * revoked is as in the record of the later generation; of two records of one generation, as in the present one (OwnerRecord).
 */
function withProtection(present: OwnerRecord, before: OwnerRecord): OwnerRecord {
  const {revokedSince: _, ...record} = present
  const {generation, revokedSince} = before.generation > present.generation ? before : present
  const revoked = new Map(before.credentials.filter(({state}) => state === 'revoked').map(entry => [entry.sha256, entry]))
  const credentials = [...record.credentials.map((entry): CredentialRecord => revoked.get(entry.sha256) ?? entry)]
  const known = new Set(credentials.map(({sha256}) => sha256))
  const all = {
    ...record,
    generation,
    ...(revokedSince !== undefined && {revokedSince}),
    credentials: [...credentials, ...[...revoked.values()].filter(({sha256}) => !known.has(sha256))],
  }
  return withDenied(all, before.denied)
}

/** The record with more denials; where two have the same name, the later end counts. Ends are ISO 8601 texts of one form, in the order of their times. */
function withDenied(record: OwnerRecord, more: readonly DeniedName[]): OwnerRecord {
  if (more.length === 0) return record
  const denied = new Map(record.denied.map(entry => [entry.name, entry]))
  for (const entry of more) if (entry.until > (denied.get(entry.name)?.until ?? '')) denied.set(entry.name, entry)
  return {...record, denied: [...denied.values()]}
}
