/** All that Atlas knows, as one immutable value. It changes through `reduce` (change.ts) alone. */
import type {Address} from './address.js'
import type {AuthorityPart, CertifiedKey, Credential, OwnerRecord, TrustBundle} from './authority.js'
import type {Cluster} from './cluster.js'
import type {Fault, Subject} from './fault.js'
import type {ClientName, ClusterName, Owner} from './names.js'
import type {ReplicaReport} from './report.js'
import type {Request} from './request.js'
import type {Settings} from './settings.js'

export type {Fault, Subject} from './fault.js'

/** `<kind>/<name>` of a stored object. */
export type ObjectKey = string

/** A stored object's version: opaque, equal only for equal content. */
export type Revision = string

export interface Fleet {
  /** Undefined before `init`. */
  readonly settings: Settings | undefined
  readonly authority: ReadonlyMap<AuthorityPart, CertifiedKey>
  readonly trust: TrustBundle | undefined
  /** Registrations as people wrote them; one that does not decode is absent here and named in `faults`. */
  readonly registrations: ReadonlyMap<ClusterName, Cluster>
  /** What SDS delivers; `atlas` is the observability cluster's. */
  readonly identities: ReadonlyMap<Owner, CertifiedKey>
  readonly credentials: ReadonlyMap<Owner, Credential>
  /** With which clients open the internal ports that speak mutual TLS. */
  readonly clients: ReadonlyMap<ClientName, Credential>
  /** The ADS server's own certificate. */
  readonly server: CertifiedKey | undefined
  readonly records: ReadonlyMap<Owner, OwnerRecord>
  /** The endpoints file for Thanos Query, as stored. */
  readonly endpoints: string | undefined
  /** What Kubernetes keeps beside the fleet and can be made from it at any time, as its owned parts in one text: the Services of the sidecars, values, zone. */
  readonly derived: ReadonlyMap<ObjectKey, string>
  /** Where the external Service of the observability Envoy is reached, as its load balancer says; none known: empty. */
  readonly external: readonly Address[] | undefined
  /** What people have asked the leader to do, by an id. */
  readonly requests: ReadonlyMap<string, Request>
  /** What each server replica, living or dead, has said last of its proxies. */
  readonly reports: ReadonlyMap<string, ReplicaReport>
  /** The server replicas that live, as the leader sees it; undefined where nobody has said. */
  readonly replicas: readonly string[] | undefined
  readonly faults: ReadonlyMap<Subject, Fault>
  readonly revisions: ReadonlyMap<ObjectKey, Revision>
}

export const emptyFleet: Fleet = {
  settings: undefined,
  authority: new Map(),
  trust: undefined,
  registrations: new Map(),
  identities: new Map(),
  credentials: new Map(),
  clients: new Map(),
  server: undefined,
  records: new Map(),
  endpoints: undefined,
  derived: new Map(),
  external: undefined,
  requests: new Map(),
  reports: new Map(),
  replicas: undefined,
  faults: new Map(),
  revisions: new Map(),
}

/**
 * The cluster as it is to be served: its registration, or while that does not decode, the last one that did
 * (promise 6: unknown is not removed). Undefined: not registered.
 */
export function clusterOf(fleet: Fleet, name: ClusterName): Cluster | undefined {
  return fleet.registrations.get(name) ?? (fleet.faults.has(`registration/${name}`) ? fleet.records.get(name)?.registration : undefined)
}

/** Every cluster that is served, in order of name. */
export function clustersOf(fleet: Fleet): readonly Cluster[] {
  const held = [...fleet.faults.keys()]
    .filter(subject => subject.startsWith('registration/'))
    .map(subject => subject.slice('registration/'.length) as ClusterName)
  const names = [...new Set([...fleet.registrations.keys(), ...held])].sort()
  return names.map(name => clusterOf(fleet, name)).filter(cluster => cluster !== undefined)
}

/** Whose nodes may connect: the observability cluster's, and every registered cluster's, decodable or not. */
export function isRegistered(fleet: Fleet, owner: Owner): boolean {
  return owner === 'atlas' || fleet.registrations.has(owner) || fleet.faults.has(`registration/${owner}`)
}

/** The generation in a cluster's certificate names; 1 for one without a record. */
export function generationOf(fleet: Fleet, owner: Owner): number {
  return fleet.records.get(owner)?.generation ?? 1
}

export function recordOf(fleet: Fleet, owner: Owner): OwnerRecord {
  return fleet.records.get(owner) ?? {owner, generation: 1, credentials: [], denied: []}
}

/** Where downstream Envoys dial the observability cluster: what the settings say, else what the external Service's load balancer says. */
export function dialledAddresses(fleet: Fleet): readonly Address[] {
  const chosen = fleet.settings?.addresses ?? []
  return chosen.length > 0 ? chosen : (fleet.external ?? [])
}
