/** The port: where the fleet is kept. Adapters stand beside it; what an object looks like is the business of `manifest/`. */
import type {Change} from '../model/change.js'
import type {AtlasError} from '../model/errors.js'
import type {Fleet, ObjectKey} from '../model/fleet.js'

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

/** Which part of the work a server process does: serving Envoys, writing, or both. */
export type ServerRole = 'ads' | 'all' | 'controller'

/** A server that takes part in a store. */
export interface Server extends ServerAddress {
  /** Its name among the servers of the store. */
  readonly replica: string
  readonly role: ServerRole
}

/** Told to a server that holds its part in a store. */
export interface HoldEvents {
  /** Whether this server is the one that writes and signs. Told at each turn; without a word it is not. */
  leading(isLeader: boolean): void
  /** To the leader: the server replicas that serve Envoys and live, at each change. */
  living(replicas: readonly string[]): void
  /** It can't take part, for another reason than that somebody else leads; tried again meanwhile. Undefined: it can again. */
  failed(error: AtlasError | undefined): void
}

/** A server's part in a store. */
export interface StoreMembership {
  /** Writes nothing more but what is its own, waits for what is under way, and lets the next one lead, who need not wait. */
  resign(): Promise<void>
  /** Gives the store back. */
  release(): Promise<void>
}

/** A sign of life: the leader's, or a replica's. */
export interface Heartbeat {
  /** Undefined: it is the leader's. */
  readonly replica: string | undefined
  /** Who gave it; empty where it was given back. */
  readonly holder: string
  /** ISO 8601, by the clock of whoever gave it. */
  readonly renewedAt: string
  /** How long it counts, seconds. */
  readonly seconds: number
  /** ISO 8601: when another server of this name has said last that there are two. */
  readonly twinAt?: string
}

/** Something that people should see beside an object: a Kubernetes Event. */
export interface ObjectEvent {
  readonly type: 'Normal' | 'Warning'
  /** One word, such as `Broken`. */
  readonly reason: string
  readonly message: string
  /** Whether it has happened just now; what only stands as it did is said once, whoever says it. */
  readonly isNew: boolean
}

/** What a store is, and what follows from it for its users. */
export interface StoreTraits {
  /** The store in messages, such as `directory /srv/atlas`. */
  readonly description: string
  /** The Kubernetes namespace that the store is; undefined: it is in no cluster. */
  readonly namespace: string | undefined
  /** The process that signs: the leader of the servers, whom commands ask, or each command and server itself. */
  readonly signedBy: 'caller' | 'leader'
  /** Whether Services, values and the zone are kept beside the fleet (manifest/derived.ts). */
  readonly keepsDerived: boolean
  /** Whether several servers use it at the same time: they elect a leader, and report to each other. A store that isn't has one. */
  readonly isShared: boolean
  /** Whether it is reached over a network: it may be unreachable for a while, and a write may take long. */
  readonly isRemote: boolean
}

export interface StateStore extends StoreTraits {
  /**
   * All that is stored. Objects and entries that don't decode cost themselves only and are named in `faults`;
   * `settings` is undefined in a store without `atlas-fleet`.
   * @throws AtlasError `unreachable` when the store itself can't be read
   */
  load(): Promise<Fleet>

  /**
   * Writes changes so that whatever concerns one owner, or everybody, stays in order, each object at once, on condition that every object touched is still at its revision in `base`
   * (absent there: must not exist). Not atomic as a whole: every prefix is a legal fleet. Unchanged objects are not written.
   * @returns the fleet after the commit, with its revisions
   * An object that can't be written costs the later changes of its owner, and no other's: `RefusedCommit`, when the rest is done.
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
   * Takes part as a server until `release` is called or the process ends. A store that is one server's alone has it lead at once;
   * one that many share has them elect a leader, and from then on refuses the commits of whoever does not lead.
   * @throws AtlasError `conflict` naming the holder of a store that is one server's alone
   */
  hold(server: Server, events: HoldEvents): Promise<StoreMembership>

  /** The living server that holds the store alone, if one does. */
  holder(): Promise<ServerAddress | undefined>

  /** When servers that share the store last said that they live; of a store that is one server's alone, nothing. */
  heartbeats(): Promise<readonly Heartbeat[]>

  /** Says something beside an object that is there, where there is a place for it. @throws AtlasError as a commit does */
  recordEvent(object: ObjectKey, event: ObjectEvent): Promise<void>

  /**
   * When a store that is watched was last heard, milliseconds of `performance.now`; undefined where that is no question: files are
   * always at hand.
   */
  heardAt(): number | undefined

  /** Lets go of connections; what is under way goes on. */
  close(): void
}
