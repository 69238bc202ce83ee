/** What must be true after every step. A violation is an error with a sentence; what a step is, is in network.ts. */
import {type CertifiedKey, type TrustBundle, hasKey, nextParts} from '../../src/lib/model/authority.js'
import type {Change} from '../../src/lib/model/change.js'
import {type Fleet, isServed, recordOf, servedNames} from '../../src/lib/model/fleet.js'
import {OBSERVABILITY, type Owner} from '../../src/lib/model/names.js'
import {rotationStages} from '../../src/lib/model/rotation.js'
import {remember} from '../../src/lib/model/remember.js'
import {evidenceIn} from '../../src/lib/ops/rotation/evidence.js'
import {isInLastSixth} from '../../src/lib/ops/rotation/held.js'
import {ownCertificate} from '../../src/lib/ops/trust.js'
import {isEndNear, isImpatient} from '../../src/lib/ops/rotation/waiting.js'
import {readKey} from '../../src/lib/pki/read.js'
import {isSameKey} from '../../src/lib/pki/signed.js'
import {trustDigest} from '../../src/lib/pki/trust-digest.js'
import type {Envoy, Stream} from './envoys.js'
import {ABSENT_COUNTS} from '../../src/lib/ops/rotation/absent.js'
import {APART, type Network, type Step, isCutOff} from './network.js'
import type {Server} from './servers.js'
import {ALLOWED, certificatesIn, fingerprintsOf, isAnchored, isRooted, isValid} from './trust.js'

/** A promise that was broken. */
export class Violation extends Error {}

/** After each object that was written: the fleet is legal, a rotation goes on, and no Envoy was cut off. */
export function checkWrite(network: Network, before: Fleet, after: Fleet, changes: readonly Change[], step: Step | undefined): void {
  requireLegal(network, after, step?.seen ?? after, changes)
  requireForward(before, after)
  if (step === undefined) return
  requireConnected(network, before, after, step)
  requireAbsentKept(network, before, after, step)
  if (before.rotation !== undefined && after.rotation === undefined) requireRetired(network, before, after, step)
}

/** What servers and Envoys rely on, whatever is written next or never. */
function requireLegal(network: Network, fleet: Fleet, base: Fleet, changes: readonly Change[]): void {
  const {trust} = fleet
  for (const change of changes) {
    if (change.value === undefined || trust === undefined) continue
    if (change.kind === 'identity' || change.kind === 'server') {
      if (!isAnchored(change.value, trust.issuers)) throw new Violation(`a leaf is stored whose issuer is in no bundle (${change.kind})`)
    } else if (change.kind === 'credential') {
      const {owner, value} = change
      const {sha256} = readKey(value)
      if (!isAnchored(value, trust.credentialIssuers))
        throw new Violation(`the stored credential of ${owner} is signed by no issuer in force`)
      if (!isRootedItself(value)) throw new Violation(`the stored credential of ${owner} carries no root of its own issuer`)
      const record = recordOf(fleet, owner).credentials.find(each => each.sha256 === sha256)
      if (record?.state !== 'valid') throw new Violation(`the stored credential of ${owner} is not on record as valid`)
    } else if (change.kind === 'trust') requireNothingOrphaned(network, fleet, base, trust)
  }
}

/** A bundle must vouch for all that is in the store. */
function requireNothingOrphaned({now}: Network, fleet: Fleet, base: Fleet, trust: TrustBundle): void {
  // What a suspended cluster keeps is issued again when it comes back, and what has ended at once.
  const isGone = (owner: Owner, leaf: CertifiedKey): boolean => isCutOff(fleet, owner) || isCutOff(base, owner) || hasEnded(leaf)
  const hasEnded = (leaf: CertifiedKey): boolean => !isValid(leaf, now + ALLOWED)
  for (const [owner, identity] of fleet.identities)
    if (!isGone(owner, identity) && !isAnchored(identity, trust.issuers))
      throw new Violation(`the trust bundle lacks the issuer of the stored identity of ${owner}`)
  for (const [owner, credential] of fleet.credentials)
    if (!isGone(owner, credential) && !isAnchored(credential, trust.credentialIssuers))
      throw new Violation(`the trust bundle lacks the issuer of the stored credential of ${owner}`)
  if (fleet.server !== undefined && !hasEnded(fleet.server) && !isAnchored(fleet.server, trust.issuers))
    throw new Violation('the trust bundle lacks the issuer of the certificate of the servers')
}

