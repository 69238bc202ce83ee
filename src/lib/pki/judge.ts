/** Compares a certificate with its spec: why, and from when on, it is to be replaced. Replacing it is the caller's. */
import type {CertifiedKey, Credential} from '../model/authority.js'
import {AtlasError, quote} from '../model/errors.js'
import {withMore} from '../model/listing.js'
import type {CertificateSpec} from './certificate-specs.js'
import {CLOCK_SKEW, endOf, renewAt} from './rotation.js'
import {type SignedFacts, anchorsOf, readCertifiedKey, rootsSigned} from './signed.js'

export type ReasonCode =
  | 'expired'
  | 'key-mismatch'
  | 'missing'
  | 'near-expiry'
  | 'not-yet-valid'
  | 'undecodable'
  | 'wrong-issuer'
  | 'wrong-name'
  | 'wrong-roots'
  | 'wrong-usage'

/** Whether only time has brought the reason about. */
export function isAge(reason: ReasonCode): boolean {
  return reason === 'expired' || reason === 'near-expiry' || reason === 'not-yet-valid'
}

/** One reason to replace a certificate. */
export interface Reason {
  readonly reason: ReasonCode
  /** A sentence without its full stop; never key material. */
  readonly message: string
}

/** A certificate that was looked for: its facts, why it does not decode, or undefined where there is none. */
export type Found = SignedFacts | {readonly undecodable: string} | undefined

/** Why a certificate is to be replaced, the gravest reason first; empty: it is as it should be. */
export function judge(found: Found, spec: CertificateSpec, now: Date): readonly Reason[] {
  if (found === undefined) return [{reason: 'missing', message: `${spec.name} is missing`}]
  if ('undecodable' in found) return [{reason: 'undecodable', message: `${spec.name} does not decode: ${found.undecodable}`}]
  return [
    ...judgeKeyPair(found, spec),
    ...judgeIssuer(found, spec),
    ...judgeNames(found, spec),
    ...judgeUsage(found, spec),
    ...judgeTime(found, spec, now),
  ]
}

/**
 * As `judge`, of what is stored. The roots of a credential must anchor its own chain; whether they are the newest ones is not judged.
 * @param issuers PEM of those in force, one each; a root is judged without
 * @throws AtlasError `invalid` where an issuer in force does not decode
 */
export function judgeKey(
  key: CertifiedKey | Credential | undefined,
  spec: CertificateSpec,
  issuers: readonly string[],
  now: Date,
): readonly Reason[] {
  const found = find(key, spec, issuers)
  return [...judgeRoots(key, found, spec, issuers), ...judge(found, spec, now)]
}

/** From `from` until just before `until`; milliseconds since 1970. */
export interface Span {
  readonly from: number
  readonly until: number
}

/** No time at all is outside it. */
export const always: Span = {from: -Infinity, until: Infinity}

/**
 * While a certificate's age is no reason for `judgeKey`: before this span it is not valid yet, after it it is due. All the time for a
 * certificate that is missing or does not decode: that is a reason already, and time changes nothing about it.
 * @throws AtlasError `invalid` where an issuer in force does not decode
 */
export function settledSpan(key: CertifiedKey | undefined, spec: CertificateSpec, issuers: readonly string[]): Span {
  const found = find(key, spec, issuers)
  if (found === undefined || 'undecodable' in found) return always
  return {from: validFrom(found), until: renewAt(found, spec).getTime()}
}

function judgeRoots(
  key: CertifiedKey | Credential | undefined,
  found: Found,
  spec: CertificateSpec,
  issuers: readonly string[],
): readonly Reason[] {
  if (key === undefined || !('roots' in key) || found === undefined || 'undecodable' in found || found.signedBy === undefined) return []
  try {
    if (rootsSigned(key.roots, found.signedBy, issuers)) return []
    return [{reason: 'wrong-roots', message: `none of the roots in ${spec.name} signed its issuer`}]
  } catch (error) {
    return [{reason: 'undecodable', message: `the roots in ${spec.name} do not decode: ${textOf(error)}`}]
  }
}

function find(key: CertifiedKey | undefined, spec: CertificateSpec, issuers: readonly string[]): Found {
  if (key === undefined) return undefined
  // Not within `try`: a broken issuer is no reason to replace what it signed.
  anchorsOf(issuers)
  try {
    return readCertifiedKey(key, issuers, spec.name)
  } catch (error) {
    return {undecodable: textOf(error)}
  }
}

