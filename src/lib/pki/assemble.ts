/** Encodes a certificate (RFC 5280, DER) from its parts by node-forge; the caller signs. Certificates are read elsewhere (read.ts). */
import {createHash} from 'node:crypto'
// This module alone: the whole of forge, ciphers and TLS included, costs 20 ms of CPU and 3 MiB at each start.
import asn1 from 'node-forge/lib/asn1.js'
import {readDer, wrapDer} from './der.js'
import type {KeyUsage} from './fields.js'
import type {Purpose} from './certificate-specs.js'

/** How the issuer's key signs: both over SHA-256. */
export type SignatureAlgorithm = 'ecdsa' | 'rsa'

export interface CertificateParts {
  /** Hex. */
  readonly serial: string
  readonly algorithm: SignatureAlgorithm
  /** DER of a Name. */
  readonly issuer: Uint8Array
  readonly subject: Uint8Array
  readonly notBefore: Date
  readonly notAfter: Date
  /** DER of a SubjectPublicKeyInfo. */
  readonly spki: Uint8Array
  /** Hex: an identifier that the key has already; absent: `keyIdOf(spki)`. */
  readonly subjectKeyId?: string
  /** Hex; undefined for a root. */
  readonly authorityKeyId: string | undefined
  readonly ca: {readonly pathLength: number} | undefined
  readonly keyUsages: readonly ('cRLSign' | 'digitalSignature' | 'keyCertSign')[]
  /** Empty: no extended key usage. */
  readonly purposes: readonly Purpose[]
  readonly uris: readonly string[]
  readonly dns: readonly string[]
}

/** DER of the certificate; `sign` is given the part that is signed. */
export function assembleCertificate(parts: CertificateParts, sign: (data: Uint8Array) => Uint8Array): Uint8Array {
  const algorithm = algorithmIdentifier(parts.algorithm)
  const serial = hex(parts.serial)
  const tbs = sequence(
    VERSION_3,
    // A zero byte in front keeps a serial with a high first bit positive.
    wrapDer(0x02, (serial[0] ?? 0) > 0x7f ? [Uint8Array.of(0), serial] : [serial]),
    algorithm,
    parts.issuer,
    sequence(time(parts.notBefore), time(parts.notAfter)),
    parts.subject,
    parts.spki,
    wrapDer(EXTENSIONS, [extensionsOf(parts)]),
  )
  return sequence(tbs, algorithm, bitString(0, sign(tbs)))
}

/** What a request asks for: all but what the signer decides. */
export type RequestParts = Pick<
  CertificateParts,
  'algorithm' | 'ca' | 'dns' | 'keyUsages' | 'purposes' | 'spki' | 'subject' | 'subjectKeyId' | 'uris'
>

/** DER of a certification request (PKCS#10, RFC 2986) that asks for its extensions; `sign` is given the part that is signed. */
export function assembleRequest(parts: RequestParts, sign: (data: Uint8Array) => Uint8Array): Uint8Array {
  const extensions = extensionsOf({...parts, authorityKeyId: undefined})
  const attribute = sequence(oid(EXTENSION_REQUEST), wrapDer(SET, [extensions]))
  const info = sequence(integer(0), parts.subject, parts.spki, wrapDer(ATTRIBUTES, [attribute]))
  return sequence(info, algorithmIdentifier(parts.algorithm), bitString(0, sign(info)))
}

/** DER of a Name with one common name. */
export function assembleName(commonName: string): Uint8Array {
  return sequence(wrapDer(SET, [sequence(oid('2.5.4.3'), wrapDer(0x0c, [Buffer.from(commonName)]))]))
}

/**
 * The identifier of a public key in hex: the first 160 bits of SHA-256 over it (RFC 7093 section 2, method 1).
 * @param spki DER of a SubjectPublicKeyInfo
 */
export function keyIdOf(spki: Uint8Array): string {
  const [info] = readDer(spki)
  const key = readDer(info?.value ?? new Uint8Array())[1]?.value.subarray(1)
  return createHash('sha256')
    .update(key ?? spki)
    .digest('hex')
    .slice(0, 40)
}