function isRootedItself(credential: Parameters<typeof isRooted>[1]): boolean {
  return isRooted(credential, credential, -Infinity)
}

function requireForward({rotation: before}: Fleet, {rotation: after}: Fleet): void {
  if (before === undefined || after === undefined || before === after || before.startedAt !== after.startedAt) return
  if (before.part !== after.part) throw new Violation(`a rotation of the ${before.part} has become one of the ${after.part}`)
  if (rotationStages.indexOf(after.stage) < rotationStages.indexOf(before.stage))
    throw new Violation(`the rotation of the ${after.part} went back from ${before.stage} to ${after.stage}`)
}

/** A step that its evidence allows leaves each connected Envoy working that worked before. */
function requireConnected(network: Network, before: Fleet, after: Fleet, {seen}: Step): void {
  if (before.trust === after.trust && before.identities === after.identities && before.server === after.server) return
  const [skipped, shown] = [new Set(before.rotation?.skipped), streamsIn(seen)]
  // Near the end of the issuer a rotation goes on whatever downstream clusters do, and the documentation says so.
  if (isEndNear(before, new Date(network.now))) return
  const isOverdue = isIssuedOverdue(network, before, after)
  for (const envoy of network.envoys) {
    const {stream, owner, refuses} = envoy
    if (stream === undefined || !shown.has(keyOf(stream)) || skipped.has(owner) || isCutOff(after, owner)) continue
    // One that has not taken what the stage before has brought has had its time.
    const isBehind = lacksTrust(envoy, before) || envoy.identity?.certificate !== before.identities.get(owner)?.certificate
    if ((refuses || isBehind) && isImpatient(before, new Date(network.now))) continue
    // Then it does not wait for an Envoy with an earlier credential either, without which all would be cut off.
    if (isOverdue && stream.credential !== before.credentials.get(owner)) continue
    if (whyCutOff(network, envoy, before) !== undefined) continue
    const why = whyCutOff(network, envoy, after)
    if (why !== undefined) throw new Violation(`${envoy.id} worked and is cut off by a step that counted as safe: ${why}`)
  }
}

/** Whether a step of a rotation of the root replaces what every Envoy is shown because it is near its end (lib/ops/rotation/held.ts). */
function isIssuedOverdue({now}: Network, before: Fleet, after: Fleet): boolean {
  // The next issuer signs a moment before the stage `leaves` is on record.
  if (before.rotation?.part !== 'root' || (before.rotation.stage !== 'leaves' && before.rotation.stage !== 'credentials')) return false
  const shown = (fleet: Fleet): readonly (CertifiedKey | undefined)[] => [fleet.server, fleet.identities.get(OBSERVABILITY)]
  const replaced = shown(before).filter((key, index) => key !== shown(after)[index])
  return replaced.some(key => key !== undefined && isInLastSixth(key, new Date(now + APART)))
}

/** For so long a stage waits for an Envoy that was connected, by clocks that differ; milliseconds. */
const ABSENT = ABSENT_COUNTS - 2 * APART

/** And each Envoy that was connected shortly before, whose cluster may have another one: it runs on, and cannot be given anything. */
function requireAbsentKept(network: Network, before: Fleet, after: Fleet, {version}: Step): void {
  if (before.trust === after.trust && before.identities === after.identities) return
  const skipped = new Set(before.rotation?.skipped)
  if (isImpatient(before, new Date(network.now))) return
  for (const envoy of network.envoys) {
    const {former, owner} = envoy
    if (former === undefined || owner === OBSERVABILITY || skipped.has(owner) || isCutOff(after, owner)) continue
    // One that left during a stage counts to the end of the stage's first hour; for how long one that lacked something does: absent.test.ts.
    const from = Math.min(former.endedAt, Date.parse(before.rotation?.since ?? network.date.toISOString()))
    if (network.now - from > ABSENT || former.stream.version > version) continue
    if (whyLost(network, envoy, before) !== undefined) continue
    const why = whyLost(network, envoy, after)
    if (why !== undefined)
      throw new Violation(`${envoy.id} was connected shortly before and is cut off by a step that counted as safe: ${why}`)
  }
}

