/** How the fleet stands: what a server's report says, beside what is stored. Reading the report is the caller's. */
import {AtlasError} from '../model/errors.js'
import {type Fault, type Fleet, type Subject, isRegistered} from '../model/fleet.js'
import type {Owner} from '../model/names.js'
import type {ProxyReport, RefusalReport, Report, TypeReport} from '../model/report.js'
import {readKey} from '../pki/read.js'
import type {StateStore} from '../store/store.js'
import {clusterNames} from './cluster/list.js'
import {settingsOf} from './world.js'

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

export interface Status {
  readonly server: {
    readonly address: string
    readonly startedAt: string
    readonly ready: boolean
    readonly reasons: readonly string[]
    readonly warnings: readonly string[]
  }
  readonly proxies: readonly ProxyStatus[]
  readonly withoutProxy: readonly Owner[]
  readonly faults: readonly (Fault & {readonly subject: Subject})[]
  readonly refusals: readonly RefusalReport[]
}

/**
 * @param fetchReport asks the server whose admin address is given
 * @param admin the server to ask; the one that runs on the store where none is given
 * @throws AtlasError `unreachable` when no server runs on the store, or it does not answer
 */
export async function status(store: StateStore, fetchReport: (admin: string) => Promise<Report>, admin?: string): Promise<Status> {
  const held = admin === undefined ? await store.holder() : undefined
  const address = admin ?? held?.admin
  if (address === undefined) {
    settingsOf(await store.load())
    throw noServer(store)
  }

  const report = await fetchReport(address)
  // A copy of a directory holds a copy of its lock.
  if (held !== undefined && report.store.description !== store.description) throw noServer(store)
  return statusOf(await store.load(), report)
}

function noServer(store: StateStore): AtlasError {
  return new AtlasError('unreachable', `no server runs on ${store.description}`, {
    hint: 'start one with "atlas serve"; "atlas cluster list" shows what is stored',
  })
}

/** What is stored and what a server reports, put together: clusters without a proxy have a row too. */
export function statusOf(fleet: Fleet, report: Report): Status {
  const absent = report.withoutProxy.map((cluster): ProxyStatus => ({
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
      remark: `its registration is gone since ${fleet.records.get(cluster)?.suspendedSince ?? 'just now'}; back in time, it is restored`,
      ...until('identityUntil', notAfter(fleet, cluster)),
    }))
  const proxies = [...report.proxies.map(proxy => proxyStatus(proxy)), ...absent, ...suspended].sort(byCluster)
  const {address, startedAt, ready, reasons, warnings, withoutProxy, faults, refusals} = report
  return {server: {address, startedAt, ready, reasons, warnings}, proxies, withoutProxy, faults, refusals}
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
