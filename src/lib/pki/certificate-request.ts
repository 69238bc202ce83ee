/** Requests for certificates that a root which is kept offline signs: PKCS#10, with keys of their own. */
import type {SecretText} from '../model/secret.js'
import {assembleName, assembleRequest} from './assemble.js'
import {type CertificateSpec, type Purpose, extensionsFor} from './certificate-specs.js'
import {renderDer} from './pem.js'
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

/** The extensions that the signer is to give, as openssl reads them from a file (`-extfile`): a signer need not copy those of a request. */
export function renderExtensions({ca, purposes}: CertificateSpec): string {
  return [
    `basicConstraints=critical,CA:TRUE,pathlen:${ca?.pathLength ?? 0}`,
    'keyUsage=critical,keyCertSign,cRLSign',
    `extendedKeyUsage=${purposes.map(purpose => USAGES[purpose]).join(',')}`,
    'subjectKeyIdentifier=hash',
    'authorityKeyIdentifier=keyid:always',
    '',
  ].join('\n')
}

const USAGES: Readonly<Record<Purpose, string>> = {server: 'serverAuth', client: 'clientAuth'}
