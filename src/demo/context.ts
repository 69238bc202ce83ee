/** What all parts of a running demo share. */
import type {StateStore} from '../lib/store/store.js'
import type {AtlasCli} from './atlas-cli.js'
import type {Supervisor} from './lab/processes.js'
import type {Screen} from './screen.js'
import type {Sites} from './lab/sites.js'

export interface DemoContext {
  /** Holds every file that the demo writes. */
  readonly folder: string
  readonly sites: Sites
  readonly screen: Screen
  readonly supervisor: Supervisor
  readonly atlas: AtlasCli
  /** The store that the command line works on; the proofs read certificates with their keys from it, as a thief would have them. */
  readonly store: StateStore
  /** Path of the Envoy binary. */
  readonly envoy: string
  /** Aborts when a program crashes, or on Ctrl-C; every wait listens to it. */
  readonly signal: AbortSignal
}
