/** In place of src/lib/pki/fields.ts: reads what a symbolic certificate states (hook.mjs). */
import type {CertificateFields, KeyUsage} from '../../../src/lib/pki/fields.js'
import {type X509Certificate, readSigned} from './certificate.js'

/** As that of production: a symbolic certificate decodes as a whole. */
export function fieldOf<Field extends keyof X509Certificate>(certificate: X509Certificate, field: Field): X509Certificate[Field] {
  return certificate[field]
}

/** As that of production. */
export function publicKeyOf(certificate: X509Certificate): Uint8Array {
  return Buffer.from(certificate.publicKey.label)
}

/** As that of production. */
export function readFields(raw: Uint8Array): CertificateFields {
  const {subject, pathLength, keyUsages, subjectKeyId, authorityKeyId} = readSigned(raw).statement
  const read = {subject: Buffer.from(subject), pathLength, keyUsages: keyUsages as KeyUsage[], subjectKeyId, authorityKeyId}
  return {...read, nameConstraints: undefined, unknownCritical: [], isWeaklySigned: false}
}
