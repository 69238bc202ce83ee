/** Reads PEM text by node:crypto. Strict: text that another reader might read differently is refused. Errors quote no content. */
import {type KeyObject, X509Certificate, createHash, createPrivateKey} from 'node:crypto'
import {AtlasError} from '../model/errors.js'
import type {SecretText} from '../model/secret.js'

/**
 * The certificates of a PEM bundle, in their order; at least one. Text between the blocks is allowed, as RFC 7468 has it.
 * @param what names the text in messages, such as "the root"
 * @throws AtlasError `invalid`
 */
export function parseCertificates(text: string, what = 'the text'): readonly X509Certificate[] {
  const certificates = splitCertificates(text, what).map((der, index) => parseCertificate(der, `certificate ${index + 1} of ${what}`))
  if (certificates.length > 0) return certificates
  throw empty(text, what)
}

/**
 * The first certificate of a PEM bundle, and the SHA-256 of those behind it, lower-case hex. All leaves of an issuer carry the same
 * certificate behind their own: it is parsed once and not a thousand times.
 * @throws AtlasError `invalid`, as `parseCertificates`
 */
export function parseLeaf(text: string, what = 'the text'): {readonly leaf: X509Certificate; readonly chain: readonly string[]} {
  const [first, ...others] = splitCertificates(text, what)
  if (first === undefined) throw empty(text, what)
  const chain = others.map((der, index) => fingerprintOf(der, `certificate ${index + 2} of ${what}`))
  return {leaf: parseCertificate(first, `certificate 1 of ${what}`), chain}
}

/**
 * A private key in PEM: PKCS#8, PKCS#1 or SEC1, without a passphrase.
 * @throws AtlasError `invalid`, which never carries a byte of the key
 */
export function parsePrivateKey(key: SecretText, what = 'the private key'): KeyObject {
  const text = key.reveal()
  const refuse = (found: string, hint?: string): AtlasError =>
    new AtlasError('invalid', `${what} must be a private key in PEM (PKCS#8, PKCS#1 or SEC1); ${found}`, hint === undefined ? {} : {hint})
  if (/-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(text))
    throw refuse('it is encrypted', 'decrypt it first, for example with "openssl pkey -in FILE"')
  if (text.split(/-----BEGIN [A-Z ]*PRIVATE KEY-----/).length !== 2)
    throw refuse('it holds no such block, or more than one', 'it begins with a line such as "-----BEGIN PRIVATE KEY-----"')
  try {
    return createPrivateKey({key: text, format: 'pem'})
  } catch {
    // Without OpenSSL's reason: no text that was made from a key goes into a message.
    throw refuse('its block does not decode')
  }
}

/** Certificates as one PEM text, in the usual form. */
export function renderCertificates(certificates: readonly X509Certificate[]): string {
  return certificates.map(certificate => certificate.toString()).join('')
}

/** A certificate's DER as PEM, or that of what a label names. */
export function renderDer(der: Uint8Array, label = 'CERTIFICATE'): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? []
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n')
}

const BEGIN = '-----BEGIN CERTIFICATE-----'
const END = '-----END CERTIFICATE-----'

/** Issuers in a chain that are remembered; of a fleet there are two or, during a rotation, four. */
const ISSUERS_MAX = 16

/** SHA-256 of certificates that were found in chains and did parse, by their DER as base64. */
const fingerprints = new Map<string, string>()

function fingerprintOf(der: Uint8Array, what: string): string {
  const key = Buffer.from(der).toString('base64')
  const known = fingerprints.get(key)
  if (known !== undefined) return known
  const fingerprint = createHash('sha256').update(parseCertificate(der, what).raw).digest('hex')
  if (fingerprints.size >= ISSUERS_MAX) fingerprints.clear()
  fingerprints.set(key, fingerprint)
  return fingerprint
}

function empty(text: string, what: string): AtlasError {
  return new AtlasError('invalid', `${what} must hold at least one certificate in PEM; there is none in its ${text.length} characters`, {
    hint: `a certificate in PEM begins with the line "${BEGIN}"`,
  })
}

function splitCertificates(text: string, what: string): readonly Uint8Array[] {
  const blocks: Uint8Array[] = []
  let body: string[] | undefined
  for (const line of text.split('\n').map(each => each.trimEnd())) {
    if (line === BEGIN && body === undefined) body = []
    else if (line === END && body !== undefined) {
      blocks.push(decodeBase64(body.join(''), `certificate ${blocks.length + 1} of ${what}`))
      body = undefined
    } else if (line.includes('-----BEGIN ') || line.includes('-----END ')) throw misplaced(line, what)
    else body?.push(line)
  }

  if (body !== undefined) throw new AtlasError('invalid', `certificate ${blocks.length + 1} of ${what} must end with the line "${END}"`)
  return blocks
}

function misplaced(line: string, what: string): AtlasError {
  if (line.includes('PRIVATE KEY'))
    return new AtlasError('invalid', `${what} must hold only certificates; there is a private key in it`, {
      hint: 'put the key into a file or an entry of its own',
    })
  return new AtlasError(
    'invalid',
    `${what} must consist of blocks from "${BEGIN}" to "${END}", each on a line of its own; there is another`,
  )
}

function decodeBase64(body: string, what: string): Uint8Array {
  const bytes = Buffer.from(body, 'base64')
  // Buffer skips characters that are not base64. Only text that encodes to itself is read the same by every reader.
  if (bytes.length > 0 && bytes.toString('base64') === body) return bytes
  throw new AtlasError('invalid', `${what} must be base64 between its first and last line`)
}

function parseCertificate(der: Uint8Array, what: string): X509Certificate {
  const parsed = tryParse(der)
  if (parsed !== undefined) return parsed
  throw new AtlasError('invalid', `${what} must be an X.509 certificate; its bytes do not decode as one`)
}

function tryParse(der: Uint8Array): X509Certificate | undefined {
  try {
    const parsed = new X509Certificate(der)
    // OpenSSL ignores bytes behind the certificate.
    return Buffer.compare(parsed.raw, der) === 0 ? parsed : undefined
  } catch {
    return undefined
  }
}
