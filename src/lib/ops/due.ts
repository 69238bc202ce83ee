/** What each leaf certificate of a fleet should be, whether it is to be replaced, and when something is due though nothing changes. */
import type {CertifiedKey, Credential, OwnerRecord} from '../model/authority.js'
import {type Fleet, recordOf} from '../model/fleet.js'
import {type ClientName, OBSERVABILITY, type Owner} from '../model/names.js'
import {remember} from '../model/remember.js'
import type {Settings} from '../model/settings.js'
import {type CertificateSpec, clientSpec, credentialSpec, identitySpec, serverSpec} from '../pki/certificate-specs.js'
import {dueAt, judgeKey} from '../pki/judge.js'
import {takeoverDue} from './goatlas/takeover.js'

/** A leaf certificate as it is, and as it should be. */
export interface Leaf<Key extends CertifiedKey = CertifiedKey> {
  readonly present: Key | undefined
  readonly spec: CertificateSpec
  /** PEM of the issuers in force that may have signed it, one each. */
  readonly issuers: readonly string[]
}

export function serverLeaf({server, trust}: Fleet, settings: Settings): Leaf {
  return {present: server, spec: serverSpec(settings), issuers: trust?.issuers ?? []}
}

export function clientLeaf({clients, trust}: Fleet, settings: Settings, name: ClientName): Leaf<Credential> {
  return {present: clients.get(name), spec: clientSpec(settings, name), issuers: trust?.issuers ?? []}
}

export function identityLeaf({identities, trust}: Fleet, settings: Settings, {owner, generation}: OwnerRecord): Leaf {
  return {present: identities.get(owner), spec: identitySpec(settings, owner, generation), issuers: trust?.issuers ?? []}
}

export function credentialLeaf({credentials, trust}: Fleet, settings: Settings, {owner, generation}: OwnerRecord): Leaf<Credential> {
  return {present: credentials.get(owner), spec: credentialSpec(settings, owner, generation), issuers: trust?.credentialIssuers ?? []}
}

/** Whether a leaf is to be replaced now. @throws AtlasError `invalid` where an issuer in force does not decode */
export function isDue({present, spec, issuers}: Leaf, now: Date): boolean {
  return judgeKey(present, spec, issuers, now).length > 0
}

/**
 * The earliest time at which `planReconcile` will have something to do though nothing changes: a renewal, an end, a takeover.
 * Undefined: there is no such time.
 */
export function nextDue(fleet: Fleet): Date | undefined {
  const {settings, clients} = fleet
  if (settings === undefined) return undefined
  let due = Math.min(leafDue(serverLeaf(fleet, settings)), takeoverDue(fleet))
  for (const name of clients.keys()) due = Math.min(due, leafDue(clientLeaf(fleet, settings, name)))
  const owners = new Set<Owner>([...fleet.identities.keys(), ...fleet.credentials.keys(), ...fleet.records.keys()])
  for (const owner of owners) due = Math.min(due, ownerDue(fleet, settings, owner))
  return due === Infinity ? undefined : new Date(due)
}

/** As `nextDue`, of one owner; milliseconds since 1970, Infinity for never. */
export function ownerDue(fleet: Fleet, settings: Settings, owner: Owner): number {
  const findings = findingsOf(fleet, settings, owner)
  findings.due ??= computeDue(fleet, settings, recordOf(fleet, owner))
  return findings.due
}

/** What was found out about an owner. */
export interface Findings {
  due: number | undefined
  /** Whether `planReconcile` has looked, and found nothing to do. */
  isSettled: boolean
}

/** The findings about an owner: the same object, to be added to, for as long as its parts in the fleet are the same objects. */
export function findingsOf(fleet: Fleet, settings: Settings, owner: Owner): Findings {
  const registration = owner === OBSERVABILITY ? undefined : fleet.registrations.get(owner)
  const parts = [settings, fleet.trust, registration, fleet.identities.get(owner), fleet.credentials.get(owner)]
  return findings(recordOf(fleet, owner), ...parts)
}

const findings = remember<OwnerRecord, readonly unknown[], Findings>(() => ({due: undefined, isSettled: false}))

function computeDue(fleet: Fleet, settings: Settings, record: OwnerRecord): number {
  const {suspendedSince, credentials, denied} = record
  return Math.min(
    leafDue(identityLeaf(fleet, settings, record)),
    leafDue(credentialLeaf(fleet, settings, record)),
    suspendedSince === undefined ? Infinity : suspensionEnd(suspendedSince, settings),
    ...credentials.map(({notAfter}) => Date.parse(notAfter)),
    ...denied.map(({until}) => Date.parse(until)),
  )
}

/** When a suspended cluster is removed; milliseconds since 1970. */
export function suspensionEnd(since: string, {lifetimes}: Settings): number {
  return Date.parse(since) + lifetimes.suspension * 1000
}

function leafDue({present, spec, issuers}: Leaf): number {
  return dueAt(present, spec, issuers)
}
