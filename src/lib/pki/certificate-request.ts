/** Requests for certificates that a root which is kept offline signs: PKCS#10, with keys of their own. */
import type {CertifiedKey} from '../model/authority.js'
import type {SecretText} from '../model/secret.js'
import {assembleName, assembleRequest} from './assemble.js'
import {type CertificateSpec, type Purpose, extensionsFor} from './certificate-specs.js'
import {publicKeyOf, readFields} from './fields.js'
import {algorithmOf} from './issue.js'
import {parseLeaf, parsePrivateKey, renderDer} from './pem.js'
import type {Signer} from './signer.js'

export interface CertificateRequest {
  /** PEM. */
  readonly request: string
  /** PEM, PKCS#8. It goes nowhere with the request. */
  readonly key: SecretText
}

/** A request with a new key, for a certificate that signs as `spec` says. */
export function requestCertificate(spec: CertificateSpec, signer: Signer): CertificateRequest {
  const {key, spki} = signer.generateKey()
  const parts = {
    algorithm: 'ecdsa',
    subject: assembleName(`${spec.commonName} ${signer.serial().slice(0, 8)}`),
    spki,
    ...extensionsFor(spec),
  } as const
  return {
    request: renderDer(
      assembleRequest(parts, data => signer.sign(key, data)),
      'CERTIFICATE REQUEST',
    ),
    key,
  }
}

/**
 * A request for the certificate of a key that has one, which keeps its subject and its key identifier: what the key has signed names both.
 * @throws AtlasError `invalid` where certificate or key does not decode
 */
export function requestAgain(
  present: CertifiedKey,
  spec: CertificateSpec,
  signer: Signer,
): {readonly request: string; readonly extensions: string} {
  const {leaf} = parseLeaf(present.certificate, spec.name)
  const {subject, subjectKeyId} = readFields(leaf.raw)
  const parts = {
    algorithm: algorithmOf(parsePrivateKey(present.key, `the private key of ${spec.name}`)),
    subject,
    spki: publicKeyOf(leaf, spec.name),
    ...(subjectKeyId !== undefined && {subjectKeyId}),
    ...extensionsFor(spec),
  } as const
  const der = assembleRequest(parts, data => signer.sign(present.key, data))
  return {request: renderDer(der, 'CERTIFICATE REQUEST'), extensions: renderExtensions(spec, subjectKeyId)}
}

/**
 * The extensions that the signer is to give, as openssl reads them from a file (`-extfile`): a signer need not copy those of a request.
 * @param subjectKeyId hex, where the key has an identifier already
 */
export function renderExtensions({ca, purposes}: CertificateSpec, subjectKeyId = 'hash'): string {
  return [
    `basicConstraints=critical,CA:TRUE,pathlen:${ca?.pathLength ?? 0}`,
    'keyUsage=critical,keyCertSign,cRLSign',
    `extendedKeyUsage=${purposes.map(purpose => USAGES[purpose]).join(',')}`,
    `subjectKeyIdentifier=${subjectKeyId}`,
    'authorityKeyIdentifier=keyid:always',
    '',
  ].join('\n')
}

const USAGES: Readonly<Record<Purpose, string>> = {server: 'serverAuth', client: 'clientAuth'}
