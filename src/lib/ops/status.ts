/**
 * The state of the proxies: the servers' reports, put together with the fleet in the store. Fetching a report is the caller's; what is wrong with
 * the servers themselves: server-problems.ts.
 */
import {type Fault, type Fleet, clustersOf, isRevoked, isServed} from '../model/fleet.js'
import {byText} from '../model/listing.js'
import {type ClusterName, OBSERVABILITY, type Owner} from '../model/names.js'
import type {ProxyReport, RefusalReport, TypeReport} from '../model/report.js'
import type {Rotation} from '../model/rotation.js'
import {readKey} from '../pki/read.js'
import type {StateStore} from '../store/store.js'
import {clusterNames} from './cluster/list.js'
import type {Finding, FindingJson} from './finding.js'
import {findingOfFault, findingsOf} from './findings.js'
import {loadInstallation} from './installation.js'
import {holderName, leaderIn, livenessIn, WATCHED} from './leases.js'
import {type Problem, livingServers, noServer, problemsOf, warning} from './server-problems.js'
import {type FetchReport, type ReportSource, latestProxies, loadReports, reportedIn} from './server-reports.js'

/**
 * `not acknowledged`: Envoy has not answered yet to what was sent last; `not connected`: the cluster is registered, and no Envoy of it
 * is connected; `not updated`: nothing is sent to the proxy, because something that it needs cannot be read in the store; `rejected`:
 * Envoy refused a resource (NACK); `revoked`: a person has cut the cluster off; `suspended`: the registration of the cluster is gone.
 */
export type ProxyState = 'not acknowledged' | 'not connected' | 'not updated' | 'rejected' | 'revoked' | 'suspended' | 'synced'

export interface ProxyStatus {
  readonly cluster: Owner
  readonly id: string
  readonly state: ProxyState
  readonly connectedSince?: string
  readonly lastChange?: string
  readonly path?: ProxyReport['path']
  readonly envoyVersion?: string
  readonly types: readonly TypeReport[]
  /** ISO 8601: when the identity of the proxy ends, and the credential with which it connected. */
  readonly identityUntil?: string
  readonly credentialUntil?: string
  /** Why the proxy is not updated, or what it refused. */
  readonly remark?: string
}

/** One server, or one of several that share the store. */
export interface ServerStatus {
  /** Its name; absent for the only server of a directory. */
  readonly replica?: string
  readonly address: string
  readonly startedAt: string
  readonly ready: boolean
  readonly reasons: readonly string[]
  readonly warnings: readonly string[]
}

export interface Status {
  readonly servers: readonly ServerStatus[]
  /** The server that writes and signs; absent if there is none, and for a store in a directory. */
  readonly leader?: string
  readonly proxies: readonly ProxyStatus[]
  readonly withoutProxy: readonly Owner[]
  readonly faults: readonly (Fault & {readonly subject: string})[]
  readonly refusals: readonly RefusalReport[]
  /** Why this status may be incomplete or old: there is no leader, or a server that counts as living has not renewed its Lease. */
  readonly warnings: readonly string[]
  /** What needs a person; empty: nothing does. */
  readonly findings: readonly Finding[]
  /** The rotation of the issuer or the root that is under way. */
  readonly rotation?: Rotation
}

/** What `status --json` prints. */
export interface ShownStatus extends Status {
  readonly findings: readonly FindingJson[]
}

/**
 * @param fetchReport asks the server whose admin address is given
 * @param admin the server to ask; the ones that run on the store where none is given
 * @param watchedMs how long Leases are watched that seem expired
 * @throws AtlasError `unreachable` when no server runs on the store, or it does not answer
 */
