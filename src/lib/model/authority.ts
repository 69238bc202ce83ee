/** Certificates as the fleet holds them: PEM text, with the key where it is needed. Their contents are read in `pki/`. */
import type {Owner} from './names.js'
import {SecretText} from './secret.js'
import type {Cluster} from './cluster.js'

/** A certificate with its private key. */
export interface CertifiedKey {
  /** PEM: the certificate, then the issuers that a peer needs to verify it, the root left out. */
  readonly certificate: string
  /** PEM, PKCS#8. Of a root, `keptElsewhere` where only its certificate is stored. */
  readonly key: SecretText
}

/** Stands for the key of a root that is kept offline: Atlas signs nothing with that root. */
export const keptElsewhere = new SecretText('')

/** Whether the key of a certificate is here. */
export function hasKey({key}: CertifiedKey): boolean {
  return key.reveal() !== ''
}

/** The certificates that sign: root -> issuer -> identities; root -> credential issuer -> ADS credentials. */
export const authorityParts = ['root', 'issuer', 'credentialIssuer'] as const

export type AuthorityPart = (typeof authorityParts)[number]

/** Those that a rotation has made and that are to sign next: they are trusted before anything is signed with them. */
export const nextParts = {root: 'nextRoot', issuer: 'nextIssuer', credentialIssuer: 'nextCredentialIssuer'} as const satisfies Record<
  AuthorityPart,
  string
>

export type NextPart = (typeof nextParts)[AuthorityPart]

/** Where the bundle has each of them. */
export const bundleFields = {root: 'roots', issuer: 'issuers', credentialIssuer: 'credentialIssuers'} as const satisfies Record<
  AuthorityPart,
  keyof TrustBundle
>

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
  /** ISO 8601, UTC; of a valid one: since when every connected Envoy of the owner has come with a later one. */
  readonly supersededSince?: string
  /** ISO 8601, UTC; of a revoked one: since when it is refused because Envoys had come with a later one for long enough. */
  readonly retiredAt?: string
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
  /**
   * ISO 8601, UTC; since when a person has cut the cluster off: until a person restores it, nothing is issued for it, whatever happens to
   * its registration. A revocation always raises the generation, so that of two records of one generation, the one without it is later.
   */
  readonly revokedSince?: string
  /** The last registration that decoded: it goes on serving while the present one does not. */
  readonly registration?: Cluster
  /** The revision of the registration that a removal is deleting: while it is still there, the removal is not finished. */
  readonly removing?: string
  readonly credentials: readonly CredentialRecord[]
  readonly denied: readonly DeniedName[]
}

/** A root from outside that a Secret offers. Whether it is taken is decided by pki/import-root.ts. */
export interface OfferedRoot extends CertifiedKey {
  /** PEM: certificates that stand above it. */
  readonly above?: string
  /** Whether it is taken even if it ends within a year. */
  readonly anyAge: boolean
}
