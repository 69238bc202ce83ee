/** Certificates that no port should admit: each says all that a rightful client's says, but for one fault. */
import type {CertifiedKey} from '../../src/lib/model/authority.js'
import {assembleCertificate, assembleName} from '../../src/lib/pki/assemble.js'
import {type CertificateSpec, extensionsFor} from '../../src/lib/pki/certificate-specs.js'
import {readFields} from '../../src/lib/pki/fields.js'
import {parseCertificates, renderDer} from '../../src/lib/pki/pem.js'
import {cryptoSigner} from '../../src/lib/pki/signer.js'

interface Fault {
  /** Whose key signs; absent: the issuer's own. */
  readonly signedBy?: CertifiedKey['key']
  /** Hours from now. */
  readonly from?: number
  readonly to?: number
}

/** A certificate by `spec`, made without the checks of production: with the issuer's key an attacker is not bound to them. */
export function fabricate(
  spec: CertificateSpec,
  issuer: CertifiedKey,
  {signedBy = issuer.key, from = -1, to = 1}: Fault = {},
): CertifiedKey {
  const [authority] = parseCertificates(issuer.certificate)
  if (authority === undefined) throw new Error('the issuer has no certificate')
  const {subject, subjectKeyId} = readFields(authority.raw)
  const {key, spki} = cryptoSigner.generateKey()
  const parts = {
    ...({serial: cryptoSigner.serial(), algorithm: 'ecdsa', issuer: subject, subject: assembleName(spec.commonName), spki} as const),
    ...{notBefore: hoursFromNow(from), notAfter: hoursFromNow(to), authorityKeyId: subjectKeyId},
    ...extensionsFor(spec),
  }
  const der = assembleCertificate(parts, data => cryptoSigner.sign(signedBy, data))
  return {certificate: renderDer(der) + issuer.certificate, key}
}

function hoursFromNow(hours: number): Date {
  return new Date(Math.floor(Date.now() / 1000) * 1000 + hours * 3_600_000)
}
