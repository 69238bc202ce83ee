/**
 * Certificates as the controller of goatlas (goatlas-io/atlas 0.3.1) made them. OpenSSL makes them here, so that Atlas's own code does not
 * verify itself.
 */
import {execFileSync} from 'node:child_process'
import {generateKeyPairSync} from 'node:crypto'
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import path from 'node:path'
import type {CertifiedKey} from '../../src/lib/model/authority.js'
import {SecretText} from '../../src/lib/model/secret.js'

export interface GoatlasAuthority {
  /** RSA-4096 in PKCS#1, no common name, serial = the second in which it was made, ten years. */
  readonly ca: CertifiedKey
  /** The one server certificate, and the one client certificate, of the whole fleet: a common name, no alternative names. */
  readonly server: CertifiedKey
  readonly client: CertifiedKey
  /** Another certificate of the same CA, for clients with another name. */
  issue(commonName: string, purpose: 'clientAuth' | 'serverAuth'): CertifiedKey
}

export interface GoatlasOptions {
  /** Go 1.15 and later add the key identifier of an authority; the program was built with 1.16. */
  readonly keyIdentifier?: boolean
  readonly from?: Date
  readonly until?: Date
  /** The bits of the CA's key. */
  readonly bits?: number
}

/** An authority as `generateCA` and `generateCert` of goatlas make it. RSA-4096 takes OpenSSL a second or two. */
export function goatlasAuthority(options: GoatlasOptions = {}): GoatlasAuthority {
  const {keyIdentifier = true, bits = 4096, from = new Date('2021-10-30T12:00:00Z'), until = new Date('2031-10-30T12:00:00Z')} = options
  const key = rsaKey(bits)
  const extensions = [
    'basicConstraints = critical,CA:TRUE',
    'keyUsage = critical,digitalSignature,keyCertSign',
    'extendedKeyUsage = clientAuth,serverAuth',
    `subjectKeyIdentifier = ${keyIdentifier ? 'hash' : 'none'}`,
    'authorityKeyIdentifier = none',
  ]
  const ca = {certificate: certify({key, extensions, from, until, subject: SUBJECT}), key: new SecretText(key)}
  const issue: GoatlasAuthority['issue'] = (commonName, purpose) => {
    // goatlas's leaves have 4096 bits, too. Verifiers treat 2048 the same, and tests wait for each key.
    const leafKey = rsaKey(2048)
    const own = ['keyUsage = critical,digitalSignature', `extendedKeyUsage = ${purpose}`, 'subjectKeyIdentifier = none']
    const named = [...own, `authorityKeyIdentifier = ${keyIdentifier ? 'keyid' : 'none'}`]
    const subject = `${SUBJECT}/CN=${commonName}`
    return {certificate: certify({key: leafKey, extensions: named, from, until, subject, by: ca}), key: new SecretText(leafKey)}
  }

  return {ca, server: issue('server.atlas', 'serverAuth'), client: issue('client.atlas', 'clientAuth'), issue}
}

/** In the order in which Go writes a name. */
const SUBJECT = '/C=US/O=goatlas.io/OU=Atlas/L=Washington/ST=DC'

function rsaKey(modulusLength: number): string {
  return generateKeyPairSync('rsa', {
    modulusLength,
    publicKeyEncoding: {type: 'spki', format: 'pem'},
    privateKeyEncoding: {type: 'pkcs1', format: 'pem'},
  }).privateKey
}

interface Certifying {
  readonly key: string
  readonly extensions: readonly string[]
  readonly from: Date
  readonly until: Date
  readonly subject: string
  readonly by?: CertifiedKey
}

function certify({key, extensions, from, until, subject, by}: Certifying): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'atlas-goatlas-'))
  const file = (name: string, text: string): string => {
    const place = path.join(folder, name)
    writeFileSync(place, text, {mode: 0o600})
    return place
  }

  try {
    const config = file('openssl.cnf', configOf(folder, extensions))
    file('index.txt', '')
    file(
      'serial',
      Math.floor(from.getTime() / 1000)
        .toString(16)
        .toUpperCase(),
    )
    const own = file('key.pem', key)
    const request = path.join(folder, 'request.pem')
    execFileSync('openssl', ['req', '-config', config, '-new', '-key', own, '-subj', subject, '-out', request], {stdio: 'pipe'})
    const signer =
      by === undefined
        ? ['-selfsign', '-keyfile', own]
        : ['-cert', file('ca.pem', by.certificate), '-keyfile', file('ca-key.pem', by.key.reveal())]
    const dates = ['-startdate', stamp(from), '-enddate', stamp(until)]
    const out = path.join(folder, 'certificate.pem')
    const args = ['ca', '-config', config, '-batch', '-notext', '-preserveDN', ...signer, ...dates, '-in', request, '-out', out]
    execFileSync('openssl', args, {stdio: 'pipe'})
    return readFileSync(out, 'utf8')
  } finally {
    rmSync(folder, {recursive: true})
  }
}

function configOf(folder: string, extensions: readonly string[]): string {
  return `
[ca]
default_ca = own
[own]
database = ${folder}/index.txt
serial = ${folder}/serial
new_certs_dir = ${folder}
default_md = sha256
policy = any
x509_extensions = extensions
[any]
countryName = optional
organizationName = optional
organizationalUnitName = optional
localityName = optional
stateOrProvinceName = optional
commonName = optional
[req]
distinguished_name = name
string_mask = default
[name]
[extensions]
${extensions.join('\n')}
`
}

/** `20211030120000Z` */
function stamp(time: Date): string {
  return `${time.toISOString().replaceAll(/[-:T]/g, '').slice(0, 14)}Z`
}
