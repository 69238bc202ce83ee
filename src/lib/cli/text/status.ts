/** `status` for a terminal: one row per proxy, then what needs attention. */
import {renderAge} from '../../model/duration.js'
import type {SyncState} from '../../model/report.js'
import {latestRefusals} from '../../ops/latest-refusals.js'
import type {ProxyStatus, ServerStatus, ShownStatus} from '../../ops/status.js'
import {printable} from '../../model/printable.js'
import {describeStage} from '../../model/rotation.js'
import {renderFindings} from './findings.js'
import {renderTable} from './render.js'

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
export function renderStatus({servers, leader, proxies, faults, refusals, warnings, findings, rotation}: ShownStatus, now: Date): string {
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
      // That a cluster is revoked is a finding, with the command.
      .filter(proxy => proxy.remark !== undefined && proxy.state !== 'revoked')
      .map(({cluster, id, remark = ''}) => `${id === '-' ? cluster : `${cluster} ${id}`}: ${remark}`),
    ...faults.map(fault => `cannot read ${fault.source ?? fault.object}, ${fault.key}: ${fault.message}`),
    ...latestRefusals({refusals, proxies}).map(
      ([{at, reason, message}, times]) => `refused ${ago(at, now)}${times === 1 ? '' : `, ${times} times`} (${reason}): ${message}`,
    ),
    ...servers.flatMap(server => server.reasons.map(reason => `${nameOf(server)} not ready: ${reason}`)),
    ...servers.flatMap(server => server.warnings.map(warning => `${nameOf(server)}: ${warning}`)),
    ...warnings.map(warning => `WARNING: ${warning}`),
    ...(rotation === undefined
      ? []
      : [`the ${rotation.part} is being rotated, ${describeStage(rotation)}; "atlas rotate --status" shows what it waits for`]),
  ]
  const running = [
    ...servers.map(server => `${nameOf(server)}${server.address === '' ? '' : ` ${server.address}`}, up ${since(server.startedAt, now)}`),
    ...(leader === undefined ? [] : [`leader ${leader}`]),
  ]
  return [running.map(printable).join('\n'), renderTable(head, rows), notes.map(printable).join('\n'), renderFindings(findings)]
    .filter(part => part !== '')
    .join('\n\n')
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
