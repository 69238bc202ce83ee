/**
 * The next step of a rotation of the issuer or the root. It is planned from what is stored and from evidence alone, so that any server
 * goes on where another one ended (docs/explanation/security.md#rotation). What a stage waits for is in waiting.ts; leaves are issued again by
 * ops/reconcile.
 */
import {type AuthorityPart, type CertifiedKey, hasKey, nextParts} from '../../model/authority.js'
import {type Change, reduce, reduceAll} from '../../model/change.js'
import {type Fleet, isBroken} from '../../model/fleet.js'
import type {Owner} from '../../model/names.js'
import {printable} from '../../model/printable.js'
import {type Rotation, type RotationPart, type RotationStage, WAITING_MAX, stageAfter, stagesOf} from '../../model/rotation.js'
import type {Settings} from '../../model/settings.js'
import {type CertificateSpec, credentialIssuerSpec, issuerSpec, rootSpec} from '../../pki/certificate-specs.js'
import {type Authority, fingerprintsOf} from '../../pki/import-issuer.js'
import {issue} from '../../pki/issue.js'
import {readCertifiedKey} from '../../pki/signed.js'
import {renewAt} from '../../pki/rotation.js'
import {sameValue} from '../commit.js'
import type {OpsDependencies} from '../dependencies.js'
import {signerIn} from '../signing.js'
import {isBelow, isFollowing, rootsOf, wantedTrust} from '../trust.js'
import {planTakenAgain} from './brought-again.js'
import type {Evidence} from './evidence.js'
import {issuesAtOnce} from './held.js'
import {planIssuedAgain} from './issued-again.js'
import {offerIn} from './offered.js'
import {leftover} from './leftover.js'
import {isLasting, partsOf, unreadyParts} from './unready.js'
import {waitingFor} from './waiting.js'

/**
 * The first step: the rotation is on record, and its next certificates exist. The caller adds what follows for the trust bundle.
 * @param skip clusters that no stage waits for
 * @param next from outside; without one a next root is made, whatever lies in its Secret
 */
export function planBeginning(
  fleet: Fleet,
  settings: Settings,
  part: RotationPart,
  {skip = [], next = {}, ...dependencies}: OpsDependencies & {readonly skip?: readonly Owner[]; readonly next?: Authority},
): readonly Change[] {
  const at = dependencies.now().toISOString()
  const named = fingerprintsOf(next, partsOf(part))
  const rotation: Rotation = {
    ...{part, stage: 'announce', startedAt: at, since: at, skipped: [...skip].sort(), waitingFor: []},
    ...(Object.keys(named).length > 0 && {given: named}),
  }
  const begun: Change = {kind: 'rotation', value: rotation}
  const given = partsOf(part).filter(each => each === 'root' || next[each] !== undefined)
  const laid = given.map(each => ({kind: 'authority', part: nextParts[each], value: next[each]}) as const)
  const written = laid.filter(({part: each, value}) => value !== undefined && fleet.authority.get(each)?.certificate !== value.certificate)
  return [begun, ...written, ...planNextParts(reduceAll(fleet, [begun, ...laid]), settings, dependencies)]
}

/**
 * What follows from the evidence: the next stage, or what the present one waits for. Without a rotation: one of the root begins where a
 * Secret offers another one, and one of the issuer where it is due by its age.
 */
export function planRotation(
  fleet: Fleet,
  settings: Settings,
  evidence: Evidence,
  dependencies: OpsDependencies & {readonly isAgeAReason: boolean},
): readonly Change[] {
  if (isBroken(fleet, 'rotation') || isBroken(fleet, 'trust')) return []
  const rotation = fleet.rotation ?? leftover(fleet, dependencies.now())
  if (rotation !== fleet.rotation) return [{kind: 'rotation', value: rotation}]
  const taken = planTakenAgain(fleet, settings, dependencies.now())
  if (taken.length > 0) return taken
  const offer = rotation === undefined ? offerIn(fleet, settings, dependencies.now()) : undefined
  if (offer !== undefined && 'root' in offer) return planBeginning(fleet, settings, 'root', {...dependencies, next: {root: offer.root}})
  if (rotation === undefined)
    return dependencies.isAgeAReason && isIssuerDue(fleet, settings, dependencies.now())
      ? planBeginning(fleet, settings, 'issuer', dependencies)
      : []
  const made = [...dropPromoted(fleet, rotation), ...planNextParts(fleet, settings, dependencies)]
  const prepared = [...made, ...planIssuedAgain(reduceAll(fleet, made), settings, rotation, dependencies)]
  // Until the bundle in the store is that of the stage, what Envoys acknowledge shows nothing. The caller writes it next.
  if (prepared.length > 0 || !sameValue(fleet.trust, wantedTrust(fleet))) return prepared
  const waiting = [...unreadyParts(fleet, rotation, dependencies.now()), ...waitingFor(fleet, rotation, evidence, dependencies)]
  if (waiting.length > 0) return planWaiting(rotation, dependencies.isAgeAReason ? waiting : [unconfirmed(fleet), ...waiting])
  return planStage(fleet, rotation, dependencies.now())
}

