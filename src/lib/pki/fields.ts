/** The fields of a certificate: those that node:crypto reads, and those that it does not (its names as bytes, some extensions). */
import type {X509Certificate} from 'node:crypto'
import {AtlasError} from '../model/errors.js'
import {type DerElement, readDer} from './der.js'

/** Key usages by their bit (RFC 5280 section 4.2.1.3), as `openssl x509` names them. */
export type KeyUsage = (typeof KEY_USAGES)[number]

export interface CertificateFields {
  /** DER of the subject, for the certificates that it issues: they must repeat it byte for byte. */
  readonly subject: Uint8Array
  /** Undefined: no limit is set. */
  readonly pathLength: number | undefined
  /** Undefined: any. */
  readonly keyUsages: readonly KeyUsage[] | undefined
  /** Lower-case hex. */
  readonly subjectKeyId: string | undefined
  readonly authorityKeyId: string | undefined
  /** DER of the extension nameConstraints: which names a certificate below may carry (name-constraints.ts). Undefined: any. */
  readonly nameConstraints: Uint8Array | undefined
  /** Object identifiers, in hex, of critical extensions that a verifier may not know: it then refuses every certificate below. */
  readonly unknownCritical: readonly string[]
  /** Whether it is signed over MD5 or SHA-1: OpenSSL refuses to verify that by default, and so do other verifiers. */
  readonly isWeaklySigned: boolean
}

/**
 * One field by node:crypto, which decodes each of them only when it is read: a certificate that was parsed may still fail here.
 * @param what names the certificate in messages, such as "the root"
 * @throws AtlasError `invalid`
 */
export function fieldOf<Field extends keyof X509Certificate>(
  certificate: X509Certificate,
  field: Field,
  what: string,
): X509Certificate[Field] {
  try {
    return certificate[field]
  } catch {
    throw new AtlasError('invalid', `${what} must have fields that decode; its ${field} does not`)
  }
}

/** DER of the public key (SubjectPublicKeyInfo). @throws AtlasError `invalid` where the key is of an unknown kind or does not decode */
export function publicKeyOf(certificate: X509Certificate, what: string): Uint8Array {
  return fieldOf(certificate, 'publicKey', what).export({type: 'spki', format: 'der'})
}

/**
 * The fields that node:crypto does not read.
 * @param raw DER of a certificate
 * @throws AtlasError `invalid`
 */
export function readFields(raw: Uint8Array): CertificateFields {
  const [certificate] = readDer(raw)
  const [tbs, algorithm] = readDer(need(certificate).value)
  const parts = readDer(need(tbs).value)
  // Version 1 certificates have no version field; the order of the others is fixed.
  const first = parts[0]?.tag === 0xa0 ? 1 : 0
  const extensions = readExtensions(parts.find(part => part.tag === 0xa3))
  return {
    subject: need(parts[first + 4]).raw,
    pathLength: pathLengthIn(extensions.get(OIDS.basicConstraints)?.value),
    keyUsages: keyUsagesIn(extensions.get(OIDS.keyUsage)?.value),
    subjectKeyId: subjectKeyIdIn(extensions.get(OIDS.subjectKeyId)?.value),
    authorityKeyId: authorityKeyIdIn(extensions.get(OIDS.authorityKeyId)?.value),
    nameConstraints: extensions.get(OIDS.nameConstraints)?.value,
    unknownCritical: [...extensions].filter(([id, {isCritical}]) => isCritical && !KNOWN.has(id)).map(([id]) => id),
    isWeaklySigned: isWeak(algorithm),
  }
}

const KEY_USAGES = [
  'digitalSignature',
  'nonRepudiation',
  'keyEncipherment',
  'dataEncipherment',
  'keyAgreement',
  'keyCertSign',
  'cRLSign',
  'encipherOnly',
  'decipherOnly',
] as const

/** The values of the object identifiers, in hex: 2.5.29.N. */
const OIDS = {
  subjectKeyId: '551d0e',
  keyUsage: '551d0f',
  basicConstraints: '551d13',
  nameConstraints: '551d1e',
  authorityKeyId: '551d23',
} as const

/** Object identifiers, in hex (RFC 3279 section 2.2): MD2, MD5 and SHA-1 with RSA, ECDSA with SHA-1. */
const WEAK_SIGNATURES: ReadonlySet<string> = new Set(['2a864886f70d010102', '2a864886f70d010104', '2a864886f70d010105', '2a8648ce3d0401'])

/** @param algorithm the AlgorithmIdentifier behind what is signed (RFC 5280 section 4.1.1.2) */
function isWeak(algorithm: DerElement | undefined): boolean {
  const [id] = algorithm === undefined ? [] : readDer(algorithm.value)
  return id !== undefined && WEAK_SIGNATURES.has(Buffer.from(id.value).toString('hex'))
}

/** Those that OpenSSL and BoringSSL both handle: besides the above subjectAltName, certificatePolicies, extKeyUsage. */
const KNOWN: ReadonlySet<string> = new Set([...Object.values(OIDS), '551d11', '551d20', '551d25'])

interface Extension {
  readonly isCritical: boolean
  readonly value: Uint8Array
}

/** By identifier. An extension that occurs twice is refused, since readers differ in which of the two they use. */
function readExtensions(wrapper: DerElement | undefined): ReadonlyMap<string, Extension> {
  const found = new Map<string, Extension>()
  if (wrapper === undefined) return found
  const [list] = readDer(wrapper.value)
  for (const extension of readDer(need(list).value)) {
    const parts = readDer(extension.value)
    const id = Buffer.from(need(parts[0]).value).toString('hex')
    if (found.has(id)) throw new AtlasError('invalid', 'a certificate must carry each extension once; one occurs twice')
    found.set(id, {isCritical: parts[1]?.tag === 0x01 && parts[1].value[0] !== 0, value: need(parts.at(-1)).value})
  }

  return found
}

function pathLengthIn(extension: Uint8Array | undefined): number | undefined {
  const [constraints] = extension === undefined ? [] : readDer(extension)
  const length = constraints && readDer(constraints.value).find(part => part.tag === 0x02)
  if (length === undefined) return undefined
  const [octet = 0] = length.value
  // A negative length, or one longer than every real chain, counts as 0, the strictest.
  return length.value.length === 1 && octet < 0x80 ? octet : 0
}

function keyUsagesIn(extension: Uint8Array | undefined): readonly KeyUsage[] | undefined {
  if (extension === undefined) return undefined
  const [, ...octets] = need(readDer(extension)[0]).value
  return KEY_USAGES.filter((_, bit) => ((octets[bit >> 3] ?? 0) & (0x80 >> (bit & 7))) !== 0)
}

function subjectKeyIdIn(extension: Uint8Array | undefined): string | undefined {
  return extension && Buffer.from(need(readDer(extension)[0]).value).toString('hex')
}

function authorityKeyIdIn(extension: Uint8Array | undefined): string | undefined {
  const [sequence] = extension === undefined ? [] : readDer(extension)
  const id = sequence && readDer(sequence.value).find(part => part.tag === 0x80)
  return id && Buffer.from(id.value).toString('hex')
}

function need<T>(found: T | undefined): T {
  if (found === undefined) throw new AtlasError('invalid', 'a certificate must have the fields of RFC 5280; one is missing or empty')
  return found
}
