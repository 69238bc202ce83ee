/** Lists the clusters with their states: what is registered, and whether an Envoy is connected. */
import type {Cluster} from '../../model/cluster.js'
import {AtlasError, quote} from '../../model/errors.js'
import {type Fault, type Fleet, clusterOf, isBroken, isRevoked, isServed, registeredNames, faultOf} from '../../model/fleet.js'
import {type ClusterName, type Owner, parseClusterName} from '../../model/names.js'
import type {StateStore} from '../../store/store.js'
import {agingCredentials} from '../credential-findings.js'
import type {Finding} from '../finding.js'
import {loadInstallation} from '../installation.js'
import {type FetchReport, latestProxies, loadReports} from '../server-reports.js'

/**
 * `no address`: `goatlas.io/addresses` is not set yet; `suspended`: the registration was deleted; `unreadable`: the registration cannot be
 * read, and the last one that could be read is in use; `revoked`: a person has cut it off, whether it is registered or not.
 */
export type ClusterState = 'no address' | 'registered' | 'revoked' | 'suspended' | 'unreadable'

export interface ClusterEntry {
  readonly name: ClusterName
  readonly state: ClusterState
  /** The registration in use; undefined if none could ever be read. */
  readonly cluster: Cluster | undefined
  readonly fault: Fault | undefined
  /** ISO 8601. */
  readonly suspendedSince: string | undefined
  /** ISO 8601. */
  readonly revokedSince: string | undefined
  readonly generation: number
}

/** A cluster, and what the running servers know of it. */
export interface ListedCluster extends ClusterEntry {
  /** Whether an Envoy of the cluster is connected; undefined where no server reports it. */
  readonly isConnected: boolean | undefined
}

export interface ClusterList {
  readonly clusters: readonly ListedCluster[]
  /** Proxies that still use a credential past half of its life. */
  readonly findings: readonly Finding[]
}

/**
 * Every cluster of the store, by name.
 * @throws AtlasError `not-found` where there is no installation
 */
export async function listClusters(store: StateStore, fetchReport: FetchReport, now: Date): Promise<ClusterList> {
  const {fleet} = await loadInstallation(store)
  // Without an answer the list shows what is stored.
  const sources = await loadReports(store, fleet, fetchReport).catch(() => [])
  const proxies = latestProxies(sources)
  const connected = new Set(proxies.map(({cluster}) => cluster))
  return {
    clusters: clusterNames(fleet).map(name => ({
      ...clusterEntry(fleet, name),
      // Servers end the streams of a cluster that is cut off at once; their reports show it some seconds later.
      isConnected: sources.length === 0 ? undefined : isServed(fleet, name) && connected.has(name),
    })),
    findings: agingCredentials(fleet, proxies, now),
  }
}

/** The registered clusters, readable or not, and those that are suspended or revoked, by name. */
export function clusterNames(fleet: Fleet): readonly ClusterName[] {
  const remembered = [...fleet.records.values()]
    .filter(record => (record.registration ?? record.revokedSince) !== undefined && record.owner !== 'atlas')
    .map(record => record.owner as ClusterName)
  return [...new Set([...registeredNames(fleet), ...remembered])].sort()
}

/** The name of a cluster that is registered, readable or not, or suspended or revoked. @throws AtlasError `not-found`, which names those */
export function requireCluster(fleet: Fleet, text: string): ClusterName {
  const name = parseClusterName(text)
  const names = clusterNames(fleet)
  if (names.includes(name)) return name
  const known = names.length === 0 ? 'none is registered' : `registered: ${names.slice(0, 20).join(', ')}${names.length > 20 ? ', …' : ''}`
  throw new AtlasError('not-found', `there is no cluster ${quote(text)}; ${known}`, {hint: 'run "atlas cluster list" to see all'})
}

/** Nothing is issued for a revoked cluster. @throws AtlasError `conflict` */
export function requireServed<O extends Owner>(fleet: Fleet, owner: O): O {
  const since = fleet.records.get(owner)?.revokedSince
  if (since === undefined) return owner
  throw new AtlasError('conflict', `cluster ${owner} is revoked since ${since}: nothing is issued for it`, {
    hint: `"atlas cluster restore ${owner}" ends that`,
  })
}

/** One cluster; if its registration is broken or gone, with the last one that was accepted. */
export function clusterEntry(fleet: Fleet, name: ClusterName): ClusterEntry {
  const record = fleet.records.get(name)
  const cluster = clusterOf(fleet, name)
  return {
    name,
    state: stateOf(fleet, name),
    cluster: cluster ?? record?.registration,
    fault: faultOf(fleet, 'registration', name),
    suspendedSince: record?.suspendedSince,
    revokedSince: record?.revokedSince,
    generation: record?.generation ?? 1,
  }
}

function stateOf(fleet: Fleet, name: ClusterName): ClusterState {
  if (isRevoked(fleet, name)) return 'revoked'
  if (isBroken(fleet, 'registration', name)) return 'unreadable'
  const registration = fleet.registrations.get(name)
  if (registration === undefined) return 'suspended'
  return registration.addresses.length === 0 ? 'no address' : 'registered'
}