export async function status(
  store: StateStore,
  fetchReport: FetchReport,
  {admin, now, watchedMs = WATCHED}: {readonly admin: string | undefined; readonly now: Date; readonly watchedMs?: number},
): Promise<Status> {
  if (admin !== undefined) return statusOf(await store.load(), [{report: await fetchReport(admin)}], now)
  const {fleet} = await loadInstallation(store)
  const reported = await loadReports(store, fleet, fetchReport)
  if (reported.length === 0) throw noServer(store, await livingServers(store, now))
  return store.isShared ? statusOfReplicas(store, {fleet, reported}, {now, watchedMs}) : statusOf(fleet, reported, now)
}

/**
 * As a server knows it that follows the store: from its own report, and in a shared store from the last ones of the others.
 * @param fleet as it is stored
 * @param heartbeats those of the store; may fail
 */
export async function statusOfServer(
  store: Pick<StateStore, 'heartbeats' | 'isShared' | 'serverTime'>,
  {fleet, own}: {readonly fleet: Fleet; readonly own: ReportSource},
  {now, watchedMs = WATCHED}: {readonly now: Date; readonly watchedMs?: number},
): Promise<Status> {
  if (!store.isShared) return statusOf(fleet, [{report: own.report}], now)
  const others = reportedIn(fleet).filter(({replica}) => replica !== own.replica)
  return statusOfReplicas(store, {fleet, reported: [...others, own].sort(byReplica)}, {now, watchedMs})
}

/** From the last reports of the living replicas. */
async function statusOfReplicas(
  store: Pick<StateStore, 'heartbeats' | 'serverTime'>,
  {fleet, reported}: {readonly fleet: Fleet; readonly reported: readonly ReportSource[]},
  {now, watchedMs}: {readonly now: Date; readonly watchedMs: number},
): Promise<Status> {
  // A caller without the right to read Leases still gets the reports.
  const servers = await livenessIn(store, {now, replicas: fleet.replicas ?? [], watchedMs}).catch(() => undefined)
  const problems =
    servers === undefined
      ? [{message: 'Leases cannot be read, so it is unknown which servers are alive.'}]
      : problemsOf(fleet, servers, now)
  const unreported = (fleet.replicas ?? [])
    .filter(replica => !reported.some(source => source.replica === replica))
    .map(replica =>
      warning(`server ${replica} is alive, but its report is missing or cannot be read, so its proxies are not shown.`, replica),
    )
  const leader = servers && leaderIn(servers)
  const found = statusOf(fleet, reported, now, [...problems, ...unreported])
  return {...found, ...(leader?.isAlive === true && {leader: holderName(leader.heartbeat)})}
}

/** The fleet and the reports of the servers, put together. A cluster without a proxy has a row too. */
export function statusOf(fleet: Fleet, sources: readonly ReportSource[], now: Date, problems: readonly Problem[] = []): Status {
  const proxies = latestProxies(sources)
  const present = new Set(proxies.map(({cluster}) => cluster))
  const owners: readonly Owner[] = [OBSERVABILITY, ...clustersOf(fleet).map(({name}) => name)]
  const withoutProxy = owners.filter(owner => !present.has(owner))
  const row = (cluster: Owner, state: ProxyState): ProxyStatus => ({
    cluster,
    id: '-',
    state,
    types: [],
    ...until('identityUntil', notAfter(fleet, cluster)),
  })
  const cutOff = clusterNames(fleet)
    .filter(name => !isServed(fleet, name))
    .map(name => ({...row(name, isRevoked(fleet, name) ? 'revoked' : 'suspended'), remark: howToRestore(fleet, name)}))
  const faults = new Map([
    ...sources.flatMap(({report}) => report.faults.map(fault => [fault.subject, fault] as const)),
    ...[...fleet.faults].map(([subject, fault]) => [subject, {...fault, subject}] as const),
  ])
  return {
    servers: sources.map(server => serverStatus(server)),
    proxies: [...proxies.map(proxy => proxyStatus(proxy)), ...withoutProxy.map(owner => row(owner, 'not connected')), ...cutOff].sort(
      byCluster,
    ),
    withoutProxy,
    ...(fleet.rotation !== undefined && {rotation: fleet.rotation}),
    faults: [...faults.values()],
    refusals: sources.flatMap(({report}) => report.refusals).sort((a, b) => byText(a.at, b.at)),
    warnings: problems.map(({message}) => message),
    findings: [
      ...findingsOf(fleet, proxies, now),
      ...[...faults.values()].map(fault => findingOfFault(fault)),
      ...sources.flatMap(({replica, report}) =>
        report.warnings.map(message => warning(replica === undefined ? message : `server ${replica}: ${message}`, replica)),
      ),
      ...problems.flatMap(({kind, ...problem}) => (kind === undefined ? [] : [{kind, ...problem}])),
    ],
  }
}

