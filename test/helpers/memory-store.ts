/** A store in memory for tests, benchmarks and simulations. Objects are the same manifests as in other stores. */
import {createHash} from 'node:crypto'
import {type Manifest, parseManifest} from '../../src/lib/manifest/manifest.js'
import {AtlasError, messageOf} from '../../src/lib/model/errors.js'
import type {ObjectKey} from '../../src/lib/model/fleet.js'
import type {ObjectStore, StoredObject} from '../../src/lib/store/objects.js'
import {stateStoreOver} from '../../src/lib/store/state-store.js'
import type {ServerAddress, StateStore} from '../../src/lib/store/store.js'

/** A store in memory that a test can also change as another program would. */
export interface MemoryStore extends StateStore {
  /** Another store over the same objects, as another process would open it. */
  again(): MemoryStore
  /** Writes an object, readable or not; undefined deletes it. */
  put(key: ObjectKey, value: unknown): void
  /** Reads an object. */
  get(key: ObjectKey): Manifest | undefined
  /** Lets so many writes happen and no other one, as of a process that is killed; other processes (`again`) go on. */
  dieAfter(writes: number): void
  /** Makes every read fail, or succeed again. */
  break(error: AtlasError | undefined): void
}

/** A new, empty store. */
export function memoryStore(): MemoryStore {
  return storeOver({held: new Map(), observers: new Set(), broken: undefined, server: undefined, turn: Promise.resolve()})
}

/** The part that all stores over the same objects share. */
interface Place {
  readonly held: Map<ObjectKey, {readonly value: unknown; readonly revision: string}>
  readonly observers: Set<{readonly owner: object; readonly look: () => void}>
  broken: AtlasError | undefined
  server: ServerAddress | undefined
  /** One writer at a time. */
  turn: Promise<unknown>
}

function storeOver(place: Place): MemoryStore {
  const {held, observers} = place
  const owner = {}
  let writesLeft = Infinity

  const tell = (isConcerned: (observer: object) => boolean): void => {
    for (const observer of observers) if (isConcerned(observer.owner)) observer.look()
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
    namespace: undefined,
    signedBy: 'caller',
    keepsDerived: false,
    isShared: false,
    isRemote: false,
    writesAtOnce: 1,
    async list() {
      if (place.broken !== undefined) throw place.broken
      return [...held].map(([key, {value, revision}]) => readObject(key, value, revision))
    },
    exclusively(work, inTurn) {
      const mine = place.turn.then(async () => inTurn(work))
      place.turn = mine.catch(() => undefined)
      return mine
    },
    async read(key) {
      if (place.broken !== undefined) throw place.broken
      const found = held.get(key)
      return found === undefined ? undefined : readObject(key, found.value, found.revision)
    },
    async write(key, manifest) {
      if (writesLeft === 0) throw new Error('the process was killed')
      writesLeft -= 1
      const revision = set(key, manifest)
      tell(other => other !== owner)
      return manifest === undefined || revision === undefined ? undefined : {key, revision, manifest}
    },
    async observe({look}, signal) {
      const observer = {owner, look}
      observers.add(observer)
      signal.addEventListener('abort', () => observers.delete(observer), {once: true})
      return {all: async () => objects.list(), one: () => undefined}
    },
    async hold({admin, replica}, events) {
      if (place.server !== undefined)
        throw new AtlasError('conflict', `a server holds this store already; its admin port is ${place.server.admin}`)
      const address = {admin}
      place.server = address
      events.leading(true)
      events.living([replica])
      return {
        resign: async () => undefined,
        async release() {
          if (place.server === address) place.server = undefined
        },
      }
    },
    otherFiles: () => [],
    requireFree: async () => undefined,
    holder: async () => place.server,
    heartbeats: async () => [],
    mayRead: async () => true,
    endpointsIn: async () => undefined,
    heardAt: () => undefined,
    warnings: () => [],
    serverTime: () => undefined,

    close() {
      // Nothing is open.
    },

    async recordEvent() {
      // Events have no reader here.
    },
  }

  return {
    ...stateStoreOver(objects),
    again: () => storeOver(place),
    put(key, value) {
      set(key, value)
      tell(() => true)
    },
    get: key => held.get(key)?.value as Manifest | undefined,
    dieAfter: writes => (writesLeft = writes),
    break(error) {
      place.broken = error
      tell(() => true)
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
