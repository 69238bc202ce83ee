/** Certificates as the fleet holds them: PEM text, with the key where it is needed. Their contents are read in `pki/`. */
import type {Owner} from './names.js'
import type {SecretText} from './secret.js'
import type {Cluster} from './cluster.js'

/** A certificate with its private key. */
export interface CertifiedKey {
  /** PEM: the certificate, then the issuers that a peer needs to verify it, the root left out. */
  readonly certificate: string
  /** PEM, PKCS#8. */
  readonly key: SecretText
}

/** The certificates that sign: root -> issuer -> identities; root -> credential issuer -> ADS credentials. */
export const authorityParts = ['root', 'issuer', 'credentialIssuer'] as const

export type AuthorityPart = (typeof authorityParts)[number]

/** The certificates in force, one PEM each, oldest first. */
export interface TrustBundle {
  readonly roots: readonly string[]
  readonly issuers: readonly string[]
  readonly credentialIssuers: readonly string[]
}

/**
 * An ADS credential, with which an Envoy opens ADS; or the certificate of a client of the internal ports. `roots` is what
 * its holder trusts, issued with it and never split from it.
 */
export interface Credential extends CertifiedKey {
  /** PEM, one or more roots. */
  readonly roots: string
}

/** What the record keeps of an ADS credential that was issued. */
export interface CredentialRecord {
  /** SHA-256 of the certificate's DER, lower-case hex, as in XFCC's `Hash`. */
  readonly sha256: string
  /** Lower-case hex. */
  readonly serial: string
  /** ISO 8601, UTC; absent where an earlier version of Atlas wrote the record. */
  readonly notBefore?: string
  /** ISO 8601, UTC. */
  readonly notAfter: string
  /** SHA-256 of the roots' PEM, lower-case hex. */
  readonly rootsDigest: string
  readonly state: 'revoked' | 'valid'
}

/** A certificate name (SPIFFE URI) that every port refuses until the last certificate with this name has expired. */
export interface DeniedName {
  readonly name: string
  /** ISO 8601, UTC. */
  readonly until: string
}

/** What Atlas remembers of a cluster beside its registration, which people may edit, break or delete. */
export interface OwnerRecord {
  readonly owner: Owner
  /** Raised by a revocation; part of the cluster's certificate names. Begins at 1. */
  readonly generation: number
  /** ISO 8601, UTC; since when the registration is gone. */
  readonly suspendedSince?: string
  /** The last registration that decoded: it goes on serving while the present one does not. */
  readonly registration?: Cluster
  /** The revision of the registration that a removal is deleting: while it is still there, the removal is not finished. */
  readonly removing?: string
  readonly credentials: readonly CredentialRecord[]
  readonly denied: readonly DeniedName[]
}
