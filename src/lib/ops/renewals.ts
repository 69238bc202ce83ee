/**
 * Whose certificates are renewed now because of their age: a tenth of the fleet at a time, each tenth after the one before is acknowledged
 * (docs/explanation/security.md#renewals). What is missing or wrong for another reason does not wait, and is not decided here.
 */
import {identitySecret} from '../envoy/secret.js'
import {type Fleet, isRegistered, recordOf, registeredNames} from '../model/fleet.js'
import {OBSERVABILITY, type Owner} from '../model/names.js'
import type {ProxyReport} from '../model/report.js'
import type {Settings} from '../model/settings.js'
import {isAge, judgeKey} from '../pki/judge.js'
import {readKey} from '../pki/read.js'
import {issuedAt} from '../pki/rotation.js'
import type {Evidence} from './rotation/evidence.js'
import {isInLastSixth, whyHeld} from './rotation/held.js'
import {signerIn} from './signing.js'
import {type Leaf, areOwnersSettled, credentialLeaf, identityLeaf, isOwnerSettled, isSucceededLeaf} from './due.js'

/** Which certificates their age is a reason to replace. */
export interface Renewals {
  readonly owners: ReadonlySet<Owner> | 'all'
  /** Whether those of the ADS server and of clients are among them. */
  readonly others: boolean
}

export const allRenewals: Renewals = {owners: 'all', others: true}
/** For a command: a server renews, which sees whether its clock is right and what Envoys acknowledge. */
export const noRenewals: Renewals = {owners: new Set(), others: false}

export interface RenewalPlan extends Renewals {
  readonly owners: ReadonlySet<Owner>
  /** Whether more are due than `owners`. */
  readonly isWaiting: boolean
  /** Owners with an Envoy that has not acknowledged its identity in time, where renewals wait for them. */
  readonly late: readonly Owner[]
}

export interface RenewalFacts {
  /** The connected Envoys, by the newest reports. */
  readonly proxies: readonly ProxyReport[]
  /** By which a rotation goes on; undefined: not known yet. */
  readonly evidence: Evidence | undefined
  /** Whether the clock is confirmed, or has held: until then a tenth of the fleet is renewed, and nothing that all Envoys rely on. */
  readonly isClockConfirmed: boolean
  /** Whose renewals this process has planned before the clock was confirmed: of those that are still due, nothing was written. */
  readonly renewedBefore: ReadonlySet<Owner>
  /** How long a tenth is waited for, milliseconds. */
  readonly acknowledgeMs: number
}

/**
 * The owners with a certificate that its age is a reason to replace; undefined for each other owner, so that a caller can pause. None
 * where time has brought nothing to any.
 * @throws AtlasError `invalid` where an issuer in force does not decode
 */
export function* agedOwners(
  fleet: Fleet,
  settings: Settings,
  now: Date,
  evidence: Evidence | undefined,
): Generator<Aged | undefined, void> {
  if (areOwnersSettled(fleet, settings, now)) return
  for (const owner of [OBSERVABILITY, ...registeredNames(fleet)] as const) yield aged(fleet, settings, owner, {now, evidence})
}

/**
 * The renewals of one pass, those that end first before others. While a tenth is not acknowledged, none; where half of a tenth, and
 * at least two clusters, do not acknowledge in time, those alone that can not wait.
 * @param all what `agedOwners` gives for the same fleet, time and evidence
 * @throws AtlasError `invalid` where an issuer in force does not decode
 */
