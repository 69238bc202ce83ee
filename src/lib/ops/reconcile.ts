/**
 * Brings the fleet to the state that it should have: issues certificates that are missing or due, keeps the records, writes what Thanos
 * Query reads. Level-triggered: the plan is made from the fleet alone, so that it is resumed after a crash anywhere. Broken entries
 * are left as they are (promise 6); only people, or `atlas rotate`, replace them.
 */
import {renderEndpoints} from '../manifest/endpoints.js'
import {whyEndpointsTooLong} from '../manifest/text-limits.js'
import type {AuthorityPart, CertifiedKey, OwnerRecord} from '../model/authority.js'
import {type Change, reduce} from '../model/change.js'
import {acceptedPart} from '../model/cluster.js'
import {type Endpoints, installationMark} from '../model/endpoints.js'
import {type Fleet, isAtFault, isBroken, isRegistered, isRevoked, recordOf, registeredNames} from '../model/fleet.js'
import {type ClusterName, OBSERVABILITY, type Owner} from '../model/names.js'
import type {Settings} from '../model/settings.js'
import {type CertificateSpec, credentialIssuerSpec, issuerSpec} from '../pki/certificate-specs.js'
import {issue, issueCredential} from '../pki/issue.js'
import {recordOfCredential} from '../pki/read.js'
import type {StateStore} from '../store/store.js'
import {planClients} from './clients.js'
import {atOnce} from './clock.js'
import {commitPlan, sameValue} from './commit.js'
import {ownersOfDerivedObjects, planDerived} from './derive.js'
import {type Leaf, credentialLeaf, checkOf, identityLeaf, isAhead, isDue, isOwnerSettled, serverLeaf, suspensionEnd} from './due.js'
import {isOfEarlierGeneration, recordOrRecovered} from '../pki/recover.js'
import {isHalfRemoved, isRevokedIn, planDeletion, planKeyDeletion, planRemoval, withoutEnded} from './revoke.js'
import {type Renewals, allRenewals} from './renewals.js'
import type {Evidence} from './rotation/evidence.js'
import {whyHeld} from './rotation/held.js'
import {planReopening} from './rotation/leftover.js'
import {planRotation} from './rotation/plan.js'
import {signerIn, whyUnsigned} from './signing.js'
import type {OpsDependencies} from './dependencies.js'
import {type UsedCredentials, planSuperseded, usedCredentials} from './superseded.js'
import {planTrust} from './trust.js'

/** Plans on a store and commits the plan. @returns the fleet afterwards @throws AtlasError what the store throws */
export async function reconcile(store: StateStore, dependencies: OpsDependencies): Promise<Fleet> {
  return (await commitPlan(store, fleet => planReconcile(fleet, dependencies, {withDerived: store.keepsDerived}))).after
}

export interface ReconcileScope {
  /** The owners whose certificates and records are looked at, all by default. What has no owner, such as the issuers, always is. */
  readonly owners?: readonly Owner[]
  /** Whether the objects that Kubernetes keeps beside the fleet are planned too (derive.ts). */
  readonly withDerived?: boolean
  /** Whether the endpoints that Thanos Query reads are planned too; true by default. */
  readonly withEndpoints?: boolean
  /** Whether the DNS zone is kept, where derived objects are; true by default. */
  readonly withZone?: boolean | undefined
  /** The highest serial that the zone is known to have had; a zone that differs has a higher one. */
  readonly servedSerial?: number | undefined
  /** Whose certificates are replaced because of their age; all by default. */
  readonly renewals?: Renewals
  /** By which a rotation of the issuer or the root goes on; without it no rotation begins or goes on. */
  readonly evidence?: Evidence | undefined
  /** By which older credentials are dated and refused; by default that of `evidence`, without which none is. */
  readonly used?: UsedCredentials | undefined
}

/**
 * The changes that are still missing, in an order in which every prefix is a legal fleet. Without settings or a readable root nothing is
 * signed; only `init` makes a root. While the clock is doubted nothing is signed either, and no time counts as over. What a signing
 * certificate cannot sign now is left out, and costs nothing else. Without a trust bundle no leaf is signed: each would be judged to be
 * of an unknown issuer, and replaced again and again.
 */
