/** Which of the certificates that sign can do so now, and why one of them cannot. What is due is decided in reconcile.ts. */
import {type AuthorityPart, type CertifiedKey, authorityParts} from '../model/authority.js'
import {type Fleet, isBroken} from '../model/fleet.js'
import {OBSERVABILITY, objectNames} from '../model/names.js'
import type {Settings} from '../model/settings.js'
import {type CertificateSpec, credentialSpec, identitySpec, issuerSpec} from '../pki/certificate-specs.js'
import {whyNotIssuer} from '../pki/issue.js'
import {whyNotAdopted} from './goatlas/adopt.js'
import type {Clock} from './dependencies.js'

/** Why nothing is signed or written, even if it is due; undefined: certificates that are due are issued. */
export function whyUnsigned(fleet: Fleet): string | undefined {
  if (fleet.settings === undefined || isBroken(fleet, 'settings'))
    return 'the settings (ConfigMap atlas-fleet) are missing or broken: nothing is signed'
  if (!fleet.authority.has('root')) return 'the root (Secret atlas-ca) is missing or broken: nothing can be signed'
  return whyNotAdopted(fleet)
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
    const fault = signer && whyNotIssuer(signer, typicalSpec(settings, part), now())
    return fault === undefined
      ? []
      : [`the ${partNames[part]} (Secret ${secretNames[part]}) cannot sign: it ${fault}; what is due could not be issued`]
  })
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
