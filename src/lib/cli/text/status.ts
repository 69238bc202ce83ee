/** `status` for a terminal: one row per proxy, then what needs attention. */
import {renderAge} from '../../model/duration.js'
import type {SyncState} from '../../model/report.js'
import {latestRefusals} from '../../ops/latest-refusals.js'
import {type ProxyStatus, type ServerStatus, type ShownStatus, isComplete} from '../../ops/status.js'
import {OBSERVABILITY} from '../../model/names.js'
import {printable} from '../../model/printable.js'
import {describeStage} from '../../model/rotation.js'
import {renderFindings} from './findings.js'
import {renderTable, wrapWords} from './render.js'

const columns: readonly (readonly [string, readonly string[]])[] = [
  ['CLUSTERS', ['Cluster']],
  ['LISTENERS', ['Listener']],
  ['ROUTES', ['RouteConfiguration', 'ScopedRouteConfiguration']],
  ['SECRETS', ['Secret']],
]

/**
 * Servers, the table of proxies, and below it what is wrong: rejected resources, unreadable objects, refused connections; at the end what
 * needs a person, with the commands, or where nothing does, what that was judged by.
 * @param width columns of the terminal, where the text is shown on one
 */
export function renderStatus(
  {servers, leader, proxies, faults, refusals, warnings, findings, rotation}: ShownStatus,
  now: Date,
  width?: number,
): string {
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
  const table = renderTable(head, rows, {width, before: head.indexOf('CLUSTERS')})
  const end =
    findings.length === 0
      ? wrapWords(isComplete({warnings, servers}) ? withoutFindings(proxies) : INCOMPLETE, width)
      : renderFindings(findings)
  return [running.map(printable).join('\n'), table, notes.map(printable).join('\n'), end].filter(part => part !== '').join('\n\n')
}

/** The last line where there is no finding: on what that is judged, and which clusters it does not speak of. */
function withoutFindings(proxies: readonly ProxyStatus[]): string {
  const absent = proxies.filter(({state}) => state === 'not connected').map(({cluster}) => cluster)
  const shown = absent.length > SHOWN_MAX ? [...absent.slice(0, SHOWN_MAX), `${absent.length - SHOWN_MAX} more`] : absent
  const waits =
    absent.length === 0
      ? []
      : [
          `No Envoy of ${listed(shown)} is connected yet; "atlas cluster values NAME" has what one needs. A cluster that has an address is named as a problem an hour after its first credential was issued.`,
        ]
  if (proxies.some(isDownstream))
    return [absent.length === 0 ? `Nothing ${EVIDENCE}` : `Nothing else ${EVIDENCE}`, ...waits.reverse()].join(' ')
  return [
    ...waits,
    ...(proxies.some(({cluster}) => cluster !== OBSERVABILITY)
      ? []
      : ['No cluster is registered: "atlas cluster add NAME --address HOST" adds one.']),
    ...(waits.length === 0 && proxies.some(({cluster}) => cluster !== OBSERVABILITY) ? ['No cluster is served now.'] : []),
  ].join(' ')
}

/** Clusters that the last line names; the others are counted. */
const SHOWN_MAX = 5

function listed(names: readonly string[]): string {
  return names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1) ?? ''}`
}

const INCOMPLETE = 'Whether something needs attention is not fully known: the lines above say why.'

/** A downstream Envoy checks the Thanos endpoints behind it, and reports that in its statistics alone, never over ADS. */
const EVIDENCE =
  'needs attention, judged by what the Envoys have acknowledged. Whether Thanos answers behind them is not seen from here: see page Stores of Thanos Query, or docs/how-to/troubleshoot.md.'

/** Whether it is a connected Envoy that has Thanos endpoints behind it. */
function isDownstream({cluster, connectedSince}: ProxyStatus): boolean {
  return cluster !== OBSERVABILITY && connectedSince !== undefined
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
