/**
 * Who a stage of a rotation still waits for, by the evidence, and for how long. What each lacks is in stage-checks.ts; whether that is enough to go
 * on is decided in plan.ts.
 */
import type {CertifiedKey, TrustBundle} from '../../model/authority.js'
import {type Fleet, isAtFault, isServed, servedNames} from '../../model/fleet.js'
import {byText} from '../../model/listing.js'
import {OBSERVABILITY, type Owner} from '../../model/names.js'
import type {ProxyReport} from '../../model/report.js'
import type {Rotation} from '../../model/rotation.js'
import {anchorsOf} from '../../pki/signed.js'
import {readKey} from '../../pki/read.js'
import {issuedAt} from '../../pki/rotation.js'
import type {Clock} from '../dependencies.js'
import {type OwnersReason, waitingForAbsent} from './absent.js'
import type {Evidence} from './evidence.js'
import {CLIENTS_GRACE} from './late.js'
import {isSucceeded, successorsIn} from './signers.js'
import {applyCredential, stageChecks} from './stage-checks.js'
import {type Lack, describeWaited} from './waited.js'

/**
 * In this last part of the life of the issuer that goes, a rotation of the issuer no longer waits for downstream clusters: not for those
 * without a connected Envoy, which get the next issuer as soon as they connect, and not for those that refuse it. At its end all clusters
 * would lose every connection, and one that is stolen must not bring that about.
 */
export const LAST_PART = 1 / 12
/** Even then each stage gives them this long, milliseconds, counted from when an Envoy connected; in the last half of that part no longer. */
const PATIENCE = 15 * 60_000

/** A sentence for each thing, without its full stop; empty: the stage has reached its end. */
export function waitingFor(
  fleet: Fleet,
  rotation: Rotation,
  {proxies, absent: left, servers}: Evidence,
  {now: clock, isAgeAReason}: Pick<Clock, 'now'> & {readonly isAgeAReason: boolean},
): readonly string[] {
  const {trust} = fleet
  if (trust === undefined) return ['there is no trust bundle']
  const now = clock()
  const skipped = new Set<Owner>(rotation.skipped)
  const owners = ownersIn(fleet).filter(owner => !skipped.has(owner))
  const connected = new Set(proxies.map(({cluster}) => cluster))
  const absent = owners.filter(owner => !connected.has(owner))
  const isPatienceOver = isImpatient(fleet, now) && isAgeAReason && now.getTime() - Date.parse(rotation.since) >= PATIENCE
  // An Envoy that connects gets the bundle before anything else: one that is absent at the end keeps no rotation open.
  const isAbsenceOver = isPatienceOver || (rotation.part === 'issuer' && rotation.stage === 'retire')
  const isGivenUp = (proxy: ProxyReport): boolean =>
    proxy.cluster !== OBSERVABILITY && isPatienceOver && (isEndNear(fleet, now) || hasHadTime(fleet, proxy, now))
  const present = proxies.filter(proxy => isServed(fleet, proxy.cluster) && !skipped.has(proxy.cluster) && !isGivenUp(proxy))
  const stage = stageChecks[rotation.stage]
  const lacking = stage.fleet({fleet, trust, servers, owners: issuableOwners(fleet, rotation)})
  if (isAgeAReason && haveSignersEnded(fleet, trust, now) && rotation.stage !== 'leaves' && rotation.stage !== 'retire') return lacking
  const isByHand = rotation.part === 'root' && rotation.stage !== 'announce'
  // Before the observability Envoy shows clients a certificate below the next root, and before it refuses those that the former issuer signed.
  const areClientsAffected = rotation.stage === 'credentials' || rotation.stage === 'leaves'
  const ofOwners: readonly OwnersReason[] = [
    ...(isAbsenceOver
      ? []
      : absent.map(owner => ({
          owner,
          reason: describeWaited({is: 'without an Envoy', owner, byHand: isByHand ? applyCredential(owner) : undefined}),
        }))),
    ...(isAbsenceOver ? [] : waitingForAbsent(fleet, rotation, left, {owners, connected, now})),
    ...present.flatMap(proxy => stage.proxy(fleet, trust, proxy).map(lack => lacks(proxy, lack))),
    ...(rotation.stage === 'leaves' ? relayedByFormer(fleet, proxies) : []),
  ]
  return inOrder([...lacking, ...(areClientsAffected ? clientsIn(fleet, now) : [])], ofOwners)
}

/**
 * What the observability Envoy lacks comes first: every other Envoy connects through it, so that a person begins there. The clusters follow by name,
 * whether their Envoys are connected or not: a list that changes its order whenever an Envoy connects is hard to follow, and a new write each time.
 */
