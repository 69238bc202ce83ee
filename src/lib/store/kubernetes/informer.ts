/** Keeps a namespace's objects known while somebody observes it: one set of feeds and one cache for all observers. */
import {objectKeyOf} from '../../manifest/kinds.js'
import {setTimeout as sleep} from 'node:timers/promises'
import {entriesOf} from '../../manifest/decode.js'
import {newerFormat} from '../../manifest/manifest.js'
import {AtlasError} from '../../model/errors.js'
import type {ObjectKey} from '../../model/fleet.js'
import {labels, objectNames, objectKey, parseObjectKey} from '../../model/names.js'
import type {Observed, Observer, StoredObject} from '../objects.js'
import {type Cache, openCache, storedObject} from './cache.js'
import type {Client} from './client.js'
import {type Feed, type FeedTimes, type RawObject, type Selection, openFeed, kinds} from './list-watch.js'

export const FLEET: ObjectKey = objectKeyOf('settings')
/** What Thanos Query reads stands beside it, in a namespace that the settings name. */
export const ENDPOINTS: ObjectKey = objectKeyOf('endpoints')

/** How long the first look at the endpoints may take: a namespace that may not be read must not keep the server from starting. */
const ENDPOINTS_WAIT = 3000

export interface Observation {
  /** What is known; undefined: nobody observes. */
  cache(): Cache | undefined
  /** Resolves once all is known. @throws AtlasError why it can't be */
  begin(observer: Observer, signal: AbortSignal): Promise<Observed>
  /** What this process has written, so that it need not be heard of first. */
  wrote(key: ObjectKey, object: StoredObject | undefined, base: string | undefined): void
  /** Milliseconds of `performance.now`: since then, at the latest, nothing was heard of some kind of object. */
  heardAt(): number | undefined
}

interface RunningInformer {
  readonly cache: Cache
  readonly feeds: readonly Feed[]
  readonly observers: Set<Observer>
  readonly stopping: AbortController
  readonly synced: Promise<unknown>
  isSynced: boolean
}

/** @param secrets names of the Secrets that are read, or all of Atlas's */
export function openObservation(client: Client, secrets: 'all' | readonly string[], times: FeedTimes): Observation {
  let running: RunningInformer | undefined

  function start(): RunningInformer {
    const cache = openCache()
    const observers = new Set<Observer>()
    const stopping = new AbortController()
    const waiting = new Set<Selection>(selectionsOf(client.namespace, secrets))
    const lost = new Set<Selection>()
    const {promise: synced, resolve, reject} = Promise.withResolvers<undefined>()
    // Whoever begins waits for it; it may be rejected before.
    synced.catch(() => undefined)
    const tell = (keys: readonly ObjectKey[]): void => {
      if (keys.length > 0) for (const observer of observers) observer.saw(keys)
    }

    const endpoints = secrets === 'all' ? openEndpoints(client, times, {cache, tell}, stopping.signal) : undefined
    const feeds = [...waiting].map(selection =>
      openFeed(
        client,
        selection,
        times,
        {
          listed(objects, version) {
            tell(takeList(cache, selection, objects, version))
            endpoints?.follow()
            if (waiting.delete(selection) && waiting.size === 0)
              void (endpoints?.ready() ?? Promise.resolve()).then(() => resolve(undefined))
          },
          changed(events) {
            tell(takeEvents(cache, selection, events))
            endpoints?.follow()
          },
          lost(error) {
            reject(error)
            lost.add(selection)
            for (const observer of observers) observer.lost(error)
          },
          found() {
            if (lost.delete(selection) && lost.size === 0) for (const observer of observers) observer.found()
          },
        },
        stopping.signal,
      ),
    )
    return {cache, feeds, observers, stopping, synced, isSynced: false}
  }

  function leave(of: RunningInformer, observer: Observer): void {
    of.observers.delete(observer)
    if (of.observers.size > 0) return
    of.stopping.abort()
    if (running === of) running = undefined
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

      return {all: async () => mine.cache.all(), one: key => mine.cache.get(key)}
    },

    wrote(key, object, base) {
      if (object !== undefined) running?.cache.put(object)
      else if (base !== undefined) running?.cache.remove(key, base)
    },

    heardAt() {
      if (running === undefined) return undefined
      return Math.min(...running.feeds.map(feed => feed.heardAt() ?? 0))
    },
  }
}

function endedEarly(): AtlasError {
  return new AtlasError('unreachable', 'looking at the store was ended before all of it was known')
}

/** The lists and watches that make up a namespace. Of Secrets that are named each is asked for by its name: RBAC knows no other way. */
export function selectionsOf(namespace: string, secrets: 'all' | readonly string[]): readonly Selection[] {
  return [
    {resource: 'services', namespace},
    {resource: 'configmaps', namespace},
    ...(secrets === 'all'
      ? // Helm keeps its releases in Secrets of a megabyte each; they need not come along.
        [{resource: 'secrets' as const, namespace, fieldSelector: 'type!=helm.sh/release.v1'}]
      : secrets.map(name => ({resource: 'secrets' as const, namespace, name}))),
  ]
}

