/** Certificates of a test's cluster, made without Atlas's code: the server's, with its address, and those of users. */
import {generateKeyPair} from 'node:crypto'
import {promisify} from 'node:util'
import forge from 'node-forge'

/** Both in PEM. */
export interface Certified {
  readonly certificate: string
  readonly key: string
}

export interface Subject {
  readonly name: string
  /** To the API server, the groups of a user. */
  readonly groups?: readonly string[]
  /** IP addresses at which it serves; none for a client. */
  readonly addresses?: readonly string[]
  /** DNS names at which it serves. */
  readonly names?: readonly string[]
  /** Undefined: an authority where no issuer is given, a server where it has an address or a name, else a client. */
  readonly kind?: 'authority' | 'client' | 'server'
}

/** A certificate signed by `issuer`, or an authority that signs itself; valid for a day. */
export async function certify(subject: Subject, issuer?: Certified): Promise<Certified> {
  const {name, groups = []} = subject
  const {privateKey, publicKey} = await promisify(generateKeyPair)('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: {type: 'spki', format: 'pem'},
    privateKeyEncoding: {type: 'pkcs8', format: 'pem'},
  })
  const certificate = forge.pki.createCertificate()
  certificate.publicKey = forge.pki.publicKeyFromPem(publicKey)
  certificate.serialNumber = `01${forge.util.bytesToHex(forge.random.getBytesSync(15))}`
  certificate.validity.notBefore = new Date(Date.now() - 600_000)
  certificate.validity.notAfter = new Date(Date.now() + 86_400_000)
  certificate.setSubject([...groups.map(value => ({name: 'organizationName', value})), {name: 'commonName', value: name}])
  const by = issuer === undefined ? undefined : forge.pki.certificateFromPem(issuer.certificate)
  certificate.setIssuer((by ?? certificate).subject.attributes)
  certificate.setExtensions(extensionsOf(subject, issuer))
  certificate.sign(forge.pki.privateKeyFromPem(issuer?.key ?? privateKey), forge.md.sha256.create())
  return {certificate: forge.pki.certificateToPem(certificate), key: privateKey}
}

const authorityExtensions = [
  {name: 'basicConstraints', critical: true, cA: true},
  {name: 'keyUsage', critical: true, keyCertSign: true, cRLSign: true},
  {name: 'subjectKeyIdentifier'},
]

function extensionsOf({addresses = [], names = [], kind}: Subject, issuer: Certified | undefined): object[] {
  if ((kind ?? (issuer === undefined ? 'authority' : 'leaf')) === 'authority') return authorityExtensions
  const altNames = [...addresses.map(ip => ({type: 7, ip})), ...names.map(value => ({type: 2, value}))]
  const isServer = kind === 'server' || altNames.length > 0
  return [
    {name: 'basicConstraints', critical: true, cA: false},
    {name: 'keyUsage', critical: true, digitalSignature: true, keyEncipherment: true},
    {name: 'extKeyUsage', serverAuth: isServer, clientAuth: !isServer},
    ...(altNames.length > 0 ? [{name: 'subjectAltName', altNames}] : []),
  ]
}
