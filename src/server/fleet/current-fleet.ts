/**
 * The current fleet, and its only owner: follows the store, and passes every change to the server's observers in their order. All
 * other parts of the server ask here and keep no copy. What the observers do with a change is theirs.
 */
import {setTimeout as sleep} from 'node:timers/promises'
import {backOff} from '../../lib/model/back-off.js'
import {type Change, reduceAll} from '../../lib/model/change.js'
import {AtlasError} from '../../lib/model/errors.js'
import {type Fleet, emptyFleet} from '../../lib/model/fleet.js'
import {someOf} from '../../lib/model/listing.js'
import type {Records} from '../../lib/ops/protect.js'
import {withRecovered} from '../../lib/pki/recover.js'
import type {StateStore, Watcher} from '../../lib/store/store.js'
import type {Log} from '../log.js'
import {openProtection} from './protection.js'

/** Milliseconds. */
export interface FleetTimes {
  /** A store that can't be read at the start is tried again after this time, twice as long after each failure … */
  readonly waitMs: number
  /** … up to this. */
  readonly waitMaxMs: number
  /** What a store that was put back has lost is kept in mind at least for so long, and until it is written again. */
  readonly protectedMs: number
}

export const defaultFleetTimes: FleetTimes = {waitMs: 250, waitMaxMs: 5000, protectedMs: 3_600_000}

/** What became visible in the store together; `before` and `after` are fleets as they are served. */
export interface FleetUpdate {
  readonly before: Fleet
  readonly after: Fleet
  readonly changes: readonly Change[]
}

/** A part of the server that acts when the fleet changes. Both are called synchronously, and must not throw. */
export interface FleetObserver {
  /** The store has been read in full for the first time. */
  started?(fleet: Fleet): void
  /** After every change, this server's own commits included. */
  changed(update: FleetUpdate): void
}

export interface CurrentFleet {
  /** As Envoys are served: as stored, with what could be recovered of lost records. Empty before the first read. */
  readonly served: () => Fleet
  /** As the store has it: what a commit is based on. Empty before the first read. */
  readonly stored: () => Fleet
  /** Records as they were before the store was put back to an earlier state: what they protect is served, and written again by the leader. */
  readonly protection: () => Records
  /** Whether the store was read in full at least once. */
  readonly isKnown: () => boolean
  /** Whether the store can be read now. */
  readonly isReachable: () => boolean
  /** Why the first read has failed so far. */
  readonly firstReadFailure: () => string | undefined
  /**
   * Reads the store in full, and passes on what changes in it until `stopping` aborts. Resolves after the first read. A cluster whose
   * API server does not answer, or that has no Atlas yet, is waited for: servers may start before either.
   * @throws AtlasError what `store.watch` throws, of a store of files
   */
  follow(observers: readonly FleetObserver[], stopping: AbortSignal): Promise<void>
}

const PUT_BACK =
  'records of clusters were found at an earlier state, as after a restored backup: what was changed in between is lost, but for revocations and denials; check the clusters that were added or removed since'

/** So many names are logged. */
const NAMED = 10

/** Nothing is read before `follow`. @param now the time by which denials end */
export function openCurrentFleet(store: StateStore, log: Log, times: FleetTimes, now: () => Date): CurrentFleet {
  let [stored, served]: [Fleet, Fleet] = [emptyFleet, emptyFleet]
  let [isKnown, isReachable] = [false, false]
  let firstReadFailure: string | undefined
  const protection = openProtection({protectedMs: times.protectedMs, now, steady: () => performance.now()})

  async function firstRead(watcher: Watcher, onFailure: () => void, stopping: AbortSignal): Promise<Fleet> {
    for (let failures = 1; ; failures += 1) {
      try {
        return await store.watch(watcher, stopping)
      } catch (error) {
        const isWaitedFor = error instanceof AtlasError && store.isRemote && !stopping.aborted
        if (!isWaitedFor) throw error
        if (failures === 1) log.warn('waiting for the store', {store: store.description, error: error.message, hint: error.hint})
        firstReadFailure = error.message
        onFailure()
        await sleep(backOff(failures, {first: times.waitMs, longest: times.waitMaxMs}), undefined, {signal: stopping})
      }
    }
  }

  return {
    served: () => served,
    stored: () => stored,
    protection: () => protection.records(stored),
    isKnown: () => isKnown,
    isReachable: () => isReachable,
    firstReadFailure: () => firstReadFailure,

    async follow(observers, stopping) {
      /** What the store reports before it has returned the fleet that this applies to. */
      const early: (() => void)[] = []
      let hadLost = false

      function toServe(known: {readonly stored: Fleet; readonly served: Fleet}): Fleet {
        const lost = protection.lost(stored)
        const fleet = lost.length > 0 || hadLost ? withRecovered(reduceAll(stored, lost)) : withRecovered(stored, known)
        hadLost = lost.length > 0
        return fleet
      }

      function change(changes: readonly Change[]): void {
        const before = served
        const known = {stored, served}
        // What is written again by now is forgotten before the leader drops it, long after its end.
        protection.records(stored)
        stored = reduceAll(stored, changes)
        served = toServe(known)
        // A store can go back without a lower resource version: etcd's --bump-revision, or a directory that was copied back.
        const owners = protection.look(stored, {before, after: served})
        if (owners.length > 0) {
          log.error(PUT_BACK, {store: store.description, clusters: someOf(owners, NAMED)})
          served = toServe(known)
        }

        for (const observer of observers) observer.changed({before, after: served, changes})
      }

      const onceKnown = (act: () => void): void => {
        if (isKnown) act()
        else early.push(act)
      }

      const watcher: Watcher = {
        changed: changes => onceKnown(() => change(changes)),
        failed: error =>
          onceKnown(() => {
            isReachable = false
            log.error('can not read the store; serving the last known fleet', {store: store.description, error: error.message})
          }),
        warned: message => log.warn(message),
        restored: message =>
          onceKnown(() => {
            protection.wentBack(stored, stored.records)
            log.error(message, {store: store.description})
          }),
        recovered: () =>
          onceKnown(() => {
            isReachable = true
            log.info('the store can be read again', {store: store.description})
          }),
      }
      stored = await firstRead(watcher, () => early.splice(0), stopping)
      served = withRecovered(stored)
      isKnown = true
      isReachable = true
      for (const observer of observers) observer.started?.(served)
      for (const act of early.splice(0)) act()
    },
  }
}
