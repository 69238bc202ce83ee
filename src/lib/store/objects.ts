/** The inner port: a place that keeps objects with revisions. state-store.ts makes a `StateStore` of any such place. */
import type {Manifest} from '../manifest/manifest.js'
import type {AtlasError} from '../model/errors.js'
import type {ObjectKey, Revision} from '../model/fleet.js'
import type {StateStore, StoreTraits} from './store.js'

/** An object as found: its manifest, or why it can't be read. */
export interface StoredObject {
  readonly key: ObjectKey
  readonly revision: Revision
  readonly manifest: Manifest | undefined
  /** Why there is no manifest; never a part of the object's text. */
  readonly broken?: string
  /** Whether it must not be replaced either, since more would be lost than can be seen. */
  readonly sealed?: boolean
  /** Where it was found, for messages: a file's name. */
  readonly source?: string
}

/** An object as just seen; undefined: it is gone. */
export interface Sighting {
  readonly key: ObjectKey
  readonly object: StoredObject | undefined
}

/** Called while a place is observed. */
export interface Observer {
  /** Something may have changed; it is not known what. */
  look(): void
  /** These objects were changed, created or deleted, and became visible together. */
  saw(keys: readonly ObjectKey[]): void
  /** The place can't be observed; may be called again and again while that is so. */
  lost(error: AtlasError): void
  /** Something was found, and repaired where it could be, that a person must know of. @param message a sentence */
  warned(message: string): void
  /** The place was put back to an earlier state. What `saw` names after this call is as it is now. */
  restored(message: string): void
  /** The place can be observed again, and all that was missed has been reported. */
  found(): void
}

/** A place under observation: its objects as they are known now, own writes included. */
export interface Observed {
  all(): Promise<readonly StoredObject[]>
  /**
   * What has changed since the last call of this or of `all`; undefined where only `all` tells. Absent where it never can be told.
   * @throws AtlasError `unreachable`
   */
  since?(): Promise<readonly Sighting[] | undefined>
  /** An object that `saw` has named; undefined: it is gone. */
  one(key: ObjectKey): StoredObject | undefined
  /**
   * An object as it is after a commit of this process that has left it as `written` says: another writer may have changed it since. Present
   * where the place reports what others do while a commit goes on.
   */
  newest?(written: Sighting): StoredObject | undefined
}

/** How an object is to be written. */
export interface Writing {
  /** The revision that it must be at; undefined: it must not be there. */
  readonly base: Revision | undefined
  /** Derived objects are Atlas's alone: what other writers put into Atlas's parts is replaced. */
  readonly isDerived: boolean
}

/** Runs a work when it is its turn. */
export type Turns = <T>(work: () => Promise<T>) => Promise<T>

export interface ObjectStore
  extends
    StoreTraits,
    Pick<
      StateStore,
      | 'close'
      | 'endpointsIn'
      | 'heardAt'
      | 'heartbeats'
      | 'hold'
      | 'holder'
      | 'mayRead'
      | 'recordEvent'
      | 'otherFiles'
      | 'requireFree'
      | 'serverTime'
      | 'warnings'
      | 'watchAlertmanagers'
    > {
  /** How many objects may be written at once. */
  readonly writesAtOnce: number
  /** All objects, as they are now. @throws AtlasError `unreachable` */
  list(): Promise<readonly StoredObject[]>
  /**
   * Runs `work` through `inTurn` while no other writer of this place writes. Another writer is waited for before `inTurn`, so that reads
   * of this process go on meanwhile.
   * @throws AtlasError `unreachable` when the other writer takes too long
   */
  exclusively<T>(work: () => Promise<T>, inTurn: Turns): Promise<T>
  /** One object, as it is known to be; undefined: there is none. Within `exclusively`. */
  read(key: ObjectKey): Promise<StoredObject | undefined>
  /**
   * Writes or, without a manifest, deletes one object. Within `exclusively`.
   * @returns the object as it is stored then
   * @throws AtlasError `conflict` where it is at another revision than `writing.base`
   */
  write(key: ObjectKey, manifest: Manifest | undefined, writing: Writing): Promise<StoredObject | undefined>
  /** Whether an `unreachable` of `write` is the place's answer to this one request, such as a webhook's failure. Absent: none is. */
  isAnswer?(error: AtlasError): boolean
  /**
   * Calls `observer` until `signal` aborts.
   * @throws AtlasError `unreachable`
   */
  observe(observer: Observer, signal: AbortSignal): Promise<Observed>
}
