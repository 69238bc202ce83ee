/** The root of a 2021 installation: telling it, and issuing its certificate anew in the form that strict verifiers want. */
import type {X509Certificate} from 'node:crypto'
import type {CertifiedKey} from '../model/authority.js'
import {AtlasError} from '../model/errors.js'
import {assembleCertificate} from './assemble.js'
import {publicKeyOf, readFields} from './fields.js'
import type {CertificateSpec} from './certificate-specs.js'
import {algorithmOf, wholeSeconds} from './issue.js'
import {parseCertificates, parsePrivateKey, renderCertificates, renderDer} from './pem.js'
import {type KeyFacts, readKey} from './read.js'
import {BACKDATED} from './rotation.js'
import {isSignedBy} from './signed.js'
import type {Signer} from './signer.js'

/**
 * Whether this is a root as the 2021 program made it, not issued anew yet: of its organisation, signed by itself, without the right to
 * sign revocation lists, and, where Go 1.14 or earlier built that program, without a key identifier, which strict verifiers refuse.
 * @throws AtlasError `invalid` where certificate or key does not decode
 */
export function isRootOf2021(root: CertifiedKey): boolean {
  const facts = readKey(root, 'the root')
  const isItsOwn = facts.subject === facts.issuer && facts.subject.split(', ').includes(ORGANISATION)
  return isItsOwn && facts.isCa && (facts.subjectKeyId === undefined || facts.keyUsages?.includes('cRLSign') !== true)
}

/**
 * The same root with a new certificate, behind which the old one stays: the same key and the same name, byte for byte, so that all that
 * was signed below the one verifies below the other; a key identifier, the old one where it had one, since certificates below it name
 * it; path length and key usages as `wanted`. It ends with the old one: a key gets no younger by being certified again, and who has
 * pinned the old certificate is to lose his trust on a date that everybody knows. Before that it is to be replaced (`rotate`).
 * @param wanted what the root should be; its lifetime is not asked
 * @throws AtlasError `failed` where it has ended, its key is another's or too weak, or it may not sign
 */
export function reissueRoot(wanted: CertificateSpec, root: CertifiedKey, now: Date, signer: Signer): CertifiedKey {
  const facts = readKey(root, wanted.name)
  const key = parsePrivateKey(root.key, `the private key of ${wanted.name}`)
  const algorithm = algorithmOf(key)
  const [old] = parseCertificates(root.certificate, wanted.name)
  const fault = faultOf(facts, now)
  if (fault !== undefined || algorithm === undefined || old === undefined || wanted.ca === undefined)
    throw new AtlasError('failed', `${wanted.name} found here (Secret atlas-ca) can't be adopted: it ${fault ?? WEAK}`, {
      hint: 'to begin with a root of its own, keep a copy of Secret atlas-ca, remove it, and run "atlas init" again: every cluster then needs its new values anyway',
    })
  const fields = readFields(old.raw)
  const parts = {
    serial: signer.serial(),
    algorithm,
    issuer: fields.subject,
    subject: fields.subject,
    notBefore: wholeSeconds(now.getTime() - BACKDATED * 1000),
    notAfter: facts.notAfter,
    spki: publicKeyOf(old, wanted.name),
    ...(fields.subjectKeyId !== undefined && {subjectKeyId: fields.subjectKeyId}),
    authorityKeyId: undefined,
    ca: wanted.ca,
    keyUsages: ['keyCertSign', 'cRLSign'],
    purposes: wanted.purposes,
    uris: [],
    dns: [],
  } as const
  const anew = renderDer(assembleCertificate(parts, data => signer.sign(root.key, data)))
  return {certificate: anew + renderCertificates([old]), key: root.key}
}

/**
 * The certificates of a root that are anchors, PEM, oldest first: its own, and behind it only those that it had before, with the same
 * name and key. Nothing else that may stand in its file is trusted.
 * @throws AtlasError `invalid`
 */
export function rootsIn(root: CertifiedKey | undefined): readonly string[] {
  if (root === undefined) return []
  const [own, ...others] = parseCertificates(root.certificate, 'the root')
  if (own === undefined) return []
  const identity = identityOf(own)
  const earlier = others.filter(other => isSignedBy(other, own) && identityOf(other) === identity)
  return [...earlier.reverse(), own].map(certificate => renderCertificates([certificate]))
}

const ORGANISATION = 'O=goatlas.io'
const WEAK = 'must have an EC key, or an RSA key of at least 2048 bits'

/** Name and key, in hex. */
function identityOf(certificate: X509Certificate): string {
  return Buffer.concat([readFields(certificate.raw).subject, publicKeyOf(certificate, 'the root')]).toString('hex')
}

/** Completes "it …". */
function faultOf(facts: KeyFacts, now: Date): string | undefined {
  if (!facts.keyMatches) return "has another certificate's private key"
  if (!facts.isCa || facts.keyUsages?.includes('keyCertSign') === false) return 'is not allowed to sign certificates'
  return facts.notAfter.getTime() < now.getTime() + 1000 ? `ended on ${facts.notAfter.toISOString()}` : undefined
}