export function planReconcile(fleet: Fleet, dependencies: OpsDependencies, scope: ReconcileScope = {}): readonly Change[] {
  const {owners = knownOwners(fleet), withDerived = false, withEndpoints = true, renewals = allRenewals, evidence} = scope
  const used = scope.used ?? (evidence && usedCredentials(evidence))
  const {settings} = fleet
  if (settings === undefined || whyUnsigned(fleet) !== undefined) return []
  const plan = new Plan(fleet, settings, dependencies, {renewals, evidence})
  plan.issuers()
  plan.rotation()
  plan.trust()
  if (!plan.isTrusted()) return plan.changes
  plan.server()
  plan.clients()
  for (const owner of owners) {
    plan.owner(owner)
    if (used !== undefined) plan.superseded(owner, used)
  }

  // A Service is made before the endpoints list it, and removed after they do not list it any more.
  const derived = withDerived
    ? planDerived(plan.fleet, settings, {...scope, owners, withEndpoints}, dependencies)
    : {written: [], removed: []}
  plan.add(derived.written)
  // Only in a Kubernetes cluster may another installation use the same namespace for its endpoints.
  if (withEndpoints) plan.endpoints(withDerived ? {installation: installationMark(settings)} : {})
  plan.add(derived.removed)
  return plan.changes
}

/** Every owner with a registration, a record or a derived object: the observability cluster, then the others by name. */
export function knownOwners(fleet: Fleet): readonly Owner[] {
  return inOrder([OBSERVABILITY, ...registeredNames(fleet), ...fleet.records.keys(), ...ownersOfDerivedObjects(fleet)])
}

/** The observability cluster, if it is among the owners, then the others by name. */
export function inOrder(owners: Iterable<Owner>): readonly Owner[] {
  const others = new Set<Owner>(owners)
  const isFirst = others.delete(OBSERVABILITY)
  return [...(isFirst ? ([OBSERVABILITY] as const) : []), ...[...others].sort()]
}

class Plan {
  readonly changes: Change[] = []
  #fleet: Fleet
  readonly #settings: Settings
  readonly #deps: OpsDependencies
  readonly #renewals: Renewals
  readonly #evidence: Evidence | undefined

  constructor(
    fleet: Fleet,
    settings: Settings,
    dependencies: OpsDependencies,
    {renewals, evidence}: {readonly renewals: Renewals; readonly evidence: Evidence | undefined},
  ) {
    this.#fleet = fleet
    this.#settings = settings
    this.#deps = atOnce(dependencies)
    this.#renewals = renewals
    this.#evidence = evidence
  }

  get fleet(): Fleet {
    return this.#fleet
  }

  add(changes: readonly Change[]): void {
    for (const change of changes) this.#add(change)
  }

