/** What an object that can't be read may hold, so that what is unknown is not taken for missing (promise 6). */
import {authorityParts} from '../model/authority.js'
import type {Fleet, ObjectKey, Subject} from '../model/fleet.js'
import {type EntryKind, subjectOf} from '../model/kinds.js'
import {parseObjectKey} from '../model/names.js'
import {entryKinds, objectKeyOf} from './kinds.js'

/** Kind, in an object's key, of a file that can't be read and whose name shows no object: `File/notes.yaml`. */
export const UNKNOWN_KIND = 'File'

/** Of an object with many entries these are the entries of all known owners that belong into it. */
export function subjectsIn(key: ObjectKey, fleet: Fleet): readonly Subject[] {
  if (parseObjectKey(key).kind === UNKNOWN_KIND) return [subjectOf('object', key), ...missingFrom(fleet)]
  for (const kind of Object.keys(entryKinds) as EntryKind[]) {
    const names = entryKinds[kind].suspects(key, fleet)
    if (names !== undefined) return names.map(name => subjectOf(kind, name))
  }

  return [subjectOf('object', key)]
}

/**
 * Entries that are missing though others show that they were there: a file of which not even the name is known may be just that one.
 * `ops/reconcile` writes in an order in which an entry comes before those that show it.
 */
function missingFrom(fleet: Fleet): readonly Subject[] {
  const {authority, credentials, faults, identities, records, registrations, revisions, server, trust} = fleet
  const missing: Subject[] = []
  const wasSigned = trust !== undefined || identities.size + credentials.size > 0
  for (const part of authorityParts) if (wasSigned && !authority.has(part)) missing.push(subjectOf('authority', part))
  if (trust === undefined && identities.size > 0) missing.push('trust')
  if (server === undefined && identities.size > 0) missing.push('server')
  for (const [owner, {registration, suspendedSince, credentials: issued}] of records) {
    const isRegistered = registration !== undefined && suspendedSince === undefined
    if (isRegistered && !registrations.has(registration.name)) missing.push(subjectOf('registration', owner))
    if (issued.some(({state}) => state === 'valid') && !credentials.has(owner)) missing.push(subjectOf('credential', owner))
  }

  for (const owner of credentials.keys())
    for (const kind of ['record', 'identity'] as const) if (!revisions.has(objectKeyOf(kind, owner))) missing.push(subjectOf(kind, owner))
  return missing.filter(subject => !faults.has(subject))
}
