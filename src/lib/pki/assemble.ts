/** Encodes a certificate (RFC 5280, DER) from its parts by node-forge; the caller signs. Certificates are read elsewhere (read.ts). */
import {createHash} from 'node:crypto'
import forge from 'node-forge'
import {readDer, wrapDer} from './der.js'
import type {KeyUsage} from './fields.js'
import type {Purpose} from './certificate-specs.js'

const {asn1} = forge
const {Class, Type} = asn1

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
  const algorithm = encode(algorithmIdentifier(parts.algorithm))
  const tbs = wrapDer(SEQUENCE, [
    VERSION_3,
    encode(primitive(Type.INTEGER, positive(forge.util.hexToBytes(parts.serial)))),
    algorithm,
    parts.issuer,
    wrapDer(SEQUENCE, [encode(time(parts.notBefore)), encode(time(parts.notAfter))]),
    parts.subject,
    parts.spki,
    wrapDer(EXTENSIONS, [encode(sequence(extensionsOf(parts)))]),
  ])
  return wrapDer(SEQUENCE, [tbs, algorithm, encode(bitString(0, fromBytes(sign(tbs))))])
}

/** DER of a Name with one common name. */
export function assembleName(commonName: string): Uint8Array {
  const attribute = sequence([oid('2.5.4.3'), primitive(Type.UTF8, forge.util.encodeUtf8(commonName))])
  return encode(sequence([asn1.create(Class.UNIVERSAL, Type.SET, true, [attribute])]))
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
/** Kinds of GeneralName. Wrapped here, since forge shortens whatever has tag 2 as if it were an integer. */
const DNS_NAME = 0x82
const URI_NAME = 0x86
const EXTENSIONS = 0xa3
const TRUE = primitive(Type.BOOLEAN, '\u00FF')
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

function algorithmIdentifier(algorithm: SignatureAlgorithm): forge.asn1.Asn1 {
  if (algorithm === 'ecdsa') return sequence([oid('1.2.840.10045.4.3.2')])
  return sequence([oid('1.2.840.113549.1.1.11'), primitive(Type.NULL, '')])
}

/** UTCTime up to 2049, GeneralizedTime from then on (RFC 5280 section 4.1.2.5). */
function time(date: Date): forge.asn1.Asn1 {
  return date.getUTCFullYear() < 2050
    ? primitive(Type.UTCTIME, asn1.dateToUtcTime(date))
    : primitive(Type.GENERALIZEDTIME, asn1.dateToGeneralizedTime(date))
}

function extensionsOf(parts: CertificateParts): forge.asn1.Asn1[] {
  const extensions = [
    critical(OIDS.basicConstraints, sequence(parts.ca === undefined ? [] : [TRUE, integer(parts.ca.pathLength)])),
    critical(OIDS.keyUsage, keyUsage(parts.keyUsages)),
    extension(OIDS.subjectKeyId, octets(forge.util.hexToBytes(parts.subjectKeyId ?? keyIdOf(parts.spki)))),
  ]
  if (parts.authorityKeyId !== undefined)
    extensions.push(extension(OIDS.authorityKeyId, sequence([tagged(0, forge.util.hexToBytes(parts.authorityKeyId))])))
  if (parts.purposes.length > 0)
    extensions.push(extension(OIDS.extendedKeyUsage, sequence(parts.purposes.map(purpose => oid(PURPOSES[purpose])))))
  const names = [...parts.uris.map(uri => wrapDer(URI_NAME, [latin(uri)])), ...parts.dns.map(name => wrapDer(DNS_NAME, [latin(name)]))]
  if (names.length > 0) extensions.push(sequence([oid(OIDS.alternativeNames), octets(fromBytes(wrapDer(SEQUENCE, names)))]))
  return extensions
}

function keyUsage(usages: CertificateParts['keyUsages']): forge.asn1.Asn1 {
  const octet = usages.reduce((bits, usage) => bits | (KEY_USAGE_BITS[usage] ?? 0), 0)
  // DER leaves out trailing zero bits: their number is that of the lowest bit set.
  return bitString(31 - Math.clz32(octet & -octet), String.fromCharCode(octet))
}

function critical(id: string, value: forge.asn1.Asn1): forge.asn1.Asn1 {
  return sequence([oid(id), TRUE, octets(asn1.toDer(value).getBytes())])
}

function extension(id: string, value: forge.asn1.Asn1): forge.asn1.Asn1 {
  return sequence([oid(id), octets(asn1.toDer(value).getBytes())])
}

function integer(value: number): forge.asn1.Asn1 {
  return primitive(Type.INTEGER, asn1.integerToDer(value).getBytes())
}

function bitString(unused: number, bytes: string): forge.asn1.Asn1 {
  return primitive(Type.BITSTRING, String.fromCharCode(unused) + bytes)
}

function oid(id: string): forge.asn1.Asn1 {
  return primitive(Type.OID, asn1.oidToDer(id).getBytes())
}

function octets(bytes: string): forge.asn1.Asn1 {
  return primitive(Type.OCTETSTRING, bytes)
}

function tagged(tag: number, bytes: string): forge.asn1.Asn1 {
  return asn1.create(Class.CONTEXT_SPECIFIC, tag, false, bytes)
}

function primitive(type: forge.asn1.Type, bytes: string): forge.asn1.Asn1 {
  return asn1.create(Class.UNIVERSAL, type, false, bytes)
}

function sequence(elements: forge.asn1.Asn1[]): forge.asn1.Asn1 {
  return asn1.create(Class.UNIVERSAL, Type.SEQUENCE, true, elements)
}

function positive(bytes: string): string {
  return bytes.charCodeAt(0) > 0x7f ? `\0${bytes}` : bytes
}

function encode(element: forge.asn1.Asn1): Uint8Array {
  return Buffer.from(asn1.toDer(element).getBytes(), 'binary')
}

function latin(text: string): Uint8Array {
  return Buffer.from(text, 'latin1')
}

function fromBytes(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('binary')
}
