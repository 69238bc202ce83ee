/** An ADS credential and its entry in the owner's record: which of the two is written first. Whether one is due: due.ts. */
import type {Credential, OwnerRecord} from '../model/authority.js'
import type {Change} from '../model/change.js'
import {AtlasError} from '../model/errors.js'
import type {Fleet} from '../model/fleet.js'
import type {Settings} from '../model/settings.js'
import {readKey, recordOfCredential} from '../pki/read.js'
import {issuedAt} from '../pki/rotation.js'
import {credentialLeaf, isDue} from './due.js'

/**
 * The record first: the server refuses a credential that is not on record, while a record without its credential does no harm. Where the
 * newest entry has no credential, a writer ended between the two: then the credential comes first. The key of that entry is lost, and
 * a writer that ends there each time would add an entry each time, and never a credential; of the two orders one gets on.
 */
export function planIssued(fleet: Fleet, record: OwnerRecord, credential: Credential): readonly Change[] {
  const {owner} = record
  const recorded: Change = {kind: 'record', owner, value: withCredential(record, credential)}
  const written: Change = {kind: 'credential', owner, value: credential}
  return isUnfinished(fleet, record) ? [written, recorded] : [recorded, written]
}

/**
 * The credential that a writer has just issued and not put on record, since it ended between the two: no server has accepted it yet, so that it is
 * as good as one that is issued now.
 */
export function unrecorded(fleet: Fleet, settings: Settings, record: OwnerRecord, now: Date): Credential | undefined {
  const leaf = credentialLeaf(fleet, settings, record)
  const {present} = leaf
  if (present === undefined || isDue(leaf, now, {age: true}) || withCredential(record, present) === record) return undefined
  return now.getTime() - issuedAt(readKey(present)) < JUST ? present : undefined
}

/** Milliseconds in which another leader has followed one that ended. */
const JUST = 3_600_000

/** The same record where the credential is on it. */
export function withCredential(record: OwnerRecord, credential: Credential): OwnerRecord {
  const entry = recordOfCredential(credential)
  const isKnown = record.credentials.some(({sha256}) => sha256 === entry.sha256)
  return isKnown ? record : {...record, credentials: [...record.credentials, entry]}
}

function isUnfinished({credentials}: Fleet, {owner, credentials: entries}: OwnerRecord): boolean {
  const newest = entries.at(-1)
  return newest?.state === 'valid' && newest.sha256 !== fingerprintOf(credentials.get(owner))
}

/** Undefined where it does not decode: it is replaced for that. */
function fingerprintOf(credential: Credential | undefined): string | undefined {
  try {
    return credential && readKey(credential).sha256
  } catch (error) {
    if (error instanceof AtlasError) return undefined
    throw error
  }
}
