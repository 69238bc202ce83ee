/** The entries of a store's objects as they were last read; the difference to the objects now is a list of changes. */
import {decodeEntry, entriesOf, faultChange} from '../manifest/decode.js'
import type {Entry} from '../manifest/layout.js'
import type {Manifest} from '../manifest/manifest.js'
import {UNKNOWN_KIND, subjectsIn} from '../manifest/unreadable.js'
import {type Change, reduceAll} from '../model/change.js'
import type {Fleet, ObjectKey, Revision, Subject} from '../model/fleet.js'
import {objectNames, parseObjectKey} from '../model/names.js'
import type {Sighting, StoredObject} from './objects.js'

interface KnownObject {
  readonly revision: Revision
  /** For an object that can't be read, the entries of when it last could; `faults` then holds all entries that it may hold. */
  readonly entries: ReadonlyMap<Subject, Entry>
  readonly faults: ReadonlySet<Subject>
  /** For an object that can't be read: the fault of an entry that it may hold. */
  readonly fault?: (subject: Subject) => Change
}

export interface Known {
  /** Compares all objects with what was known. */
  all(objects: readonly StoredObject[], fleet: Fleet): readonly Change[]
  /** Compares some objects, undefined where one is gone. */
  some(sightings: readonly Sighting[], fleet: Fleet): readonly Change[]
  /** Those of these objects that would be compared, since their revision is not the one that was known. */
  unseen(objects: readonly StoredObject[]): readonly StoredObject[]
}

export interface Decode {
  /** The change that sets an entry, or the fault why it can't be read. */
  entry(entry: Entry, object: StoredObject): Change
  /** Decodes the entries of objects that a watcher is about to compare. The caller iterates with pauses. */
  ahead(objects: readonly StoredObject[]): Generator<undefined, void>
  /**
   * Drops what an object held beside these entries, such as what was decoded ahead and is gone already: a name that was seen once must cost
   * no memory for good.
   */
  keepOnly(key: ObjectKey, subjects: {has(subject: Subject): boolean}): void
  /** Drops all objects but these. */
  keepObjects(keys: ReadonlySet<ObjectKey>): void
}

/** The entries of one object, as they were decoded last. */
type Decoded = Map<Subject, {readonly text: string; readonly change: Change}>

/** Decodes each version of an entry once, for all watchers of a store, so that they share the values. */
export function openDecode(): Decode {
  const last = new Map<ObjectKey, Decoded>()

  function decoded(entry: Entry, {key, source}: StoredObject): Change {
    const {subject, text} = entry
    const ofObject = last.get(key) ?? (new Map() as Decoded)
    const before = ofObject.get(subject)
    if (before?.text === text) return before.change
    const change = decodeEntry(entry, key, source)
    // A fault names its file, which may change while the text does not.
    if (change.kind === 'fault') ofObject.delete(subject)
    else last.set(key, ofObject.set(subject, {text, change}))
    return change
  }

  return {
    entry: decoded,
    *ahead(objects) {
      for (const object of objects)
        for (const entry of object.manifest === undefined ? [] : entriesOf(object.manifest)) {
          decoded(entry, object)
          yield
        }
    },
    keepOnly(key, subjects) {
      const ofObject = last.get(key)
      if (ofObject === undefined) return
      for (const subject of ofObject.keys()) if (!subjects.has(subject)) ofObject.delete(subject)
      if (ofObject.size === 0) last.delete(key)
    },
    keepObjects(keys) {
      for (const key of last.keys()) if (!keys.has(key)) last.delete(key)
    },
  }
}

const NONE: ReadonlySet<Subject> = new Set()

