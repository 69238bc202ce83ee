/** Which issuer signed a certificate, verified by OpenSSL. */
import type {X509Certificate} from 'node:crypto'
import type {CertifiedKey} from '../model/authority.js'
import {remember} from '../model/remember.js'
import {parseCertificates} from './pem.js'
import {type CertificateFacts, type KeyFacts, factsOf, readKey} from './read.js'

export interface SignedFacts extends KeyFacts {
  /** The first of the issuers in question that signed it; undefined: none of them. */
  readonly signedBy: CertificateFacts | undefined
  /** When the last of those issuers ends; undefined without issuers. A new certificate could not end later. */
  readonly issuersEnd: Date | undefined
}

/**
 * The facts of a certificate and its key, with the one of `issuers` (PEM, one each) that signed it. Remembered for the same objects,
 * so that judging an unchanged fleet again costs nothing.
 * @throws AtlasError `invalid` where certificate, key or an issuer does not decode
 */
export const readCertifiedKey = remember((key: CertifiedKey, issuers: readonly string[], what?: string): SignedFacts => {
  const anchors = anchorsOf(issuers)
  const [certificate] = parseCertificates(key.certificate, what)
  const ends = anchors.map(({facts}) => facts.notAfter.getTime())
  return {
    ...readKey(key, what),
    signedBy: certificate && signerOf(certificate, anchors)?.facts,
    issuersEnd: ends.length === 0 ? undefined : new Date(Math.max(...ends)),
  }
})

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
  return anchor !== undefined && isSignedByOneOf(anchor, roots)
}

/** Decodes the issuers, once for each list. @throws AtlasError `invalid` */
export const anchorsOf = remember((issuers: readonly string[]): readonly Anchor[] =>
  issuers.flatMap(pem => parseCertificates(pem, 'the issuers in force')).map(anchorOf),
)

/** A certificate that may have signed others. */
export interface Anchor {
  readonly certificate: X509Certificate
  readonly facts: CertificateFacts
}

/** Nearly all credentials of a fleet share one text of roots. */
const isSignedByOneOf = remember(
  ({certificate}: Anchor, roots: string): boolean =>
    signerOf(certificate, parseCertificates(roots, 'the text').map(anchorOf)) !== undefined,
)

function anchorOf(certificate: X509Certificate): Anchor {
  return {certificate, facts: factsOf(certificate)}
}

function signerOf(certificate: X509Certificate, anchors: readonly Anchor[]): Anchor | undefined {
  return anchors.find(anchor => anchor.facts.isCa && isSignedBy(certificate, anchor.certificate))
}