/** The objects of a list that concern Atlas. Of Services every one: somebody else's may have the name of a cluster. */
export function ofInterest(selection: Selection, objects: readonly RawObject[]): readonly StoredObject[] {
  return objects.map(raw => storedObject(kinds[selection.resource], raw)).filter(object => isOfInterest(object))
}

function isOfInterest({key, manifest}: StoredObject): boolean {
  if (manifest === undefined || manifest.kind === 'Service') return true
  if (key === ENDPOINTS) return false
  if (manifest.metadata.labels?.[labels.managedBy] === 'atlas' || manifest.metadata.name.startsWith('atlas-')) return true
  return newerFormat(manifest) !== undefined || entriesOf(manifest).length > 0
}

function takeList(cache: Cache, selection: Selection, objects: readonly RawObject[], version: string): readonly ObjectKey[] {
  const found = ofInterest(selection, objects)
  const present = new Set(found.map(({key}) => key))
  // What was written since the list was made is not in it.
  const gone = cache.all().filter(({key}) => isIn(selection, key) && !present.has(key) && !cache.isNewer(key, version))
  const news = found.filter(object => cache.put(object))
  return [...gone.filter(({key, revision}) => cache.remove(key, revision)), ...news].map(({key}) => key)
}

function takeEvents(
  cache: Cache,
  selection: Selection,
  events: readonly {readonly type: 'gone' | 'is'; readonly object: RawObject}[],
): readonly ObjectKey[] {
  const keys = events.flatMap(({type, object}) => {
    const stored = storedObject(kinds[selection.resource], object)
    if (!isIn(selection, stored.key)) return []
    // An object that has lost what made it Atlas's is gone, as far as Atlas goes.
    const isThere = type === 'is' && isOfInterest(stored)
    const isNews = isThere ? cache.put(stored) : cache.remove(stored.key, stored.revision)
    return isNews ? [stored.key] : []
  })
  return [...new Set(keys)]
}

function isIn({resource, name}: Selection, key: ObjectKey): boolean {
  if (key === ENDPOINTS) return name === objectNames.endpoints
  return name === undefined ? parseObjectKey(key).kind === kinds[resource] : key === objectKey(kinds[resource], name)
}

/** Thanos's namespace, as the settings in the cache say. */
export function thanosNamespaceIn(fleet: StoredObject | undefined): string | undefined {
  return fleet?.manifest?.data?.['thanos-namespace']
}

/** The feed of the endpoints, which follows the settings from namespace to namespace. That it fails keeps nothing else from going on. */
function openEndpoints(
  client: Client,
  times: FeedTimes,
  {cache, tell}: {readonly cache: Cache; tell(keys: readonly ObjectKey[]): void},
  signal: AbortSignal,
): {follow(): void; ready(): Promise<void>} {
  let namespace: string | undefined
  let current: AbortController | undefined
  let listed: PromiseWithResolvers<void> = Promise.withResolvers()

  return {
    follow() {
      const wanted = thanosNamespaceIn(cache.get(FLEET)) ?? client.namespace
      if (wanted === namespace || cache.get(FLEET) === undefined) return
      namespace = wanted
      current?.abort()
      current = new AbortController()
      listed = Promise.withResolvers()
      const before = cache.get(ENDPOINTS)
      if (before !== undefined && cache.remove(ENDPOINTS, before.revision)) tell([ENDPOINTS])
      const selection: Selection = {resource: 'configmaps', namespace, name: objectNames.endpoints}
      const take = (objects: readonly RawObject[]): void => {
        const found = objects.map(raw => storedObject('ConfigMap', raw))
        tell(found.filter(object => cache.put(object)).map(({key}) => key))
      }

      const takeAll = (objects: readonly RawObject[], version: string): void => {
        const held = cache.get(ENDPOINTS)
        const isGone = held !== undefined && objects.length === 0 && !cache.isNewer(ENDPOINTS, version)
        if (isGone && cache.remove(ENDPOINTS, held.revision)) tell([ENDPOINTS])
        take(objects)
      }

      openFeed(
        client,
        selection,
        times,
        {
          listed(objects, version) {
            takeAll(objects, version)
            listed.resolve()
          },
          changed(events) {
            for (const {type, object} of events)
              if (type === 'is') take([object])
              else if (cache.remove(ENDPOINTS, object.metadata.resourceVersion)) tell([ENDPOINTS])
          },
          lost: () => listed.resolve(),
          found: () => undefined,
        },
        AbortSignal.any([signal, current.signal]),
      )
    },
    ready: async () => {
      if (namespace === undefined) return
      await Promise.race([listed.promise, sleep(ENDPOINTS_WAIT, undefined, {ref: false})])
    },
  }
}

/** Where there is none, nothing is wrong: it may be a right that only the leader needs. */
export function passOver(error: unknown): undefined {
  if (error instanceof AtlasError) return undefined
  throw error
}
