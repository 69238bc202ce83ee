/** What follows from a fleet (kinds.ts): which clusters are served, their generations and records, and what is at fault. */
import type {Address, HostPort} from './address.js'
import {type Alertmanager, alertmanagerHost} from './alertmanager.js'
import type {OwnerRecord} from './authority.js'
import type {Cluster} from './cluster.js'
import {type Fault, sameFault} from './errors.js'
import {type Fleet, type Subject, type SubjectKind, changeKinds, parseSubject, subjectOf} from './kinds.js'
import {type ClusterName, OBSERVABILITY, type Owner, objectKey} from './names.js'
import {remember} from './remember.js'
import {PersistentMap, differingKeys, sortedKeys} from './persistent-map.js'

export type {Fault} from './errors.js'
export type {Fleet, Revision, Subject} from './kinds.js'
export type {ObjectKey} from './names.js'

export const emptyFleet = Object.fromEntries(
  Object.values(changeKinds).map(({field, name}) => [field, name === undefined ? undefined : PersistentMap.of()]),
) as unknown as Fleet

/** Why an entry can't be read; undefined: it can, or is not there. */
export function faultOf({faults}: Fleet, kind: SubjectKind, name = ''): Fault | undefined {
  return faults.size === 0 ? undefined : faults.get(subjectOf(kind, name))
}

/** Whether an entry is there and can't be read. */
export function isBroken(fleet: Fleet, kind: SubjectKind, name = ''): boolean {
  return faultOf(fleet, kind, name) !== undefined
}

/** The names of the entries of a kind that can't be read. */
export function brokenNames({faults}: Fleet, kind: SubjectKind): readonly string[] {
  return [...faults.keys()].map(subject => parseSubject(subject)).flatMap(broken => (broken.kind === kind ? [broken.name] : []))
}

/** Faults that are new or have changed, and faults that are gone. */
export function faultsBetween(
  before: Fleet,
  after: Fleet,
): Readonly<Record<'broken' | 'repaired', readonly (readonly [Subject, Fault])[]>> {
  if (before.faults === after.faults) return {broken: [], repaired: []}
  return {
    broken: [...after.faults].filter(([subject, fault]) => !sameFault(fault, before.faults.get(subject))),
    repaired: [...before.faults].filter(([subject]) => !after.faults.has(subject)),
  }
}

/**
 * The cluster that is served: its registration or, while that does not decode, the last one that did (promise 6: unknown is not
 * removed). Undefined: not registered, or revoked.
 */
export function clusterOf(fleet: Fleet, name: ClusterName): Cluster | undefined {
  if (isRevoked(fleet, name)) return undefined
  return fleet.registrations.get(name) ?? (isBroken(fleet, 'registration', name) ? fleet.records.get(name)?.registration : undefined)
}

/** Every cluster that is served, in order of name. */
export function clustersOf(fleet: Fleet): readonly Cluster[] {
  return registeredNames(fleet)
    .map(name => clusterOf(fleet, name))
    .filter(cluster => cluster !== undefined)
}

/** Every registered cluster, whether its registration decodes or not, in order of name. */
export function registeredNames(fleet: Fleet): readonly ClusterName[] {
  const names = sortedKeys(fleet.registrations)
  const broken = brokenNames(fleet, 'registration') as ClusterName[]
  return broken.length === 0 ? names : [...new Set([...names, ...broken])].sort()
}

/** Whether there is a registration, decodable or not; the observability cluster needs none. A revoked cluster may be registered, too. */
export function isRegistered(fleet: Fleet, owner: Owner): boolean {
  return owner === OBSERVABILITY || fleet.registrations.has(owner) || isBroken(fleet, 'registration', owner)
}

/** Whether a person has cut the cluster off, and not restored it yet. */
export function isRevoked({records}: Fleet, owner: Owner): boolean {
  return records.get(owner)?.revokedSince !== undefined
}

/** Whether nodes of the owner may connect, and certificates are issued for it: it is registered, and not revoked. */
export function isServed(fleet: Fleet, owner: Owner): boolean {
  return isRegistered(fleet, owner) && !isRevoked(fleet, owner)
}

/** Every cluster that is registered and not revoked, in order of name. */
export function servedNames(fleet: Fleet): readonly ClusterName[] {
  return registeredNames(fleet).filter(name => isServed(fleet, name))
}

/** Whether a cluster was removed for good, or never was: it is neither registered, nor suspended or revoked. What a server remembers of it can go. */
export function isRemoved(fleet: Fleet, owner: Owner): boolean {
  if (isRegistered(fleet, owner) || isRevoked(fleet, owner) || isBroken(fleet, 'record', owner)) return false
  return fleet.records.get(owner)?.registration === undefined
}

/** Every owner of which anything is stored, readable or not. */
export function mentionedOwners(fleet: Fleet): ReadonlySet<Owner> {
  const broken = (['credential', 'identity', 'record', 'registration'] as const).flatMap(kind => brokenNames(fleet, kind) as Owner[])
  return new Set<Owner>([
    OBSERVABILITY,
    ...fleet.registrations.keys(),
    ...fleet.records.keys(),
    ...fleet.identities.keys(),
    ...fleet.credentials.keys(),
    ...broken,
  ])
}

/**
 * Whether a cluster's registration or record cannot be read: then nothing that leads to the cluster is changed. That a cluster is
 * revoked, the record alone says.
 */
export function isUnreadable(fleet: Fleet, owner: Owner): boolean {
  if (isBroken(fleet, 'record', owner)) return true
  if (isRevoked(fleet, owner)) return false
  return isBroken(fleet, 'registration', owner) || isBroken(fleet, 'object', objectKey('Service', owner))
}

/** Whether anything that is stored of an owner cannot be read: then nothing is issued for it. */
export function isAtFault(fleet: Fleet, owner: Owner): boolean {
  return (['record', 'identity', 'credential', 'registration'] as const).some(kind => isBroken(fleet, kind, owner))
}

/** The owners whose entries in any of these maps are not the same objects in both fleets. */
export function ownersApart(
  before: Fleet,
  after: Fleet,
  maps: readonly ('credentials' | 'identities' | 'records' | 'registrations')[],
): readonly Owner[] {
  return [...new Set(maps.flatMap(map => differingKeys<Owner, unknown>(before[map], after[map])))]
}

/** The generation in a cluster's certificate names; 1 for one without a record. */
export function generationOf(fleet: Fleet, owner: Owner): number {
  return fleet.records.get(owner)?.generation ?? 1
}

export function recordOf(fleet: Fleet, owner: Owner): OwnerRecord {
  return fleet.records.get(owner) ?? {owner, generation: 1, credentials: [], denied: []}
}

/** Where downstream Envoys connect to the observability cluster: the addresses of the settings, or else of the external Service. */
export function dialledAddresses(fleet: Fleet): readonly Address[] {
  const chosen = fleet.settings?.addresses ?? []
  return chosen.length > 0 ? chosen : (fleet.external ?? [])
}

/** The Alertmanagers of the settings, as `alertmanager0` and so on; without a list there, those that the leader has found. */
export function alertmanagersOf({settings, alertmanagers}: Fleet): readonly Alertmanager[] {
  const listed = settings?.alertmanagers ?? []
  return listed.length > 0 ? named(listed) : (alertmanagers ?? NO_ALERTMANAGERS)
}

const named = remember((listed: readonly HostPort[]): readonly Alertmanager[] =>
  listed.map((at, index) => ({name: alertmanagerHost(index), ...at})),
)

const NO_ALERTMANAGERS: readonly Alertmanager[] = []
