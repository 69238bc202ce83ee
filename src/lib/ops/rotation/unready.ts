/** Why the certificates that are to sign next cannot follow, and who can do something about it. */
import {signerKeys} from '../../manifest/secrets.js'
import {type AuthorityPart, type CertifiedKey, nextParts} from '../../model/authority.js'
import type {Fleet} from '../../model/fleet.js'
import {objectNames} from '../../model/names.js'
import type {Rotation, RotationPart, RotationStage} from '../../model/rotation.js'
import {ROTATE_BOTH} from '../../pki/import-issuer.js'
import {readKey} from '../../pki/read.js'
import {isOffline, partNames} from '../signing.js'
import {isBelow, isFollowing, rootAfter} from '../trust.js'
import {ASK_FOR_AGAIN, boundIssuers} from './brought-again.js'

/** Whether the issuer has ended in a stage in which it signs. */
export function isIssuerEnded({authority}: Fleet, stage: RotationStage, now: Date): boolean {
  const issuer = authority.get('issuer')
  return signsAlready(stage) && issuer !== undefined && !isLasting(issuer, now)
}

function signsAlready(stage: RotationStage): boolean {
  return stage === 'leaves' || stage === 'retire'
}

/** Whether a certificate is there, and has not ended. */
export function isLasting(key: CertifiedKey | undefined, now: Date): boolean {
  return key !== undefined && readKey(key).notAfter > now
}

/** In the order in which they are signed. */
export function partsOf(part: RotationPart): readonly AuthorityPart[] {
  return part === 'root' ? ['root', 'issuer', 'credentialIssuer'] : ['issuer']
}

/**
 * Why those that are to sign cannot follow. Without this a Secret that is lost half-way would have the rotation end with issuers below a
 * root that no Envoy knows.
 */
export function unreadyParts(fleet: Fleet, {part, stage, given = {}}: Rotation, now: Date): readonly string[] {
  const root = rootAfter(fleet)
  // Before one that has ended is to sign: no identity could be renewed any more.
  const ended = boundIssuers(fleet).find(each => (each.part === 'nextIssuer' || signsAlready(stage)) && !isLasting(each.present, now))
  if (ended !== undefined)
    return [`the ${ended.part === 'issuer' ? '' : 'next '}issuer has ended, and the key of its root is kept offline: ${ASK_FOR_AGAIN}`]
  if (isIssuerEnded(fleet, stage, now) && isOffline(root))
    return [
      `the issuer has ended, and the key of its root is kept offline: have one signed ("atlas rotate --issuer --request DIR"), and put its certificate (${signerKeys.certificate}) and key (${signerKeys.key}) into Secret ${objectNames.issuer}`,
    ]
  if (stage === 'retire') return []
  const [announces, signs] = [stage === 'announce', part === 'root' || stage === 'announce']
  return partsOf(part).flatMap(each => {
    const follows = announces ? fleet.authority.get(nextParts[each]) : successor(fleet, each)
    const name = `the ${announces ? 'next ' : ''}${partNames[each]}`
    const again = againBy(each, {part, stage, given}, root)
    if (follows === undefined) return [`${name} can not be made or read${again}`]
    if (announces && !isLasting(follows, now)) return [`${name} has ended${again}`]
    const next = nextParts[each]
    const isOther = follows === fleet.authority.get(next) && !isFollowing(fleet, each, follows)
    if (isOther && given[each] !== undefined)
      return [`${name} (Secret ${objectNames[next]}) is not the one that the rotation began with: ${announces ? GIVE_AGAIN : RESTORE_IT}`]
    if (!isOther && (each === 'root' || !signs || (root !== undefined && isBelow(follows, root)))) return []
    return [`${name} is not signed by the root that follows: ${RESTORE}`]
  })
}

/** How a certificate that is lost is there again; empty: no command gives it again. */
function againBy(
  lost: AuthorityPart,
  {part, stage, given}: Pick<Rotation, 'given' | 'part' | 'stage'>,
  root: CertifiedKey | undefined,
): string {
  const announces = stage === 'announce'
  if (lost !== 'root' && root !== undefined && isOffline(root)) return `: ${announces ? bringAgain(part, root) : RESTORE}`
  return announces && given?.[lost] !== undefined ? `: ${GIVE_AGAIN}` : ''
}

/**
 * In the first stage, in which the command takes what was lost. A rotation of the root takes both issuers, together with it.
 * @param root by which they are signed; with path length 0 it is the next issuer itself
 */
function bringAgain(part: RotationPart, root: CertifiedKey): string {
  const isIssuer = part === 'root' && readKey(root).pathLength === 0
  const command = part === 'issuer' ? 'atlas rotate --issuer --certificate DIR' : 'atlas rotate --root --ca-cert FILE --certificate DIR'
  return `the key of its root is kept offline; delete its Secret if there is one, and give ${part === 'issuer' ? 'the signed certificate' : 'all certificates'} again, as by "${isIssuer ? ROTATE_BOTH : command}"`
}

const RESTORE_IT = 'restore its Secret from a backup'
const GIVE_AGAIN = `it came from outside: give the same certificate again by the command with which the rotation began, or ${RESTORE_IT}`

const RESTORE = `restore Secrets ${Object.values(nextParts)
  .map(next => objectNames[next])
  .join(', ')} from a backup, or set "stage: announce" in ConfigMap ${objectNames.rotation}: then they are made again`

/** The one that signs after the rotation. */
function successor({authority}: Fleet, part: AuthorityPart): CertifiedKey | undefined {
  return authority.get(nextParts[part]) ?? authority.get(part)
}
