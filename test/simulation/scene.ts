/** What the events of a seed act on, and what a kind of event is. */
import type {CertifiedKey} from '../../src/lib/model/authority.js'
import type {Fleet} from '../../src/lib/model/fleet.js'
import type {Leader} from './leader.js'
import type {Network} from './network.js'
import type {Server} from './servers.js'

/** What was in the store at a time, milliseconds since 1970. */
export interface Backup {
  readonly at: number
  readonly fleet: Fleet
}

/** What a seed draws its events from. */
export interface Scene {
  readonly network: Network
  readonly leader: Leader
  /** The server that leads now, and the one that led before and may not know yet. */
  leading: Server
  former: Server | undefined
  /** Whether clocks jump. */
  readonly hasJumps: boolean
  /** Every root whose key people keep offline: they throw none away, since a store may come back that has it. */
  readonly offlineRoots: CertifiedKey[]
  /** How many clusters were ever added. */
  added: number
  /** The last backups. */
  readonly backups: Backup[]
}

/** A kind of event. */
export interface Kind {
  /** How likely it is, compared with others. */
  readonly weight: number
  /** @returns what it did, for the history; undefined: there is nothing to do it with */
  act(scene: Scene): string | undefined
}
