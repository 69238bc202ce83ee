/** What a store's objects said when last looked at, entry by entry; the difference to now is a list of changes. */
import {type Entry, changeOf, entriesOf, faultChange, subjectsOf} from '../manifest/entries.js'
import {type Change, reduceAll} from '../model/change.js'
import type {Fleet, ObjectKey, Revision, Subject} from '../model/fleet.js'
import type {StoredObject} from './objects.js'

interface KnownObject {
  readonly revision: Revision
  /** Empty for an object that could not be read; `subjects` then holds what it may have said. */
  readonly entries: ReadonlyMap<Subject, Entry>
  readonly faults: ReadonlySet<Subject>
}

export interface Known {
  /** Compares all objects with what was known. */
  all(objects: readonly StoredObject[], fleet: Fleet): readonly Change[]
  /** Compares one object, undefined where it is gone. */
  one(key: ObjectKey, object: StoredObject | undefined, fleet: Fleet): readonly Change[]
}

/** Remembers what each object last said, so that looking again gives only what is different. */
export function openKnown(): Known {
  const known = new Map<ObjectKey, KnownObject>()

  /** An object's changes since it was last looked at, and what is known of it from now on. */
  function compare(object: StoredObject, fleet: Fleet): readonly Change[] {
    const before = known.get(object.key)
    if (before?.revision === object.revision) return []
    const changes = object.manifest === undefined ? unreadable(object, before, fleet) : readable(object, before)
    return [...changes, {kind: 'revision', object: object.key, value: object.revision}]
  }

  function readable(object: StoredObject, before: KnownObject | undefined): readonly Change[] {
    const entries = new Map((object.manifest === undefined ? [] : entriesOf(object.manifest)).map(entry => [entry.subject, entry]))
    const changed = [...entries.values()].filter(
      entry => before?.entries.get(entry.subject)?.text !== entry.text || before.faults.has(entry.subject),
    )
    const gone = [...(before?.entries.values() ?? [])].filter(entry => !entries.has(entry.subject))
    const healed = [...(before?.faults ?? [])].filter(subject => !entries.has(subject) && before?.entries.has(subject) !== true)
    const changes = changed.map(entry => changeOf(entry, object.key, object.source))
    // An entry that is broken is looked at again only when its text changes: its own fault is no reason to.
    known.set(object.key, {revision: object.revision, entries, faults: new Set()})
    return [
      ...changes,
      ...gone.map(entry => entry.removal),
      ...healed.map((subject): Change => ({kind: 'fault', subject, value: undefined})),
    ]
  }

  function unreadable(object: StoredObject, before: KnownObject | undefined, fleet: Fleet): readonly Change[] {
    const subjects = new Set<Subject>([...(before?.entries.keys() ?? []), ...(before?.faults ?? []), ...subjectsOf(object.key, fleet)])
    known.set(object.key, {revision: object.revision, entries: before?.entries ?? new Map(), faults: subjects})
    const fault = {object: object.key, key: 'the whole object', message: object.broken ?? 'it can not be read'}
    return [...subjects].map(subject => faultChange(subject, fault, object.source))
  }

  function forget(key: ObjectKey): readonly Change[] {
    const before = known.get(key)
    if (before === undefined) return []
    known.delete(key)
    const healed = [...before.faults].filter(subject => !before.entries.has(subject))
    return [
      ...[...before.entries.values()].map(entry => entry.removal),
      ...healed.map((subject): Change => ({kind: 'fault', subject, value: undefined})),
      {kind: 'revision', object: key, value: undefined},
    ]
  }

  return {
    all(objects, fleet) {
      const present = new Set(objects.map(object => object.key))
      const gone = [...known.keys()].filter(key => !present.has(key)).flatMap(key => forget(key))
      const readableOnes = objects.filter(object => object.manifest !== undefined).flatMap(object => compare(object, fleet))
      // Last, since what an unreadable shard holds is told by everything else.
      const after = reduceAll(fleet, [...gone, ...readableOnes])
      const rest = objects.filter(object => object.manifest === undefined).flatMap(object => compare(object, after))
      return [...gone, ...readableOnes, ...rest]
    },
    one: (key, object, fleet) => (object === undefined ? forget(key) : compare(object, fleet)),
  }
}
