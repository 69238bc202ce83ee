/** A rotation whose record is lost, and one that has to begin again: what the signing certificates and the trust bundle show of it. */
import {type AuthorityPart, type CertifiedKey, type TrustBundle, bundleFields, hasKey, nextParts} from '../../model/authority.js'
import type {Change} from '../../model/change.js'
import type {Fleet} from '../../model/fleet.js'
import type {Rotation, RotationPart, RotationStage} from '../../model/rotation.js'
import {fingerprintsOf} from '../../pki/import-issuer.js'
import {isSameKey} from '../../pki/signed.js'
import {ownCertificate, rootsOf} from '../trust.js'
import {partsOf} from './unready.js'

/**
 * The rotation that the signing certificates and the trust bundle still show where its record is lost, or where an issuer was made again
 * by hand: it goes on at a stage whose end proves all that went before.
 */
export function leftover({authority, trust}: Fleet, now: Date): Rotation | undefined {
  if (trust === undefined) return undefined
  // One that is trusted nowhere has signed nothing: another writer may have put it there, and no rotation begins because of it.
  const isNextTrusted = (part: AuthorityPart): boolean => {
    const next = authority.get(nextParts[part])
    if (next === undefined || isPresent(part, next)) return false
    return trust[bundleFields[part]].some(certificate => isSameKey(certificate, ownCertificate(next)))
  }
  // A copy of a certificate in force, which is no secret, shows nothing.
  const isPresent = (part: AuthorityPart, next: CertifiedKey): boolean => {
    const present = authority.get(part)
    return present !== undefined && ownCertificate(present) === ownCertificate(next)
  }
  const at = now.toISOString()
  const rotation = (part: RotationPart, stage: RotationStage): Rotation => ({
    part,
    stage,
    startedAt: at,
    since: at,
    skipped: [],
    waitingFor: [],
    ...(stage === 'announce' && givenBefore(authority, trust, part)),
  })
  if (isNextTrusted('root') || isNextTrusted('credentialIssuer')) return rotation('root', 'announce')
  if (isNextTrusted('issuer')) return rotation('issuer', 'announce')
  const root = authority.get('root')
  if (root === undefined || !authority.has('issuer') || !authority.has('credentialIssuer')) return undefined
  // A credential issuer that was made again below the same root can stay: replacing what it signed would ask a person of each cluster.
  const hasFormerRoot = trust.roots.some(certificate => !rootsOf(root).includes(certificate))
  if (hasFormerRoot && trust.credentialIssuers.length > 1) return rotation('root', 'credentials')
  return trust.issuers.length > 1 ? rotation('issuer', 'leaves') : undefined
}

/** Next certificates that no leader can have made, since the key of their root is not here: those that were announced already are given ones. */
function givenBefore(authority: Fleet['authority'], trust: TrustBundle, part: RotationPart): Pick<Rotation, 'given'> {
  const root = authority.get(part === 'root' ? 'nextRoot' : 'root')
  if (root === undefined || hasKey(root)) return {}
  const announced = partsOf(part).filter(each => {
    const next = authority.get(nextParts[each])
    return next !== undefined && trust[bundleFields[each]].includes(ownCertificate(next))
  })
  return {given: fingerprintsOf(Object.fromEntries(announced.map(each => [each, authority.get(nextParts[each])])), announced)}
}

/**
 * Where one that signs was made again, or put back, while others retire: what it has replaced is in use still, so that another rotation
 * begins, at a stage that announces it first.
 */
export function planReopening({rotation, authority, trust}: Fleet, now: Date): readonly Change[] {
  if (rotation?.stage !== 'retire' || trust === undefined) return []
  const {root, issuer, credentialIssuer} = Object.fromEntries(authority) as Partial<Record<AuthorityPart, CertifiedKey>>
  const isKnown =
    (issuer === undefined || trust.issuers.some(certificate => isSameKey(certificate, ownCertificate(issuer)))) &&
    (rotation.part === 'issuer' ||
      ((credentialIssuer === undefined || trust.credentialIssuers.includes(ownCertificate(credentialIssuer))) &&
        (root === undefined || rootsOf(root).every(certificate => trust.roots.includes(certificate)))))
  const stage = rotation.part === 'root' ? 'credentials' : 'announce'
  const at = now.toISOString()
  return isKnown ? [] : [{kind: 'rotation', value: {...rotation, stage, startedAt: at, since: at, waitingFor: []}}]
}
