/** Which issuer signed a certificate: its facts together with those of the signer, verified by OpenSSL. */
import type {X509Certificate} from 'node:crypto'
import type {CertifiedKey} from '../model/authority.js'
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

/** Whether names and key identifiers fit, the issuer may sign, and it did; false where one of the two does not decode. */
export function isSignedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  try {
    return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey)
  } catch {
    return false
  }
}

/**
 * Whether one of the roots that a credential carries (PEM, together) signed the issuer with this fingerprint, one of `issuers`.
 * @throws AtlasError `invalid` where a root or an issuer does not decode
 */
export function rootsSigned(roots: string, issuer: CertificateFacts, issuers: readonly string[]): boolean {
  const anchor = anchorsOf(issuers).find(each => each.facts.sha256 === issuer.sha256)
  if (anchor === undefined) return false
  const known = rooted.get(anchor) ?? new Map<string, boolean>()
  rooted.set(anchor, known)
  const verdict = known.get(roots) ?? signerOf(anchor.certificate, parseCertificates(roots, 'the text').map(anchorOf)) !== undefined
  known.set(roots, verdict)
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
/** By the roots' text, which nearly all credentials of a fleet share. */
const rooted = new WeakMap<Anchor, Map<string, boolean>>()
const parsedIssuers = new WeakMap<readonly string[], readonly Anchor[]>()

function anchorOf(certificate: X509Certificate): Anchor {
  return {certificate, facts: factsOf(certificate)}
}

function signerOf(certificate: X509Certificate, anchors: readonly Anchor[]): Anchor | undefined {
  return anchors.find(anchor => anchor.facts.isCa && isSignedBy(certificate, anchor.certificate))
}

function lastEnd(anchors: readonly Anchor[]): Date | undefined {
  const ends = anchors.map(anchor => anchor.facts.notAfter.getTime())
  return ends.length === 0 ? undefined : new Date(Math.max(...ends))
}
