/** What every part of a running demo shares. */
import type {StateStore} from '../lib/store/store.js'
import type {AtlasCli} from './atlas-cli.js'
import type {Supervisor} from './lab/processes.js'
import type {Screen} from './screen.js'
import type {Sites} from './lab/sites.js'

export interface DemoContext {
  /** All that the demo writes is below. */
  readonly folder: string
  readonly sites: Sites
  readonly screen: Screen
  readonly supervisor: Supervisor
  readonly atlas: AtlasCli
  /** The same store that the command line works on, to read what a thief would have: certificates with their keys. */
  readonly store: StateStore
  /** Where Envoy is. */
  readonly envoy: string
  /** Aborts when a program crashes, or on Ctrl-C; every wait listens to it. */
  readonly signal: AbortSignal
}
