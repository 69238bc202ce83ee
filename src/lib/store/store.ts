/** The port: where the fleet is kept. Its adapters are in the folders beside it; what an object looks like is in `manifest/`. */
import type {Alertmanager, AlertmanagerSelector} from '../model/alertmanager.js'
import type {Change} from '../model/change.js'
import type {Endpoints} from '../model/endpoints.js'
import {AtlasError} from '../model/errors.js'
import type {Fleet, ObjectKey} from '../model/fleet.js'

/** Called with what happens to a store after `watch` has resolved. */
export interface Watcher {
  /** One or more changes that became visible together, own commits included. */
  changed(changes: readonly Change[]): void
  /** The store can't be read, or has lost `atlas-fleet`: the last known state stays in effect. Once per outage. */
  failed(error: AtlasError): void
  /** The store has found, and repaired where it could, something that a person must know of; from the first read on. @param message a sentence */
  warned?(message: string): void
  /** The store was put back to an earlier state, as from a backup: the changes that follow lead to it. @param message a sentence */
  restored?(message: string): void
  /** The outage is over; `changed` has been called with the changes that it hid. */
  recovered(): void
}

/** The address of a server's admin port, such as `http://127.0.0.1:6309`. */
export interface ServerAddress {
  readonly admin: string
}

/** Which part of the work a server process does: serving Envoys, writing, or both. */
export type ServerRole = 'ads' | 'all' | 'controller'

/** A server that uses a store. */
export interface Server extends ServerAddress {
  /** Its name among the servers of the store. */
  readonly replica: string
  readonly role: ServerRole
  /** What it warns of now. In a shared store the leader's warnings are in its heartbeat. */
  readonly warnings?: () => readonly string[]
  /** SHA-256 of the roots whose keys are kept offline. In a shared store the leader's are in its heartbeat. */
  readonly offlineRoots?: () => readonly string[] | undefined
}

/** Called while a server holds its membership of a store. */
export interface HoldEvents {
  /** Whether this server is the leader, which writes and signs. Called at each change; before the first call it is not. */
  leading(isLeader: boolean): void
  /** Called for the leader at each change: the living server replicas that serve Envoys. */
  living(replicas: readonly string[]): void
  /** This server can't take part, for another reason than that another one leads; it goes on trying. Undefined: it can again. */
  failed(error: AtlasError | undefined): void
}

/** A server's membership of a store. */
export interface StoreMembership {
  /** Stops leading: writes only its own report from now on, waits for writes under way, and gives up the Lease at once. */
  resign(): Promise<void>
  /** Gives the store back. */
  release(): Promise<void>
}

/** A heartbeat: the leader's, or a replica's. */
export interface Heartbeat {
  /** Undefined: it is the leader's. */
  readonly replica: string | undefined
  /** The server that renewed it; empty where it was given up. */
  readonly holder: string
  /** ISO 8601, by the clock of that server. */
  readonly renewedAt: string
  /** How long it counts, seconds. */
  readonly seconds: number
  /** ISO 8601: when a second server of this name was last reported. */
  readonly twinAt?: string
  /** What the leader warns of; empty for other servers. */
  readonly warnings: readonly string[]
  /** SHA-256 of the roots whose keys are kept offline, as the leader says; absent where it says nothing, and for other servers. */
  readonly offlineRoots?: readonly string[]
}

/** A Kubernetes Event about an object. */
export interface ObjectEvent {
  readonly type: 'Normal' | 'Warning'
  /** One word, such as `Broken`. */
  readonly reason: string
  readonly message: string
  /** Whether it has happened just now; what is merely still so is recorded once, by any server. */
  readonly isNew: boolean
}

/** What a store is, and what follows from it for its users. */
export interface StoreTraits {
  /** The store in messages, such as `directory /srv/atlas`. */
  readonly description: string
  /** The Kubernetes namespace that the store is; undefined: it is in no cluster. */
  readonly namespace: string | undefined
  /** The process that signs: the leader of the servers, which commands ask, or each command and server. */
  readonly signedBy: 'caller' | 'leader'
  /** Whether Services, values and the zone are kept beside the fleet (manifest/derived.ts). */
  readonly keepsDerived: boolean
  /** Whether several servers use it at the same time: they elect a leader, and report to each other. A store that isn't has one. */
  readonly isShared: boolean
  /** Whether it is reached over a network: it may be unreachable for a while, and a write may take long. */
  readonly isRemote: boolean
}

