/** The inner port: a place that keeps objects with revisions. state-store.ts makes a `StateStore` of any such place. */
import type {Manifest} from '../manifest/manifest.js'
import type {ObjectKey, Revision} from '../model/fleet.js'
import type {ServerAddress} from './store.js'

/** An object as found: its manifest, or why it can't be read. */
export interface StoredObject {
  readonly key: ObjectKey
  readonly revision: Revision
  readonly manifest: Manifest | undefined
  /** Why there is no manifest; never a part of the object's text. */
  readonly broken?: string
  /** Whether it must not be written over either, since more would be lost than can be seen. */
  readonly sealed?: boolean
  /** Where it was found, for messages: a file's name. */
  readonly source?: string
}

export interface ObjectStore {
  readonly description: string
  /** All objects. @throws AtlasError `unreachable` */
  list(): Promise<readonly StoredObject[]>
  /** Runs `work` while no other writer of this place writes. @throws AtlasError `conflict` when the other one takes too long */
  exclusively<T>(work: () => Promise<T>): Promise<T>
  /** One object, as it is now; undefined: there is none. Within `exclusively`. */
  read(key: ObjectKey): Promise<StoredObject | undefined>
  /** Writes or, without a manifest, deletes one object. Within `exclusively`. @returns its revision */
  write(key: ObjectKey, manifest: Manifest | undefined): Promise<Revision | undefined>
  /** Calls `look` whenever something may have changed, from another writer or this one, until `signal` aborts. */
  observe(look: () => void, signal: AbortSignal): Promise<void>
  hold(server: ServerAddress): Promise<{release(): Promise<void>}>
  holder(): Promise<ServerAddress | undefined>
}
