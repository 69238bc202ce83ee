/** Which issuer signed a certificate, verified by OpenSSL. */
import type {X509Certificate} from 'node:crypto'
import type {CertifiedKey} from '../model/authority.js'
import {remember, rememberTexts} from '../model/remember.js'
import {publicKeyOf, readFields} from './fields.js'
import {parseCertificates, parseLeaf} from './pem.js'
import {type CertificateFacts, type KeyFacts, factsOf, readKey} from './read.js'

export interface SignedFacts extends KeyFacts {
  /** The first of the issuers in question that signed it; undefined: none of them. */
  readonly signedBy: CertificateFacts | undefined
  /** Whether the certificate behind its own is that issuer's, or another one of the same key and name. */
  readonly carriesSigner: boolean
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
  const {leaf} = parseLeaf(key.certificate, what)
  const ends = anchors.map(({facts}) => facts.notAfter.getTime())
  const [facts, signer] = [readKey(key, what), signerOf(leaf, anchors)]
  return {
    ...facts,
    signedBy: signer?.facts,
    carriesSigner: signer !== undefined && (facts.chain[0] === signer.facts.sha256 || isBehind(key, signer)),
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
 * Whether an issuer stands below a root: signed by it; or, where the root may have no issuer below it (path length 0), the root itself or one
 * that the same CA has signed. Such a root is the issuer of identities, from outside together with the credential issuer (import-issuer.ts).
 * @throws AtlasError `invalid` where one of the two does not decode
 */
export function belongsTo(issuer: X509Certificate, root: X509Certificate): boolean {
  if (isSignedBy(issuer, root)) return true
  const [own, anchor] = [readFields(issuer.raw), readFields(root.raw)]
  if (anchor.pathLength !== 0) return false
  if (issuer.raw.equals(root.raw)) return true
  return anchor.authorityKeyId !== undefined && own.authorityKeyId === anchor.authorityKeyId && issuer.issuer === root.issuer
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

/**
 * When the last of these issuers ends, milliseconds since 1970; 0 where there is none. No certificate that one of them has signed ends later
 * (issue.ts), whatever the settings were when it was signed.
 * @throws AtlasError `invalid` where an issuer does not decode
 */
export function endOfIssuers(issuers: readonly string[]): number {
  return Math.max(0, ...anchorsOf(issuers).map(({facts}) => facts.notAfter.getTime()))
}

/** A certificate that may have signed others. */
export interface Anchor {
  readonly certificate: X509Certificate
  readonly facts: CertificateFacts
}

/** Nearly all credentials of a fleet share one text of roots. */
const isSignedByOneOf = remember(({certificate}: Anchor, roots: string): boolean =>
  // An issuer of credentials is no root, also where the root has the path length 0.
  parseCertificates(roots, 'the text').some(root => !certificate.raw.equals(root.raw) && belongsTo(certificate, root)),
)

function isBehind({certificate}: CertifiedKey, {certificate: signer}: Anchor): boolean {
  const [, behind] = parseCertificates(certificate)
  return behind !== undefined && isSameKey(behind.toString(), signer.toString())
}

/**
 * Whether two certificates (PEM) are of one key and one name: what one of them has signed is accepted where the other is trusted.
 * @throws AtlasError `invalid` where one of the two does not decode
 */
export function isSameKey(one: string, other: string): boolean {
  return one === other || keyAndName(one) === keyAndName(other)
}

/** The certificates that sign are few. */
const keyAndName = rememberTexts((pem: string): string => {
  const {leaf} = parseLeaf(pem, 'a certificate that signs')
  return Buffer.concat([readFields(leaf.raw).subject, publicKeyOf(leaf, 'a certificate that signs')]).toString('base64')
})

function anchorOf(certificate: X509Certificate): Anchor {
  return {certificate, facts: factsOf(certificate)}
}

function signerOf(certificate: X509Certificate, anchors: readonly Anchor[]): Anchor | undefined {
  return anchors.find(anchor => anchor.facts.isCa && isSignedBy(certificate, anchor.certificate))
}
