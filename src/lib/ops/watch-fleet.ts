/** The fleet as a store has it, followed by a command that waits for something. */
import {type Change, reduceAll} from '../model/change.js'
import type {Fleet} from '../model/fleet.js'
import type {StateStore} from '../store/store.js'

/**
 * Calls `look` with the fleet in the store, and with each later one, until the signal is aborted. A store that fails meanwhile goes on
 * when it can be read again; the caller has a limit of time.
 * @throws AtlasError what the first read throws
 */
export async function watchFleet(store: StateStore, look: (fleet: Fleet) => void, signal: AbortSignal): Promise<void> {
  let fleet: Fleet | undefined
  const early: Change[] = []
  const changed = (changes: readonly Change[]): void => {
    if (fleet === undefined) {
      early.push(...changes)
      return
    }

    fleet = reduceAll(fleet, changes)
    look(fleet)
  }

  const first = await store.watch({changed, failed: () => undefined, recovered: () => undefined}, signal)
  fleet = reduceAll(first, early)
  look(fleet)
}
