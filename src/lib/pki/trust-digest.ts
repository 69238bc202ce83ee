/** A short text that stands for a trust bundle, by which servers report which one they use. */
import {createHash} from 'node:crypto'
import type {TrustBundle} from '../model/authority.js'
import {remember} from '../model/remember.js'

/** SHA-256, lower-case hex, of the issuers and credential issuers in their order. The roots are no anchor of a server's port. */
export const trustDigest: (trust: Pick<TrustBundle, 'credentialIssuers' | 'issuers'>) => string = remember(
  ({issuers, credentialIssuers}: Pick<TrustBundle, 'credentialIssuers' | 'issuers'>) =>
    createHash('sha256')
      .update(JSON.stringify([issuers, credentialIssuers]))
      .digest('hex'),
)
