/** Objects -> changes, entry by entry: a broken entry costs itself only. What an unreadable object may hold: unreadable.ts. */
import type {Change} from '../model/change.js'
import {messageOf} from '../model/errors.js'
import type {Fault, ObjectKey, Subject} from '../model/fleet.js'
import {remember} from '../model/remember.js'
import {entryKinds} from './kinds.js'
import type {Entry} from './layout.js'
import type {Manifest} from './manifest.js'
import {pathOf} from './path.js'

/** What an object holds; nothing where it isn't one of Atlas's. */
export const entriesOf: (manifest: Manifest) => readonly Entry[] = remember((manifest: Manifest) => {
  for (const row of Object.values(entryKinds)) {
    const entries = row.entries(manifest)
    if (entries !== undefined) return entries
  }

  return []
})

/** The change that an entry is: its value, or the fault why it can't be read. */
export function decodeEntry(entry: Entry, object: ObjectKey, source: string | undefined): Change {
  try {
    return entry.decode()
  } catch (error) {
    return faultChange(entry.subject, {object, key: pathOf(error, 'metadata'), message: messageOf(error)}, source)
  }
}

export function faultChange(subject: Subject, fault: Fault, source: string | undefined): Change {
  return {kind: 'fault', subject, value: source === undefined ? fault : {...fault, source}}
}
