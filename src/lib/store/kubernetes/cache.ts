/** The objects of a namespace as the feeds have told them, own writes included; what is older than what is known is passed over. */
import {type Manifest, keyOf, parseManifest} from '../../manifest/manifest.js'
import {messageOf} from '../../model/errors.js'
import type {ObjectKey} from '../../model/fleet.js'
import type {StoredObject} from '../objects.js'
import type {RawObject} from './list-watch.js'

export interface Cache {
  get(key: ObjectKey): StoredObject | undefined
  all(): readonly StoredObject[]
  /** @returns whether it is news */
  put(object: StoredObject): boolean
  /** @param revision of the object when it went, or of its going @returns whether it is news */
  remove(key: ObjectKey, revision: string): boolean
  /** Whether what is known of an object is newer than `revision`. */
  isNewer(key: ObjectKey, revision: string): boolean
}

/** Objects that went are remembered by their last revision, so many of them: an old event must not bring one back. */
const GONE_MAX = 10_000

/** An empty one. */
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
    isNewer(key, revision) {
      const last = held.get(key)?.revision
      return last !== undefined && isNewer(last, revision)
    },
  }
}

/** An object of a list or an event; lists leave kind and version to the list itself. What other programs note of fields is dropped. */
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

/** Revisions of one cluster are numbers that grow (KEP-5504); where they are not, every other one is taken to be newer. */
function isNewer(revision: string, than: string): boolean {
  if (!/^[0-9]+$/.test(revision) || !/^[0-9]+$/.test(than)) return revision !== than
  return revision.length === than.length ? revision > than : revision.length > than.length
}
