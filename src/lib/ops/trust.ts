/** The trust bundle that follows from the certificates that sign. Only the last stage of a rotation takes a certificate from it. */
import {type AuthorityPart, type CertifiedKey, type TrustBundle, hasKey, nextParts} from '../model/authority.js'
import type {Change} from '../model/change.js'
import type {Fleet} from '../model/fleet.js'
import {remember} from '../model/remember.js'
import {rootsIn} from '../pki/goatlas-root.js'
import {parseCertificates, parseLeaf, renderCertificates} from '../pki/pem.js'
import {readKey} from '../pki/read.js'
import {belongsTo, isSameKey, readCertifiedKey} from '../pki/signed.js'
import {sameValue} from './commit.js'

/**
 * The bundle in the store, with the root and the issuers that sign now and those that are to sign next. In the last stage of a rotation
 * those that sign now alone: what they have replaced retires. Undefined before the issuers are signed: there is nothing to trust
 * then, and an empty bundle could not be read again.
 * @throws AtlasError `invalid` where a signing certificate does not decode
 */
export function wantedTrust(fleet: Fleet): TrustBundle | undefined {
  const {authority, trust, rotation} = fleet
  // What lies there for a rotation that has not begun, for one of other certificates, or of another root is trusted nowhere.
  const next = (part: AuthorityPart): CertifiedKey | undefined => {
    const key = rotation !== undefined && (rotation.part === 'root' || part === 'issuer') ? authority.get(nextParts[part]) : undefined
    return key !== undefined && isFollowing(fleet, part, key) ? key : undefined
  }
  const signing = (part: AuthorityPart): readonly CertifiedKey[] => [authority.get(part), next(part)].filter(key => key !== undefined)
  const present = {
    roots: signing('root').flatMap(key => rootsOf(key)),
    issuers: signing('issuer').map(key => ownCertificate(key)),
    credentialIssuers: signing('credentialIssuer').map(key => ownCertificate(key)),
  }
  const isComplete = Object.values(present).every(certificates => certificates.length > 0)
  const retires = rotation?.stage === 'retire' && isComplete ? rotation.part : undefined
  if (retires === 'root') return present
  const issuers = retires === 'issuer' ? present.issuers : including(withoutFormer(trust?.issuers, present.issuers), present.issuers)
  const credentialIssuers = including(trust?.credentialIssuers, present.credentialIssuers)
  if (issuers.length === 0 || credentialIssuers.length === 0) return undefined
  return {roots: including(trust?.roots, present.roots), issuers, credentialIssuers}
}

/** The change that makes the bundle as it should be. @throws AtlasError as `wantedTrust` */
export function planTrust(fleet: Fleet): readonly Change[] {
  const value = wantedTrust(fleet)
  return value === undefined || sameValue(fleet.trust, value) ? [] : [{kind: 'trust', value}]
}

/**
 * With an issuer that was issued again for its own key in the place of the former certificate: where the two stood side by side, Envoy might
 * take the one that ends first.
 */
function withoutFormer(bundle: readonly string[] = [], certificates: readonly string[]): readonly string[] {
  const again = certificates.filter(certificate => !bundle.includes(certificate))
  if (again.length === 0) return bundle
  return bundle.map(each => again.find(certificate => isSameKey(certificate, each)) ?? each)
}

function including(bundle: readonly string[] = [], certificates: readonly string[]): readonly string[] {
  const missing = certificates.filter(certificate => !bundle.includes(certificate))
  return missing.length === 0 ? bundle : [...bundle, ...missing]
}

/** An issuer's own certificate alone: any other certificate in its file must not become trusted. Each pass asks for each few owners. */
export const ownCertificate = remember(({certificate}: CertifiedKey) => renderCertificates(parseCertificates(certificate).slice(0, 1)))
/** A root's own certificates, PEM, one each. */
export const rootsOf = remember((root: CertifiedKey) => rootsIn(root))

/** Whether an issuer stands below a root. Each pass asks for the same few. */
export const isBelow = remember((issuer: CertifiedKey, root: CertifiedKey): boolean => {
  const {leaf} = parseLeaf(issuer.certificate)
  return rootsOf(root).some(pem => parseCertificates(pem).some(each => belongsTo(leaf, each)))
})

/** The root below which the rotation that is under way leaves the installation: for one of the issuer, a next root in its Secret is not it. */
export function rootAfter({authority, rotation}: Pick<Fleet, 'authority' | 'rotation'>): CertifiedKey | undefined {
  const [present, next] = [authority.get('root'), authority.get('nextRoot')]
  const following = next !== undefined && isFollowing({authority, rotation}, 'root', next) ? next : undefined
  return rotation?.part === 'root' ? (following ?? present) : (present ?? next)
}

/**
 * Whether a certificate that lies where the next ones do is one of the rotation that is under way: the one from outside that it began with, or
 * one that a leader has made. Who may create Secrets can lay another one there.
 */
export function isFollowing(fleet: Pick<Fleet, 'authority' | 'rotation'>, part: AuthorityPart, key: CertifiedKey): boolean {
  const given = fleet.rotation?.given?.[part]
  if (given !== undefined) return readKey(key).sha256 === given
  if (part === 'root') return hasKey(key)
  const root = rootAfter(fleet)
  return root !== undefined && readCertifiedKey(key, rootsOf(root)).signedBy !== undefined
}
