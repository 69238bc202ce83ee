/**
 * Lists and watches the objects of one kind until it is stopped (Kubernetes API concepts, "Efficient detection of changes"): reports the
 * list, then each change, through broken connections and restarts of the API server. What the objects mean is left to informer.ts.
 */
import {setTimeout as sleep} from 'node:timers/promises'
import {backOff, withJitter} from '../../model/back-off.js'
import {AtlasError, messageOf} from '../../model/errors.js'
import {ApiError} from './api-error.js'
import type {Client} from './client.js'
import {isNewer} from './cache.js'
import {type RawObject, type Selection, NOT_THE_API_SERVER, currentVersion, listAll, selectionRequest} from './list.js'

export interface ListWatchEvents {
  /** All objects, after a list, and the resource version of the list. */
  listed(objects: readonly RawObject[], version: string): void
  /** As `listed`, of a cluster that is at an earlier version than `known`: it was restored from a backup, and the list counts alone. */
  restored(objects: readonly RawObject[], version: string, known: string): void
  /** Changes in the order of the API server: `is` for an object that was added or modified, `gone` for a deleted one. */
  changed(events: readonly {readonly type: 'gone' | 'is'; readonly object: RawObject}[]): void
  /** Whether the version is that of a write of this process, whose result is known already: the event about it is passed over. */
  isOwn?(version: string): boolean
  /** The API server can't be reached; called at each failed attempt after the first. */
  failed(error: AtlasError): void
  /** It can be reached again. */
  recovered(): void
}

/** All durations in milliseconds. */
export interface ListWatchTimes {
  /** The API server ends a watch after this time or up to a fifth later; the next one continues where it ended. */
  readonly watchMs: number
  /**
   * The same, of objects whose removal cuts a cluster off: a watch that was accepted and says nothing is noticed when it should end. Within
   * some five seconds the API server sends a bookmark in half of the watches, which shows that the watch works; a watch without one is
   * followed by a list.
   */
  readonly promptWatchMs: number
  /** A watch that receives nothing for this long is broken off: a healthy one receives a bookmark every minute. */
  readonly watchIdleMs: number
  /** The delay after a failure. It doubles with each further failure … */
  readonly retryMs: number
  /** … until it is this long. */
  readonly retryMaxMs: number
}

export const defaultListWatchTimes: ListWatchTimes = {
  watchMs: 300_000,
  promptWatchMs: 5000,
  watchIdleMs: 150_000,
  retryMs: 200,
  retryMaxMs: 10_000,
}

export interface ListWatch {
  /** When the API server last sent something, milliseconds of `performance.now`; undefined: never. */
  heardAt(): number | undefined
}

/** After this many watches in a row that end at once and without an event, the API server counts as unreachable. */
const EMPTY_WATCHES_MAX = 2
/** The longest Retry-After that is obeyed, milliseconds. */
const RETRY_AFTER_MAX = 60_000
/** The API server ends a watch at the second that it was asked for; one that is open for so much longer, milliseconds, is broken. */
const END_GRACE = 1500
/** No cluster is restored from a backup in a shorter time, milliseconds. */
const OUTAGE = 1000
/** A watch that ends sooner than this, milliseconds, counts as failed, so the next ones are delayed. */
const SHORT_WATCH = 5000

