/** What could be sent next for one type, before it has a nonce. Made in delta.ts and sotw.ts, chosen in session.ts. */
import type {HeldVersion} from './versions.js'
import type {Resource} from './snapshot.js'
import type {TypeState} from './type-state.js'

export interface Offer {
  /** The type's state once this is sent. */
  readonly state: TypeState
  readonly resources: readonly Resource[]
  readonly removed: readonly string[]
  /** What of `resources` the client hasn't acknowledged: what a NACK would be about. */
  readonly sent: ReadonlyMap<string, HeldVersion>
  /** It brings a group of suspects. */
  readonly isProbe: boolean
}
