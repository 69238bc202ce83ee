/** Keeps a namespace's objects in a cache while it has observers: one set of list-watches and one cache for all of them. */
import {entriesOf} from '../../manifest/decode.js'
import {newerFormat} from '../../manifest/manifest.js'
import {AtlasError} from '../../model/errors.js'
import type {ObjectKey} from '../../model/fleet.js'
import {isEndpoints, labels, objectKey, objectNames, parseObjectKey} from '../../model/names.js'
import type {Observed, Observer, Sighting, StoredObject} from '../objects.js'
import {type Cache, openCache, storedObject} from './cache.js'
import type {Client} from './client.js'
import {FLEET, openEndpointsInformer, thanosNamespaceIn} from './endpoints-informer.js'
import {type RawObject, type StoredSelection, kinds} from './list.js'
import {type ListWatch, type ListWatchTimes, startListWatch} from './list-watch.js'

export interface Informer {
  /** Undefined until everything is listed, and without observers. */
  cache(): Cache | undefined
  /** Adds an observer; resolves once everything is listed. @throws AtlasError why it can't be listed */
  begin(observer: Observer, signal: AbortSignal): Promise<Observed>
  /** Puts a write of this process into the cache, before its event arrives. @param of what the object was before, and where it is */
  wrote(key: ObjectKey, object: StoredObject | undefined, of: {readonly base: string | undefined; readonly namespace: string}): void
  /** What has happened to the cluster lately. */
  warnings(): readonly string[]
  /** When the list-watch that was silent longest last received something, milliseconds of `performance.now`. */
  heardAt(): number | undefined
}

interface RunningInformer {
  readonly cache: Cache
  readonly listWatches: readonly ListWatch[]
  readonly observers: Set<Observer>
  readonly stopping: AbortController
  readonly synced: Promise<unknown>
  /** Own writes of the settings move the endpoints too. */
  follow(): void
  isSynced: boolean
}

/** @param secrets names of the Secrets that are read, or all of Atlas's */
export function openInformer(client: Client, secrets: 'all' | readonly string[], times: ListWatchTimes): Informer {
  let running: RunningInformer | undefined
  let restoration: {readonly message: string; readonly at: number} | undefined
  /** Versions that this process has written, until their events arrive. */
  const own = new Set<string>()

  function start(): RunningInformer {
    const cache = openCache()
    const observers = new Set<Observer>()
    const stopping = new AbortController()
    const waiting = new Set<StoredSelection>(selectionsOf(client.namespace, secrets))
    const failing = new Set<StoredSelection>()
    const {promise: synced, resolve, reject} = Promise.withResolvers<undefined>()
    // It may be rejected before `begin` waits for it.
    synced.catch(() => undefined)
    const report = (keys: readonly ObjectKey[]): void => {
      if (keys.length > 0) for (const observer of observers) observer.saw(keys)
    }

    const endpoints = secrets === 'all' ? openEndpointsInformer(client, times, {cache, report}, stopping.signal) : undefined
    const listWatches = [...waiting].map(selection =>
      startListWatch(
        client,
        selection,
        selection.resource === 'secrets' ? times : {...times, watchMs: Math.min(times.watchMs, times.promptWatchMs)},
        {
          restored(objects, version, known) {
            const message = restoredMessage(version, known)
            restoration = {message, at: performance.now()}
            // A version may come again, of another object.
            own.clear()
            for (const observer of observers) observer.restored(message)
            report(cache.replace(relevantObjects(selection, objects), key => isIn(selection, key)))
            endpoints?.follow()
          },
          listed(objects, version) {
            own.clear()
            report(putList(cache, selection, objects, version))
            endpoints?.follow()
            if (waiting.delete(selection) && waiting.size === 0)
              void (endpoints?.ready() ?? Promise.resolve()).then(() => resolve(undefined))
          },
          changed(events) {
            report(putEvents(cache, selection, events))
            endpoints?.follow()
          },
          isOwn: version => own.delete(version),
          failed(error) {
            reject(error)
            failing.add(selection)
            for (const observer of observers) observer.lost(error)
          },
          recovered() {
            if (failing.delete(selection) && failing.size === 0) for (const observer of observers) observer.found()
          },
        },
        stopping.signal,
      ),
    )
    return {cache, listWatches, observers, stopping, synced, follow: () => endpoints?.follow(), isSynced: false}
  }

  function leave(of: RunningInformer, observer: Observer): void {
    of.observers.delete(observer)
    if (of.observers.size > 0) return
    of.stopping.abort()
    if (running === of) running = undefined
  }

  /**
   * The cache has the endpoints of the namespace that the settings name. A commit that is based on earlier settings may still write those of
   * another one: they must not be taken for these.
   */
  function isCached(cache: Cache, key: ObjectKey, namespace: string): boolean {
    return !isEndpoints(key) || namespace === (thanosNamespaceIn(cache.get(FLEET)) ?? client.namespace)
  }

  function newestIn(cache: Cache, written: Sighting): StoredObject | undefined {
    const {namespace} = written.object?.manifest?.metadata ?? {}
    return namespace === undefined || isCached(cache, written.key, namespace) ? cache.newest(written) : cache.get(written.key)
  }

  return {
    cache: () => (running?.isSynced === true ? running.cache : undefined),

    async begin(observer, signal) {
      if (signal.aborted) throw endedEarly()
      const mine = (running ??= start())
      mine.observers.add(observer)
      const ended = Promise.withResolvers<never>()
      const end = (): void => {
        leave(mine, observer)
        ended.reject(endedEarly())
      }

      ended.promise.catch(() => undefined)
      signal.addEventListener('abort', end, {once: true})
      try {
        await Promise.race([mine.synced, ended.promise])
        mine.isSynced = true
      } catch (error) {
        signal.removeEventListener('abort', end)
        leave(mine, observer)
        throw error
      }

      return {all: async () => mine.cache.all(), one: mine.cache.get, newest: written => newestIn(mine.cache, written)}
    },

    wrote(key, object, {base, namespace}) {
      if (running !== undefined && !isCached(running.cache, key, namespace)) return
      if (object !== undefined) {
        if (running?.cache.put(object) === true) remember(own, object.revision)
      } else if (base !== undefined) running?.cache.remove(key, base)
      running?.follow()
    },

    warnings: () => (restoration === undefined || performance.now() - restoration.at > WARNED ? [] : [restoration.message]),

    heardAt() {
      if (running === undefined) return undefined
      return Math.min(...running.listWatches.map(listWatch => listWatch.heardAt() ?? 0))
    },
  }
}

