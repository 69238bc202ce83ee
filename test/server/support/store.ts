/** A store in memory that can be slow, unreachable, or written by another process, as real stores are. */
import {type Change, reduceAll} from '../../../src/lib/model/change.js'
import {AtlasError} from '../../../src/lib/model/errors.js'
import {type Fleet, emptyFleet} from '../../../src/lib/model/fleet.js'
import type {StateStore, Watcher} from '../../../src/lib/store/store.js'

export interface TestStore extends StateStore {
  /** As another process writes it: a commit of its own. */
  write(...changes: readonly Change[]): void
  /** So many commits fail with a conflict. */
  conflicts: number
  commits: number
  /** Out of reach from now on, or back. */
  fail(): void
  recover(): void
  readonly fleet: () => Fleet
  readonly isHeld: () => boolean
  /** As an API server's clock. */
  serverTime: StateStore['serverTime']
}

export function testStore(): TestStore {
  let fleet: Fleet = emptyFleet
  let isDown = false
  let held: string | undefined
  const watchers = new Set<Watcher>()
  const apply = (changes: readonly Change[]): void => {
    fleet = reduceAll(fleet, changes)
    if (!isDown) for (const watcher of watchers) watcher.changed(changes)
  }

  const missed: Change[] = []
  const check = (): void => {
    if (isDown) throw new AtlasError('unreachable', 'the test store is out of reach')
  }

  const store: TestStore = {
    conflicts: 0,
    commits: 0,
    description: 'the test store',
    fleet: () => fleet,
    isHeld: () => held !== undefined,
    write(...changes) {
      if (isDown) missed.push(...changes)
      apply(changes)
    },
    fail() {
      isDown = true
      for (const watcher of watchers) watcher.failed(new AtlasError('unreachable', 'the test store is out of reach'))
    },
    recover() {
      isDown = false
      for (const watcher of watchers) {
        watcher.changed(missed.splice(0))
        watcher.recovered()
      }
    },
    async load() {
      check()
      return fleet
    },
    async commit(_base, changes) {
      check()
      if (store.conflicts > 0) {
        store.conflicts -= 1
        throw new AtlasError('conflict', 'another writer was faster')
      }

      store.commits += 1
      apply(changes)
      return fleet
    },
    async watch(watcher, signal) {
      check()
      if (fleet.settings === undefined) throw new AtlasError('not-found', 'the test store has no atlas-fleet')
      watchers.add(watcher)
      signal.addEventListener('abort', () => watchers.delete(watcher))
      return fleet
    },
    namespace: undefined,
    signedBy: 'caller',
    keepsDerived: false,
    isShared: false,
    isRemote: false,
    heartbeats: async () => [],
    mayRead: async () => true,
    endpointsIn: async () => undefined,
    heardAt: () => undefined,
    warnings: () => [],
    serverTime: () => undefined,
    close: () => undefined,
    recordEvent: async () => undefined,
    async hold({admin, replica}, events) {
      if (held !== undefined) throw new AtlasError('conflict', `the test store is held by ${held}`)
      held = admin
      events.leading(true)
      events.living([replica])
      return {
        resign: async () => undefined,
        release: async () => {
          held = undefined
        },
      }
    },
    otherFiles: () => [],
    requireFree: async () => undefined,
    async holder() {
      return held === undefined ? undefined : {admin: held}
    },
  }
  return store
}
