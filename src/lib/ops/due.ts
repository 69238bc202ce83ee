/** What each leaf certificate of a fleet should be, whether it is to be replaced, and when something is due though nothing changes. */
import type {CertifiedKey, Credential, OwnerRecord} from '../model/authority.js'
import {type Fleet, isRegistered, ownersApart, recordOf} from '../model/fleet.js'
import {type ClientName, OBSERVABILITY, type Owner} from '../model/names.js'
import {remember} from '../model/remember.js'
import type {Settings} from '../model/settings.js'
import {type CertificateSpec, clientSpec, credentialSpec, identitySpec, serverSpec} from '../pki/certificate-specs.js'
import {type Span, always, isAge, judgeKey, settledSpan} from '../pki/judge.js'
import {CLOCK_SKEW} from '../pki/rotation.js'
import {takeoverDue} from './goatlas/takeover.js'
import {dropAt} from './revoke.js'
import {isSucceeded, successorsIn} from './rotation/signers.js'

/** A leaf certificate as it is, and as it should be. */
export interface Leaf<Key extends CertifiedKey = CertifiedKey> {
  readonly present: Key | undefined
  readonly spec: CertificateSpec
  /** PEM of the issuers in force that may have signed it, one each. */
  readonly issuers: readonly string[]
  /** While a rotation replaces what others have signed: who signs now, and the roots that are to be carried. */
  readonly signer: CertifiedKey | undefined
  readonly roots?: string | undefined
}

export function serverLeaf(fleet: Fleet, settings: Settings): Leaf {
  return {present: fleet.server, spec: serverSpec(settings), ...byIssuer(fleet)}
}

export function clientLeaf(fleet: Fleet, settings: Settings, name: ClientName): Leaf<Credential> {
  return {present: fleet.clients.get(name), spec: clientSpec(settings, name), ...byIssuer(fleet)}
}

export function identityLeaf(fleet: Fleet, settings: Settings, {owner, generation}: OwnerRecord): Leaf {
  return {present: fleet.identities.get(owner), spec: identitySpec(settings, owner, generation), ...byIssuer(fleet)}
}

/** @throws AtlasError `invalid` where a certificate of the rotation under way does not decode */
export function credentialLeaf(fleet: Fleet, settings: Settings, {owner, generation}: OwnerRecord): Leaf<Credential> {
  const {credentialIssuer, roots} = successorsIn(fleet)
  return {
    present: fleet.credentials.get(owner),
    spec: credentialSpec(settings, owner, generation),
    issuers: fleet.trust?.credentialIssuers ?? [],
    signer: credentialIssuer,
    roots,
  }
}

function byIssuer(fleet: Fleet): Pick<Leaf, 'issuers' | 'signer'> {
  return {issuers: fleet.trust?.issuers ?? [], signer: successorsIn(fleet).issuer}
}

/** Whether a rotation asks for a new one: like a renewal, that is done in turns. */
export function isSucceededLeaf(leaf: Leaf): boolean {
  return leaf.present !== undefined && isSucceeded(leaf.present, leaf)
}

/**
 * Whether a leaf is to be replaced now.
 * @param age whether its age, or a rotation, is a reason
 * @throws AtlasError `invalid` where an issuer in force does not decode
 */
export function isDue(leaf: Leaf, now: Date, {age}: {readonly age: boolean}): boolean {
  const reasons = judgeKey(leaf.present, leaf.spec, leaf.issuers, now)
  return reasons.some(({reason}) => age || !isAge(reason)) || (age && reasons.length === 0 && isSucceededLeaf(leaf))
}

/**
 * The earliest time at which `planReconcile` will have something to do though nothing changes: a renewal, an end, a takeover; `now`
 * where a clock that ran ahead has left something that is not valid yet. Undefined: there is no such time.
 */
export function nextDue(fleet: Fleet, now: Date): Date | undefined {
  const {settings, clients} = fleet
  if (settings === undefined) return undefined
  const spans = [settledLeaf(serverLeaf(fleet, settings)), {from: -Infinity, until: takeoverDue(fleet)}]
  for (const name of clients.keys()) spans.push(settledLeaf(clientLeaf(fleet, settings, name)))
  spans.push(settledOwners(fleet, settings))
  const {from, until} = intersection(spans)
  if (from > now.getTime()) return now
  return until === Infinity ? undefined : new Date(until)
}

/** Whether the age of no owner's certificates, denials or suspension is a reason to do anything. */
export function areOwnersSettled(fleet: Fleet, settings: Settings, now: Date): boolean {
  return isWithin(settledOwners(fleet, settings), now)
}

/** Whether time has brought nothing to do for an owner since `planReconcile` last looked at it. */
export function isOwnerSettled(fleet: Fleet, settings: Settings, owner: Owner, now: Date): boolean {
  if (!checkOf(fleet, settings, owner).isSettled) return false
  return isWithin(settledOwner(fleet, settings, owner), now)
}

/**
 * Finds out what time brings to each owner, which takes a signature check for each certificate, before `areOwnersSettled` asks for all at
 * once; where the last fleet had the same trust bundle, to those that differ since. The caller iterates with pauses.
 * @throws AtlasError `invalid` where an issuer in force does not decode
 */
export function* lookAhead(fleet: Fleet): Generator<undefined, void> {
  const {settings} = fleet
  if (settings === undefined) return
  if (last !== undefined && isSameBasis(last.fleet, fleet)) {
    for (const owner of ownersSince(last.fleet, fleet)) {
      settledOwner(fleet, settings, owner)
      yield
    }

    if (narrowed(last, fleet, settings) !== undefined) return
  }

  const spans: Span[] = []
  for (const owner of ownersOf(fleet)) {
    spans.push(settledOwner(fleet, settings, owner))
    yield
  }

  last = {fleet, span: intersection(spans)}
}

