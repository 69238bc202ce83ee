/** What is known of a client's certificate, and why a client is denied. Who is admitted is decided in ads/admission.ts and pages/admission.ts. */
import type {Owner} from '../../lib/model/names.js'

/** What is known of the certificate at the other end of a connection. */
export interface Peer {
  /** URI SANs. */
  readonly uris: readonly string[]
  /** SHA-256 of the DER, lower-case hex. */
  readonly sha256: string
  readonly notBefore: Date
  readonly notAfter: Date
  /** Whether one of these certificates (PEM) signed it. */
  isSignedBy(issuers: readonly string[]): boolean
}

/** Why a connection or stream is denied. The names are stable in metrics, log and /status. */
export type DenialReason =
  | 'certificate-expired'
  | 'certificate-issuer'
  | 'certificate-missing'
  | 'certificate-name'
  | 'cluster-revoked'
  | 'credential-expired'
  | 'credential-revoked'
  | 'credential-superseded'
  | 'credential-unknown'
  | 'generation'
  | 'node-cluster'
  | 'node-invalid'
  | 'node-missing'
  | 'not-initialized'
  | 'not-registered'
  | 'relay-observability'
  | 'streams'
  | 'tls-certificate-expired'
  | 'tls-certificate-missing'
  | 'tls-certificate-untrusted'
  | 'tls-handshake'
  | 'tls-protocol'
  | 'xfcc-by'
  | 'xfcc-elements'
  | 'xfcc-hash'
  | 'xfcc-malformed'
  | 'xfcc-missing'
  | 'xfcc-on-direct'
  | 'xfcc-uri'

export interface Denied {
  readonly kind: 'denied'
  readonly reason: DenialReason
  readonly message: string
  readonly cluster?: Owner
}

/** @param cluster the cluster of the certificate, where that much is known */
export function deny(reason: DenialReason, message: string, cluster?: Owner): Denied {
  return cluster === undefined ? {kind: 'denied', reason, message} : {kind: 'denied', reason, message, cluster}
}
