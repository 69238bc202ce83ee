/** A watcher that records its calls, and keeps the fleet that follows from them. */
import {type Change, reduceAll} from '../../src/lib/model/change.js'
import type {AtlasError} from '../../src/lib/model/errors.js'
import type {Fleet} from '../../src/lib/model/fleet.js'
import type {StateStore} from '../../src/lib/store/store.js'

export interface Recorder {
  /** The fleet after the changes so far. */
  readonly fleet: Fleet
  /** All changes but revisions, in order. */
  readonly changes: readonly Change[]
  readonly failures: readonly AtlasError[]
  readonly recoveries: number
  readonly warnings: readonly string[]
  /** Forgets the changes so far. */
  clear(): void
  stop(): void
}

export async function record(store: StateStore): Promise<Recorder> {
  const abort = new AbortController()
  const state = {
    changes: [] as Change[],
    failures: [] as AtlasError[],
    recoveries: 0,
    warnings: [] as string[],
    fleet: undefined as unknown as Fleet,
  }
  state.fleet = await store.watch(
    {
      changed(changes) {
        state.fleet = reduceAll(state.fleet, changes)
        state.changes.push(...changes.filter(change => change.kind !== 'revision'))
      },
      failed: error => state.failures.push(error),
      warned: message => state.warnings.push(message),
      recovered: () => (state.recoveries += 1),
    },
    abort.signal,
  )
  return Object.assign(state, {clear: () => state.changes.splice(0), stop: () => abort.abort()})
}

/** Resolves when `isSo`; fails after `limitMs`. */
export async function until(isSo: () => boolean | Promise<boolean>, limitMs = 60_000): Promise<void> {
  const deadline = Date.now() + limitMs
  while (!(await isSo())) {
    if (Date.now() > deadline) throw new Error(`not within ${limitMs} ms: ${isSo.toString()}`)
    await sleep(5)
  }
}

export function sleep(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms))
}
