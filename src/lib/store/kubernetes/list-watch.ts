/**
 * Lists and watches objects of one kind for as long as it is wanted, whatever happens to connections and servers: what was listed is
 * kept up to date and told change by change (Kubernetes API concepts, "Efficient detection of changes"). What the objects mean is
 * others' business.
 */
import {setTimeout as sleep} from 'node:timers/promises'
import {backOff, withJitter} from '../../model/back-off.js'
import {AtlasError, messageOf} from '../../model/errors.js'
import type {Client} from './client.js'
import {type Asked, ApiError} from './api-error.js'

/** Which objects: all of a kind in a namespace, or those that a selector leaves. */
export interface Selection {
  /** Plural, such as `secrets`. */
  readonly resource: keyof typeof kinds
  readonly namespace: string
  readonly fieldSelector?: string
  /** Where the selector leaves one object, its name: then a right on that name is enough. */
  readonly name?: string
}

/** The kinds that Atlas keeps, by what the API server calls a collection of them. */
export const kinds = {configmaps: 'ConfigMap', secrets: 'Secret', services: 'Service'} as const

/** An object as the API server sends it. */
export interface RawObject {
  readonly metadata: {readonly name: string; readonly resourceVersion: string}
}

export interface FeedEvents {
  /** All there are, after a list, and the version that the list is of. */
  listed(objects: readonly RawObject[], version: string): void
  /** These have changed or come, these have gone, in this order, and became visible together. */
  changed(events: readonly {readonly type: 'gone' | 'is'; readonly object: RawObject}[]): void
  /** It does not get through to the API server; told at each failed attempt but the first. */
  lost(error: AtlasError): void
  /** It gets through again. */
  found(): void
}

/** All durations in milliseconds. */
export interface FeedTimes {
  /** A watch is begun anew by the server after this time or up to twice as long. */
  readonly watchMs: number
  /** A watch that says nothing for this long is dead: bookmarks come every minute. */
  readonly watchIdleMs: number
  /** After a failure the next try waits this long, twice as long each time … */
  readonly retryMs: number
  /** … up to this. */
  readonly retryMaxMs: number
}

export const defaultFeedTimes: FeedTimes = {watchMs: 240_000, watchIdleMs: 150_000, retryMs: 200, retryMaxMs: 10_000}

export interface Feed {
  /** When the API server was last heard, milliseconds of `performance.now`; undefined: never. */
  heardAt(): number | undefined
  /** How often a watch was begun, and how often everything was listed. */
  counts(): {readonly watches: number; readonly lists: number}
}

/** So many watches one after the other that were taken and said nothing are no proof that the API server is there. */
const HOLLOW_MAX = 2

const PAGE = 500
/** A server that wants to be left alone is, for so long at the most. Milliseconds. */
const RETRY_AFTER_MAX = 60_000
/** A watch that was ended sooner than this, milliseconds, was no success: the next one may have to wait. */
const HASTY = 5000

/** Begins; ends when `signal` aborts. The first list is told like every other. */
export function openFeed(client: Client, selection: Selection, times: FeedTimes, events: FeedEvents, signal: AbortSignal): Feed {
  let heard: number | undefined
  let [watches, lists, failures, hollow] = [0, 0, 0, 0]
  /** All up to this version has been told; undefined: everything must be listed. */
  let version: string | undefined
  /** When the watch that runs was accepted, and whether it has said anything. */
  let openedAt: number | undefined
  let hasSpoken = false

  const isEnded = (): boolean => signal.aborted

  async function list(): Promise<string> {
    const all = await listAll(client, selection, signal)
    lists += 1
    gotThrough()
    events.listed(all.objects, all.resourceVersion)
    return all.resourceVersion
  }

  async function watch(from: string): Promise<void> {
    watches += 1
    await client.stream(
      {
        asked: askedOf(selection, 'watch'),
        path: pathOf(selection),
        query: {
          watch: '1',
          allowWatchBookmarks: 'true',
          resourceVersion: from,
          timeoutSeconds: String(Math.ceil((times.watchMs * (1 + Math.random())) / 1000)),
          ...selectorOf(selection),
        },
        signal,
      },
      times.watchIdleMs,
      {
        opened() {
          openedAt = performance.now()
          // Something between here and the API server may take every watch, and none further.
          if (hollow < HOLLOW_MAX) gotThrough()
        },
        lines(lines) {
          const seen = readEvents(lines, version ?? from)
          hasSpoken = true
          gotThrough()
          if (seen.changes.length > 0) events.changed(seen.changes)
          version = seen.version
        },
      },
    )
  }

  function gotThrough(): void {
    heard = performance.now()
    if (failures > 1) events.found()
    failures = 0
  }

  /** @returns how long the server wants to be left alone, milliseconds */
  function failed(error: unknown): number {
    // What happened since that version is forgotten there, and must be listed (API concepts, "410 Gone").
    if (isForgotten(error)) version = undefined
    failures += 1
    // The first one is a cut connection as a rule; nobody need hear of it if the next attempt gets through.
    if (failures > 1) events.lost(error instanceof AtlasError ? error : new AtlasError('unreachable', messageOf(error)))
    return error instanceof ApiError ? Math.min(error.retryAfterMs ?? 0, RETRY_AFTER_MAX) : 0
  }

  /** Lists where that is needed, and watches until the watch ends. @returns why it ended; undefined: in good order */
  async function round(): Promise<unknown> {
    openedAt = undefined
    hasSpoken = false
    try {
      version ??= await list()
      await watch(version)
      return undefined
    } catch (error) {
      return error
    }
  }

  async function run(): Promise<void> {
    for (let hasty = 0; !signal.aborted;) {
      let failure = await round()
      if (isEnded()) return
      const isLong = openedAt !== undefined && performance.now() - openedAt > Math.min(HASTY, times.watchMs / 2)
      if (openedAt !== undefined) hollow = isLong || hasSpoken ? 0 : hollow + 1
      if (hollow > HOLLOW_MAX) failure ??= new AtlasError('unreachable', 'every watch ends as soon as it is begun')
      const wanted = failure === undefined ? 0 : failed(failure)
      // A server that ends every watch at once must not be asked without a pause; one that ran, however it ended, is begun again at once.
      hasty = isLong ? 0 : hasty + 1
      const backedOff = backOff(hasty - 1, {first: times.retryMs, longest: times.retryMaxMs})
      const pause = Math.max(wanted, withJitter(backedOff, Math.random()))
      if (pause > 0) await sleep(pause, undefined, {signal})
    }
  }

  void run().catch(() => undefined)
  return {heardAt: () => heard, counts: () => ({watches, lists})}
}

