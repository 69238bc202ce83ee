/** The port: where the fleet is kept. Adapters stand beside it; what an object looks like is the business of `manifest/`. */
import type {Change} from '../model/change.js'
import type {AtlasError} from '../model/errors.js'
import type {Fleet} from '../model/fleet.js'

/** Told what happens to a store after `watch` resolved. */
export interface Watcher {
  /** One or more changes that became visible together, own commits included. */
  changed(changes: readonly Change[]): void
  /** The store can't be read, or has lost `atlas-fleet`: what was known stays in force. Once per outage. */
  failed(error: AtlasError): void
  /** The outage is over; the changes that it hid have been given to `changed`. */
  recovered(): void
}

/** Where a server that holds a store answers its admin port, such as `http://127.0.0.1:6309`. */
export interface ServerAddress {
  readonly admin: string
}

export interface StateStore {
  /**
   * All that is stored. Objects and entries that don't decode cost themselves only and are named in `faults`;
   * `settings` is undefined in a store without `atlas-fleet`.
   * @throws AtlasError `unreachable` when the store itself can't be read
   */
  load(): Promise<Fleet>

  /**
   * Writes changes in order, each object at once, on condition that every object touched is still at its revision in `base`
   * (absent there: must not exist). Not atomic as a whole: every prefix is a legal fleet. Unchanged objects are not written.
   * @returns the fleet after the commit, with its revisions
   * @throws AtlasError `conflict` when another writer was faster: load and plan again
   */
  commit(base: Fleet, changes: readonly Change[]): Promise<Fleet>

  /**
   * Reports changes until `signal` aborts.
   * @returns the fleet that the reported changes begin at
   * @throws AtlasError `unreachable`, or `not-found` in a store without `atlas-fleet`
   */
  watch(watcher: Watcher, signal: AbortSignal): Promise<Fleet>

  /**
   * Claims the store for one server until `release` is called or the process ends; `server` is what `holder` then tells others.
   * @throws AtlasError `conflict` naming the holder
   */
  hold(server: ServerAddress): Promise<{release(): Promise<void>}>

  /** The living server that holds the store, if one does. */
  holder(): Promise<ServerAddress | undefined>

  /** What to call the store in messages, such as `directory /srv/atlas`. */
  readonly description: string
}
