/** The clusters of the start page: what each is doing, what is wrong with it, and its links. Pure; how it looks is decided in render.ts. */
import {type Fleet, clusterOf} from '../../lib/model/fleet.js'
import {type ClusterName, OBSERVABILITY, type Owner} from '../../lib/model/names.js'
import {defaultSettings} from '../../lib/model/settings.js'
import {clusterEntry} from '../../lib/ops/cluster/list.js'
import type {Finding} from '../../lib/ops/finding.js'
import type {ProxyStatus, ShownStatus} from '../../lib/ops/status.js'
import {type PageLink, linksOf} from './links.js'

/** Whether something is wrong: `waiting` is not, or not yet. */
export type Tone = 'good' | 'off' | 'waiting' | 'wrong'

export interface ClusterRow {
  readonly name: Owner
  readonly tone: Tone
  /**
   * `pending`: it has no address yet; `registered`: none of its Envoys has connected, and the first had less than an hour to do so;
   * `unreadable`: its registration; the others as in `atlas status`.
   */
  readonly state: RowState
  /** Sentences without a full stop. */
  readonly remarks: readonly string[]
  /** Envoys that are connected. */
  readonly envoys: number
  readonly links: readonly PageLink[]
}

export type RowState =
  | 'connected'
  | 'not acknowledged'
  | 'not connected'
  | 'not updated'
  | 'pending'
  | 'registered'
  | 'rejected'
  | 'revoked'
  | 'suspended'
  | 'unreadable'

const tones: Readonly<Record<RowState, Tone>> = {
  connected: 'good',
  'not acknowledged': 'waiting',
  'not connected': 'wrong',
  'not updated': 'wrong',
  pending: 'waiting',
  registered: 'waiting',
  rejected: 'wrong',
  revoked: 'off',
  suspended: 'off',
  unreadable: 'wrong',
}

/** One row after the other, the observability cluster's first, then by name: a status has its proxies in this order. */
export function* clusterRows(fleet: Fleet, status: ShownStatus, inStore: (command: string) => string): Iterable<ClusterRow> {
  const missing = new Set(status.findings.flatMap(finding => clusterMissingBy(finding) ?? []))
  for (const proxies of grouped(status.proxies)) {
    const [{cluster}] = proxies
    yield rowOf(fleet, proxies, {isMissing: missing.has(cluster), inStore})
  }
}

/** The cluster that could be connected and is not, where the finding says so: a `credential` without a proxy is one that no Envoy has. */
function clusterMissingBy({kind, cluster, proxy}: Finding): Owner | undefined {
  return kind === 'not connected' || (kind === 'credential' && proxy === undefined) ? cluster : undefined
}

type Group = readonly [ProxyStatus, ...ProxyStatus[]]

/** Neighbours of one cluster. */
function* grouped(proxies: readonly ProxyStatus[]): Iterable<Group> {
  let group: [ProxyStatus, ...ProxyStatus[]] | undefined
  for (const proxy of proxies) {
    if (group?.[0].cluster === proxy.cluster) group.push(proxy)
    else {
      if (group !== undefined) yield group
      group = [proxy]
    }
  }

  if (group !== undefined) yield group
}

function rowOf(
  fleet: Fleet,
  proxies: Group,
  {isMissing, inStore}: {readonly isMissing: boolean; readonly inStore: (command: string) => string},
): ClusterRow {
  const [{cluster: name}] = proxies
  const connected = proxies.filter(({connectedSince}) => connectedSince !== undefined)
  const stored = name === OBSERVABILITY ? undefined : clusterEntry(fleet, name)
  const state = stateOf(proxies, {stored: stored?.state, isMissing, isConnected: connected.length > 0})
  const fault = stored?.fault
  return {
    name,
    tone: tones[state],
    state,
    remarks: [
      ...(state === 'pending' ? [`${pendingRemark(connected.length)}: ${inStore(`atlas cluster add ${name} --address HOST`)}`] : []),
      ...(fault === undefined
        ? []
        : [`its registration cannot be read, ${fault.key}: ${fault.message}; the last one that could be read is in use`]),
      ...proxies.flatMap(({id, remark}) => (remark === undefined ? [] : [id === '-' ? remark : `${id}: ${remark}`])),
    ],
    envoys: connected.length,
    links: name === OBSERVABILITY || state === 'revoked' || state === 'suspended' ? [] : linksOfCluster(fleet, name),
  }
}

interface Circumstances {
  readonly stored: ReturnType<typeof clusterEntry>['state'] | undefined
  /** It could have been connected for an hour. */
  readonly isMissing: boolean
  readonly isConnected: boolean
}

/** What is wrong goes before what is waited for. */
function stateOf(proxies: Group, {stored, isMissing, isConnected}: Circumstances): RowState {
  if (stored === 'revoked' || stored === 'suspended') return stored
  for (const wrong of ['not updated', 'rejected'] as const) if (proxies.some(({state}) => state === wrong)) return wrong
  if (stored === 'unreadable') return 'unreadable'
  if (stored === 'no address') return 'pending'
  if (!isConnected) return isMissing ? 'not connected' : 'registered'
  return proxies.some(({state}) => state === 'not acknowledged') ? 'not acknowledged' : 'connected'
}

function pendingRemark(envoys: number): string {
  return `it has no address yet${envoys === 0 ? '' : '; its Envoy is connected'}`
}

/** None where the observability Envoy has no address to reach the pages. */
function linksOfCluster(fleet: Fleet, name: ClusterName): readonly PageLink[] {
  const cluster = clusterOf(fleet, name)
  return cluster === undefined || cluster.addresses.length === 0 ? [] : linksOf(cluster, fleet.settings ?? defaultSettings)
}
