/** Keeps the fleet in memory as the store has it, and the store as it should be: watches, and issues what is missing or due. */
import {setTimeout as sleep} from 'node:timers/promises'
import {type Change, reduceAll} from '../lib/model/change.js'
import {AtlasError, messageOf} from '../lib/model/errors.js'
import type {Fleet} from '../lib/model/fleet.js'
import {nextDue} from '../lib/ops/due.js'
import {planReconcile, reconcile} from '../lib/ops/reconcile.js'
import type {World} from '../lib/ops/world.js'
import type {StateStore} from '../lib/store/store.js'
import type {Log} from './log.js'

/** All durations in milliseconds. */
export interface ControllerTimes {
  /** After a failure the next try waits this long, twice as long each time … */
  readonly retryMs: number
  /** … up to this. */
  readonly retryMaxMs: number
  /** What is due is looked at again at the latest after this time. */
  readonly lookMs: number
}

export const defaultControllerTimes: ControllerTimes = {retryMs: 100, retryMaxMs: 30_000, lookMs: 3_600_000}

export interface ControllerEvents {
  /** After every change, own ones included. */
  changed(fleet: Fleet, changes: readonly Change[]): void
  store(isReachable: boolean): void
  reconciled(outcome: 'conflict' | 'done' | 'failed' | 'nothing'): void
}

export interface Controller {
  readonly fleet: () => Fleet
  /** Why the last attempt to issue what is due failed. */
  readonly failure: () => string | undefined
  /** Resolves once no attempt is under way. */
  stop(): Promise<void>
}

/**
 * Reads the store, issues what is missing, and goes on doing so. Resolves after the first full sync and the first attempt to issue;
 * a failed attempt is tried again and is no error here.
 * @throws AtlasError what `store.watch` throws
 */
export async function startController(
  store: StateStore,
  world: World,
  log: Log,
  times: ControllerTimes,
  events: ControllerEvents,
): Promise<Controller> {
  const stopping = new AbortController()
  /** Changes that came before the fleet they begin at was known. */
  let early: Change[] | undefined = []
  let fleet: Fleet | undefined
  let failure: string | undefined
  let wake: (() => void) | undefined
  let isDirty = true

  function changed(changes: readonly Change[]): void {
    if (fleet === undefined) {
      early?.push(...changes)
      return
    }

    fleet = reduceAll(fleet, changes)
    isDirty = true
    wake?.()
    events.changed(fleet, changes)
  }

  fleet = await store.watch(
    {
      changed,
      failed(error) {
        log.error('store failed; what was known stays in force', {store: store.description, error: error.message})
        events.store(false)
      },
      recovered() {
        log.info('store is readable again', {store: store.description})
        events.store(true)
        isDirty = true
        wake?.()
      },
    },
    stopping.signal,
  )
  const missed = early
  early = undefined
  if (missed.length > 0) changed(missed)

  /** One pass; the milliseconds until the next, unless something changes before. */
  async function pass(failures: number): Promise<{readonly wait: number; readonly failures: number}> {
    isDirty = false
    try {
      const before = fleet as Fleet
      const missing = planReconcile(before, world)
      if (missing.length > 0) await commit(before, missing)
      failure = undefined
      events.reconciled(missing.length > 0 ? 'done' : 'nothing')
      return {wait: untilDue(fleet as Fleet, world.now(), times), failures: 0}
    } catch (error) {
      isDirty = false
      failure = messageOf(error)
      events.reconciled('failed')
      log.error('could not issue what is due', {error: failure, failures: failures + 1})
      return {wait: backOff(times, failures), failures: failures + 1}
    }
  }

  /** Where another writer was faster, what is missing is found out anew. */
  async function commit(before: Fleet, missing: readonly Change[]): Promise<void> {
    try {
      await store.commit(before, missing)
    } catch (error) {
      if (!isConflict(error)) throw error
      events.reconciled('conflict')
      await reconcile(store, world)
    }
  }

  async function loop(wait: number, failuresBefore: number): Promise<void> {
    let failures = failuresBefore
    for (let pause = wait; !stopping.signal.aborted;) {
      // After a failure a change is no reason to hurry.
      if (!(isDirty && failures === 0)) await pauseFor(pause, failures === 0)
      if (stopping.signal.aborted) return
      ;({wait: pause, failures} = await pass(failures))
    }
  }

  async function pauseFor(milliseconds: number, isWakeable: boolean): Promise<void> {
    const pausing = new AbortController()
    const end = (): void => {
      pausing.abort()
    }

    if (isWakeable) wake = end
    stopping.signal.addEventListener('abort', end, {once: true})
    await sleep(milliseconds, undefined, {signal: pausing.signal}).catch(() => undefined)
    stopping.signal.removeEventListener('abort', end)
    wake = undefined
  }

  const first = await pass(0)
  const running = loop(first.wait, first.failures)
  return {
    fleet: () => fleet as Fleet,
    failure: () => failure,
    async stop() {
      stopping.abort()
      await running
    },
  }
}

/** What is overdue after a pass can't be issued now: it is looked at in a while, not again and again. */
function untilDue(fleet: Fleet, now: Date, times: ControllerTimes): number {
  let due: Date | undefined
  try {
    due = nextDue(fleet)
  } catch {
    // An entry that does not decode has no end; the broken entry itself is a fault of its own.
    return Math.min(60_000, times.lookMs)
  }

  const left = due === undefined ? times.lookMs : due.getTime() - now.getTime()
  return Math.min(left <= 0 ? 60_000 : Math.max(left, 10), times.lookMs)
}

function backOff(times: ControllerTimes, failures: number): number {
  return Math.min(times.retryMaxMs, times.retryMs * 2 ** Math.min(failures, 20)) * (0.75 + 0.5 * Math.random())
}

function isConflict(error: unknown): boolean {
  return error instanceof AtlasError && error.code === 'conflict'
}