/**
 * All objects of a selection, page by page, and the version of the list. Should the server forget it before its last page, all at once.
 * @throws AtlasError as the client's
 */
export async function listAll(
  client: Client,
  selection: Selection,
  signal?: AbortSignal,
): Promise<{readonly objects: readonly RawObject[]; readonly resourceVersion: string}> {
  const objects: RawObject[] = []
  let next: string | undefined
  for (;;) {
    let page: ListAnswer
    try {
      page = await listPage(client, selection, {limit: String(PAGE), ...(next !== undefined && {continue: next})}, signal)
    } catch (error) {
      if (next === undefined || !(error instanceof ApiError) || error.status !== 410) throw error
      objects.length = 0
      page = await listPage(client, selection, {}, signal)
    }

    objects.push(...page.items)
    next = page.metadata.continue === '' ? undefined : page.metadata.continue
    if (next === undefined) return {objects, resourceVersion: page.metadata.resourceVersion}
  }
}

async function listPage(
  client: Client,
  selection: Selection,
  query: Readonly<Record<string, string>>,
  signal: AbortSignal | undefined,
): Promise<ListAnswer> {
  const answer = (await client.call({
    asked: askedOf(selection, 'list'),
    path: pathOf(selection),
    query: {...query, ...selectorOf(selection)},
    ...(signal && {signal}),
  })) as Partial<ListAnswer> | null
  if (!Array.isArray(answer?.items) || typeof answer.metadata?.resourceVersion !== 'string')
    throw new AtlasError('unreachable', `what answers for the API server sends no list of ${selection.resource}`)
  return answer as ListAnswer
}

interface ListAnswer {
  readonly items: readonly RawObject[]
  readonly metadata: {readonly continue?: string; readonly resourceVersion: string}
}

interface WatchEvent {
  readonly type?: string
  readonly object?: Partial<RawObject> & {readonly code?: number}
}

/** The server ends a watch with an error of its own: whatever it is, what is known may not be whole. */
class WatchError extends AtlasError {}

/** @throws AtlasError for an ERROR event, and for a line that is none */
function readEvents(
  lines: readonly string[],
  from: string,
): {readonly changes: readonly {type: 'gone' | 'is'; object: RawObject}[]; readonly version: string} {
  let version = from
  const changes: {type: 'gone' | 'is'; object: RawObject}[] = []
  for (const line of lines) {
    const {type, object} = parsedEvent(line)
    if (type === 'ERROR') throw new WatchError('unreachable', `the API server ends the watch: ${String(object?.code)}`)
    if (!isObject(object)) throw new AtlasError('unreachable', 'the API server sends a watch event without an object')
    version = object.metadata.resourceVersion
    if (type === 'DELETED') changes.push({type: 'gone', object})
    else if (type === 'ADDED' || type === 'MODIFIED') changes.push({type: 'is', object})
  }

  return {changes, version}
}

/** The parser's own error would show a piece of the line: it may be a key. */
function parsedEvent(line: string): WatchEvent {
  try {
    const event: unknown = JSON.parse(line)
    if (typeof event === 'object' && event !== null) return event
  } catch {
    // told below
  }

  throw new AtlasError('unreachable', 'what answers for the API server sends a line that is no watch event')
}

function isObject(object: Partial<RawObject> | undefined): object is RawObject {
  const {name, resourceVersion} = (object?.metadata ?? {}) as {readonly name?: unknown; readonly resourceVersion?: unknown}
  // A bookmark has a version and no name.
  return typeof resourceVersion === 'string' && (name === undefined || typeof name === 'string')
}

/** Whether a version must be listed anew: the server does not know it any more, or finds something wrong with it. */
function isForgotten(error: unknown): boolean {
  return error instanceof WatchError || (error instanceof ApiError && [400, 410, 422, 504].includes(error.status))
}

function selectorOf({fieldSelector, name}: Selection): Readonly<Record<string, string>> {
  const selector = name === undefined ? fieldSelector : `metadata.name=${name}`
  return selector === undefined ? {} : {fieldSelector: selector}
}

function askedOf({resource, namespace, name}: Selection, verb: 'list' | 'watch'): Asked {
  return {verb, resource, group: '', namespace, ...(name !== undefined && {name})}
}

function pathOf({resource, namespace}: Selection): string {
  return `/api/v1/namespaces/${namespace}/${resource}`
}
