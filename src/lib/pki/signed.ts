/** Which issuer signed a certificate: its facts together with those of the signer, verified by OpenSSL. */
import type {X509Certificate} from 'node:crypto'
import type {CertifiedKey, Credential} from '../model/authority.js'
import {parseCertificates} from './pem.js'
import {type CertificateFacts, type KeyFacts, factsOf, readKey} from './read.js'

export interface SignedFacts extends KeyFacts {
  /** The first of the issuers asked about whose signature it carries; undefined: none of them. */
  readonly signedBy: CertificateFacts | undefined
  /** When the last of those issuers ends; undefined without issuers. A certificate issued anew could not live longer. */
  readonly issuersEnd: Date | undefined
}

/**
 * The facts of a certificate and its key, with the one of `issuers` (PEM, one each) that signed it. Remembered with the two
 * objects, so that judging an unchanged fleet again costs nothing.
 * @throws AtlasError `invalid` where certificate, key or an issuer does not decode
 */
export function readCertifiedKey(key: CertifiedKey, issuers: readonly string[], what?: string): SignedFacts {
  const known = signed.get(key)
  if (known?.issuers === issuers) return known.facts
  const anchors = anchorsOf(issuers)
  const [certificate] = parseCertificates(key.certificate, what)
  const signedBy = certificate && issuerOf(certificate, issuers)
  const facts = {...readKey(key, what), signedBy, issuersEnd: lastEnd(anchors)}
  signed.set(key, {issuers, facts})
  return facts
}

/**
 * Which of `issuers` (PEM, one each) signed a certificate that is decoded already, such as a peer's; undefined: none of them.
 * @throws AtlasError `invalid` where an issuer does not decode
 */
export function issuerOf(certificate: X509Certificate, issuers: readonly string[]): CertificateFacts | undefined {
  return signerOf(certificate, anchorsOf(issuers))?.facts
}

/**
 * Whether one of the credential's own roots signed the issuer with this fingerprint, which must be among `issuers`.
 * @throws AtlasError `invalid` where the roots do not decode
 */
export function rootsSigned(credential: Credential, issuer: CertificateFacts, issuers: readonly string[]): boolean {
  const known = anchored.get(credential)
  if (known?.issuer === issuer.sha256) return known.verdict
  const roots = parseCertificates(credential.roots, 'the roots of the ADS credential').map(anchorOf)
  const certificate = anchorsOf(issuers).find(anchor => anchor.facts.sha256 === issuer.sha256)?.certificate
  const verdict = certificate !== undefined && signerOf(certificate, roots) !== undefined
  anchored.set(credential, {issuer: issuer.sha256, verdict})
  return verdict
}

/** Decodes the issuers, once for each list. @throws AtlasError `invalid` */
export function anchorsOf(issuers: readonly string[]): readonly Anchor[] {
  const known = parsedIssuers.get(issuers)
  if (known !== undefined) return known
  const anchors = issuers.flatMap(pem => parseCertificates(pem, 'the issuers in force')).map(anchorOf)
  parsedIssuers.set(issuers, anchors)
  return anchors
}

/** A certificate that others may have been signed by. */
export interface Anchor {
  readonly certificate: X509Certificate
  readonly facts: CertificateFacts
}

const signed = new WeakMap<CertifiedKey, {issuers: readonly string[]; facts: SignedFacts}>()
const anchored = new WeakMap<Credential, {issuer: string; verdict: boolean}>()
const parsedIssuers = new WeakMap<readonly string[], readonly Anchor[]>()

function anchorOf(certificate: X509Certificate): Anchor {
  return {certificate, facts: factsOf(certificate)}
}

function signerOf(certificate: X509Certificate, anchors: readonly Anchor[]): Anchor | undefined {
  return anchors.find(anchor => anchor.facts.isCa && isSignedBy(certificate, anchor.certificate))
}

/** Names and key identifiers fit, the issuer may sign, and it did. */
function isSignedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  try {
    return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey)
  } catch {
    return false
  }
}

function lastEnd(anchors: readonly Anchor[]): Date | undefined {
  const ends = anchors.map(anchor => anchor.facts.notAfter.getTime())
  return ends.length === 0 ? undefined : new Date(Math.max(...ends))
}
