/** Issues certificates by their spec, with new keys, or again for the key that they have. Nothing else generates keys. */
import type {KeyObject, X509Certificate} from 'node:crypto'
import type {CertifiedKey, Credential} from '../model/authority.js'
import {AtlasError} from '../model/errors.js'
import {remember} from '../model/remember.js'
import {type CertificateParts, type SignatureAlgorithm, assembleCertificate, assembleName, keyIdOf} from './assemble.js'
import {type CertificateFields, fieldOf, publicKeyOf, readFields} from './fields.js'
import {type CertificateSpec, extensionsFor} from './certificate-specs.js'
import {parseCertificates, parseLeaf, parsePrivateKey, renderCertificates, renderDer} from './pem.js'
import {type CertificateFacts, type KeyFacts, readKey} from './read.js'
import {BACKDATED, CLOCK_SKEW} from './rotation.js'
import type {GeneratedKey, Signer} from './signer.js'

/**
 * A new certificate with a new key, valid from 10 minutes ago, which ends with its issuer at the latest. A leaf is followed by its
 * issuer's certificate in the PEM text, an issuer by nothing: a root is never in a chain.
 * @param issuer undefined: the certificate signs itself
 * @throws AtlasError `failed` where the issuer has ended, has another certificate's key, may not sign, or has too short a path
 */
export function issue(spec: CertificateSpec, issuer: CertifiedKey | undefined, now: Date, signer: Signer): CertifiedKey {
  const [generated, serial] = [signer.generateKey(), signer.serial()]
  const subject = assembleName(spec.ca === undefined ? spec.commonName : `${spec.commonName} ${serial.slice(0, 8)}`)
  return certify({...generated, serial, subject}, spec, issuer, {now, signer})
}

/**
 * A certificate that signs, issued again for its own key and subject, with a new life: where it is trusted, so is what it has signed before.
 * @throws AtlasError as `issue`, `invalid` where the present one does not decode
 */
export function reissue(present: CertifiedKey, spec: CertificateSpec, issuer: CertifiedKey, now: Date, signer: Signer): CertifiedKey {
  const {leaf} = parseLeaf(present.certificate, spec.name)
  const {subject, subjectKeyId} = readFields(leaf.raw)
  const own = {key: present.key, spki: publicKeyOf(leaf, spec.name), serial: signer.serial(), subject, subjectKeyId}
  return certify(own, spec, issuer, {now, signer})
}

interface Subject extends GeneratedKey {
  readonly serial: string
  /** DER. */
  readonly subject: Uint8Array
  /** Undefined: the one that Atlas gives the key. */
  readonly subjectKeyId?: string | undefined
}

function certify(
  own: Subject,
  spec: CertificateSpec,
  issuer: CertifiedKey | undefined,
  {now, signer}: {readonly now: Date; readonly signer: Signer},
): CertifiedKey {
  const {serial, subject, subjectKeyId} = own
  const by = issuer === undefined ? itself(subject, own) : authorityOf(issuer, spec, now)
  const end = now.getTime() + spec.lifetime * 1000
  const parts: CertificateParts = {
    serial,
    algorithm: by.algorithm,
    issuer: by.name,
    subject,
    notBefore: wholeSeconds(now.getTime() - BACKDATED * 1000),
    notAfter: wholeSeconds(Math.min(end, by.end)),
    spki: own.spki,
    ...(subjectKeyId !== undefined && {subjectKeyId}),
    authorityKeyId: by.keyId,
    ...extensionsFor(spec),
  }
  const der = assembleCertificate(parts, data => signer.sign(by.key, data))
  return {certificate: renderDer(der) + (spec.ca === undefined ? by.chain : ''), key: own.key}
}

/**
 * A new credential, with the roots that its proxy or client is to trust.
 * @param roots PEM, one each
 * @throws AtlasError as `issue`, `invalid` where a root does not decode
 */
export function issueCredential(
  spec: CertificateSpec,
  issuer: CertifiedKey,
  roots: readonly string[],
  now: Date,
  signer: Signer,
): Credential {
  return {...issue(spec, issuer, now, signer), roots: rootsText(roots)}
}

/** The text of the roots as credentials carry them. What the signatures of a whole fleet have in common is made once. */
export const rootsText = remember((roots: readonly string[]) =>
  renderCertificates(parseCertificates(roots.join('\n'), 'the roots in force')),
)

/** How a key signs that belongs to a certificate: `readKey` has refused all other kinds (key-kinds.ts). */
export function algorithmOf(key: KeyObject): SignatureAlgorithm {
  return key.asymmetricKeyType === 'ec' ? 'ecdsa' : 'rsa'
}