  issuers(): void {
    this.#issuer('issuer', issuerSpec(this.#settings))
    this.#issuer('credentialIssuer', credentialIssuerSpec(this.#settings))
    this.add(planReopening(this.#fleet, this.#deps.now()))
  }

  rotation(): void {
    if (this.#evidence === undefined || !this.#isClockBelieved()) return
    this.add(planRotation(this.#fleet, this.#settings, this.#evidence, {...this.#deps, isAgeAReason: this.#renewals.others}))
  }

  /** An issuer must be in the trust bundle before the first certificate that it signed is delivered. */
  trust(): void {
    if (!isBroken(this.#fleet, 'trust')) this.add(planTrust(this.#fleet))
  }

  isTrusted(): boolean {
    return this.#fleet.trust !== undefined
  }

  server(): void {
    const issuer = this.#signer('issuer')
    if (issuer === undefined || isBroken(this.#fleet, 'server')) return
    const leaf = serverLeaf(this.#fleet, this.#settings)
    if (this.#isHeld(leaf)) return
    if (isDue(leaf, this.#deps.now(), {age: this.#renewals.others})) this.#add({kind: 'server', value: this.#issue(leaf.spec, issuer)})
  }

  clients(): void {
    this.add(planClients(this.#fleet, this.#settings, this.#signer('issuer'), this.#deps, {age: this.#renewals.others}))
  }

  /** Passes over an owner without anything to do until one of its parts has changed, or is due. */
  owner(owner: Owner): void {
    if (!isRegistered(this.#fleet, owner) && !this.#fleet.records.has(owner)) return
    if (isOwnerSettled(this.#fleet, this.#settings, owner, this.#deps.now())) return
    const check = checkOf(this.#fleet, this.#settings, owner)
    const before = this.changes.length
    this.#owner(owner)
    check.isSettled = this.changes.length === before && !isAtFault(this.#fleet, owner) && this.#canSign()
  }

  superseded(owner: Owner, used: UsedCredentials): void {
    const facts = {used, now: this.#deps.now(), isClockBelieved: this.#isClockBelieved(), isAgeAReason: this.#renewals.others}
    this.add(planSuperseded(this.#fleet, this.#settings, owner, facts))
  }

  #isHeld(leaf: Leaf): boolean {
    return whyHeld(this.#fleet, leaf, this.#evidence, this.#deps.now()) !== undefined
  }

  #isClockBelieved(): boolean {
    return this.#deps.clockDoubt?.() === undefined
  }

  /** If not, an owner may lack a certificate that is issued once the clock, or the signing certificate, is right again. */
  #canSign(): boolean {
    return this.#signer('issuer') !== undefined && this.#signer('credentialIssuer') !== undefined
  }

  #ageOf(owner: Owner): {readonly age: boolean} {
    const {owners} = this.#renewals
    return {age: owners === 'all' || owners.has(owner)}
  }

  #owner(owner: Owner): void {
    if (isBroken(this.#fleet, 'record', owner)) return
    if (owner !== OBSERVABILITY) this.#finishRemoval(owner)
    // Nothing is issued for a revoked cluster, and a revocation that ended half-way is finished.
    if (owner !== OBSERVABILITY && isRevoked(this.#fleet, owner)) this.add(planKeyDeletion(this.#fleet, owner))
    const before = recordOrRecovered(this.#fleet, owner)
    if (owner !== OBSERVABILITY && !isRegistered(this.#fleet, owner)) {
      this.#unregistered(owner, before)
      return
    }

    const {suspendedSince: _, ...rest} = this.#isClockBelieved() ? withoutEnded(before, this.#deps.now()) : before
    const registration = owner === OBSERVABILITY ? undefined : (this.#fleet.registrations.get(owner) ?? before.registration)
    this.#record(before, registration === undefined ? rest : {...rest, registration: acceptedPart(registration)})
    if (isRevoked(this.#fleet, owner)) return
    this.#identity(owner)
    this.#credential(owner)
  }

  /**
   * A removal that ended half-way is finished. The record's mark goes once the registration that was removed is gone, so that the same
   * cluster can be registered again.
   */
  #finishRemoval(owner: ClusterName): void {
    const record = this.#fleet.records.get(owner)
    if (record === undefined || record.registration !== undefined) return
    if (isHalfRemoved(this.#fleet, owner) || (!isRegistered(this.#fleet, owner) && isOfEarlierGeneration(this.#fleet, owner)))
      this.add(planDeletion(this.#fleet, owner))
    if (record.removing === undefined) return
    const {removing: _, ...rest} = record
    this.#record(record, rest)
  }

  /** A file in a directory has no limit; a ConfigMap keeps its last complete one. */
  endpoints(mark: Pick<Endpoints, 'installation'>): void {
    const {endpoints, groupEndpoints} = this.#fleet
    if (!isBroken(this.#fleet, 'endpoints')) {
      const value = this.#endpoints(undefined, endpoints, mark)
      if (value !== undefined) this.#add({kind: 'endpoints', value})
    }

    for (const group of this.#settings.groups) {
      if (isBroken(this.#fleet, 'groupEndpoints', group)) continue
      const value = this.#endpoints(group, groupEndpoints.get(group), mark)
      if (value !== undefined) this.#add({kind: 'groupEndpoints', group, value})
    }
  }

  /** @returns undefined where what is present stays */
  #endpoints(group: string | undefined, present: Endpoints | undefined, mark: Pick<Endpoints, 'installation'>): Endpoints | undefined {
    const rendered = renderEndpoints(this.#fleet, group)
    const isTooLong = mark.installation !== undefined && whyEndpointsTooLong(rendered, group) !== undefined
    const text = isTooLong ? present?.text : rendered
    if (text === undefined) return undefined
    const value: Endpoints = {text, ...mark}
    const isMarked = value.installation === undefined || value.installation === present?.installation
    return value.text !== present?.text || !isMarked ? value : undefined
  }

  #issuer(part: AuthorityPart, spec: CertificateSpec): void {
    const root = this.#signer('root')
    if (root === undefined || this.#fleet.authority.has(part) || isBroken(this.#fleet, 'authority', part)) return
    this.#add({kind: 'authority', part, value: this.#issue(spec, root)})
  }

  #identity(owner: Owner): void {
    const issuer = this.#signer('issuer')
    if (issuer === undefined || isBroken(this.#fleet, 'identity', owner)) return
    const leaf = identityLeaf(this.#fleet, this.#settings, recordOf(this.#fleet, owner))
    if (owner === OBSERVABILITY && this.#isHeld(leaf)) return
    if (isDue(leaf, this.#deps.now(), this.#ageOf(owner))) this.#add({kind: 'identity', owner, value: this.#issue(leaf.spec, issuer)})
  }

  /** The record first: the server refuses a credential that is not on record, while a record without its credential does no harm. */
  #credential(owner: Owner): void {
    const issuer = this.#signer('credentialIssuer')
    const roots = this.#fleet.trust?.roots
    if (issuer === undefined || roots === undefined || isBroken(this.#fleet, 'credential', owner)) return
    const record = recordOf(this.#fleet, owner)
    const leaf = credentialLeaf(this.#fleet, this.#settings, record)
    const usable = isDue(leaf, this.#deps.now(), this.#ageOf(owner)) ? undefined : leaf.present
    const kept = usable !== undefined && isRevokedIn(record, usable) ? undefined : usable
    const credential = kept ?? issueCredential(leaf.spec, issuer, roots, this.#deps.now(), this.#deps.signer)
    const entry = recordOfCredential(credential)
    const known = record.credentials.find(other => other.sha256 === entry.sha256)
    if (known === undefined) this.#record(record, {...record, credentials: [...record.credentials, entry]})
    if (kept === undefined) this.#add({kind: 'credential', owner, value: credential})
  }

  /**
   * A cluster without a registration is suspended, and removed for good if the registration does not come back in time. A revoked cluster
   * is not removed: when its registration came back, it would count as a new cluster, and get certificates.
   */
  #unregistered(owner: ClusterName, before: OwnerRecord): void {
    // It is cut off by its registration alone. Its suspension is dated, and ends, by a clock that is believed.
    if (!this.#isClockBelieved()) return
    const now = this.#deps.now()
    if (before.registration === undefined && before.revokedSince === undefined) {
      // It was removed: what is left is the denial of its old names, and its generation for good. A cluster that is registered again
      // must not get a name that an earlier certificate carries, whatever the clock showed when the record was last looked at.
      const rest = withoutEnded(before, now)
      const isEmpty = rest.denied.length === 0 && rest.credentials.length === 0 && rest.generation === 1
      if (isEmpty) this.#add({kind: 'record', owner, value: undefined})
      else this.#record(before, rest)
      return
    }

    if (before.suspendedSince === undefined || isAhead(before.suspendedSince, now)) {
      this.#record(before, {...before, suspendedSince: now.toISOString()})
      return
    }

    if (before.revokedSince !== undefined) {
      this.#record(before, withoutEnded(before, now))
      return
    }

    if (suspensionEnd(before.suspendedSince, this.#settings) > now.getTime()) return
    this.add(planRemoval(this.#fleet, owner, this.#deps))
  }

  #signer(part: AuthorityPart): CertifiedKey | undefined {
    if (!this.#isClockBelieved()) return undefined
    return signerIn(this.#fleet, this.#settings, part, this.#deps.now())
  }

  #record(before: OwnerRecord, after: OwnerRecord): void {
    const isNew = !this.#fleet.records.has(before.owner)
    if (isNew || !sameValue(before, after)) this.#add({kind: 'record', owner: before.owner, value: after})
  }

  #issue(spec: CertificateSpec, issuer: CertifiedKey): CertifiedKey {
    return issue(spec, issuer, this.#deps.now(), this.#deps.signer)
  }

  #add(change: Change): void {
    this.changes.push(change)
    this.#fleet = reduce(this.#fleet, change)
  }
}
