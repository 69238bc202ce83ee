/** An installation's certificates for tests, made with the symbolic signer: the same seed gives the same bytes. */
import type {CertifiedKey} from '../../src/lib/model/authority.js'
import {type Settings, defaultSettings} from '../../src/lib/model/settings.js'
import {credentialIssuerSpec, issuerSpec, rootSpec} from '../../src/lib/pki/certificate-specs.js'
import {issue} from '../../src/lib/pki/issue.js'
import {type CertificateFacts, readCertificates} from '../../src/lib/pki/read.js'
import type {Signer} from '../../src/lib/pki/signer.js'
import {symbolicSigner} from '../../src/lib/pki/symbolic.js'

export interface TestAuthority {
  readonly settings: Settings
  readonly signer: Signer
  readonly root: CertifiedKey
  readonly issuer: CertifiedKey
  readonly credentialIssuer: CertifiedKey
}

/** A root with both issuers, valid from 10 minutes before `now`. */
export function testAuthority(now: Date, seed = 'test', settings: Settings = defaultSettings): TestAuthority {
  const signer = symbolicSigner(seed)
  const root = issue(rootSpec(settings), undefined, now, signer)
  const issuer = issue(issuerSpec(settings), root, now, signer)
  const credentialIssuer = issue(credentialIssuerSpec(settings), root, now, signer)
  return {settings, signer, root, issuer, credentialIssuer}
}

/** The facts of the one certificate in a PEM text. */
export function readCertificate(pem: string): CertificateFacts {
  const [only, ...others] = readCertificates(pem)
  if (only === undefined || others.length > 0) throw new Error(`one certificate was expected; there are ${others.length + 1}`)
  return only
}
