/** The one judgement on a certificate, which issue, rotate, status and check share: what is, against what is wanted. */
import type {CertifiedKey, Credential} from '../model/authority.js'
import {AtlasError, quote} from '../model/errors.js'
import type {CertificateSpec} from './certificate-specs.js'
import {CLOCK_SKEW, renewAt} from './rotation.js'
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

/** Why a certificate is not as it should be. */
export interface Reason {
  readonly reason: ReasonCode
  /** A sentence without its full stop; never key material. */
  readonly message: string
}

/** What was found in the certificate's place. */
export type Found = SignedFacts | {readonly undecodable: string} | undefined

/** Why a certificate is to be replaced, the gravest first; empty: it is as wanted. */
export function judge(found: Found, wanted: CertificateSpec, now: Date): readonly Reason[] {
  if (found === undefined) return [{reason: 'missing', message: `${wanted.name} is missing`}]
  if ('undecodable' in found) return [{reason: 'undecodable', message: `${wanted.name} does not decode: ${found.undecodable}`}]
  return [
    ...judgeKeyPair(found, wanted),
    ...judgeIssuer(found, wanted),
    ...judgeNames(found, wanted),
    ...judgeUsage(found, wanted),
    ...judgeTime(found, wanted, now),
  ]
}

/**
 * As `judge`, of what is stored.
 * @param issuers PEM of those in force, one each; a root is judged without
 * @throws AtlasError `invalid` where an issuer in force does not decode
 */
export function judgeKey(key: CertifiedKey | undefined, wanted: CertificateSpec, issuers: readonly string[], now: Date): readonly Reason[] {
  return judge(find(key, wanted, issuers), wanted, now)
}

/**
 * As `judgeKey`, of an ADS credential together with the roots that it carries. They are judged by whether they anchor the
 * credential's own chain: whether they are the newest ones is a question of the stage of a rotation.
 * @param issuers PEM of the credential issuers in force, one each
 * @throws AtlasError `invalid` where one of them does not decode
 */
export function judgeCredential(
  credential: Credential | undefined,
  wanted: CertificateSpec,
  issuers: readonly string[],
  now: Date,
): readonly Reason[] {
  const found = find(credential, wanted, issuers)
  const reasons = judge(found, wanted, now)
  if (credential === undefined || found === undefined || 'undecodable' in found || found.signedBy === undefined) return reasons
  try {
    if (rootsSigned(credential.roots, found.signedBy, issuers)) return reasons
    return [{reason: 'wrong-roots', message: `none of the roots in ${wanted.name} signed its issuer`}, ...reasons]
  } catch (error) {
    return [{reason: 'undecodable', message: `the roots in ${wanted.name} do not decode: ${textOf(error)}`}, ...reasons]
  }
}

function find(key: CertifiedKey | undefined, wanted: CertificateSpec, issuers: readonly string[]): Found {
  if (key === undefined) return undefined
  // Outside of the attempt: a broken issuer is no reason to replace what it signed.
  anchorsOf(issuers)
  try {
    return readCertifiedKey(key, issuers, wanted.name)
  } catch (error) {
    return {undecodable: textOf(error)}
  }
}

/** Only the room's own errors are known to carry no key material. */
function textOf(error: unknown): string {
  if (error instanceof AtlasError) return error.message
  throw error
}

function judgeKeyPair(found: SignedFacts, wanted: CertificateSpec): readonly Reason[] {
  return found.keyMatches ? [] : [{reason: 'key-mismatch', message: `the private key of ${wanted.name} is not its certificate's`}]
}

function judgeIssuer(found: SignedFacts, wanted: CertificateSpec): readonly Reason[] {
  if (wanted.ca?.isRoot === true) return []
  const {signedBy} = found
  if (signedBy === undefined)
    return [{reason: 'wrong-issuer', message: `${wanted.name} was signed by ${quote(found.issuer)}, none of the issuers in force`}]
  const needsChain = wanted.ca === undefined && signedBy.subject !== signedBy.issuer
  if (!needsChain || found.chain[0] === signedBy.sha256) return []
  return [{reason: 'wrong-issuer', message: `${wanted.name} does not carry its issuer behind its own certificate`}]
}

function judgeNames(found: SignedFacts, wanted: CertificateSpec): readonly Reason[] {
  if (wanted.ca !== undefined) return []
  const [names, expected] = [
    [...found.uris, ...found.dns, ...found.otherNames],
    [...wanted.uris, ...wanted.dns],
  ]
  if (sameSet(found.uris, wanted.uris) && sameSet(found.dns, wanted.dns) && found.otherNames.length === 0) return []
  return [{reason: 'wrong-name', message: `${wanted.name} must be named ${list(expected)}; it is named ${list(names)}`}]
}

function judgeUsage(found: SignedFacts, wanted: CertificateSpec): readonly Reason[] {
  const faults = wanted.ca === undefined ? leafFaults(found, wanted) : authorityFaults(found, wanted, wanted.ca)
  return faults.map(fault => ({reason: 'wrong-usage', message: `${wanted.name} ${fault}`}))
}

function leafFaults(found: SignedFacts, wanted: CertificateSpec): readonly string[] {
  const faults: string[] = []
  if (found.isCa) faults.push('must not be able to sign certificates')
  if (found.keyUsages?.includes('digitalSignature') === false) faults.push('must have the key usage digitalSignature')
  if (!sameSet(found.purposes ?? [], wanted.purposes))
    faults.push(`must be for the purposes ${list(wanted.purposes)}; it is for ${list(found.purposes ?? [])}`)
  return faults
}

/** An adopted root may allow more than our own does, never less. */
function authorityFaults(found: SignedFacts, wanted: CertificateSpec, ca: NonNullable<CertificateSpec['ca']>): readonly string[] {
  const faults: string[] = []
  if (!found.isCa) faults.push('must be able to sign certificates')
  if (found.keyUsages?.includes('keyCertSign') === false) faults.push('must have the key usage keyCertSign')
  if (found.pathLength !== undefined && found.pathLength < ca.pathLength)
    faults.push(`must have a path length of at least ${ca.pathLength}; it has ${found.pathLength}`)
  const lacking = wanted.purposes.filter(purpose => found.purposes?.includes(purpose) === false)
  if (lacking.length > 0) faults.push(`must be for the purposes ${list(wanted.purposes)}; it lacks ${list(lacking)}`)
  return faults
}

function judgeTime(found: SignedFacts, wanted: CertificateSpec, now: Date): readonly Reason[] {
  const end = found.signedBy !== undefined && found.signedBy.notAfter < found.notAfter ? found.signedBy.notAfter : found.notAfter
  if (end <= now) return [{reason: 'expired', message: `${wanted.name} ended on ${end.toISOString()}`}]
  if (found.notBefore.getTime() > now.getTime() + CLOCK_SKEW * 1000)
    return [{reason: 'not-yet-valid', message: `${wanted.name} is valid from ${found.notBefore.toISOString()} only`}]
  if (renewAt(found, wanted) > now) return []
  return [{reason: 'near-expiry', message: `${wanted.name} ends on ${end.toISOString()} and is due to be replaced`}]
}

function sameSet(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && new Set(a).size === a.length && a.every(each => b.includes(each))
}

/** Quoted and bounded, since certificates may come from strangers. */
function list(names: readonly string[]): string {
  if (names.length === 0) return 'nothing'
  const shown = names.slice(0, 5).map(name => quote(name))
  return names.length > 5 ? `${shown.join(', ')} and ${names.length - 5} more` : shown.join(', ')
}
