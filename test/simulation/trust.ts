/** Who accepts whose certificate, by the rules of the two planes of trust (docs/explanation/security.md). */
import {type CertifiedKey, type Credential, type TrustBundle} from '../../src/lib/model/authority.js'
import {remember} from '../../src/lib/model/remember.js'
import {parseCertificates} from '../../src/lib/pki/pem.js'
import {type CertificateFacts, factsOf, readKey} from '../../src/lib/pki/read.js'
import {anchorsOf, isSignedBy} from '../../src/lib/pki/signed.js'
import type {Peer} from '../../src/server/mtls/denial.js'

/** Whether one of these issuers signed a leaf: Envoy asks for the key and the name of an anchor, not for this very certificate. */
export const isAnchored = remember((leaf: CertifiedKey, issuers: readonly string[]): boolean => {
  const {chain} = readKey(leaf)
  const anchors = anchorsOf(issuers)
  // Nearly always the one that the leaf carries: that spares the look at a signature.
  if (anchors.some(({facts}) => facts.sha256 === chain[0])) return true
  const [own] = parseCertificates(leaf.certificate)
  return own !== undefined && anchors.some(({certificate}) => isSignedBy(own, certificate))
})

/** Clocks are 2.5 minutes off at most, and a server allows for 5; milliseconds. */
export const ALLOWED = 450_000

/** Whether a leaf is valid by a clock, without any allowance, and the issuer that it carries, too. */
export function isValid(leaf: CertifiedKey, now: number): boolean {
  const {notBefore, notAfter} = readKey(leaf)
  const issuer = issuerOfLeaf(leaf)
  return notBefore.getTime() <= now && now < notAfter.getTime() && issuer !== undefined && now < issuer.notAfter.getTime()
}

/** Whether a leaf's chain ends at one of the roots that a credential carries, and that root is valid. */
export function isRooted(leaf: CertifiedKey, {roots}: Credential, now: number): boolean {
  return rootsOver(leaf, roots).some(root => now < root.notAfter.getTime())
}

const issuerOfLeaf = remember(({certificate}: CertifiedKey): CertificateFacts | undefined => {
  const issuer = parseCertificates(certificate)[1]
  return issuer && factsOf(issuer)
})

const rootsOver = remember(({certificate}: CertifiedKey, roots: string): readonly CertificateFacts[] => {
  const issuer = parseCertificates(certificate)[1]
  if (issuer === undefined) return []
  return parseCertificates(roots)
    .filter(root => isSignedBy(issuer, root))
    .map(root => factsOf(root))
})

/** What a server knows of the other end of a connection that shows this certificate. */
export function peerOf(leaf: CertifiedKey): Peer {
  const {uris, sha256, notBefore, notAfter} = readKey(leaf)
  return {uris, sha256, notBefore, notAfter, isSignedBy: issuers => isAnchored(leaf, issuers)}
}

/** Fingerprints of all certificates of a bundle. */
export const certificatesIn = remember(({roots, issuers, credentialIssuers}: TrustBundle): ReadonlySet<string> => {
  return new Set([roots, issuers, credentialIssuers].flatMap(list => anchorsOf(list).map(({facts}) => facts.sha256)))
})

/** Fingerprints of the certificates of one text. */
export function fingerprintsOf(pem: string): readonly string[] {
  return fingerprints(pem)
}

const texts = new Map<string, readonly string[]>()

function fingerprints(pem: string): readonly string[] {
  let known = texts.get(pem)
  if (known === undefined) {
    if (texts.size > 512) texts.clear()
    known = parseCertificates(pem).map(certificate => factsOf(certificate).sha256)
    texts.set(pem, known)
  }

  return known
}
