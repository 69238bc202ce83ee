/** What is stored and can't be read: which thing of the fleet, and what is wrong with it. */
import type {AuthorityPart} from './authority.js'

/** What can be broken on its own. The text after `/` is an owner or an authority part. */
export type Subject =
  | `authority/${AuthorityPart}`
  | `client/${string}`
  | `credential/${string}`
  | `derived/${string}`
  | `identity/${string}`
  | `object/${string}`
  | `record/${string}`
  | `registration/${string}`
  | `report/${string}`
  | `request/${string}`
  | 'endpoints'
  | 'external'
  | 'replicas'
  | 'server'
  | 'settings'
  | 'trust'

/** Something stored that could not be read: where, what was wanted there, and what stands there instead (never key material). */
export interface Fault {
  /** Kind and name, such as `Service/paris`. */
  readonly object: string
  /** File, where the store has files. */
  readonly source?: string
  /** Path inside the object, such as `metadata.annotations["goatlas.io/addresses"]`. */
  readonly key: string
  readonly message: string
}
