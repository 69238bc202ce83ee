/** The objects of a namespace, from list-watches and from this process's writes; an older version never replaces a newer one. */
import {type Manifest, keyOf, parseManifest} from '../../manifest/manifest.js'
import {messageOf} from '../../model/errors.js'
import type {ObjectKey} from '../../model/fleet.js'
import type {Sighting, StoredObject} from '../objects.js'
import type {RawObject} from './list.js'

export interface Cache {
  get(key: ObjectKey): StoredObject | undefined
  all(): readonly StoredObject[]
  /** @returns whether the cache has changed */
  put(object: StoredObject): boolean
  /** As `put`, of an object in a list: the list counts for all that is not newer than it. @param version the list's */
  putListed(object: StoredObject, version: string): boolean
  /** The history of the cluster has gone back: these are all objects of a selection, whatever was known of it. @returns what has changed */
  replace(objects: readonly StoredObject[], isSelected: (key: ObjectKey) => boolean): readonly ObjectKey[]
  /** @param revision the object's last one, or that of its deletion @returns whether the cache has changed */
  remove(key: ObjectKey, revision: string): boolean
  /** An object that was found or left as `known` says, or as it was seen later; undefined: it is gone. */
  newest(known: Sighting): StoredObject | undefined
  /** Nothing is known of the object any more: the next version of it counts, whichever it is. @returns whether the cache has changed */
  forget(key: ObjectKey): boolean
  /** Whether the cached object is newer than `revision`. */
  isNewer(key: ObjectKey, revision: string): boolean
}

/** Deleted objects whose last revision is kept, so that a late event does not add them again; beyond it the oldest is forgotten. */
const GONE_MAX = 10_000

/** @returns an empty cache */
export function openCache(): Cache {
  const held = new Map<ObjectKey, StoredObject>()
  const gone = new Map<ObjectKey, string>()
  return {
    get: key => held.get(key),
    all: () => [...held.values()],
    put(object) {
      const last = held.get(object.key)?.revision ?? gone.get(object.key)
      if (last !== undefined && !isNewer(object.revision, last)) return false
      gone.delete(object.key)
      held.set(object.key, object)
      return true
    },
    putListed(object, version) {
      const last = held.get(object.key)?.revision ?? gone.get(object.key)
      if (last === object.revision || (last !== undefined && isNewer(last, version))) return false
      gone.delete(object.key)
      held.set(object.key, object)
      return true
    },
    replace(objects, isSelected) {
      const present = new Set(objects.map(({key}) => key))
      const removed = [...held.keys()].filter(key => isSelected(key) && !present.has(key))
      const changed = objects.filter(({key, revision}) => held.get(key)?.revision !== revision)
      for (const key of removed) held.delete(key)
      for (const key of gone.keys()) if (isSelected(key)) gone.delete(key)
      for (const object of changed) held.set(object.key, object)
      return [...removed, ...changed.map(({key}) => key)]
    },
    remove(key, revision) {
      const last = held.get(key)?.revision
      if (last !== undefined && last !== revision && !isNewer(revision, last)) return false
      held.delete(key)
      gone.delete(key)
      gone.set(key, revision)
      const [oldest] = gone.keys()
      if (gone.size > GONE_MAX && oldest !== undefined) gone.delete(oldest)
      return last !== undefined
    },
    newest({key, object}) {
      const removed = gone.get(key)
      return held.get(key) ?? (object === undefined || removed === undefined || isNewer(object.revision, removed) ? object : undefined)
    },
    forget(key) {
      gone.delete(key)
      return held.delete(key)
    },
    isNewer(key, revision) {
      const last = held.get(key)?.revision
      return last !== undefined && isNewer(last, revision)
    },
  }
}

/** Parses an object of a list or an event. Objects of a list have no kind or version of their own. `managedFields` is dropped. */
export function storedObject(kind: string, raw: RawObject): StoredObject {
  const {managedFields: _, ...metadata} = raw.metadata as RawObject['metadata'] & {readonly managedFields?: unknown}
  const key = `${kind}/${metadata.name}`
  const revision = metadata.resourceVersion
  try {
    const manifest: Manifest = parseManifest({...raw, apiVersion: 'v1', kind, metadata})
    return {key: keyOf(manifest), revision, manifest}
  } catch (error) {
    return {key, revision, manifest: undefined, broken: messageOf(error)}
  }
}

/** Resource versions of one cluster are growing numbers (KEP-5504); where they are not numbers, each different one counts as newer. */
export function isNewer(revision: string, than: string): boolean {
  if (!/^[0-9]+$/.test(revision) || !/^[0-9]+$/.test(than)) return revision !== than
  return revision.length === than.length ? revision > than : revision.length > than.length
}