/** Starts to list and watch; stops when `signal` aborts, and reports nothing after that, whatever has been received. */
export function startListWatch(
  client: Client,
  selection: Selection,
  times: ListWatchTimes,
  events: ListWatchEvents,
  signal: AbortSignal,
): ListWatch {
  let heard: number | undefined
  let [failures, emptyWatches] = [0, 0]
  /** Everything up to this resource version was reported; undefined: the next step is a list. */
  let version: string | undefined
  /** The last version that the API server has shown. */
  let newest: string | undefined
  /** When the current watch was accepted, and whether it has sent a line. */
  let openedAt: number | undefined
  let hasSent = false
  /** A watch that sends nothing for this long is broken off. */
  let silenceMs = times.watchIdleMs

  const isEnded = (): boolean => signal.aborted

  async function list(): Promise<string> {
    const all = await listAll(client, selection, signal)
    if (isEnded()) return all.resourceVersion
    succeeded()
    const known = newest
    newest = all.resourceVersion
    if (known !== undefined && isNewer(known, newest)) events.restored(all.objects, newest, known)
    else events.listed(all.objects, newest)
    return newest
  }

  /** A watch from a version that the cluster has not reached again, after it was restored, is accepted and says nothing. */
  async function look(from: string): Promise<void> {
    if (isNewer(from, await currentVersion(client, selection, signal))) version = undefined
  }

  async function watch(from: string): Promise<void> {
    const seconds = Math.ceil((times.watchMs * (1 + Math.random() / 5)) / 1000)
    silenceMs = Math.min(times.watchIdleMs, seconds * 1000 + END_GRACE)
    await client.stream(
      {
        ...selectionRequest(selection, 'watch', {
          watch: '1',
          allowWatchBookmarks: 'true',
          resourceVersion: from,
          timeoutSeconds: String(seconds),
        }),
        signal,
      },
      silenceMs,
      {
        opened() {
          openedAt = performance.now()
          // A proxy in between may accept every watch while it reaches no API server.
          if (emptyWatches < EMPTY_WATCHES_MAX) succeeded()
        },
        lines(lines) {
          if (isEnded()) return
          const seen = readEvents(lines, version ?? from, events)
          hasSent = true
          succeeded()
          if (seen.changes.length > 0) events.changed(seen.changes)
          version = seen.version
          newest = version
        },
      },
    )
    if (!hasSent && openedAt !== undefined && performance.now() - openedAt > OUTAGE) await look(from)
  }

  function succeeded(): void {
    heard = performance.now()
    if (failures > 1 && !isEnded()) events.recovered()
    failures = 0
  }

  /** @returns the Retry-After of the API server, milliseconds */
  function failed(error: unknown): number {
    // The API server no longer knows that version (API concepts, "410 Gone").
    if (isForgotten(error)) version = undefined
    failures += 1
    // After an outage, or a watch that said nothing, only a list shows what has happened meanwhile: the cluster may have been restored.
    const isOutage = openedAt === undefined && !(error instanceof ApiError) && performance.now() - (heard ?? 0) > OUTAGE
    if (isOutage || (openedAt !== undefined && !hasSent && performance.now() - openedAt >= silenceMs)) version = undefined
    // The first failure is usually a closed connection, and the next attempt succeeds: it is not reported.
    if (failures > 1) events.failed(error instanceof AtlasError ? error : new AtlasError('unreachable', messageOf(error)))
    return error instanceof ApiError ? Math.min(error.retryAfterMs ?? 0, RETRY_AFTER_MAX) : 0
  }

  /** Lists if necessary, and watches until the watch ends. @returns why it failed; undefined: the API server ended it in good order */
  async function round(): Promise<unknown> {
    openedAt = undefined
    hasSent = false
    try {
      version ??= await list()
      await watch(version)
      return undefined
    } catch (error) {
      return error
    }
  }

  async function run(): Promise<void> {
    for (let shortWatches = 0; !signal.aborted;) {
      let failure = await round()
      if (isEnded()) return
      const isLong = openedAt !== undefined && performance.now() - openedAt > Math.min(SHORT_WATCH, times.watchMs / 2)
      if (openedAt !== undefined) emptyWatches = isLong || hasSent ? 0 : emptyWatches + 1
      if (emptyWatches > EMPTY_WATCHES_MAX)
        failure ??= new AtlasError('unreachable', 'the API server, or a proxy in front of it, ends every watch at once')
      const retryAfter = failure === undefined ? 0 : failed(failure)
      // After a long watch the next one starts at once, however it ended; after short ones it is delayed.
      shortWatches = isLong ? 0 : shortWatches + 1
      const backedOff = backOff(shortWatches - 1, {first: times.retryMs, longest: times.retryMaxMs})
      const pause = Math.max(retryAfter, withJitter(backedOff, Math.random()))
      if (pause > 0) await sleep(pause, undefined, {signal})
    }
  }

  void run().catch(() => undefined)
  return {heardAt: () => heard}
}

interface WatchEvent {
  readonly type?: string
  readonly object?: Partial<RawObject> & {readonly code?: number}
}

/** The API server has ended the watch with an ERROR event, after which the objects must be listed again. */
class WatchError extends AtlasError {}

/** @throws AtlasError for an ERROR event, and for a line that is not a watch event */
function readEvents(
  lines: readonly string[],
  from: string,
  {isOwn}: Pick<ListWatchEvents, 'isOwn'>,
): {readonly changes: readonly {type: 'gone' | 'is'; object: RawObject}[]; readonly version: string} {
  let version = from
  const changes: {type: 'gone' | 'is'; object: RawObject}[] = []
  for (const line of lines) {
    const first = firstVersion(line)
    if (first !== undefined && isOwn?.(first) === true) {
      version = first
      continue
    }

    const {type, object} = parsedEvent(line)
    if (type === 'ERROR') throw new WatchError('unreachable', `the API server ended the watch with error ${String(object?.code)}`)
    if (!isObject(object)) throw new AtlasError('unreachable', 'the API server sent a watch event without an object')
    version = object.metadata.resourceVersion
    if (type === 'DELETED') changes.push({type: 'gone', object})
    else if (type === 'ADDED' || type === 'MODIFIED') changes.push({type: 'is', object})
  }

  return {changes, version}
}

/**
 * The first `resourceVersion` in an event, which is the object's: it stands before labels, annotations and data, in a text of which each
 * quotation mark would be escaped. Parsing a ConfigMap of 50 kB for it would cost as much as writing one.
 */
function firstVersion(line: string): string | undefined {
  return /"resourceVersion":"([^"\\]+)"/.exec(line.slice(0, VERSION_WITHIN))?.[1]
}

/** Characters of an event in which the object's version stands, after names of at most 253. */
const VERSION_WITHIN = 1024

/** JSON.parse's own error would quote the line, which may hold a key. */
function parsedEvent(line: string): WatchEvent {
  try {
    const event: unknown = JSON.parse(line)
    if (typeof event === 'object' && event !== null) return event
  } catch {
    // reported below
  }

  throw new AtlasError('unreachable', `the response to a watch has a line that is not a watch event; ${NOT_THE_API_SERVER}`)
}

function isObject(object: Partial<RawObject> | undefined): object is RawObject {
  const {name, resourceVersion} = (object?.metadata ?? {}) as {readonly name?: unknown; readonly resourceVersion?: unknown}
  // A bookmark has a version and no name.
  return typeof resourceVersion === 'string' && (name === undefined || typeof name === 'string')
}

/** Whether the objects must be listed again: the API server no longer knows the version, or refuses it. */
function isForgotten(error: unknown): boolean {
  return error instanceof WatchError || (error instanceof ApiError && [400, 410, 422, 504].includes(error.status))
}
