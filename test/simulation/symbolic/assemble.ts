/** In place of src/lib/pki/assemble.ts: a certificate that states its parts in plain text (hook.mjs). */
import {createHash} from 'node:crypto'
import type {CertificateParts} from '../../../src/lib/pki/assemble.js'
import {renderSigned} from './certificate.js'

/** As that of production. */
export function assembleCertificate(parts: CertificateParts, sign: (data: Uint8Array) => Uint8Array): Uint8Array {
  return renderSigned(
    {
      serial: parts.serial,
      issuer: textOf(parts.issuer),
      subject: textOf(parts.subject),
      notBefore: parts.notBefore.getTime(),
      notAfter: parts.notAfter.getTime(),
      publicKey: textOf(parts.spki),
      subjectKeyId: parts.subjectKeyId ?? keyIdOf(parts.spki),
      ...(parts.authorityKeyId !== undefined && {authorityKeyId: parts.authorityKeyId}),
      ...(parts.ca !== undefined && {pathLength: parts.ca.pathLength}),
      keyUsages: parts.keyUsages,
      purposes: parts.purposes,
      uris: parts.uris,
      dns: parts.dns,
    },
    sign,
  )
}

/** As that of production. */
export function assembleName(commonName: string): Uint8Array {
  return Buffer.from(`CN=${commonName}`)
}

/** As that of production. */
export function keyIdOf(spki: Uint8Array): string {
  return createHash('sha256').update(spki).digest('hex').slice(0, 40)
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString()
}
