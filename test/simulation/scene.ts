/** What the events of a seed act on, and what a kind of event is. */
import type {CertifiedKey} from '../../src/lib/model/authority.js'
import type {Leader} from './leader.js'
import type {Network} from './network.js'
import type {Server} from './servers.js'

/** What a seed draws its events from. */
export interface Scene {
  readonly network: Network
  readonly leader: Leader
  /** The server that leads now, and the one that led before and may not know yet. */
  leading: Server
  former: Server | undefined
  /** Whether clocks jump. */
  readonly hasJumps: boolean
  /** A root whose key is kept offline: that of the store, or one that it had; undefined: people never had one. */
  offline: CertifiedKey | undefined
  /** One that was brought to follow it. */
  offlineNext: CertifiedKey | undefined
  /** How many clusters were ever added. */
  added: number
}

/** A kind of event. */
export interface Kind {
  /** How likely it is, compared with others. */
  readonly weight: number
  /** @returns what it did, for the history; undefined: there is nothing to do it with */
  act(scene: Scene): string | undefined
}