export function planRenewals(
  fleet: Fleet,
  settings: Settings,
  now: Date,
  facts: RenewalFacts,
  all: Iterable<Aged | undefined> = agedOwners(fleet, settings, now, facts.evidence),
): RenewalPlan {
  const {isClockConfirmed, renewedBefore} = facts
  const found = [...all].filter(one => one !== undefined)
  const due = isClockConfirmed ? found : found.filter(({owner}) => owner !== OBSERVABILITY)
  const isOtherDue = due.length < found.length
  const plan = (chosen: readonly Aged[], late: readonly Owner[] = []): RenewalPlan => ({
    owners: new Set(chosen.map(({owner}) => owner)),
    others: isClockConfirmed,
    isWaiting: chosen.length < due.length || isOtherDue,
    late,
  })
  if (due.length === 0) return plan([])

  const tenth = Math.max(1, Math.floor(registeredNames(fleet).length / 10))
  const {pending, late} = unacknowledged(fleet, now, facts)
  // One cluster that does not answer delays no other, however small the fleet is.
  const isStopped = late.length >= Math.max(2, tenth / 2)
  const ready = isStopped ? due.filter(({isUrgent}) => isUrgent) : due
  const again = isClockConfirmed ? [] : ready.filter(({owner}) => renewedBefore.has(owner))
  const left = isClockConfirmed ? tenth : tenth - renewedBefore.size + again.length
  if (pending.length > 0 || left <= 0) return plan([])
  // Those whose renewal was not written come first, so that never more than a tenth of the fleet is touched.
  const chosen = [...new Set([...again, ...[...ready].sort((a, b) => a.end - b.end)])].slice(0, left)
  return plan(chosen, ready.length < due.length ? late : [])
}

/** An owner with certificates that their age is a reason to replace. */
export interface Aged {
  readonly owner: Owner
  /** When the first of its certificates that are due ends, milliseconds since 1970. */
  readonly end: number
  /** One has ended, is not valid yet, or has less than a sixth of its life left. */
  readonly isUrgent: boolean
}

/** Undefined where no certificate of the owner is due by its age alone. */
function aged(
  fleet: Fleet,
  settings: Settings,
  owner: Owner,
  {now, evidence}: {readonly now: Date; readonly evidence: Evidence | undefined},
): Aged | undefined {
  if (!isRegistered(fleet, owner) || isOwnerSettled(fleet, settings, owner, now)) return undefined
  const record = recordOf(fleet, owner)
  const identity = identityLeaf(fleet, settings, record)
  // What cannot be signed now, or is held, stays due, and would take the turn of every other owner.
  const isHeld = owner === OBSERVABILITY && whyHeld(fleet, identity, evidence, now) !== undefined
  const leaves = [
    ...(isHeld || signerIn(fleet, settings, 'issuer', now) === undefined ? [] : [identity]),
    ...(signerIn(fleet, settings, 'credentialIssuer', now) === undefined ? [] : [credentialLeaf(fleet, settings, record)]),
  ]
  const due = leaves.flatMap(leaf => {
    const age = ageOf(leaf, now)
    return age === undefined ? [] : [age]
  })
  if (due.length === 0) return undefined
  return {owner, end: Math.min(...due.map(({end}) => end)), isUrgent: due.some(({isUrgent}) => isUrgent)}
}

function ageOf(leaf: Leaf, now: Date): Omit<Aged, 'owner'> | undefined {
  const {present, spec, issuers} = leaf
  const reasons = judgeKey(present, spec, issuers, now).map(({reason}) => reason)
  if (present === undefined || !reasons.every(reason => isAge(reason)) || (reasons.length === 0 && !isSucceededLeaf(leaf))) return undefined
  const isUrgent = reasons.some(reason => reason !== 'near-expiry') || isInLastSixth(present, now)
  return {end: readKey(present).notAfter.getTime(), isUrgent}
}

/**
 * Owners with a connected Envoy that has not acknowledged the identity in the store: `pending` while that is new, `late` after that. An
 * owner without a connected Envoy is in neither: its Envoy gets the newest identity when it connects. Nor is one that a rotation skips.
 */
function unacknowledged(
  fleet: Fleet,
  now: Date,
  {proxies, acknowledgeMs}: RenewalFacts,
): {readonly pending: readonly Owner[]; readonly late: readonly Owner[]} {
  const [pending, late] = [new Set<Owner>(), new Set<Owner>()]
  const skipped = new Set<Owner>(fleet.rotation?.skipped)
  for (const {cluster, identity} of proxies) {
    const present = fleet.identities.get(cluster)
    if (present === undefined || !isRegistered(fleet, cluster) || skipped.has(cluster)) continue
    if (identity?.version === identitySecret(present).version) continue
    const age = now.getTime() - issuedAt(readKey(present))
    // A negative age is that of an identity which a wrong clock has issued.
    if (age >= 0 && age < acknowledgeMs) pending.add(cluster)
    else late.add(cluster)
  }

  return {pending: [...pending], late: [...late].sort()}
}
