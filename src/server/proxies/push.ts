/** The fleet as it is now, handed to the streams that a change concerns. What a node is to have is built in `envoy/`. */
import {type Change, concerned, cutsOff} from '../../lib/model/change.js'
import {OBSERVABILITY, type Owner} from '../../lib/model/names.js'
import type {Fleet} from '../../lib/model/fleet.js'

/** One stream, as far as publishing goes. */
export interface Subscriber {
  readonly cluster: Owner
  /** The fleet may have changed for this stream: ends itself where it is admitted no more, else takes what it is to have. */
  update(fleet: Fleet): void
}

export interface PushTimes {
  /** What follows a change within this time is gathered, milliseconds … */
  readonly gatherMs: number
  /** … but never for longer than this. */
  readonly gatherMaxMs: number
}

export const defaultPushTimes: PushTimes = {gatherMs: 30, gatherMaxMs: 250}

export interface Pusher {
  /** The newest fleet. */
  fleet(): Fleet
  /** The fleet has changed: the streams concerned learn of it, at once or after the hold-off. */
  publish(fleet: Fleet, changes: readonly Change[]): void
  /** Adds a stream; the returned function takes it out again. It is not updated until something changes. */
  subscribe(subscriber: Subscriber): () => void
  close(): void
}

export interface PushEvents {
  /** All streams concerned have been handed what changed; `milliseconds` since the first of the changes. */
  pushed(streams: number, milliseconds: number): void
}

/** Longest turn of work before others are let in, milliseconds. */
const SLICE = 8

/**
 * The first change after a quiet time goes out at once, what follows is gathered, so that one change is seen as fast as the wire
 * allows and a burst costs few pushes. What cuts somebody off never waits.
 */
export function openPusher(first: Fleet, times: PushTimes, events: PushEvents): Pusher {
  let fleet = first
  const subscribers = new Map<Owner, Set<Subscriber>>()
  /** Whom the gathered changes concern. */
  let dirty: Set<Owner> | 'all' = new Set()
  let dirtySince: number | undefined
  let gathering: NodeJS.Timeout | undefined
  let gatheringSince = 0
  /** Streams whose turn has not come yet. */
  const queue = new Set<Subscriber>()
  let running: {readonly since: number; streams: number} | undefined

  function add(changes: readonly Change[]): boolean {
    for (const owners of changes.map(change => concerned(change))) {
      if (owners === 'all') dirty = 'all'
      else if (dirty !== 'all') for (const owner of owners) dirty.add(owner)
    }

    return dirty === 'all' || dirty.size > 0
  }

  function hold(): void {
    const now = performance.now()
    if (gathering === undefined) gatheringSince = now
    clearTimeout(gathering)
    const wait = Math.max(0, Math.min(times.gatherMs, gatheringSince + times.gatherMaxMs - now))
    gathering = setTimeout(() => {
      gathering = undefined
      if (dirtySince === undefined) return
      flush()
      hold()
    }, wait)
  }

  function flush(): void {
    const owners = dirty === 'all' ? [OBSERVABILITY, ...subscribers.keys()] : [...dirty].sort(observabilityFirst)
    for (const owner of owners) for (const subscriber of subscribers.get(owner as Owner) ?? []) queue.add(subscriber)
    const since = dirtySince ?? performance.now()
    dirty = new Set()
    dirtySince = undefined
    if (running !== undefined) return
    running = {since, streams: 0}
    run()
  }

  /** Each stream gets the fleet of the moment at which its turn comes. */
  function run(): void {
    if (running === undefined) return
    const until = performance.now() + SLICE
    for (const subscriber of queue) {
      queue.delete(subscriber)
      running.streams += 1
      subscriber.update(fleet)
      if (performance.now() > until) break
    }

    if (queue.size > 0) {
      setImmediate(run)
      return
    }

    events.pushed(running.streams, performance.now() - running.since)
    running = undefined
  }

  return {
    fleet: () => fleet,

    publish(next, changes) {
      fleet = next
      if (!add(changes)) return
      dirtySince ??= performance.now()
      if (gathering === undefined || changes.some(change => cutsOff(change))) flush()
      hold()
    },

    subscribe(subscriber) {
      const {cluster} = subscriber
      const ofCluster = subscribers.get(cluster) ?? new Set()
      subscribers.set(cluster, ofCluster.add(subscriber))
      return () => {
        queue.delete(subscriber)
        ofCluster.delete(subscriber)
        if (ofCluster.size === 0 && subscribers.get(cluster) === ofCluster) subscribers.delete(cluster)
      }
    },

    close() {
      clearTimeout(gathering)
      queue.clear()
      subscribers.clear()
    },
  }
}

function observabilityFirst(a: Owner, b: Owner): number {
  return Number(b === OBSERVABILITY) - Number(a === OBSERVABILITY)
}