/** Versions whose events have not arrived; beyond it the oldest is forgotten, and its event is read. */
const OWN_MAX = 10_000

function remember(versions: Set<string>, version: string): void {
  versions.add(version)
  const [oldest] = versions
  if (versions.size > OWN_MAX && oldest !== undefined) versions.delete(oldest)
}

/** A restored cluster is warned of for an hour, milliseconds: longer than it takes to look at `status` after a restore. */
const WARNED = 3_600_000

function restoredMessage(version: string, known: string): string {
  return `at ${new Date().toISOString()} the cluster was found at an earlier state (resource version ${version}, after ${known}), as after a restored backup of etcd: what was changed in between is lost, but for revocations and denials; check the clusters that were added or removed since`
}

function endedEarly(): AtlasError {
  return new AtlasError('unreachable', 'the store was closed before all of it was read')
}

/**
 * What is listed and watched of a namespace. Named Secrets are requested one by one, since RBAC allows names only for single objects.
 * Without derived objects two thirds of a fleet's Services, those of sidecars, are left out, and the zone.
 */
export function selectionsOf(
  namespace: string,
  secrets: 'all' | readonly string[],
  {withDerived}: {readonly withDerived: boolean} = {withDerived: true},
): readonly StoredSelection[] {
  return [
    {resource: 'services', namespace, ...(!withDerived && {labelSelector: labels.cluster})},
    {resource: 'configmaps', namespace, ...(!withDerived && {fieldSelector: `metadata.name!=${objectNames.zone}`})},
    ...(secrets === 'all'
      ? // Helm keeps its releases in Secrets of up to a megabyte, which are not needed.
        [{resource: 'secrets' as const, namespace, fieldSelector: 'type!=helm.sh/release.v1'}]
      : secrets.map(name => ({resource: 'secrets' as const, namespace, name}))),
  ]
}

/** The objects of a list that concern Atlas. Every Service does: another program's may have the name of a cluster. */
export function relevantObjects(selection: StoredSelection, objects: readonly RawObject[]): readonly StoredObject[] {
  return objects.map(raw => storedObject(kinds[selection.resource], raw)).filter(object => isRelevant(object))
}

function isRelevant({key, manifest}: StoredObject): boolean {
  if (manifest === undefined || manifest.kind === 'Service') return true
  if (isEndpoints(key)) return false
  if (manifest.metadata.labels?.[labels.managedBy] === 'atlas' || manifest.metadata.name.startsWith('atlas-')) return true
  return newerFormat(manifest) !== undefined || entriesOf(manifest).length > 0
}

function putList(cache: Cache, selection: StoredSelection, objects: readonly RawObject[], version: string): readonly ObjectKey[] {
  const found = relevantObjects(selection, objects)
  const present = new Set(found.map(({key}) => key))
  // An object that was written after the list was made is not in it, and not deleted.
  const gone = cache.all().filter(({key}) => isIn(selection, key) && !present.has(key) && !cache.isNewer(key, version))
  const changed = found.filter(object => cache.putListed(object, version))
  return [...gone.filter(({key, revision}) => cache.remove(key, revision)), ...changed].map(({key}) => key)
}

function putEvents(
  cache: Cache,
  selection: StoredSelection,
  events: readonly {readonly type: 'gone' | 'is'; readonly object: RawObject}[],
): readonly ObjectKey[] {
  const keys = events.flatMap(({type, object}) => {
    const stored = storedObject(kinds[selection.resource], object)
    if (!isIn(selection, stored.key)) return []
    // An object that no longer concerns Atlas, such as one without its label, counts as deleted.
    const isThere = type === 'is' && isRelevant(stored)
    const isChange = isThere ? cache.put(stored) : cache.remove(stored.key, stored.revision)
    return isChange ? [stored.key] : []
  })
  return [...new Set(keys)]
}

function isIn({resource, name}: StoredSelection, key: ObjectKey): boolean {
  // endpoints-informer.ts keeps it.
  if (isEndpoints(key)) return false
  return name === undefined ? parseObjectKey(key).kind === kinds[resource] : key === objectKey(kinds[resource], name)
}
