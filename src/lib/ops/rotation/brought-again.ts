/**
 * An issuer that comes to be due while a rotation of the root waits for hands, below a root whose key is kept offline: no rotation of the issuer
 * can begin then, and no leader can issue it again (issued-again.ts). A person has that root issue it again for its own key, so that nothing is
 * announced and no leaf is replaced. The key stays in its Secret.
 */
import {type CertifiedKey, nextParts} from '../../model/authority.js'
import {type Change, reduceAll} from '../../model/change.js'
import {AtlasError} from '../../model/errors.js'
import type {Fleet} from '../../model/fleet.js'
import {objectNames} from '../../model/names.js'
import type {Rotation} from '../../model/rotation.js'
import type {Settings} from '../../model/settings.js'
import {type Outside, importAgain} from '../../pki/import-issuer.js'
import {readCertificates, readKey} from '../../pki/read.js'
import {isSameKey} from '../../pki/signed.js'
import type {StateStore} from '../../store/store.js'
import type {CommitOptions, Committed} from '../commit.js'
import type {OpsDependencies} from '../dependencies.js'
import {changeInstallation, readableSettings} from '../installation.js'
import {isOffline} from '../signing.js'
import {isBelow, isFollowing, ownCertificate, planTrust, rootAfter} from '../trust.js'

/** An issuer that only a person can have issued again. */
export interface BoundIssuer {
  readonly part: 'issuer' | 'nextIssuer'
  readonly present: CertifiedKey
  /** The root that signed it. */
  readonly root: CertifiedKey
}

/** What a command reads in Kubernetes to find them. */
export const boundSecrets: readonly string[] = (['root', 'nextRoot', 'issuer', 'nextIssuer'] as const).map(part => objectNames[part])

/** The issuers that stay while a rotation of the root waits, and whose root has its key elsewhere; empty: there is no such rotation. */
export function boundIssuers(fleet: Fleet): readonly BoundIssuer[] {
  const {authority, rotation} = fleet
  if (rotation?.part !== 'root') return []
  const hasFollowed = rotation.stage === 'leaves' || rotation.stage === 'retire'
  const bound = (part: BoundIssuer['part'], root: CertifiedKey | undefined): readonly BoundIssuer[] => {
    const present = authority.get(part)
    if (present === undefined || root === undefined || !isOffline(root)) return []
    // An issuer that is the root itself (path length 0) is an anchor of bootstraps by this very certificate.
    return present.certificate === root.certificate || !isBelow(present, root) ? [] : [{part, present, root}]
  }

  const next = authority.get(nextParts.issuer)
  return [
    ...bound('issuer', authority.get('root')),
    ...(hasFollowed || next === undefined || !isFollowing(fleet, 'issuer', next) ? [] : bound('nextIssuer', rootAfter(fleet))),
  ]
}

/** The commands for a person. */
export const ASK_FOR_AGAIN =
  'while the rotation of the root waits, have it issued again for its own key: write a request with "atlas rotate --issuer --request DIR", and have its root sign that'

/**
 * The certificates that a person brings take the place of those with the same key. In Kubernetes the leader then takes over what follows
 * for the bundle and the record of the rotation.
 * @throws AtlasError `conflict` where no such issuer waits, `invalid` with the reason for which a certificate is refused
 */
export async function bringAgain(
  store: StateStore,
  given: readonly Outside[],
  dependencies: OpsDependencies,
  options: CommitOptions = {},
): Promise<Committed> {
  return changeInstallation(
    store,
    fleet => {
      const settings = readableSettings(fleet)
      if (settings === undefined) throw new AtlasError('failed', 'there are no settings')
      const brought = planBrought(fleet, settings, given, dependencies.now())
      if (store.signedBy === 'leader' || brought.length === 0) return brought
      const taken = planTakenAgain(reduceAll(fleet, brought), settings, dependencies.now())
      return [...brought, ...taken, ...planTrust(reduceAll(fleet, [...brought, ...taken]))]
    },
    options,
  )
}

/** @throws AtlasError as `bringAgain` */
export function planBrought(fleet: Fleet, settings: Settings, given: readonly Outside[], now: Date): readonly Change[] {
  // The leader may not have taken over yet what the same command has brought before.
  const bound = requireBound(reduceAll(fleet, planTakenAgain(fleet, settings, now)))
  return given.flatMap(outside => {
    const [own] = readCertificates(outside.certificate, outside.name)
    const issuer = bound.find(({present}) => isSameKey(present.certificate, outside.certificate))
    if (own === undefined || issuer === undefined)
      throw new AtlasError('invalid', `${outside.name} is for none of the issuers that wait: it has another key, or another subject`, {
        hint: 'have a request signed that "atlas rotate --issuer --request DIR" has written since the rotation of the root began',
      })
    const {part, present, root} = issuer
    if (readKey(present).sha256 === own.sha256) return []
    return [{kind: 'authority', part, value: importAgain(present, outside, root, {settings, now})} as const]
  })
}

/** @throws AtlasError `conflict` */
export function requireBound(fleet: Fleet): readonly BoundIssuer[] {
  const bound = boundIssuers(fleet)
  if (bound.length > 0) return bound
  throw new AtlasError('conflict', 'the root is being rotated, and no issuer waits for a root whose key is kept offline', {
    hint: 'an issuer whose root has its key in Atlas is issued again by the leader; "atlas rotate --status" shows what the rotation waits for',
  })
}

/**
 * The rotation with the fingerprint of a next issuer that was issued again: what pins it on record is its key, which the bundle has, and its root.
 * Judged here once more, since who may write Secrets need not have used this program. One that has ended before a leader saw it is taken all the
 * same: the stage then says that it has ended, and it can be issued again.
 */
export function planTakenAgain(fleet: Fleet, settings: Settings, now: Date): readonly Change[] {
  const {authority, rotation, trust} = fleet
  const [next, sha256, root] = [authority.get(nextParts.issuer), rotation?.given?.issuer, rootAfter(fleet)]
  if (rotation === undefined || next === undefined || sha256 === undefined || root === undefined || readKey(next).sha256 === sha256)
    return []
  const former = trust?.issuers.find(pem => readCertificates(pem)[0]?.sha256 === sha256)
  if (former === undefined || !isSameKey(former, ownCertificate(next))) return []
  const name = `the certificate in Secret ${objectNames.nextIssuer}`
  const lasted = new Date(Math.min(now.getTime(), readKey(next).notAfter.getTime() - 1000))
  try {
    importAgain({certificate: former, key: next.key}, {certificate: next.certificate, name, anyAge: true}, root, {settings, now: lasted})
  } catch (error) {
    if (error instanceof AtlasError) return []
    throw error
  }

  const value: Rotation = {...rotation, given: {...rotation.given, issuer: readKey(next).sha256}}
  return [{kind: 'rotation', value}]
}
