/** `status` for a terminal: one row per proxy, then what needs attention. */
import {renderAge} from '../../model/duration.js'
import type {RefusalReport, SyncState} from '../../model/report.js'
import type {ProxyStatus, ServerStatus, Status} from '../../ops/status.js'
import {printable} from '../../model/printable.js'
import {type FindingJson, renderFindings} from './findings.js'
import {renderTable} from './render.js'

/** What `status --json` prints. */
export interface ShownStatus extends Status {
  readonly findings: readonly FindingJson[]
}

const columns: readonly (readonly [string, readonly string[]])[] = [
  ['CLUSTERS', ['Cluster']],
  ['LISTENERS', ['Listener']],
  ['ROUTES', ['RouteConfiguration', 'ScopedRouteConfiguration']],
  ['SECRETS', ['Secret']],
]

/**
 * Servers, the table of proxies, and below it what is wrong: rejected resources, unreadable objects, refused connections; at the end what
 * needs a person, with the commands.
 */
export function renderStatus({servers, leader, proxies, faults, refusals, warnings, findings}: ShownStatus, now: Date): string {
  const head = ['CLUSTER', 'PROXY', 'STATE', 'CONNECTED', ...columns.map(([title]) => title), 'IDENTITY', 'CREDENTIAL', 'LAST CHANGE']
  const rows = proxies.map(proxy => [
    proxy.cluster,
    proxy.id,
    proxy.state,
    since(proxy.connectedSince, now),
    ...columns.map(([, types]) => typesCell(proxy, types)),
    left(proxy.identityUntil, now),
    left(proxy.credentialUntil, now),
    proxy.lastChange === undefined ? '-' : ago(proxy.lastChange, now),
  ])
  const notes = [
    ...proxies
      .filter(proxy => proxy.remark !== undefined)
      .map(({cluster, id, remark = ''}) => `${id === '-' ? cluster : `${cluster} ${id}`}: ${remark}`),
    ...faults.map(fault => `cannot read ${fault.source ?? fault.object}, ${fault.key}: ${fault.message}`),
    ...grouped(refusals.filter(refusal => !isPast(refusal, proxies)))
      .slice(-5)
      .map(([{at, reason, message}, times]) => `refused ${ago(at, now)}${times === 1 ? '' : `, ${times} times`} (${reason}): ${message}`),
    ...servers.flatMap(server => server.reasons.map(reason => `${nameOf(server)} not ready: ${reason}`)),
    ...servers.flatMap(server => server.warnings.map(warning => `${nameOf(server)}: ${warning}`)),
    ...warnings.map(warning => `WARNING: ${warning}`),
  ]
  const running = [
    ...servers.map(server => `${nameOf(server)}${server.address === '' ? '' : ` ${server.address}`}, up ${since(server.startedAt, now)}`),
    ...(leader === undefined ? [] : [`leader ${leader}`]),
  ]
  return [running.map(printable).join('\n'), renderTable(head, rows), notes.map(printable).join('\n'), renderFindings(findings)]
    .filter(part => part !== '')
    .join('\n\n')
}

/**
 * A cluster that was admitted later: what its refusal names is over, or the Envoy that is still refused soon causes the next one.
 * `--json` has all refusals.
 */
function isPast({cluster, at}: RefusalReport, proxies: readonly ProxyStatus[]): boolean {
  return cluster !== undefined && proxies.some(proxy => proxy.cluster === cluster && (proxy.connectedSince ?? '') > at)
}

/** The last of equal refusals, and how many there were, in order of time. */
function grouped(refusals: readonly RefusalReport[]): readonly (readonly [RefusalReport, number])[] {
  const found = new Map<string, [RefusalReport, number]>()
  for (const refusal of refusals) {
    const key = `${refusal.reason} ${refusal.message}`
    const times = (found.get(key)?.[1] ?? 0) + 1
    found.delete(key)
    found.set(key, [refusal, times])
  }

  return [...found.values()]
}

function nameOf({replica}: ServerStatus): string {
  return replica === undefined ? 'server' : `server ${replica}`
}

/** `12/12`: acknowledged of sent resources, with the state before it where that is not `synced`. */
function typesCell({types}: ProxyStatus, names: readonly string[]): string {
  const found = types.filter(type => names.includes(type.type))
  if (found.length === 0) return '-'
  const [sent, acknowledged] = [found.reduce((sum, type) => sum + type.sent, 0), found.reduce((sum, type) => sum + type.acknowledged, 0)]
  const has = (state: SyncState): boolean => found.some(type => type.state === state)
  return `${has('nack') ? 'rejected ' : has('stale') ? 'not acknowledged ' : ''}${acknowledged}/${sent}`
}

function since(time: string | undefined, now: Date): string {
  return time === undefined ? '-' : renderAge(Math.max(0, (now.getTime() - Date.parse(time)) / 1000))
}

function ago(time: string, now: Date): string {
  const age = since(time, now)
  return age === 'now' ? age : `${age} ago`
}

function left(time: string | undefined, now: Date): string {
  if (time === undefined) return '-'
  const seconds = (Date.parse(time) - now.getTime()) / 1000
  return seconds < 1 ? 'EXPIRED' : renderAge(seconds)
}
