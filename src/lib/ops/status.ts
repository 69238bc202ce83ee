/** How the fleet stands: what a server's report says, beside what is stored. Reading the report is the caller's. */
import {AtlasError} from '../model/errors.js'
import {type Fault, type Fleet, clustersOf, isRegistered} from '../model/fleet.js'
import {OBSERVABILITY, type Owner} from '../model/names.js'
import type {ProxyReport, RefusalReport, Report, TypeReport} from '../model/report.js'
import {readKey} from '../pki/read.js'
import type {Heartbeat, StateStore} from '../store/store.js'
import {clusterNames} from './cluster/list.js'
import {SILENCE, isLed, nameOf, silenceOf} from './ask-leader.js'
import {settingsOf} from './dependencies.js'

/**
 * `frozen`: nothing is sent to it, since what belongs to it can't be read; `no proxy`: it is registered, and nobody is connected;
 * `suspended`: its registration is gone.
 */
export type ProxyState = 'frozen' | 'nack' | 'no proxy' | 'stale' | 'suspended' | 'synced'

export interface ProxyStatus {
  readonly cluster: Owner
  readonly id: string
  readonly state: ProxyState
  readonly connectedSince?: string
  readonly lastChange?: string
  readonly path?: ProxyReport['path']
  readonly types: readonly TypeReport[]
  /** ISO 8601: when the identity it runs with ends, and the credential it came with. */
  readonly identityUntil?: string
  readonly credentialUntil?: string
  /** Why it is frozen, or what it refused. */
  readonly remark?: string
}

/** One server, or one of several that share the store. */
export interface ServerStatus {
  /** Its name among several. */
  readonly replica?: string
  readonly address: string
  readonly startedAt: string
  readonly ready: boolean
  readonly reasons: readonly string[]
  readonly warnings: readonly string[]
}

export interface Status {
  readonly servers: readonly ServerStatus[]
  /** The server that writes and signs, where several share the store and one of them does. */
  readonly leader?: string
  readonly proxies: readonly ProxyStatus[]
  readonly withoutProxy: readonly Owner[]
  readonly faults: readonly (Fault & {readonly subject: string})[]
  readonly refusals: readonly RefusalReport[]
  /** What casts doubt on all this: nobody leads, or a replica that counts as living is silent. */
  readonly warnings: readonly string[]
}

/** What one server says; its name where there are several. */
interface ReportSource {
  readonly replica?: string
  readonly report: Report
}

/**
 * @param fetchReport asks the server whose admin address is given
 * @param admin the server to ask; the ones that run on the store where none is given
 * @throws AtlasError `unreachable` when no server runs on the store, or it does not answer
 */
export async function status(
  store: StateStore,
  fetchReport: (admin: string) => Promise<Report>,
  {admin, now}: {readonly admin: string | undefined; readonly now: Date},
): Promise<Status> {
  if (admin !== undefined) return statusOf(await store.load(), [{report: await fetchReport(admin)}])
  if (isLed(store)) return statusOfReplicas(store, now)
  const held = await store.holder()
  if (held === undefined) {
    settingsOf(await store.load(), store)
    throw noServer(store)
  }

  const report = await fetchReport(held.admin)
  // A copy of a directory holds a copy of its lock.
  if (report.store.description !== store.description) throw noServer(store)
  return statusOf(await store.load(), [{report}])
}

/** What the replicas that live, as the leader sees it, have said last; and how far the leader can be believed. */
async function statusOfReplicas(store: StateStore, now: Date): Promise<Status> {
  const fleet = await store.load()
  settingsOf(fleet, store)
  // Whoever may not read Leases sees the reports all the same.
  const heartbeats = await store.heartbeats().catch(() => undefined)
  const living = (fleet.replicas ?? []).flatMap((replica): ReportSource[] => {
    const report = fleet.reports.get(replica)?.report
    return report === undefined ? [] : [{replica, report}]
  })
  const unread = (fleet.replicas ?? []).filter(replica => !fleet.reports.has(replica))
  if (living.length === 0) throw noServer(store)
  const warnings =
    heartbeats === undefined ? ['Leases may not be read: whether the servers still live is not known'] : doubts(fleet, heartbeats, now)
  const unknown = unread.map(replica => `server ${replica} lives, but its report is missing or can't be read: its proxies are not shown`)
  const leader = heartbeats === undefined ? undefined : leaderOf(heartbeats, now)
  return {...statusOf(fleet, living, [...warnings, ...unknown]), ...(leader !== undefined && {leader: nameOf(leader)})}
}

/** Who leads: nobody whose Lease has run out, or was given back. */
function leaderOf(heartbeats: readonly Heartbeat[], now: Date): Heartbeat | undefined {
  return heartbeats.find(beat => beat.replica === undefined && beat.holder !== '' && silenceOf(beat, now) <= SILENCE)
}