function inOrder(ofFleet: readonly string[], ofOwners: readonly OwnersReason[]): readonly string[] {
  // Of one owner by the name of the node: a server has its streams in the order in which they began.
  const ordered = [...ofOwners].sort((one, other) => byText(one.owner, other.owner) || byText(one.reason, other.reason))
  const ofObservability = ordered.filter(({owner}) => owner === OBSERVABILITY)
  const ofClusters = ordered.filter(({owner}) => owner !== OBSERVABILITY)
  return [...ofObservability.map(({reason}) => reason), ...ofFleet, ...ofClusters.map(({reason}) => reason)]
}

/** Whether an Envoy has had time to take its present identity: identities are issued in turns, and it may have connected just now. */
function hasHadTime({identities}: Fleet, {cluster, connectedSince}: ProxyReport, now: Date): boolean {
  const identity = identities.get(cluster)
  const issued = identity === undefined ? 0 : issuedAt(readKey(identity))
  return now.getTime() - Math.max(issued, Date.parse(connectedSince)) >= PATIENCE
}

/**
 * Streams that would be refused once what signed the certificate of their connection has retired. The connection is renewed by a server, and
 * no downstream cluster can delay that: these are waited for in the last part of the issuer's life, too.
 */
function relayedByFormer(fleet: Fleet, proxies: readonly ProxyReport[]): readonly OwnersReason[] {
  const observability = fleet.identities.get(OBSERVABILITY)
  if (observability === undefined) return []
  return proxies
    .filter(({cluster, relayedBy}) => isServed(fleet, cluster) && relayedBy !== undefined && relayedBy !== readKey(observability).sha256)
    .map(proxy => lacks(proxy, {what: 'is connected through a connection that the observability Envoy began with its former identity'}))
}

function lacks({cluster, id}: ProxyReport, lack: Lack): OwnersReason {
  return {owner: cluster, reason: describeWaited({is: 'lacking', owner: cluster, node: id, ...lack})}
}

/** What is issued for a cluster that is left behind needs nothing of that cluster, and must not keep what retires. */
export function issuableOwners(fleet: Fleet, {skipped}: Rotation): readonly Owner[] {
  return ownersIn(fleet).filter(owner => !skipped.includes(owner) || !isAtFault(fleet, owner))
}

/** The observability cluster and every cluster that is served. */
export function ownersIn(fleet: Fleet): readonly Owner[] {
  return [OBSERVABILITY, ...servedNames(fleet)]
}

/**
 * Whether the root or the issuer that goes has ended, such as while a rotation waited for a year: then every certificate below it has, too,
 * no Envoy can connect before the next ones sign, and a stage that waited for Envoys would wait for good.
 */
export function haveSignersEnded({authority}: Fleet, {roots, issuers}: TrustBundle, now: Date): boolean {
  return haveFormerEnded(roots, authority.get('nextRoot'), now) || haveFormerEnded(issuers, authority.get('nextIssuer'), now)
}

function haveFormerEnded(inForce: readonly string[], next: CertifiedKey | undefined, now: Date): boolean {
  const former = anchorsOf(inForce).filter(({facts}) => next === undefined || facts.sha256 !== readKey(next).sha256)
  return former.length > 0 && former.every(({facts}) => facts.notAfter <= now)
}

/** What the clients of the internal ports use cannot be seen: they get an hour. */
function clientsIn(fleet: Fleet, now: Date): readonly string[] {
  const {issuer, roots} = successorsIn(fleet)
  return [...fleet.clients].flatMap(([name, client]) => {
    if (isSucceeded(client, {signer: issuer, roots})) return [`the certificate of client ${name} is not issued yet`]
    const end = issuedAt(readKey(client)) + CLIENTS_GRACE
    return end > now.getTime() ? [describeWaited({is: 'client', client: name, until: end})] : []
  })
}

/** Whether an issuer in the bundle is in this last part of its life. */
function isInLast(part: number, {issuers}: TrustBundle, now: Date): boolean {
  return anchorsOf(issuers).some(({facts: {notBefore, notAfter}}) => {
    const life = notAfter.getTime() - notBefore.getTime()
    return notAfter.getTime() - life * part <= now.getTime()
  })
}

/** Whether a rotation of the issuer goes on without a downstream cluster that has had its time. */
export function isImpatient({rotation, trust}: Fleet, now: Date): boolean {
  return rotation?.part === 'issuer' && trust !== undefined && isInLast(LAST_PART, trust, now)
}

/** Whether it goes on whatever downstream clusters do: one that connects again and again would hold it up for good. */
export function isEndNear({rotation, trust}: Fleet, now: Date): boolean {
  return rotation?.part === 'issuer' && trust !== undefined && isInLast(LAST_PART / 2, trust, now)
}
