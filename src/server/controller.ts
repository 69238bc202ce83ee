/** Keeps the fleet in memory as the store has it, and where this server writes, has the store kept as it should be (reconciler.ts). */
import {setTimeout as sleep} from 'node:timers/promises'
import {backOff} from '../lib/model/back-off.js'
import {type Change, reduceAll} from '../lib/model/change.js'
import {AtlasError} from '../lib/model/errors.js'
import type {Fleet} from '../lib/model/fleet.js'
import {withRecovered} from '../lib/pki/recover.js'
import type {StateStore, Watcher} from '../lib/store/store.js'
import type {Log} from './log.js'
import type {Reconciler} from './leader/reconciler.js'

/** Milliseconds. */
export interface ControllerTimes {
  /** A store that can't be read yet is tried again after this time, twice as long each time … */
  readonly waitMs: number
  /** … up to this. */
  readonly waitMaxMs: number
  /** A store that was not heard for so long is warned of: a watch is heard every minute at the least. */
  readonly silenceMs: number
}

export const defaultControllerTimes: ControllerTimes = {waitMs: 250, waitMaxMs: 5000, silenceMs: 90_000}

export interface ControllerEvents {
  /** The fleet is known; `changed` tells what happens to it from now on. */
  began(fleet: Fleet): void
  /** After every change, own ones included. */
  changed(fleet: Fleet, changes: readonly Change[]): void
  store(isReachable: boolean): void
  /** The store can't be read for the first time yet, and why. */
  waiting(error: AtlasError): void
  /** Ends the waiting. */
  readonly stopping: AbortController
}

export interface Controller {
  /** As it is to be served: with what could be recovered of lost records. */
  readonly fleet: () => Fleet
  /** As it is stored: what a commit is based on. */
  readonly stored: () => Fleet
  /** Resolves once no attempt is under way. */
  stop(): Promise<void>
}

/**
 * Reads the store, and where there is a reconciler has it issue what is missing, and goes on doing so. Resolves after the first full
 * sync and the first attempt to issue; a failed attempt is tried again and is no error here. A cluster that does not answer, or has
 * no Atlas yet, is waited for: servers may start before either.
 * @throws AtlasError what `store.watch` throws, of a store of files
 */
export async function startController(
  store: StateStore,
  log: Log,
  reconciler: Reconciler | undefined,
  times: ControllerTimes,
  events: ControllerEvents,
): Promise<Controller> {
  const {stopping} = events
  /** Changes that come before the fleet is known which they begin at. */
  const early: Change[] = []
  let stored: Fleet | undefined
  let served: Fleet | undefined

  function changed(changes: readonly Change[]): void {
    if (stored === undefined) {
      early.push(...changes)
      return
    }

    stored = reduceAll(stored, changes)
    // The streams first: planning takes longer than handing on.
    served = withRecovered(stored)
    events.changed(served, changes)
    reconciler?.changed(stored, changes)
  }

  const watcher: Watcher = {
    changed,
    failed(error) {
      log.error('store failed; what was known stays in force', {store: store.description, error: error.message})
      events.store(false)
    },
    recovered() {
      log.info('store is readable again', {store: store.description})
      events.store(true)
    },
  }

  async function firstFleet(): Promise<Fleet> {
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await store.watch(watcher, stopping.signal)
      } catch (error) {
        const isWaitedFor = error instanceof AtlasError && store.kubernetes !== undefined && !stopping.signal.aborted
        if (!isWaitedFor) throw error
        early.length = 0
        if (attempt === 0) log.warn('waiting for the store', {store: store.description, error: error.message, hint: error.hint})
        events.waiting(error)
        await sleep(backOff(attempt + 1, {first: times.waitMs, longest: times.waitMaxMs}), undefined, {signal: stopping.signal})
      }
    }
  }

  const first = await firstFleet()
  stored = first
  served = withRecovered(first)
  events.began(served)
  if (early.length > 0) changed(early)
  await reconciler?.start(stored)
  return {
    fleet: () => served ?? first,
    stored: () => stored ?? first,
    async stop() {
      stopping.abort()
      await reconciler?.stop()
    },
  }
}