/** Why an Envoy without a stream serves no data, with what it has. */
function whyLost(network: Network, {identity, trust, refuses}: Envoy, fleet: Fleet): string | undefined {
  const {observability, now} = network
  if (identity === undefined || trust === undefined || refuses || observability === undefined) return 'it has nothing to serve with'
  if (!isValid(identity, now)) return 'its identity has ended'
  if (kept(observability.trust, fleet.trust).some(({issuers}) => !isAnchored(identity, issuers)))
    return 'the observability Envoy refuses its identity'
  const shown = kept(observability.identity, fleet.identities.get(OBSERVABILITY))
  return shown.some(each => !isAnchored(each, trust.issuers)) ? 'it refuses the observability Envoy' : undefined
}

function lacksTrust({trust}: Envoy, {trust: stored}: Fleet): boolean {
  return trust === undefined || stored === undefined || trustDigest(trust) !== trustDigest(stored)
}

/** The open streams of which the evidence of a step speaks: what has changed since then the step could not know. */
const streamsIn = remember(
  (seen: Fleet): ReadonlySet<string> =>
    new Set(evidenceIn(seen)?.proxies.map(({connectedSince, sequence}) => keyOf({since: connectedSince, sequence}))),
)

function keyOf({since, sequence}: Pick<Stream, 'sequence' | 'since'>): string {
  return `${sequence} ${since}`
}

/**
 * Why an Envoy does not work, whichever of what it has and what is stored for it it uses, and the same for its peer. What is stored may be
 * with either side at any moment, in any order.
 */
function whyCutOff(network: Network, envoy: Envoy, fleet: Fleet): string | undefined {
  const {observability, now} = network
  const {stream, owner} = envoy
  if (stream === undefined || observability?.stream === undefined) return 'it is not connected'
  const server = network.server(stream.server)
  if (server === undefined) return 'its server is gone'
  const denied = network.whyDenied(server, fleet, stream, network.date)
  if (denied !== undefined) return `servers refuse its stream: ${denied}`
  const shown = kept(observability.identity, fleet.identities.get(OBSERVABILITY))
  const relayTrust = kept(observability.trust, fleet.trust)
  for (const certificate of kept(server.certificate, fleet.server)) {
    if (!isValid(certificate, now)) return 'the certificate of its server has ended'
    if (relayTrust.some(({issuers}) => !isAnchored(certificate, issuers))) return 'the relay refuses the certificate of its server'
    if (owner === OBSERVABILITY && !isRooted(certificate, stream.credential, now)) return 'it refuses the certificate of its server'
  }

  if (owner === OBSERVABILITY) return undefined
  if (relayTrust.some(({credentialIssuers}) => !isAnchored(stream.credential, credentialIssuers)))
    return 'the observability Envoy refuses its credential'
  const own = kept(envoy.identity, fleet.identities.get(owner))
  if (own.some(identity => !isValid(identity, now))) return 'its identity has ended'
  if (own.some(identity => relayTrust.some(({issuers}) => !isAnchored(identity, issuers))))
    return 'the observability Envoy refuses its identity'
  for (const identity of shown) {
    if (!isValid(identity, now)) return 'the identity of the observability Envoy has ended'
    if (kept(envoy.trust, fleet.trust).some(({issuers}) => !isAnchored(identity, issuers))) return 'it refuses the observability Envoy'
    if (!isRooted(identity, stream.credential, now)) return 'its roots do not reach the observability Envoy'
  }

  return undefined
}

function kept<T>(held: T | undefined, stored: T | undefined): readonly T[] {
  return [...new Set([held, stored])].filter(each => each !== undefined)
}