/** Remembers the entries of each object, so that reading it again gives only what has changed. */
export function openKnown(decode: Decode): Known {
  const known = new Map<ObjectKey, KnownObject>()
  /** Those of `known` that can't be read: few or none, and asked for at each change. */
  const unread = new Set<ObjectKey>()

  function keep(key: ObjectKey, object: KnownObject): void {
    known.set(key, object)
    if (object.fault === undefined) unread.delete(key)
    else unread.add(key)
  }

  /** An object's changes since it was last read. */
  function compare(object: StoredObject, fleet: Fleet): readonly Change[] {
    const before = known.get(object.key)
    if (before?.revision === object.revision) return []
    const changes = object.manifest === undefined ? unreadable(object, before, fleet) : readable(object, object.manifest, before, fleet)
    return [...changes, {kind: 'revision', object: object.key, value: object.revision}]
  }

  function readable(object: StoredObject, manifest: Manifest, before: KnownObject | undefined, fleet: Fleet): readonly Change[] {
    const entries = new Map(entriesOf(manifest).map(entry => [entry.subject, entry]))
    const changed = [...entries.values()].filter(
      entry => before?.entries.get(entry.subject)?.text !== entry.text || before.faults.has(entry.subject),
    )
    const gone = [...(before?.entries.values() ?? [])].filter(entry => !entries.has(entry.subject))
    const changes = changed.map(entry => decode.entry(entry, object))
    decode.keepOnly(object.key, entries)
    // A broken entry is decoded again only when its text changes; its own fault is no reason to.
    keep(object.key, {revision: object.revision, entries, faults: new Set()})
    return [...changes, ...gone.map(entry => entry.removal), ...healed(object.key, before, fleet, subject => !entries.has(subject))]
  }

  function unreadable(object: StoredObject, before: KnownObject | undefined, fleet: Fleet): readonly Change[] {
    const subjects = new Set<Subject>([...(before?.entries.keys() ?? []), ...(before?.faults ?? []), ...subjectsIn(object.key, fleet)])
    const what = {object: object.key, key: 'the whole object', message: object.broken ?? 'it can not be read'}
    const fault = (subject: Subject): Change => faultChange(subject, what, object.source)
    keep(object.key, {revision: object.revision, entries: before?.entries ?? new Map(), faults: subjects, fault})
    return [...subjects].map(subject => fault(subject))
  }

  /**
   * An owner that is new since an object broke may have an entry in it, too. A file of which not even the name is known can't hold an
   * entry that has gone missing while it was watched.
   */
  function newcomers(changes: readonly Change[], fleet: Fleet): readonly Change[] {
    if (changes.length === 0 || unread.size === 0) return []
    const after = reduceAll(fleet, changes)
    return [...unread].flatMap(key => {
      const object = known.get(key)
      if (object === undefined || parseObjectKey(key).kind === UNKNOWN_KIND) return []
      const fresh = subjectsIn(key, after).filter(subject => !object.faults.has(subject))
      if (fresh.length > 0) keep(key, {...object, faults: new Set([...object.faults, ...fresh])})
      return fresh.flatMap(subject => object.fault?.(subject) ?? [])
    })
  }

  function forget(key: ObjectKey, fleet: Fleet): readonly Change[] {
    decode.keepOnly(key, NONE)
    const before = known.get(key)
    if (before === undefined) return []
    known.delete(key)
    unread.delete(key)
    return [
      ...[...before.entries.values()].map(entry => entry.removal),
      ...healed(key, before, fleet, () => true),
      {kind: 'revision', object: key, value: undefined},
    ]
  }

  return {
    unseen: objects => objects.filter(({key, revision}) => known.get(key)?.revision !== revision),
    all(objects, fleet) {
      const present = new Set(objects.map(object => object.key))
      decode.keepObjects(present)
      const gone = [...known.keys()].filter(key => !present.has(key)).flatMap(key => forget(key, fleet))
      const [good, bad] = [objects.filter(isReadable), objects.filter(object => !isReadable(object))]
      let after = reduceAll(fleet, gone)
      const changes = good.flatMap(object => compare(object, after))
      after = reduceAll(after, changes)
      // Last, since everything else shows what an unreadable object may hold, and each shows that for the ones after it.
      for (const object of bad.sort((a, b) => order(a) - order(b))) {
        const found = compare(object, after)
        after = reduceAll(after, found)
        changes.push(...found)
      }

      const all = [...gone, ...changes]
      return [...all, ...newcomers(all, fleet)]
    },
    some(sightings, fleet) {
      const changes = sightings.flatMap(({key, object}) => (object === undefined ? forget(key, fleet) : compare(object, fleet)))
      return [...changes, ...newcomers(changes, fleet)]
    },
  }
}

/** Faults beside its entries that an object had and that are over; by now another object may have the fault. */
function healed(key: ObjectKey, before: KnownObject | undefined, fleet: Fleet, isWanted: (subject: Subject) => boolean): readonly Change[] {
  return [...(before?.faults ?? [])]
    .filter(subject => isWanted(subject) && before?.entries.has(subject) !== true && fleet.faults.get(subject)?.object === key)
    .map((subject): Change => ({kind: 'fault', subject, value: undefined}))
}

function isReadable(object: StoredObject): boolean {
  return object.manifest !== undefined
}

/**
 * Credentials and values show which owners there are, owners show what belongs into the shards, and all of these show what a file
 * that can't even be named may hold.
 */
function order({key}: StoredObject): number {
  const {kind, name} = parseObjectKey(key)
  if (kind === UNKNOWN_KIND) return 3
  if (kind === 'Service') return 1
  return name.startsWith('atlas-') && objectNames.credential.parse(name) === undefined ? 2 : 0
}
