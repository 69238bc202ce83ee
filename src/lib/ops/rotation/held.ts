/**
 * What every Envoy is shown waits in a rotation of the root until no Envoy would refuse it: the identity of the observability Envoy, and the
 * certificate of the servers. The stage before has seen each Envoy with a credential that carries the next root; by the time these are issued one
 * may have come back with an earlier credential (a file that was put back), and its own stage would name it too late. Other leaves do not wait.
 */
import type {CertifiedKey} from '../../model/authority.js'
import {type Fleet, isServed} from '../../model/fleet.js'
import {judgeKey} from '../../pki/judge.js'
import {readKey} from '../../pki/read.js'
import {type Leaf, isSucceededLeaf} from '../due.js'
import {waitingForAbsent} from './absent.js'
import type {Evidence} from './evidence.js'
import {stageChecks} from './stage-checks.js'
import {describeWaited} from './waited.js'
import {haveSignersEnded, issuableOwners, ownersIn} from './waiting.js'

/**
 * Why a leaf that every Envoy is shown is not issued by the next issuer yet, a sentence without its full stop; undefined: nothing holds it. One
 * that is missing or wrong, has ended, or is in the last sixth of its life is never held: without it every Envoy would be cut off.
 * @param evidence undefined: nothing is known of what Envoys are connected with
 */
export function whyHeld(fleet: Fleet, leaf: Leaf, evidence: Evidence | undefined, now: Date): string | undefined {
  const {present, spec, issuers} = leaf
  if (present === undefined || !isOfFormerIssuer(fleet, leaf, present)) return undefined
  if (isInLastSixth(present, now) || judgeKey(present, spec, issuers, now).some(({reason}) => reason !== 'near-expiry')) return undefined
  return evidence === undefined
    ? 'which credentials Envoys are connected with is not known here; the server issues it'
    : refusers(fleet, evidence, now)[0]
}

/** Whether the next issuer would sign in place of the one that signed a leaf. */
function isOfFormerIssuer(fleet: Fleet, leaf: Leaf, present: CertifiedKey): boolean {
  if (!mayHold(fleet)) return false
  if (fleet.rotation?.stage === 'leaves') return isSucceededLeaf(leaf)
  const issuer = fleet.authority.get('issuer')
  return issuer !== undefined && readKey(present).chain[0] !== readKey(issuer).sha256
}

/**
 * Whether the issuer that follows in a rotation of the root signs beside certificates of the former one. It does so before stage `leaves` is on
 * record: a leader may end in between.
 */
function mayHold({rotation, authority}: Pick<Fleet, 'authority' | 'rotation'>): boolean {
  if (rotation?.part !== 'root') return false
  if (rotation.stage === 'leaves') return true
  const issuer = authority.get('issuer')
  return rotation.stage === 'credentials' && issuer !== undefined && issuer.certificate === authority.get('nextIssuer')?.certificate
}

/** Which command issues identities while a server waits for its clock; a part of a sentence. */
export function issuesAtOnce(fleet: Pick<Fleet, 'authority' | 'rotation'>): string {
  // What every Envoy is shown is held then, and "atlas rotate" without a name is refused.
  return mayHold(fleet) ? '"atlas rotate NAME" issues the identity of a cluster at once' : '"atlas rotate" issues identities at once'
}

/** Whether a certificate is renewed whatever its renewal would wait for otherwise. */
export function isInLastSixth(key: CertifiedKey, now: Date): boolean {
  const {notBefore, notAfter} = readKey(key)
  return notAfter.getTime() - (notAfter.getTime() - notBefore.getTime()) / 6 <= now.getTime()
}

/** What ended the stage `credentials`, by the evidence of now. */
function refusers(fleet: Fleet, {proxies, absent, servers}: Evidence, now: Date): readonly string[] {
  const {rotation, trust} = fleet
  if (rotation === undefined || trust === undefined || haveSignersEnded(fleet, trust, now)) return []
  const owners = ownersIn(fleet).filter(owner => !rotation.skipped.includes(owner))
  const connected = new Set(proxies.map(({cluster}) => cluster))
  const judged = proxies.filter(({cluster}) => isServed(fleet, cluster) && !rotation.skipped.includes(cluster))
  const {credentials} = stageChecks
  return [
    ...judged.flatMap(proxy =>
      credentials.proxy(fleet, trust, proxy).map(lack => describeWaited({is: 'lacking', owner: proxy.cluster, node: proxy.id, ...lack})),
    ),
    ...credentials.fleet({fleet, trust, servers, owners: issuableOwners(fleet, rotation)}),
    ...owners.filter(owner => !connected.has(owner)).map(owner => describeWaited({is: 'without an Envoy', owner})),
    ...waitingForAbsent(fleet, rotation, absent, {owners, connected, now}).map(({reason}) => reason),
  ]
}