/** The message of an AtlasError, which never holds a part of a key; any other error may, and is thrown on. */
function textOf(error: unknown): string {
  if (error instanceof AtlasError) return error.message
  throw error
}

function judgeKeyPair(found: SignedFacts, spec: CertificateSpec): readonly Reason[] {
  return found.keyMatches ? [] : [{reason: 'key-mismatch', message: `the private key of ${spec.name} is not its certificate's`}]
}

function judgeIssuer(found: SignedFacts, spec: CertificateSpec): readonly Reason[] {
  if (spec.ca?.isRoot === true) return []
  const {signedBy} = found
  if (signedBy === undefined)
    return [{reason: 'wrong-issuer', message: `${spec.name} was signed by ${quote(found.issuer)}, none of the issuers in force`}]
  const needsChain = spec.ca === undefined && signedBy.subject !== signedBy.issuer
  if (!needsChain || found.carriesSigner) return []
  return [{reason: 'wrong-issuer', message: `${spec.name} does not carry its issuer behind its own certificate`}]
}

function judgeNames(found: SignedFacts, spec: CertificateSpec): readonly Reason[] {
  if (spec.ca !== undefined) return []
  const [names, expected] = [
    [...found.uris, ...found.dns, ...found.otherNames],
    [...spec.uris, ...spec.dns],
  ]
  if (sameSet(found.uris, spec.uris) && isSameList(found.dns, spec.dns) && found.otherNames.length === 0) return []
  return [{reason: 'wrong-name', message: `${spec.name} must be named ${list(expected)}; it is named ${list(names)}`}]
}

function judgeUsage(found: SignedFacts, spec: CertificateSpec): readonly Reason[] {
  const faults = spec.ca === undefined ? leafFaults(found, spec) : authorityFaults(found, spec, spec.ca)
  return faults.map(fault => ({reason: 'wrong-usage', message: `${spec.name} ${fault}`}))
}

function leafFaults(found: SignedFacts, spec: CertificateSpec): readonly string[] {
  const faults: string[] = []
  if (found.isCa) faults.push('must not be able to sign certificates')
  if (found.keyUsages?.includes('digitalSignature') === false) faults.push('must have the key usage digitalSignature')
  if (!sameSet(found.purposes ?? [], spec.purposes))
    faults.push(`must be for the purposes ${list(spec.purposes)}; it is for ${list(found.purposes ?? [])}`)
  return faults
}

/** A root that was adopted may allow more than the spec, never less. */
function authorityFaults(found: SignedFacts, spec: CertificateSpec, ca: NonNullable<CertificateSpec['ca']>): readonly string[] {
  const faults: string[] = []
  if (!found.isCa) faults.push('must be able to sign certificates')
  if (found.keyUsages?.includes('keyCertSign') === false) faults.push('must have the key usage keyCertSign')
  if (found.pathLength !== undefined && found.pathLength < ca.pathLength)
    faults.push(`must have a path length of at least ${ca.pathLength}; it has ${found.pathLength}`)
  const missing = spec.purposes.filter(purpose => found.purposes?.includes(purpose) === false)
  if (missing.length > 0) faults.push(`must be for the purposes ${list(spec.purposes)}; it lacks ${list(missing)}`)
  return faults
}

function judgeTime(found: SignedFacts, spec: CertificateSpec, now: Date): readonly Reason[] {
  const end = endOf(found)
  if (end <= now) return [{reason: 'expired', message: `${spec.name} ended on ${end.toISOString()}`}]
  if (validFrom(found) > now.getTime())
    return [{reason: 'not-yet-valid', message: `${spec.name} is valid from ${found.notBefore.toISOString()} only`}]
  if (renewAt(found, spec) > now) return []
  return [{reason: 'near-expiry', message: `${spec.name} ends on ${end.toISOString()} and is due to be replaced`}]
}

/** From when on a clock that is a little late may accept it; milliseconds since 1970. */
function validFrom({notBefore}: SignedFacts): number {
  return notBefore.getTime() - CLOCK_SKEW * 1000
}

function isSameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((each, index) => each === b[index])
}

function sameSet(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && new Set(a).size === a.length && a.every(each => b.includes(each))
}

/** Quoted and at most five: a certificate from outside may carry any number of names. */
function list(names: readonly string[]): string {
  if (names.length === 0) return 'nothing'
  return withMore(
    names.slice(0, 5).map(name => quote(name)),
    names.length - 5,
  )
}
