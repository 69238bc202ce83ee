/** Which of the certificates that sign can do so now, and why one of them cannot. What is due is decided in reconcile.ts. */
import {type AuthorityPart, type CertifiedKey, authorityParts, hasKey} from '../model/authority.js'
import {type Fleet, faultOf, isBroken} from '../model/fleet.js'
import {OBSERVABILITY, objectNames} from '../model/names.js'
import {describeStage} from '../model/rotation.js'
import type {Settings} from '../model/settings.js'
import {type CertificateSpec, credentialSpec, identitySpec, issuerSpec} from '../pki/certificate-specs.js'
import {readCertificates, readKey} from '../pki/read.js'
import {whyNotIssuer} from '../pki/issue.js'
import {whyNotAdopted} from './goatlas/adopt.js'
import type {Clock} from './dependencies.js'
import {rootsOf} from './trust.js'

/** Why nothing is signed or written, even if it is due; undefined: certificates that are due are issued. */
export function whyUnsigned(fleet: Fleet): string | undefined {
  if (fleet.settings === undefined || isBroken(fleet, 'settings'))
    return 'the settings (ConfigMap atlas-fleet) are missing or broken: nothing is signed'
  // Without the root, one that a rotation has made takes its place.
  if (!fleet.authority.has('root') && !fleet.authority.has('nextRoot'))
    return `the root (Secret ${secretNames.root}) ${lackOf(fleet, 'root')}: nothing is issued on its own until it is restored, such as from a backup`
  return whyNotAdopted(fleet)
}

/** Why there is no certificate of a part; completes "the issuer (Secret atlas-issuer) …". */
function lackOf(fleet: Fleet, part: AuthorityPart): string {
  const fault = faultOf(fleet, 'authority', part)
  return fault === undefined ? 'is missing' : `cannot be read (${fault.source ?? fault.object}, ${fault.key}: ${fault.message})`
}

/** Whether a certificate that signs is stored without its key; undefined, a missing one, is not. */
export function isOffline(signer: CertifiedKey | undefined): boolean {
  return signer !== undefined && !hasKey(signer)
}

/** Whether the root in force is kept offline, so that Atlas can make no issuer. */
export function isRootOffline({authority}: Pick<Fleet, 'authority'>): boolean {
  return isOffline(authority.get('root'))
}

/** SHA-256 of the certificates of the roots, the next one too, whose keys are kept offline. */
export function offlineRootsOf({authority}: Pick<Fleet, 'authority'>): readonly string[] {
  const roots = [authority.get('root'), authority.get('nextRoot')]
  return roots.flatMap(root =>
    root !== undefined && isOffline(root) ? rootsOf(root).flatMap(pem => readCertificates(pem).map(({sha256}) => sha256)) : [],
  )
}

/** Why some or all certificates that are due are not issued, a sentence each; empty: every certificate that is due is issued. */
export function unsignedReasons(fleet: Fleet, {now, clockDoubt}: Clock): readonly string[] {
  const {settings, authority} = fleet
  // By a clock that is wrong a signing certificate has ended, or is not valid yet: that would be no reason of its own.
  const doubt = clockDoubt?.()
  if (doubt !== undefined) return [doubt]
  const why = whyUnsigned(fleet)
  if (why !== undefined || settings === undefined) return why === undefined ? [] : [why]
  return authorityParts.flatMap(part => {
    const signer = authority.get(part)
    if (isRootOffline(fleet) && part === 'root') return []
    if (isRootOffline(fleet) && signer === undefined && !isBroken(fleet, 'authority', part))
      return [`the ${partNames[part]} (Secret ${secretNames[part]}) is missing, and the key of the root is kept offline: ${remedies[part]}`]
    if (signer === undefined && isBroken(fleet, 'authority', part))
      return [`the ${partNames[part]} (Secret ${secretNames[part]}) ${lackOf(fleet, part)}: what is due is not issued; ${repairs[part]}`]
    const fault = signer && whyNotIssuer(signer, typicalSpec(settings, part), now())
    return fault === undefined
      ? []
      : [
          `the ${partNames[part]} (Secret ${secretNames[part]}) cannot sign: it ${fault}; what is due could not be issued${remedyOf(fleet, part, now())}`,
        ]
  })
}

/** What to do where the root's key is kept offline and the next issuer is needed. */
export const ASK_FOR_ISSUER = 'write a request for it with "atlas rotate --issuer --request DIR", and have the root sign it'

const remedies = {
  root: '',
  issuer: ASK_FOR_ISSUER,
  credentialIssuer: 'restore it from a backup, or replace the root: "atlas rotate --root"',
} as const satisfies Record<AuthorityPart, string>

/** What to do where a Secret is there and cannot be read. A new credential issuer would cut off every Envoy, so that nothing makes one in its place. */
export const repairs = {
  root: 'restore it from a backup',
  issuer: 'restore it from a backup, or delete it and run "atlas init" again, which makes another issuer',
  credentialIssuer: remedies.credentialIssuer,
} as const satisfies Record<AuthorityPart, string>

/** Of a certificate that has ended; any other that cannot sign is restored from a backup. */
function remedyOf(fleet: Fleet, part: AuthorityPart, now: Date): string {
  const {authority, rotation, offeredRoots} = fleet
  const key = authority.get(part)
  if (key === undefined || !hasEnded(key, now)) return ''
  if (rotation !== undefined) return `: "atlas rotate --status" shows what its replacement, ${describeStage(rotation)}, waits for`
  const root = authority.get('root')
  if (part === 'issuer' && isRootOffline(fleet)) return `: ${ASK_FOR_ISSUER}`
  if (part === 'issuer' && root !== undefined && !hasEnded(root, now))
    return ': the leader replaces it; "atlas rotate --issuer" does so at once'
  const [secret] = offeredRoots.keys()
  return secret === undefined
    ? ': "atlas rotate --root" makes another root, with all below it'
    : `: the root comes from Secret ${secret} (label goatlas.io/authority), renew it there`
}

function hasEnded(key: CertifiedKey, now: Date): boolean {
  try {
    return readKey(key).notAfter <= now
  } catch {
    return false
  }
}

/** Whether a warning, as the leader's Lease carries it, is one of `unsignedReasons`. */
export function isUnsignedReason(warning: string): boolean {
  return /^the (clock of this machine is |clock of this machine was |((credential )?issuer|root|settings) \((ConfigMap|Secret) )/.test(
    warning,
  )
}

/** Undefined for a certificate that is missing or cannot sign now: then nothing is signed with it, and what it signed before is left as it is. */
export function signerIn({authority}: Fleet, settings: Settings, part: AuthorityPart, now: Date): CertifiedKey | undefined {
  const signer = authority.get(part)
  return signer !== undefined && whyNotIssuer(signer, typicalSpec(settings, part), now) === undefined ? signer : undefined
}

/** For messages. */
export const partNames = {root: 'root', issuer: 'issuer', credentialIssuer: 'credential issuer'} as const satisfies Record<
  AuthorityPart,
  string
>

const secretNames = {
  root: objectNames.root,
  issuer: objectNames.issuer,
  credentialIssuer: objectNames.credentialIssuer,
} as const satisfies Record<AuthorityPart, string>

/** A certificate that asks of its issuer as much as any other does. */
function typicalSpec(settings: Settings, part: AuthorityPart): CertificateSpec {
  if (part === 'root') return issuerSpec(settings)
  return part === 'issuer' ? identitySpec(settings, OBSERVABILITY, 1) : credentialSpec(settings, OBSERVABILITY, 1)
}