/** Until then a server issues again only one slice of the fleet, since a wrong clock would make each certificate a wrong one. */
function unconfirmed(fleet: Fleet): string {
  return `the clock of the leader must hold for some minutes after its start (--time clock-held, 10m by default) before it issues certificates again; ${issuesAtOnce(fleet)}, "atlas rotate --ads" ADS credentials`
}

/** Whether the issuer has lived two thirds of its life, and another one would end later. */
function isIssuerDue(fleet: Fleet, settings: Settings, now: Date): boolean {
  const [issuer, root] = [fleet.authority.get('issuer'), fleet.authority.get('root')]
  if (issuer === undefined || root === undefined || signerIn(fleet, settings, 'root', now) === undefined) return false
  // A fresh array of certificates would be read again in every pass.
  const facts = readCertifiedKey(issuer, rootsOf(root), 'the issuer')
  return facts.signedBy !== undefined && renewAt(facts, issuerSpec(settings)) <= now
}

/** The certificates that are to sign next, where the first stage lacks one that can be made. */
function planNextParts(fleet: Fleet, settings: Settings, dependencies: OpsDependencies): readonly Change[] {
  const {rotation} = fleet
  if (rotation?.stage !== 'announce') return []
  const changes: Change[] = []
  let planned = fleet
  for (const part of partsOf(rotation.part)) {
    const next = nextParts[part]
    if (isBroken(planned, 'authority', next) || rotation.given?.[part] !== undefined) continue
    const signer = part === 'root' ? undefined : signerOfNext(planned, settings, rotation.part, dependencies.now())
    const present = planned.authority.get(next)
    // Nothing is signed with it yet: where the one that signed it was made again, it is, too.
    const isOurs = present !== undefined && isFollowing(planned, part, present)
    if (isOurs && isLasting(present, dependencies.now()) && (signer === undefined || isBelow(present, signer))) continue
    if (part !== 'root' && signer === undefined) continue
    const value = issue(specs[part](settings), signer, dependencies.now(), dependencies.signer)
    const change: Change = {kind: 'authority', part: next, value}
    changes.push(change)
    planned = reduce(planned, change)
  }

  return changes
}

/** A rotation of the root signs its issuers with the next root, one of the issuer with the present one; undefined where its key is offline. */
function signerOfNext(fleet: Fleet, settings: Settings, part: RotationPart, now: Date): CertifiedKey | undefined {
  if (part === 'issuer') return signerIn(fleet, settings, 'root', now)
  const next = fleet.authority.get(nextParts.root)
  return next !== undefined && hasKey(next) ? next : undefined
}

const specs: Readonly<Record<AuthorityPart, (settings: Settings) => CertificateSpec>> = {
  root: rootSpec,
  issuer: issuerSpec,
  credentialIssuer: credentialIssuerSpec,
}

function planWaiting(rotation: Rotation, waiting: readonly string[]): readonly Change[] {
  const more = waiting.length - WAITING_MAX
  // A line each in the store: one that broke there would be written again in every pass.
  const shown = [...waiting.slice(0, WAITING_MAX), ...(more > 0 ? [`and ${more} more`] : [])].map(each => printable(each))
  return sameValue(rotation.waitingFor, shown) ? [] : [{kind: 'rotation', value: {...rotation, waitingFor: shown}}]
}

/** The end of a stage. Every prefix of these changes is a legal fleet, and planning again after any of them gives the rest. */
function planStage(fleet: Fleet, rotation: Rotation, now: Date): readonly Change[] {
  const stage = stageAfter(rotation)
  if (stage === undefined) return [...dropStrays(fleet), {kind: 'rotation', value: undefined}]
  const next: Change = {kind: 'rotation', value: {...rotation, stage, since: now.toISOString(), waitingFor: []}}
  return [...promoted(fleet, promotedAt(rotation.part, stage)), next]
}

/** What lies where next certificates do, and was no part of the rotation, such as that of a command that ended before it had asked. */
function dropStrays({authority}: Fleet): readonly Change[] {
  return Object.values(nextParts)
    .filter(next => authority.has(next))
    .map(next => ({kind: 'authority', part: next, value: undefined}))
}

/** The certificates that begin to sign with a stage. */
function promotedAt(part: RotationPart, stage: RotationStage): readonly AuthorityPart[] {
  if (stage === 'credentials') return ['credentialIssuer']
  if (stage === 'leaves') return part === 'root' ? ['root', 'issuer'] : ['issuer']
  return []
}

/** The next certificates take the place of the present ones, whose keys are lost with that. */
function promoted({authority}: Fleet, parts: readonly AuthorityPart[]): readonly Change[] {
  return parts.flatMap((part): readonly Change[] => {
    const next = authority.get(nextParts[part])
    const present = authority.get(part)
    return next === undefined || present?.certificate === next.certificate ? [] : [{kind: 'authority', part, value: next}]
  })
}

/** Once the stage in which they sign is on record, the second copy of their keys goes. */
function dropPromoted({authority}: Fleet, {part, stage}: Rotation): readonly Change[] {
  const reached = stagesOf(part).slice(0, stagesOf(part).indexOf(stage) + 1)
  return reached
    .flatMap(each => promotedAt(part, each))
    .filter(each => authority.has(nextParts[each]))
    .map(each => ({kind: 'authority', part: nextParts[each], value: undefined}))
}