/** Which Alertmanagers are looked for, and the domain of their names. */
export interface AlertmanagerSelection extends AlertmanagerSelector {
  readonly clusterDomain: string
}

/** Called with the Alertmanagers in a Kubernetes cluster. */
export interface AlertmanagerWatcher {
  /** All of them, by name, and a sentence for each part that can't be used. */
  found(seen: {readonly alertmanagers: readonly Alertmanager[]; readonly problems: readonly string[]}): void
  /** They can't be looked up, by a missing right for example; may be called again and again. Undefined: they can again. */
  failed(error: Pick<AtlasError, 'hint' | 'message'> | undefined): void
}

export interface StateStore extends StoreTraits {
  /**
   * All that is stored. Objects and entries that don't decode cost themselves only and are named in `faults`;
   * `settings` is undefined in a store without `atlas-fleet`.
   * @throws AtlasError `unreachable` when the store itself can't be read
   */
  load(): Promise<Fleet>

  /**
   * Writes changes, object by object, in their order for each owner. Every object must still be at its revision in `base`, and must not
   * exist where it has none there. A commit is not atomic, but every prefix is a legal fleet. Unchanged objects are not written. Where
   * an object can't be written, the later changes of its owner are left out, the others are written, and then `RefusedCommit` is thrown.
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
   * Joins as a server until `release` is called or the process ends. In a store that isn't shared the server leads at once. In a shared
   * store the servers elect a leader, and commits of this process fail from then on while it does not lead.
   * @throws AtlasError `conflict` naming the server that holds a store that isn't shared
   */
  hold(server: Server, events: HoldEvents): Promise<StoreMembership>

  /** Does nothing where a server could join. @throws AtlasError `conflict` as `hold` does */
  requireFree(): Promise<void>

  /** The living server that holds a store that isn't shared; undefined: there is none. @throws AtlasError where that may not be read */
  holder(): Promise<ServerAddress | undefined>

  /** The last heartbeats of the servers of a shared store; of one that isn't shared, none. */
  heartbeats(): Promise<readonly Heartbeat[]>

  /** Records an Event about an object, where the store can; nothing for an object that does not exist. @throws AtlasError as a commit does */
  recordEvent(object: ObjectKey, event: ObjectEvent): Promise<void>

  /** Whether this user may read an object, a Secret for example: of what the store alone decides, without reading the object. */
  mayRead(object: ObjectKey): Promise<boolean>

  /**
   * The endpoints for Thanos Query in a namespace, whichever installation keeps them; undefined where there are none, where this user
   * may not read them, and for a store that is in no cluster.
   */
  endpointsIn(thanosNamespace: string): Promise<Endpoints | undefined>

  /**
   * When a store that is watched was last heard from, milliseconds of `performance.now`; undefined for a store that isn't remote.
   */
  heardAt(): number | undefined

  /**
   * What the clock of the Kubernetes API server shows now, by its newest response; milliseconds since 1970. Undefined before the first
   * response, and for a store without a clock of its own.
   */
  serverTime(): number | undefined

  /** Reports the Alertmanagers in the Kubernetes cluster until `signal` aborts. Absent: the store is in no cluster. */
  readonly watchAlertmanagers?: (selection: AlertmanagerSelection, watcher: AlertmanagerWatcher, signal: AbortSignal) => void

  /** What is wrong with the store although it can be read, or what an operation under way waits for; a sentence each. */
  warnings(): readonly string[]

  /** What this store has written beside objects, such as `.gitignore`; a line each, for a person. */
  otherFiles(): readonly string[]

  /** Closes connections; what is under way goes on. */
  close(): void
}

/** The error of a command or server that finds no Atlas in a store: AtlasError `not-found`. */
export function notInitialised({description, namespace}: Pick<StoreTraits, 'description' | 'namespace'>): AtlasError {
  return new AtlasError('not-found', `there is no Atlas in ${description} yet: ConfigMap atlas-fleet is missing`, {
    hint:
      namespace === undefined
        ? 'run "atlas init" on it first'
        : `install chart atlas there, or run "atlas init --namespace ${namespace}"; --namespace and --context name another place`,
  })
}
