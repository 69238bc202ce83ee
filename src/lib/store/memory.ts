/** Objects in memory: for tests, benchmarks and simulations. They go through the same manifests as everywhere. */
import {createHash} from 'node:crypto'
import {type Manifest, parseManifest} from '../manifest/manifest.js'
import {AtlasError, messageOf} from '../model/errors.js'
import type {ObjectKey} from '../model/fleet.js'
import type {ObjectStore, StoredObject} from './objects.js'
import {stateStoreOver} from './state-store.js'
import type {ServerAddress, StateStore} from './store.js'

/** A store in memory, with ways to meddle with it as a stranger would. */
export interface MemoryStore extends StateStore {
  /** Puts an object there, readable or not; undefined removes it. */
  put(key: ObjectKey, value: unknown): void
  /** What stands there. */
  get(key: ObjectKey): Manifest | undefined
  /** From now on nothing can be read, or again. */
  break(error: AtlasError | undefined): void
}

/** A store for tests and benchmarks: nothing outlives the process, and it breaks when told to. */
export function memoryStore(): MemoryStore {
  const held = new Map<ObjectKey, {readonly value: unknown; readonly revision: string}>()
  const observers = new Set<() => void>()
  let broken: AtlasError | undefined
  let server: ServerAddress | undefined

  const changed = (): void => {
    for (const look of observers) look()
  }

  const set = (key: ObjectKey, value: unknown): string | undefined => {
    if (value === undefined) {
      held.delete(key)
      return undefined
    }

    const revision = createHash('sha256').update(JSON.stringify(value)).digest('hex')
    held.set(key, {value, revision})
    return revision
  }

  const objects: ObjectStore = {
    description: 'memory',
    async list() {
      if (broken !== undefined) throw broken
      return [...held].map(([key, {value, revision}]) => readObject(key, value, revision))
    },
    exclusively: async work => work(),
    async read(key) {
      if (broken !== undefined) throw broken
      const found = held.get(key)
      return found === undefined ? undefined : readObject(key, found.value, found.revision)
    },
    write: async (key, manifest) => set(key, manifest),
    async observe(look, signal) {
      observers.add(look)
      signal.addEventListener('abort', () => observers.delete(look), {once: true})
    },
    async hold(address) {
      if (server !== undefined) throw new AtlasError('conflict', `a server holds this store already; its admin port is ${server.admin}`)
      server = address
      return {
        async release() {
          server = undefined
        },
      }
    },
    holder: async () => server,
  }

  return {
    ...stateStoreOver(objects),
    put(key, value) {
      set(key, value)
      changed()
    },
    get: key => held.get(key)?.value as Manifest | undefined,
    break(error) {
      broken = error
      changed()
    },
  }
}

function readObject(key: ObjectKey, value: unknown, revision: string): StoredObject {
  try {
    return {key, revision, manifest: parseManifest(value)}
  } catch (error) {
    return {key, revision, manifest: undefined, broken: messageOf(error)}
  }
}
