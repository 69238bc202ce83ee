/**
 * Lists and watches objects of one kind for as long as it is wanted, whatever happens to connections and servers: what was listed is
 * kept up to date and told change by change (Kubernetes API concepts, "Efficient detection of changes"). What the objects mean is
 * others' business.
 */
import {setTimeout as sleep} from 'node:timers/promises'
import {AtlasError, messageOf} from '../../model/errors.js'
import type {Client} from './client.js'
import type {Asked} from './refusal.js'

/** Which objects: all of a kind in a namespace, or those that a selector leaves. */
export interface Selection {
  /** Plural, such as `secrets`. */
  readonly resource: 'configmaps' | 'secrets' | 'services'
  readonly namespace: string
  readonly fieldSelector?: string
  /** Where the selector leaves one object, its name: then a right on that name is enough. */
  readonly name?: string
}

/** An object as the API server sends it. */
export interface RawObject {
  readonly metadata: {readonly name: string; readonly resourceVersion: string}
}

export interface FeedEvents {
  /** All there are, after a list, and the version that the list is of. */
  listed(objects: readonly RawObject[], version: string): void
  /** These have changed or come, these have gone, in this order, and became visible together. */
  changed(events: readonly {readonly type: 'gone' | 'is'; readonly object: RawObject}[]): void
  /** It does not get through to the API server; told at each failed attempt but the first after it did. */
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

const PAGE = 500
/** A watch that ended sooner than this, milliseconds, was no success. */
const HASTY = 5000

/** Begins; ends when `signal` aborts. The first list is told like every other. */
export function openFeed(client: Client, selection: Selection, times: FeedTimes, events: FeedEvents, signal: AbortSignal): Feed {
  let heard: number | undefined
  let [watches, lists, failures, hasty] = [0, 0, 0, 0]
  /** All up to this version has been told; undefined: everything must be listed. */
  let version: string | undefined

  const isEnded = (): boolean => signal.aborted

  async function list(): Promise<string> {
    const all = await listAll(client, selection, signal)
    // The server forgot the list before its last page was read.
    if (all === 'expired') return list()
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
        opened: gotThrough,
        heard() {
          heard = performance.now()
        },
        lines(lines) {
          const seen = readEvents(lines, version ?? from)
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

  async function run(): Promise<void> {
    while (!signal.aborted) {
      const began = performance.now()
      try {
        version ??= await list()
        await watch(version)
      } catch (error) {
        if (isEnded()) return
        // 410: what happened since is forgotten there, and must be listed (API concepts, "410 Gone").
        if (isGone(error)) version = undefined
        failures += 1
        // The first one is a cut connection as a rule; nobody need hear of it if the next attempt gets through.
        if (failures > 1 || lists === 0) events.lost(error instanceof AtlasError ? error : new AtlasError('unreachable', messageOf(error)))
      }

      // A server that ends every watch at once must not be asked without a pause.
      hasty = failures === 0 && performance.now() - began > HASTY ? 0 : hasty + 1
      if (hasty > 1) await sleep(backOff(times, hasty - 2), undefined, {signal})
    }
  }

  void run().catch(() => undefined)
  return {heardAt: () => heard, counts: () => ({watches, lists})}
}

/**
 * All objects of a selection, page by page, and the version of the list.
 * @returns `expired` where the server has forgotten the list before its last page
 * @throws AtlasError as the client's
 */
export async function listAll(
  client: Client,
  selection: Selection,
  signal?: AbortSignal,
): Promise<'expired' | {readonly objects: readonly RawObject[]; readonly resourceVersion: string}> {
  const objects: RawObject[] = []
  let next: string | undefined
  do {
    const query = {limit: String(PAGE), ...selectorOf(selection), ...(next !== undefined && {continue: next})}
    let page: ListAnswer
    try {
      page = (await client.call({
        asked: askedOf(selection, 'list'),
        path: pathOf(selection),
        query,
        timeoutMs: 60_000,
        ...(signal && {signal}),
      })) as ListAnswer
    } catch (error) {
      if (next !== undefined && isGone(error)) return 'expired'
      throw error
    }

    if (page.items === undefined) throw new AtlasError('unreachable', `the API server's list of ${selection.resource} is none`)
    objects.push(...page.items)
    next = page.metadata?.continue === '' ? undefined : page.metadata?.continue
    if (next === undefined) return {objects, resourceVersion: page.metadata?.resourceVersion ?? ''}
  } while (!(signal?.aborted ?? false))
  throw new AtlasError('unreachable', 'the list was broken off')
}

interface ListAnswer {
  readonly items?: readonly RawObject[]
  readonly metadata?: {readonly continue?: string; readonly resourceVersion?: string}
}

interface WatchEvent {
  readonly type?: string
  readonly object?: RawObject & {readonly code?: number; readonly message?: string}
}

/** @throws AtlasError for an ERROR event, and for a line that is none */
function readEvents(
  lines: readonly string[],
  from: string,
): {readonly changes: readonly {type: 'gone' | 'is'; object: RawObject}[]; readonly version: string} {
  let version = from
  const changes: {type: 'gone' | 'is'; object: RawObject}[] = []
  for (const line of lines) {
    const {type, object} = JSON.parse(line) as WatchEvent
    if (type === 'ERROR')
      throw Object.assign(new AtlasError('unreachable', `the API server ends the watch: ${String(object?.code)}`), {
        code410: object?.code === 410,
      })
    if (object === undefined) throw new AtlasError('unreachable', 'the API server sends a watch event without an object')
    version = object.metadata.resourceVersion
    if (type === 'DELETED') changes.push({type: 'gone', object})
    else if (type === 'ADDED' || type === 'MODIFIED') changes.push({type: 'is', object})
  }

  return {changes, version}
}

function isGone(error: unknown): boolean {
  if (!(error instanceof AtlasError)) return false
  return ('code410' in error && error.code410 === true) || error.message.includes(' answers 410 ')
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

/** With jitter, so that servers that lost the API server together don't come back together. */
function backOff({retryMs, retryMaxMs}: FeedTimes, failures: number): number {
  return Math.min(retryMaxMs, retryMs * 2 ** Math.min(failures, 20)) * (0.5 + Math.random() / 2)
}
