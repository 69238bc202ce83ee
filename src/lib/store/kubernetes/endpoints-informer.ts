/**
 * Keeps the ConfigMaps with the endpoints for Thanos Query in the informer's cache. They may be in another namespace, which the settings
 * name, and which Atlas may not be allowed to read: then everything else continues without it.
 */
import {setTimeout as sleep} from 'node:timers/promises'
import {objectKeyOf} from '../../manifest/kinds.js'
import {thanosObjectsIn} from '../../manifest/settings.js'
import type {ObjectKey} from '../../model/fleet.js'
import {parseObjectKey} from '../../model/names.js'
import type {StoredObject} from '../objects.js'
import {type Cache, storedObject} from './cache.js'
import type {Client} from './client.js'
import type {RawObject, Selection} from './list.js'
import {type ListWatchTimes, startListWatch} from './list-watch.js'

export const FLEET: ObjectKey = objectKeyOf('settings')
export const ENDPOINTS: ObjectKey = objectKeyOf('endpoints')

/** The start of a server does not wait longer than this for the endpoints, milliseconds: it may have no right to read them. */
const FIRST_LIST = 3000

/** Thanos's namespace, by the settings. */
export function thanosNamespaceIn(fleet: StoredObject | undefined): string | undefined {
  return fleet?.manifest === undefined ? undefined : thanosObjectsIn(fleet.manifest).namespace
}

/** The ConfigMaps with endpoints, by the settings: that of all clusters, and one for each group. */
export function endpointsIn(fleet: StoredObject | undefined): readonly ObjectKey[] {
  const groups = fleet?.manifest === undefined ? [] : thanosObjectsIn(fleet.manifest).groups
  return [ENDPOINTS, ...groups.map(group => objectKeyOf('groupEndpoints', group))]
}

/** @param report called with the keys of the ConfigMaps that have changed */
export function openEndpointsInformer(
  client: Client,
  times: ListWatchTimes,
  {cache, report}: {readonly cache: Cache; report(keys: readonly ObjectKey[]): void},
  signal: AbortSignal,
): {
  /** Moves to the namespace and the groups that the settings in the cache name; called after each change of the cache. */
  follow(): void
  /** Resolves after the first lists, or without them after `FIRST_LIST`. */
  ready(): Promise<void>
} {
  let followed: StoredObject | undefined
  let namespace: string | undefined
  const watched = new Map<ObjectKey, {readonly stopping: AbortController; readonly listed: Promise<unknown>}>()

  function put(objects: readonly RawObject[], isNews: (object: StoredObject) => boolean): void {
    const found = objects.map(raw => storedObject('ConfigMap', raw))
    report(found.filter(object => isNews(object)).map(({key}) => key))
  }

  function remove(key: ObjectKey, revision: string): void {
    if (cache.remove(key, revision)) report([key])
  }

  function stop(key: ObjectKey): void {
    watched.get(key)?.stopping.abort()
    watched.delete(key)
    // The next one of this key may be of another namespace, or have been there before, and have an earlier version.
    if (cache.forget(key)) report([key])
  }

  /** Each by its name: Atlas may have no right to list the others of that namespace. */
  function start(key: ObjectKey, of: string): void {
    const stopping = new AbortController()
    const {promise: listed, resolve} = Promise.withResolvers<undefined>()
    watched.set(key, {stopping, listed})
    const selection: Selection = {resource: 'configmaps', namespace: of, name: parseObjectKey(key).name}
    startListWatch(
      client,
      selection,
      times,
      {
        listed(objects, version) {
          const known = cache.get(key)
          if (known !== undefined && objects.length === 0 && !cache.isNewer(key, version)) remove(key, known.revision)
          put(objects, object => cache.putListed(object, version))
          resolve(undefined)
        },
        restored(objects) {
          report(
            cache.replace(
              objects.map(raw => storedObject('ConfigMap', raw)),
              each => each === key,
            ),
          )
        },
        changed(events) {
          for (const {type, object} of events)
            if (type === 'is') put([object], cache.put)
            else remove(key, object.metadata.resourceVersion)
        },
        failed: () => resolve(undefined),
        recovered: () => undefined,
      },
      AbortSignal.any([signal, stopping.signal]),
    )
  }

  return {
    follow() {
      const fleet = cache.get(FLEET)
      if (fleet === undefined || fleet === followed) return
      followed = fleet
      const there = thanosNamespaceIn(fleet) ?? client.namespace
      const wanted = new Set(endpointsIn(fleet))
      for (const key of watched.keys()) if (there !== namespace || !wanted.has(key)) stop(key)
      namespace = there
      for (const key of wanted) if (!watched.has(key)) start(key, there)
    },
    ready: async () => {
      const lists = Promise.all([...watched.values()].map(async ({listed}) => listed))
      await Promise.race([lists, sleep(FIRST_LIST, undefined, {ref: false})])
    },
  }
}
