/** Pushes: which streams take the current fleet after a change, and when (the debounce). What a node is sent is built in `envoy/`. */
import {type Change, concerned, cutsOff} from '../../lib/model/change.js'
import {OBSERVABILITY, type Owner} from '../../lib/model/names.js'
import type {Fleet} from '../../lib/model/fleet.js'
import type {CurrentFleet, FleetObserver} from '../fleet/current-fleet.js'

/** One stream, as far as pushes go. */
export interface Subscriber {
  readonly cluster: Owner
  /** The fleet has changed: the stream ends itself where it is no longer admitted, and sends its node what is new otherwise. */
  update(fleet: Fleet): void
}

export interface PushTimes {
  /** Changes that follow a push are gathered until none has come for so many milliseconds … */
  readonly gatherMs: number
  /** … and then pushed together; after so many milliseconds at the latest. */
  readonly gatherMaxMs: number
}

export const defaultPushTimes: PushTimes = {gatherMs: 30, gatherMaxMs: 250}

/** As an observer it pushes a change to the streams concerned, at once or after the debounce. */
export interface Pusher extends FleetObserver {
  /** Adds a stream; the returned function removes it. It is not updated before something changes. */
  subscribe(subscriber: Subscriber): () => void
  close(): void
}

export interface PushEvents {
  /** All streams concerned are updated; `milliseconds` since the first of the changes. */
  pushed(streams: number, milliseconds: number): void
}

/** After so many milliseconds of updates other work gets a turn. */
const TURN = 8

/**
 * The first change after a quiet time is pushed at once and the changes after it are gathered, so that one change arrives as fast as
 * the wire allows and a burst costs few pushes. A change that may take a right away never waits.
 */
export function openPusher(fleet: Pick<CurrentFleet, 'served'>, times: PushTimes, events: PushEvents): Pusher {
  const subscribers = new Map<Owner, Set<Subscriber>>()
  /** The owners that the gathered changes concern. */
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

  /** Each stream takes the fleet as it is when its turn comes. */
  function run(): void {
    if (running === undefined) return
    const until = performance.now() + TURN
    for (const subscriber of queue) {
      queue.delete(subscriber)
      running.streams += 1
      subscriber.update(fleet.served())
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
    changed({changes}) {
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