/** Why a certificate with its key can sign nothing at all; undefined: it can. Completes "it …". */
export function whyNoSigner(facts: KeyFacts, now: Date): string | undefined {
  if (!facts.hasKey) return 'has its private key elsewhere'
  if (!facts.keyMatches) return "has another certificate's private key"
  return whyNoAuthority(facts, now)
}

/** Why certificates below this one would be refused, wherever its key is; undefined: they would not. Completes "it …". */
export function whyNoAuthority(facts: CertificateFacts, now: Date): string | undefined {
  if (!facts.isCa || facts.keyUsages?.includes('keyCertSign') === false) return 'is not allowed to sign certificates'
  return facts.notAfter.getTime() < now.getTime() + 1000 ? `ended on ${facts.notAfter.toISOString()}` : undefined
}

/** Why `issue` would refuse to sign by `spec` with this issuer; undefined: it would sign. Completes "it …". */
export function whyNotIssuer(issuer: CertifiedKey, spec: CertificateSpec, now: Date): string | undefined {
  try {
    const facts = readKey(issuer)
    return whyNoSigner(facts, now) ?? faultOf(facts, spec, now)
  } catch (error) {
    // The message of an AtlasError never holds a part of a key; that of any other error may.
    if (error instanceof AtlasError) return `does not decode: ${error.message}`
    throw error
  }
}

/** Rounded down, since the dates of certificates have no parts of a second. */
export function wholeSeconds(milliseconds: number): Date {
  return new Date(Math.floor(milliseconds / 1000) * 1000)
}

/** The side that signs: an issuer, or the new certificate's own key. */
interface Authority {
  readonly key: GeneratedKey['key']
  readonly algorithm: SignatureAlgorithm
  readonly name: Uint8Array
  readonly keyId: string | undefined
  /** Milliseconds since 1970. */
  readonly end: number
  /** PEM: the issuers' certificates that follow a leaf. */
  readonly chain: string
}

function itself(name: Uint8Array, generated: GeneratedKey): Authority {
  return {key: generated.key, algorithm: 'ecdsa', name, keyId: undefined, end: Infinity, chain: ''}
}

function authorityOf(issuer: CertifiedKey, spec: CertificateSpec, now: Date): Authority {
  const refuse = (why: string): AtlasError =>
    new AtlasError('failed', `${spec.name} cannot be signed: its issuer ${why}`, {hint: 'restore the issuer from a backup'})
  const what = `the issuer of ${spec.name}`
  const facts = readKey(issuer, what)
  const fault = whyNoSigner(facts, now) ?? faultOf(facts, spec, now)
  if (fault !== undefined) throw refuse(fault)
  return authorityIn(issuer, facts.notAfter.getTime())
}

/** Of an issuer that may sign, whatever the time is. */
const authorityIn = remember((issuer: CertifiedKey, end: number): Authority => {
  const certificates = parseCertificates(issuer.certificate)
  const [certificate] = certificates
  if (certificate === undefined) throw new AtlasError('invalid', 'an issuer must hold a certificate')
  const fields = readFields(certificate.raw)
  const chain = certificates.filter(each => fieldOf(each, 'subject', 'an issuer') !== fieldOf(each, 'issuer', 'an issuer'))
  return {
    key: issuer.key,
    algorithm: algorithmOf(parsePrivateKey(issuer.key, 'the private key of the issuer')),
    name: fields.subject,
    keyId: keyIdIn(fields, certificate),
    end,
    chain: renderCertificates(chain),
  }
})

/** Completes "its issuer …". */
function faultOf(facts: KeyFacts, spec: CertificateSpec, now: Date): string | undefined {
  const lacking = facts.purposes && spec.purposes.find(purpose => facts.purposes?.includes(purpose) === false)
  if (spec.ca !== undefined && facts.pathLength !== undefined && facts.pathLength <= spec.ca.pathLength)
    return `has the path length ${facts.pathLength}; ${spec.ca.pathLength + 1} is needed`
  if (lacking !== undefined) return `signs no certificates for the purpose "${lacking}"`
  if (facts.notBefore.getTime() > now.getTime() + CLOCK_SKEW * 1000)
    return `is valid from ${facts.notBefore.toISOString()} only: the clock of this machine may be behind`
  return undefined
}

/** The issuer's own identifier of its key; for an old issuer without one, the identifier that Atlas would give it. */
function keyIdIn(fields: CertificateFields, certificate: X509Certificate): string {
  return fields.subjectKeyId ?? keyIdOf(publicKeyOf(certificate, 'the issuer'))
}
