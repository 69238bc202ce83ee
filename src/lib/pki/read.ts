/** Reads certificates into plain facts. Whether they are as they should be is judged in judge.ts. */
import {type KeyObject, type X509Certificate, createHash} from 'node:crypto'
import {type CertifiedKey, type Credential, type CredentialRecord, hasKey} from '../model/authority.js'
import {AtlasError} from '../model/errors.js'
import {remember} from '../model/remember.js'
import {readAlternativeNames} from './alternative-names.js'
import {type KeyUsage, fieldOf, readFields} from './fields.js'
import type {Purpose} from './certificate-specs.js'
import {requireUsableKey} from './key-kinds.js'
import {parseCertificates, parseLeaf, parsePrivateKey} from './pem.js'

export interface CertificateFacts {
  /** For people: `CN=paris, O=Atlas`. */
  readonly subject: string
  readonly issuer: string
  /** Lower-case hex. */
  readonly serial: string
  readonly notBefore: Date
  readonly notAfter: Date
  readonly uris: readonly string[]
  readonly dns: readonly string[]
  /** Alternative names of all other kinds, as OpenSSL prints them. */
  readonly otherNames: readonly string[]
  readonly isCa: boolean
  /** Undefined: no limit. */
  readonly pathLength: number | undefined
  /** Undefined: any. */
  readonly keyUsages: readonly KeyUsage[] | undefined
  /** Extended key usages; those other than client and server as object identifiers. Undefined: any. */
  readonly purposes: readonly (Purpose | (string & {}))[] | undefined
  /** SHA-256 of the DER, lower-case hex, as in XFCC's `Hash`. */
  readonly sha256: string
  readonly subjectKeyId: string | undefined
  readonly authorityKeyId: string | undefined
}

/** A certificate with its key. */
export interface KeyFacts extends CertificateFacts {
  /** False for a root whose key is kept offline. */
  readonly hasKey: boolean
  /** Whether there is a private key, and it is the certificate's. */
  readonly keyMatches: boolean
  /** The certificates behind the first, by their `sha256`. */
  readonly chain: readonly string[]
}

/**
 * The facts of every certificate of a PEM bundle.
 * @throws AtlasError `invalid`
 */
export function readCertificates(pem: string, what?: string): readonly CertificateFacts[] {
  return parseCertificates(pem, what).map(certificate => factsOf(certificate, what))
}

/**
 * The facts of a certificate and its key. Remembered with the object, so that asking again costs nothing.
 * @throws AtlasError `invalid` where either does not decode
 */
export function readKey(key: CertifiedKey, what = 'the certificate'): KeyFacts {
  const known = keys.get(key)
  if (known !== undefined) return known
  const {leaf, chain} = parseLeaf(key.certificate, what)
  const isHere = hasKey(key)
  const keyMatches = isHere && matches(leaf, parsePrivateKey(key.key, `the private key of ${what}`))
  const facts = {...factsOf(leaf, what), hasKey: isHere, keyMatches, chain}
  keys.set(key, facts)
  return facts
}

/** The entry of an issued credential in its owner's record, as valid. Each pass asks for that of every owner. @throws AtlasError `invalid` */
export const recordOfCredential = remember((credential: Credential): CredentialRecord => {
  const {sha256: fingerprint, serial, notBefore, notAfter} = readKey(credential, 'the ADS credential')
  return {
    sha256: fingerprint,
    serial,
    notBefore: notBefore.toISOString(),
    notAfter: notAfter.toISOString(),
    rootsDigest: rootsDigestOf(credential.roots),
    state: 'valid',
  }
})

/** By which a record tells the roots that a credential carries. @param roots PEM, together */
export function rootsDigestOf(roots: string): string {
  return sha256(roots)
}

/** The facts of a certificate that is decoded already. @throws AtlasError `invalid`, also where its key is of a kind that is not used here */
export function factsOf(certificate: X509Certificate, what = 'the certificate'): CertificateFacts {
  const field = <Field extends keyof X509Certificate>(name: Field): X509Certificate[Field] => fieldOf(certificate, name, what)
  const [notBefore, notAfter, raw] = [field('validFromDate'), field('validToDate'), field('raw')]
  if (Number.isNaN(notBefore.getTime()) || Number.isNaN(notAfter.getTime()))
    throw new AtlasError('invalid', `${what} must have dates that decode; they do not`)
  requireUsableKey(field('publicKey'), what)
  const {pathLength, keyUsages, subjectKeyId, authorityKeyId} = readFields(raw)
  return {
    subject: oneLine(field('subject')),
    issuer: oneLine(field('issuer')),
    serial: field('serialNumber').toLowerCase(),
    notBefore,
    notAfter,
    ...readAlternativeNames(field('subjectAltName'), what),
    isCa: field('ca'),
    pathLength,
    keyUsages,
    purposes: purposesOf(field('keyUsage')),
    sha256: sha256(raw),
    subjectKeyId,
    authorityKeyId,
  }
}

/** By the key alone, not by `remember`: the name that a caller gives it for messages is no part of the facts. */
const keys = new WeakMap<CertifiedKey, KeyFacts>()

const PURPOSES: ReadonlyMap<string, Purpose> = new Map([
  ['1.3.6.1.5.5.7.3.1', 'server'],
  ['1.3.6.1.5.5.7.3.2', 'client'],
])

function matches(certificate: X509Certificate, key: KeyObject): boolean {
  try {
    return certificate.checkPrivateKey(key)
  } catch {
    return false
  }
}

/** @types/node declares the usages as always present; without the extension node:crypto gives undefined. */
function purposesOf(usages: readonly string[] | undefined): CertificateFacts['purposes'] {
  return usages?.map(oid => PURPOSES.get(oid) ?? oid)
}

function oneLine(name: string | undefined): string {
  return (name ?? '').split('\n').join(', ')
}

function sha256(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex')
}