function isWithin({from, until}: Span, now: Date): boolean {
  return from <= now.getTime() && now.getTime() < until
}

/** The span of the last fleet: that of the next is found by the owners that differ, so that a pass is not proportional to the fleet. */
let last: {readonly fleet: Fleet; readonly span: Span} | undefined

/** While time brings nothing to do for any owner. */
function settledOwners(fleet: Fleet, settings: Settings): Span {
  const span = (last && narrowed(last, fleet, settings)) ?? intersection(ownersOf(fleet).map(owner => settledOwner(fleet, settings, owner)))
  last = {fleet, span}
  return span
}

/** Undefined where an owner that decided an end of the span decides it no more: another one does then. */
function narrowed(before: {readonly fleet: Fleet; readonly span: Span}, fleet: Fleet, settings: Settings): Span | undefined {
  if (!isSameBasis(before.fleet, fleet)) return undefined
  const spans = ownersSince(before.fleet, fleet).map(
    owner => [settledOwner(before.fleet, settings, owner), settledOwner(fleet, settings, owner)] as const,
  )
  const {from, until} = before.span
  const isWidened = spans.some(([was, is]) => (was.from === from && is.from < from) || (was.until === until && is.until > until))
  return isWidened ? undefined : intersection([before.span, ...spans.map(([, is]) => is)])
}

/** Whether what all leaves are judged by is the same. */
function isSameBasis(before: Fleet, after: Fleet): boolean {
  const [was, is] = [successorsIn(before), successorsIn(after)]
  return (
    before.settings === after.settings &&
    before.trust === after.trust &&
    was.issuer === is.issuer &&
    was.credentialIssuer === is.credentialIssuer &&
    was.roots === is.roots
  )
}

/** Owners of which something differs that their spans depend on. */
function ownersSince(before: Fleet, after: Fleet): readonly Owner[] {
  return ownersApart(before, after, ['identities', 'credentials', 'records', 'registrations'])
}

function ownersOf(fleet: Fleet): readonly Owner[] {
  return [...new Set<Owner>([...fleet.identities.keys(), ...fleet.credentials.keys(), ...fleet.records.keys()])]
}

/** While time brings nothing to do for an owner. Both ends count: a clock may also run backwards. */
function settledOwner(fleet: Fleet, settings: Settings, owner: Owner): Span {
  const check = checkOf(fleet, settings, owner)
  check.span ??= computeSpan(fleet, settings, recordOf(fleet, owner))
  return check.span
}

/** What was found out about an owner's dates, kept from pass to pass. */
export interface OwnerCheck {
  span: Span | undefined
  /** Whether `planReconcile` has looked, and found nothing to do. */
  isSettled: boolean
}

/** The check of an owner: the same object, to be added to, for as long as its parts in the fleet are the same objects. */
export function checkOf(fleet: Fleet, settings: Settings, owner: Owner): OwnerCheck {
  const registration = owner === OBSERVABILITY ? undefined : fleet.registrations.get(owner)
  // A registration that can't be read counts, too: its cluster is due certificates.
  const {issuer, credentialIssuer, roots} = successorsIn(fleet)
  const parts = [
    settings,
    fleet.trust,
    issuer,
    credentialIssuer,
    roots,
    registration ?? isRegistered(fleet, owner),
    fleet.identities.get(owner),
    fleet.credentials.get(owner),
  ]
  return checks(recordOf(fleet, owner), ...parts)
}

const checks = remember<OwnerRecord, readonly unknown[], OwnerCheck>(() => ({span: undefined, isSettled: false}))

function computeSpan(fleet: Fleet, settings: Settings, record: OwnerRecord): Span {
  const {suspendedSince, revokedSince, credentials, denied} = record
  const dropped = [...credentials.map(({notAfter}) => dropAt(notAfter)), ...denied.map(({until}) => dropAt(until))]
  return intersection([
    settledLeaf(identityLeaf(fleet, settings, record)),
    settledLeaf(credentialLeaf(fleet, settings, record)),
    suspendedSince === undefined ? always : settledSuspension(suspendedSince, revokedSince === undefined ? settings : undefined),
    {from: -Infinity, until: Math.min(Infinity, ...dropped)},
  ])
}

/** @param settings undefined: the suspension of a revoked cluster has no end */
function settledSuspension(since: string, settings: Settings | undefined): Span {
  return {from: Date.parse(since) - CLOCK_SKEW * 1000, until: settings === undefined ? Infinity : suspensionEnd(since, settings)}
}

/** Whether a clock that ran ahead has set this time: it is later than now by more than clocks may differ. */
export function isAhead(time: string, now: Date): boolean {
  return Date.parse(time) - CLOCK_SKEW * 1000 > now.getTime()
}

/** When a suspended cluster is removed; milliseconds since 1970. */
export function suspensionEnd(since: string, {lifetimes}: Settings): number {
  return Date.parse(since) + lifetimes.suspension * 1000
}

function settledLeaf(leaf: Leaf): Span {
  return isSucceededLeaf(leaf) ? never : settledSpan(leaf.present, leaf.spec, leaf.issuers)
}

/** The span of what is due at any time. */
const never: Span = {from: -Infinity, until: 0}

function intersection(spans: readonly Span[]): Span {
  let {from, until} = always
  for (const span of spans) {
    from = Math.max(from, span.from)
    until = Math.min(until, span.until)
  }

  return {from, until}
}