const SEQUENCE = 0x30
const SET = 0x31
const OCTET_STRING = 0x04
/** Kinds of GeneralName. */
const DNS_NAME = 0x82
const URI_NAME = 0x86
const KEY_IDENTIFIER = 0x80
const EXTENSIONS = 0xa3
/** Of a request. */
const ATTRIBUTES = 0xa0
/** RFC 2985 section 5.4.2. */
const EXTENSION_REQUEST = '1.2.840.113549.1.9.14'
const TRUE = Uint8Array.of(0x01, 1, 0xff)
const NULL = Uint8Array.of(0x05, 0)
const VERSION_3 = Uint8Array.of(0xa0, 3, 2, 1, 2)

const OIDS = {
  subjectKeyId: '2.5.29.14',
  keyUsage: '2.5.29.15',
  alternativeNames: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyId: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
} as const

const PURPOSES: Record<Purpose, string> = {server: '1.3.6.1.5.5.7.3.1', client: '1.3.6.1.5.5.7.3.2'}

/** The bits of RFC 5280 section 4.2.1.3, in its first octet. */
const KEY_USAGE_BITS: Partial<Record<KeyUsage, number>> = {digitalSignature: 0x80, keyCertSign: 0x04, cRLSign: 0x02}

function algorithmIdentifier(algorithm: SignatureAlgorithm): Uint8Array {
  return algorithm === 'ecdsa' ? sequence(oid('1.2.840.10045.4.3.2')) : sequence(oid('1.2.840.113549.1.1.11'), NULL)
}

/** UTCTime up to 2049, GeneralizedTime from then on (RFC 5280 section 4.1.2.5). */
function time(date: Date): Uint8Array {
  return date.getUTCFullYear() < 2050
    ? wrapDer(0x17, [binary(asn1.dateToUtcTime(date))])
    : wrapDer(0x18, [binary(asn1.dateToGeneralizedTime(date))])
}

function extensionsOf(parts: Omit<RequestParts, 'algorithm' | 'subject'> & Pick<CertificateParts, 'authorityKeyId'>): Uint8Array {
  const {ca, authorityKeyId, purposes} = parts
  const names = [...parts.uris.map(uri => wrapDer(URI_NAME, [binary(uri)])), ...parts.dns.map(name => wrapDer(DNS_NAME, [binary(name)]))]
  const keyId = wrapDer(OCTET_STRING, [hex(parts.subjectKeyId ?? keyIdOf(parts.spki))])
  return sequence(
    extension(OIDS.basicConstraints, ca === undefined ? sequence() : sequence(TRUE, integer(ca.pathLength)), TRUE),
    extension(OIDS.keyUsage, keyUsage(parts.keyUsages), TRUE),
    extension(OIDS.subjectKeyId, keyId),
    ...(authorityKeyId === undefined ? [] : [extension(OIDS.authorityKeyId, sequence(wrapDer(KEY_IDENTIFIER, [hex(authorityKeyId)])))]),
    ...(purposes.length === 0 ? [] : [extension(OIDS.extendedKeyUsage, sequence(...purposes.map(purpose => oid(PURPOSES[purpose]))))]),
    ...(names.length === 0 ? [] : [extension(OIDS.alternativeNames, sequence(...names))]),
  )
}

function keyUsage(usages: CertificateParts['keyUsages']): Uint8Array {
  const octet = usages.reduce((bits, usage) => bits | (KEY_USAGE_BITS[usage] ?? 0), 0)
  // DER leaves out trailing zero bits: their number is that of the lowest bit set.
  return bitString(31 - Math.clz32(octet & -octet), Uint8Array.of(octet))
}

/** @param critical `TRUE` for a critical extension */
function extension(id: string, value: Uint8Array, ...critical: readonly Uint8Array[]): Uint8Array {
  return sequence(oid(id), ...critical, wrapDer(OCTET_STRING, [value]))
}

function sequence(...elements: readonly Uint8Array[]): Uint8Array {
  return wrapDer(SEQUENCE, elements)
}

function integer(value: number): Uint8Array {
  return wrapDer(0x02, [binary(asn1.integerToDer(value).getBytes())])
}

function bitString(unused: number, bytes: Uint8Array): Uint8Array {
  return wrapDer(0x03, [Uint8Array.of(unused), bytes])
}

function oid(id: string): Uint8Array {
  return wrapDer(0x06, [binary(asn1.oidToDer(id).getBytes())])
}

function hex(digits: string): Uint8Array {
  return Buffer.from(digits, 'hex')
}

/** Each character as one byte. */
function binary(text: string): Uint8Array {
  return Buffer.from(text, 'latin1')
}
