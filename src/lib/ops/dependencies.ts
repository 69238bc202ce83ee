/** What a use case needs besides its store. */
import type {Signer} from '../pki/signer.js'

export interface OpsDependencies {
  now(): Date
  readonly signer: Signer
}