/**
 * Where a leader is at work by a clock that is right, an issuer that lives beyond `begin` does not end before the root above it. Below a root
 * whose key is kept offline the same is true while people have that key: they heed the warning (offline-events.ts).
 * @param offline the roots whose keys people have
 */
export function requireSigning(network: Network, leading: Server, begin: number, offline: readonly CertifiedKey[]): void {
  const {authority, rotation} = network.store.fleet
  const [issuer, root] = [authority.get('issuer'), authority.get('root')]
  if (leading.doubt(network.now) !== undefined || issuer === undefined || root === undefined) return
  if (!hasKey(root) && !offline.some(({certificate}) => certificate === root.certificate)) return
  const end = readKey(issuer).notAfter.getTime()
  if (end < begin || network.now < end || readKey(root).notAfter.getTime() <= network.now) return
  const at = rotation === undefined ? '' : `, while a rotation of the ${rotation.part} waited at ${rotation.stage}`
  throw new Violation(`the issuer has ended while a leader was at work${at}`)
}

/** What a rotation has replaced is nowhere any more when the rotation ends. */
function requireRetired(network: Network, before: Fleet, after: Fleet, {seen}: Step): void {
  const {trust, authority} = after
  const [skipped, shown] = [new Set(before.rotation?.skipped), streamsIn(seen)]
  if (trust === undefined) throw new Violation('a rotation has ended, and there is no trust bundle')
  const signing = new Set([...authority.values()].flatMap(({certificate}) => fingerprintsOf(certificate)))
  const inForce = certificatesIn(trust)
  // A person may just have had the issuer issued again for its own key: the next pass puts that certificate into the bundle.
  const issuer = authority.get('issuer')
  const again = issuer === undefined ? [] : trust.issuers.filter(pem => isSameKey(pem, ownCertificate(issuer)))
  const known = new Set([...signing, ...again.flatMap(pem => fingerprintsOf(pem))])
  const stray = [...inForce].filter(sha256 => !known.has(sha256))
  if (stray.length > 0) throw new Violation('a rotation has ended, and the trust bundle holds a certificate that signs nothing')
  for (const part of Object.values(nextParts))
    if (authority.has(part)) throw new Violation(`a rotation has ended, and ${part} is still there`)
  const owners: readonly Owner[] = [OBSERVABILITY, ...servedNames(after)]
  // A rotation of the issuer replaces no root: a cluster that one of the root has left behind keeps its former one.
  const ofRoot = before.rotation?.part === 'root'
  for (const owner of owners.filter(() => ofRoot)) {
    const credential = after.credentials.get(owner)
    if (credential !== undefined && fingerprintsOf(credential.roots).some(sha256 => !inForce.has(sha256)))
      throw new Violation(`a rotation has ended, and the stored credential of ${owner} carries a retired root`)
  }

  // Such a rotation ends without an Envoy that refuses everything.
  if (isImpatient(before, new Date(network.now))) return
  for (const {stream, owner, id, trust: held, identity} of network.envoys) {
    if (stream === undefined || !shown.has(keyOf(stream)) || skipped.has(owner) || !owners.includes(owner)) continue
    // A registration that has come back since the step was planned.
    if (owner !== OBSERVABILITY && !isServed(seen, owner)) continue
    const anchors =
      held && [...held.issuers, ...(owner === OBSERVABILITY ? held.credentialIssuers : [])].flatMap(pem => fingerprintsOf(pem))
    if (anchors?.every(sha256 => inForce.has(sha256)) !== true)
      throw new Violation(`a rotation has ended, and ${id} trusts what has retired`)
    if (identity !== undefined && !isAnchored(identity, trust.issuers))
      throw new Violation(`a rotation has ended, and ${id} shows a retired issuer`)
    const roots = fingerprintsOf(stream.credential.roots)
    if (ofRoot && roots.some(sha256 => !inForce.has(sha256)))
      throw new Violation(`a rotation has ended, and ${id} has a retired root in its files`)
  }

  for (const {name, seen} of network.livingServers)
    if (after.replicas?.includes(name) === true && seen.trust !== undefined && trustDigest(seen.trust) !== trustDigest(trust))
      throw new Violation(`a rotation has ended, and server ${name} trusts what has retired`)
}