function doubts(fleet: Fleet, heartbeats: readonly Heartbeat[], now: Date): readonly string[] {
  const silence = (beat: Heartbeat): number => silenceOf(beat, now)
  const lease = heartbeats.find(({replica}) => replica === undefined)
  const silent = heartbeats.filter(
    beat => beat.replica !== undefined && fleet.replicas?.includes(beat.replica) === true && silence(beat) > SILENCE,
  )
  return [
    ...(leaderOf(heartbeats, now) !== undefined
      ? []
      : [
          `nobody leads${lease === undefined ? '' : ` (Lease atlas was renewed ${silence(lease)} s ago)`}: nothing is signed or written, and a replica that dies is still counted`,
        ]),
    ...heartbeats
      .filter(({twinAt}) => twinAt !== undefined && Math.abs(now.getTime() - Date.parse(twinAt)) <= SILENCE * 1000)
      .map(({replica = ''}) => `two servers are called ${replica}: the proxies of one of them are missing here`),
    ...silent.map(beat => `server ${beat.replica ?? ''} has not been heard for ${silence(beat)} s: what it said of its proxies may be old`),
  ]
}

function noServer(store: StateStore): AtlasError {
  return new AtlasError('unreachable', `no server runs on ${store.description}`, {
    hint: isLed(store)
      ? `is one running? kubectl -n ${store.kubernetes?.namespace ?? ''} get pods; "atlas cluster list" shows what is stored`
      : 'start one with "atlas serve"; "atlas cluster list" shows what is stored',
  })
}

/** What is stored and what servers report, put together: clusters without a proxy have a row too. */
export function statusOf(fleet: Fleet, told: readonly ReportSource[], warnings: readonly string[] = []): Status {
  const proxies = latest(told.flatMap(({report}) => report.proxies))
  const present = new Set(proxies.map(({cluster}) => cluster))
  const wanted: readonly Owner[] = [OBSERVABILITY, ...clustersOf(fleet).map(({name}) => name)]
  const withoutProxy = wanted.filter(owner => !present.has(owner))
  const absent = withoutProxy.map((cluster): ProxyStatus => ({
    cluster,
    id: '-',
    state: 'no proxy',
    types: [],
    ...until('identityUntil', notAfter(fleet, cluster)),
  }))
  const suspended = clusterNames(fleet)
    .filter(name => !isRegistered(fleet, name))
    .map((cluster): ProxyStatus => ({
      cluster,
      id: '-',
      state: 'suspended',
      types: [],
      remark: `its registration is gone since ${fleet.records.get(cluster)?.suspendedSince ?? 'just now'}: put it back ("atlas cluster add ${cluster}"), or end it ("atlas cluster remove ${cluster}")`,
      ...until('identityUntil', notAfter(fleet, cluster)),
    }))
  const faults = new Map([
    ...told.flatMap(({report}) => report.faults.map(fault => [fault.subject, fault] as const)),
    ...[...fleet.faults].map(([subject, fault]) => [subject, {...fault, subject}] as const),
  ])
  return {
    servers: told.map(server => serverStatus(server)),
    proxies: [...proxies.map(proxy => proxyStatus(proxy)), ...absent, ...suspended].sort(byCluster),
    withoutProxy,
    faults: [...faults.values()],
    refusals: told.flatMap(({report}) => report.refusals).sort((a, b) => (a.at < b.at ? -1 : 1)),
    warnings,
  }
}

function serverStatus({replica, report}: ReportSource): ServerStatus {
  const {address, startedAt, ready, reasons, warnings} = report
  return {...(replica !== undefined && {replica}), address, startedAt, ready, reasons, warnings}
}

/** A proxy that went from one server to another is told by both for a while: the later one knows. */
function latest(proxies: readonly ProxyReport[]): readonly ProxyReport[] {
  const newest = new Map<string, string>()
  const keyOf = ({cluster, id}: ProxyReport): string => `${cluster}/${id}`
  for (const proxy of proxies) if (proxy.connectedSince > (newest.get(keyOf(proxy)) ?? '')) newest.set(keyOf(proxy), proxy.connectedSince)
  // Two streams of one server with one name are two proxies, which is said of both.
  return proxies.filter(proxy => proxy.equalIds > 1 || newest.get(keyOf(proxy)) === proxy.connectedSince)
}

function proxyStatus(proxy: ProxyReport): ProxyStatus {
  const {cluster, id, connectedSince, lastChange, path, types} = proxy
  const remark = remarkOf(proxy)
  return {
    cluster,
    id,
    state: stateOf(proxy),
    connectedSince,
    ...(lastChange !== undefined && {lastChange}),
    path,
    types,
    ...until('identityUntil', proxy.identity?.notAfter),
    ...until('credentialUntil', proxy.credential.notAfter),
    ...(remark !== undefined && {remark}),
  }
}

function stateOf({frozen, types}: ProxyReport): ProxyState {
  if (frozen !== undefined) return 'frozen'
  return (['nack', 'stale'] as const).find(state => types.some(type => type.state === state)) ?? 'synced'
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

/** The observability cluster first, then by name and id. */
function byCluster(a: ProxyStatus, b: ProxyStatus): number {
  if (a.cluster === b.cluster) return a.id < b.id ? -1 : 1
  if (a.cluster === 'atlas' || b.cluster === 'atlas') return a.cluster === 'atlas' ? -1 : 1
  return a.cluster < b.cluster ? -1 : 1
}
