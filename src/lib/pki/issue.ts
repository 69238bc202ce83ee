/** Making certificates: what is wanted, signed by an issuer that may. The only place where keys are generated. */
import type {KeyObject, X509Certificate} from 'node:crypto'
import type {CertifiedKey, Credential} from '../model/authority.js'
import {AtlasError} from '../model/errors.js'
import {type CertificateParts, type SignatureAlgorithm, assembleCertificate, assembleName, keyIdOf} from './assemble.js'
import {type CertificateFields, fieldOf, publicKeyOf, readFields} from './fields.js'
import type {CertificateSpec} from './certificate-specs.js'
import {parseCertificates, parsePrivateKey, renderCertificates, renderDer} from './pem.js'
import {type KeyFacts, readKey} from './read.js'
import {BACKDATED, CLOCK_SKEW} from './rotation.js'
import type {GeneratedKey, Signer} from './signer.js'

/**
 * A new certificate with a new key. Behind a leaf stands its issuer, behind an issuer nothing: a root is never in a chain. It is
 * valid from 10 minutes ago, and ends with its issuer at the latest.
 * @param issuer undefined: it signs itself
 * @throws AtlasError `failed` where the issuer can't sign this: it has ended, its key is another's, it is no authority or its path too short
 */
export function issue(wanted: CertificateSpec, issuer: CertifiedKey | undefined, now: Date, signer: Signer): CertifiedKey {
  const [generated, serial] = [signer.generateKey(), signer.serial()]
  const subject = assembleName(wanted.ca === undefined ? wanted.commonName : `${wanted.commonName} ${serial.slice(0, 8)}`)
  const by = issuer === undefined ? itself(subject, generated) : authorityOf(issuer, wanted, now)
  const end = now.getTime() + wanted.lifetime * 1000
  const parts: CertificateParts = {
    serial,
    algorithm: by.algorithm,
    issuer: by.name,
    subject,
    notBefore: wholeSeconds(now.getTime() - BACKDATED * 1000),
    notAfter: wholeSeconds(Math.min(end, by.end)),
    spki: generated.spki,
    authorityKeyId: by.keyId,
    ca: wanted.ca,
    keyUsages: wanted.ca === undefined ? ['digitalSignature'] : ['keyCertSign', 'cRLSign'],
    purposes: wanted.purposes,
    uris: wanted.uris,
    dns: wanted.dns,
  }
  const der = assembleCertificate(parts, data => signer.sign(by.key, data))
  return {certificate: renderDer(der) + (wanted.ca === undefined ? by.chain : ''), key: generated.key}
}

/**
 * A new ADS credential with the roots that its proxy is to trust.
 * @param roots PEM, one each
 * @throws AtlasError as `issue`, `invalid` where a root does not decode
 */
export function issueCredential(
  wanted: CertificateSpec,
  issuer: CertifiedKey,
  roots: readonly string[],
  now: Date,
  signer: Signer,
): Credential {
  const parsed = parseCertificates(roots.join('\n'), 'the roots in force')
  return {...issue(wanted, issuer, now, signer), roots: renderCertificates(parsed)}
}

/** How a key signs; undefined: it is of a kind, or of a size, that signs nothing here. */
export function algorithmOf(key: KeyObject): SignatureAlgorithm | undefined {
  if (key.asymmetricKeyType === 'ec') return 'ecdsa'
  return key.asymmetricKeyType === 'rsa' && (key.asymmetricKeyDetails?.modulusLength ?? 0) >= 2048 ? 'rsa' : undefined
}

/** Certificates know no parts of a second. */
export function wholeSeconds(milliseconds: number): Date {
  return new Date(Math.floor(milliseconds / 1000) * 1000)
}

/** Who signs. */
interface Authority {
  readonly key: GeneratedKey['key']
  readonly algorithm: SignatureAlgorithm
  readonly name: Uint8Array
  readonly keyId: string | undefined
  /** Milliseconds since 1970. */
  readonly end: number
  /** PEM, what stands behind its leaves. */
  readonly chain: string
}

function itself(name: Uint8Array, generated: GeneratedKey): Authority {
  return {key: generated.key, algorithm: 'ecdsa', name, keyId: undefined, end: Infinity, chain: ''}
}

function authorityOf(issuer: CertifiedKey, wanted: CertificateSpec, now: Date): Authority {
  const refuse = (why: string): AtlasError =>
    new AtlasError('failed', `${wanted.name} can't be signed: its issuer ${why}`, {hint: 'restore the issuer, or issue it anew'})
  const what = `the issuer of ${wanted.name}`
  const facts = readKey(issuer, what)
  const fault = faultOf(facts, wanted, now)
  if (fault !== undefined) throw refuse(fault)
  const algorithm = algorithmOf(parsePrivateKey(issuer.key, `the private key of ${what}`))
  if (algorithm === undefined) throw refuse('must have an EC key, or an RSA key of at least 2048 bits')
  const certificates = parseCertificates(issuer.certificate)
  const [certificate] = certificates
  if (certificate === undefined) throw refuse('has no certificate')
  const fields = readFields(certificate.raw)
  return {
    key: issuer.key,
    algorithm,
    name: fields.subject,
    keyId: keyIdIn(fields, certificate),
    end: facts.notAfter.getTime(),
    chain: renderCertificates(certificates.filter(each => fieldOf(each, 'subject', what) !== fieldOf(each, 'issuer', what))),
  }
}

/** Completes "its issuer …". */
function faultOf(facts: KeyFacts, wanted: CertificateSpec, now: Date): string | undefined {
  if (!facts.keyMatches) return "has another certificate's private key"
  if (!facts.isCa || facts.keyUsages?.includes('keyCertSign') === false) return 'is not allowed to sign certificates'
  if (wanted.ca !== undefined && facts.pathLength !== undefined && facts.pathLength <= wanted.ca.pathLength)
    return `has the path length ${facts.pathLength}; ${wanted.ca.pathLength + 1} is needed`
  const lacking = facts.purposes && wanted.purposes.find(purpose => facts.purposes?.includes(purpose) === false)
  if (lacking !== undefined) return `signs no certificates for the purpose "${lacking}"`
  if (facts.notAfter.getTime() < now.getTime() + 1000) return `ended on ${facts.notAfter.toISOString()}`
  if (facts.notBefore.getTime() > now.getTime() + CLOCK_SKEW * 1000) return `is valid from ${facts.notBefore.toISOString()} only`
  return undefined
}

/** What the issuer calls its key, or, where an old one names it not, what we would call it. */
function keyIdIn(fields: CertificateFields, certificate: X509Certificate): string {
  return fields.subjectKeyId ?? keyIdOf(publicKeyOf(certificate, 'the issuer'))
}
