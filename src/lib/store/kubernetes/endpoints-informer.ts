/**
 * Keeps the ConfigMap with the endpoints for Thanos Query in the informer's cache. It may be in another namespace, which the settings name,
 * and which Atlas may not be allowed to read: then everything else continues without it.
 */
import {setTimeout as sleep} from 'node:timers/promises'
import {objectKeyOf} from '../../manifest/kinds.js'
import type {ObjectKey} from '../../model/fleet.js'
import {objectNames} from '../../model/names.js'
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
  return fleet?.manifest?.data?.['thanos-namespace']
}

/** @param report called with the key of the ConfigMap when it has changed */
export function openEndpointsInformer(
  client: Client,
  times: ListWatchTimes,
  {cache, report}: {readonly cache: Cache; report(keys: readonly ObjectKey[]): void},
  signal: AbortSignal,
): {
  /** Moves to the namespace that the settings in the cache name; called after each change of the cache. */
  follow(): void
  /** Resolves after the first list, or without it after `FIRST_LIST`. */
  ready(): Promise<void>
} {
  let namespace: string | undefined
  let current: AbortController | undefined
  let listed: PromiseWithResolvers<void> = Promise.withResolvers()

  function put(objects: readonly RawObject[]): void {
    const found = objects.map(raw => storedObject('ConfigMap', raw))
    report(found.filter(object => cache.put(object)).map(({key}) => key))
  }

  function remove(revision: string): void {
    if (cache.remove(ENDPOINTS, revision)) report([ENDPOINTS])
  }

  return {
    follow() {
      const wanted = thanosNamespaceIn(cache.get(FLEET)) ?? client.namespace
      if (wanted === namespace || cache.get(FLEET) === undefined) return
      namespace = wanted
      current?.abort()
      current = new AbortController()
      listed = Promise.withResolvers()
      const before = cache.get(ENDPOINTS)
      if (before !== undefined) remove(before.revision)
      const selection: Selection = {resource: 'configmaps', namespace, name: objectNames.endpoints}
      startListWatch(
        client,
        selection,
        times,
        {
          listed(objects, version) {
            const known = cache.get(ENDPOINTS)
            if (known !== undefined && objects.length === 0 && !cache.isNewer(ENDPOINTS, version)) remove(known.revision)
            put(objects)
            listed.resolve()
          },
          restored(objects) {
            report(
              cache.replace(
                objects.map(raw => storedObject('ConfigMap', raw)),
                key => key === ENDPOINTS,
              ),
            )
          },
          changed(events) {
            for (const {type, object} of events)
              if (type === 'is') put([object])
              else remove(object.metadata.resourceVersion)
          },
          failed: () => listed.resolve(),
          recovered: () => undefined,
        },
        AbortSignal.any([signal, current.signal]),
      )
    },
    ready: async () => {
      if (namespace === undefined) return
      await Promise.race([listed.promise, sleep(FIRST_LIST, undefined, {ref: false})])
    },
  }
}