/** Whether a status without findings says that there is nothing to find: it is neither incomplete nor old. */
export function isComplete({warnings, servers}: Pick<Status, 'servers' | 'warnings'>): boolean {
  return warnings.length === 0 && servers.every(({ready}) => ready)
}

function howToRestore({records}: Fleet, name: ClusterName): string {
  const record = records.get(name)
  if (record?.revokedSince !== undefined)
    return `it is revoked since ${record.revokedSince}, and nothing is issued for it: restore it ("atlas cluster restore ${name}"), or remove the cluster for good ("atlas cluster remove ${name}")`
  const since = record?.suspendedSince ?? 'just now'
  return `its registration is gone since ${since}: restore it ("atlas cluster add ${name}"), or remove the cluster for good ("atlas cluster remove ${name}")`
}

function serverStatus({replica, report}: ReportSource): ServerStatus {
  const {address, startedAt, ready, reasons, warnings} = report
  return {...(replica !== undefined && {replica}), address, startedAt, ready, reasons, warnings}
}

function proxyStatus(proxy: ProxyReport): ProxyStatus {
  const {cluster, id, connectedSince, lastChange, path, envoyVersion, types} = proxy
  const remark = remarkOf(proxy)
  return {
    cluster,
    id,
    state: stateOf(proxy),
    connectedSince,
    ...(lastChange !== undefined && {lastChange}),
    path,
    ...(envoyVersion !== undefined && {envoyVersion}),
    types,
    ...until('identityUntil', proxy.identity?.notAfter),
    ...until('credentialUntil', proxy.credential.notAfter),
    ...(remark !== undefined && {remark}),
  }
}

function stateOf({frozen, types}: ProxyReport): ProxyState {
  if (frozen !== undefined) return 'not updated'
  if (types.some(type => type.state === 'nack')) return 'rejected'
  return types.some(type => type.state === 'stale') ? 'not acknowledged' : 'synced'
}

function remarkOf({frozen, types, equalIds}: ProxyReport): string | undefined {
  const nacks = types.filter(type => type.nack !== undefined).map(type => `${type.type}: ${type.nack ?? ''}`)
  const equal = equalIds > 1 ? [`${equalIds} open streams carry this id`] : []
  const remarks = [...(frozen === undefined ? [] : [frozen]), ...nacks, ...equal]
  return remarks.length === 0 ? undefined : remarks.join('; ')
}

function notAfter(fleet: Fleet, owner: Owner): string | undefined {
  const identity = fleet.identities.get(owner)
  return identity === undefined ? undefined : readKey(identity).notAfter.toISOString()
}

function until<K extends string>(key: K, value: string | undefined): Partial<Record<K, string>> {
  return value === undefined ? {} : ({[key]: value} as Partial<Record<K, string>>)
}

function byReplica({replica: a = ''}: ReportSource, {replica: b = ''}: ReportSource): number {
  return byText(a, b)
}

/** The observability cluster first, then by name and id. */
function byCluster(a: ProxyStatus, b: ProxyStatus): number {
  if (a.cluster === b.cluster) return byText(a.id, b.id)
  if (a.cluster === 'atlas' || b.cluster === 'atlas') return a.cluster === 'atlas' ? -1 : 1
  return byText(a.cluster, b.cluster)
}
