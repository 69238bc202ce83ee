/** One open stream as /status shows it: which node it is, what the node has acknowledged, and with which certificates it runs. */
import {identitySecret} from '../../lib/envoy/secret.js'
import type {CredentialRecord} from '../../lib/model/authority.js'
import {isRemoved} from '../../lib/model/fleet.js'
import {type Owner, envoyNames} from '../../lib/model/names.js'
import type {Node} from '../../lib/model/node.js'
import type {ProxyReport, TypeReport} from '../../lib/model/report.js'
import {readKey} from '../../lib/pki/read.js'
import {type TypeSummary, acknowledgedVersion, summarizeSession} from '../../lib/xds/describe.js'
import type {Session} from '../../lib/xds/session.js'
import {shortType, typeUrls} from '../../lib/xds/type-url.js'
import {credentialOf} from '../ads/admission.js'
import type {Stream} from '../ads/stream.js'
import type {CurrentFleet} from '../fleet/current-fleet.js'
import {bounded} from '../log.js'

/** @param equalIds how many open streams carry the node's cluster and id */
export type ProxyReporter = (stream: Stream, node: Node, equalIds: number) => ProxyReport

/** Names of a refused response that are shown; the others are in the log. */
const NACK_NAMES_MAX = 20

/** Ends of identities that are remembered for each owner; a node that runs with an older one is shown without an end. */
const IDENTITIES_MAX = 4

/** Remembers when the last identities of each owner end, so that a node that still runs with one is shown with its end. */
export function openProxyReporter(fleet: Pick<CurrentFleet, 'served'>): ProxyReporter {
  const ends = new Map<Owner, ReadonlyMap<string, string>>()

  /** When the owner's present identity ends, and those before it that its nodes may still run with, by version. */
  function identityEnds(owner: Owner): ReadonlyMap<string, string> {
    const before = ends.get(owner) ?? new Map<string, string>()
    const identity = fleet.served().identities.get(owner)
    if (identity === undefined) return before
    const {version} = identitySecret(identity)
    if (before.has(version)) return before
    const after = new Map([...before, [version, readKey(identity).notAfter.toISOString()] as const].slice(-IDENTITIES_MAX))
    if (!ends.has(owner)) for (const other of ends.keys()) if (isRemoved(fleet.served(), other)) ends.delete(other)
    ends.set(owner, after)
    return after
  }

  return (stream, node, equalIds) =>
    remembered(stream.session, {
      ...{node, equalIds, sequence: stream.sequence, variant: stream.variant, openedAt: stream.openedAt},
      ...{admitted: stream.admitted, frozen: stream.frozen, lastSentAt: stream.lastSentAt},
      record: credentialOf(fleet.served(), stream.admitted),
      ends: identityEnds(node.cluster),
    })
}

/** What a report is made of beside the session. */
interface Parts extends Pick<Stream, 'admitted' | 'frozen' | 'lastSentAt' | 'openedAt' | 'sequence' | 'variant'> {
  readonly node: Node
  readonly equalIds: number
  readonly record: CredentialRecord | undefined
  readonly ends: ReadonlyMap<string, string>
}

/** All of them: a report by a part that is not compared would stay as it was. */
const partNames = Object.keys({
  ...{node: true, equalIds: true, record: true, ends: true},
  ...{admitted: true, frozen: true, lastSentAt: true, openedAt: true, sequence: true, variant: true},
} satisfies Record<keyof Parts, true>) as (keyof Parts)[]

/** The same object for as long as nothing differs that it is made of: of a thousand streams, few differ from one report to the next. */
function remembered(session: Session, parts: Parts): ProxyReport {
  const last = lastReports.get(session)
  if (last !== undefined && partNames.every(part => Object.is(last.parts[part], parts[part]))) return last.report
  const report = proxyReport(session, parts)
  lastReports.set(session, {parts, report})
  return report
}

const lastReports = new WeakMap<Session, {readonly parts: Parts; readonly report: ProxyReport}>()

function proxyReport(
  session: Session,
  {node, equalIds, sequence, variant, openedAt, admitted, frozen, lastSentAt, record, ends}: Parts,
): ProxyReport {
  return {
    cluster: node.cluster,
    id: node.id,
    ...(node.envoyVersion === undefined ? {} : {envoyVersion: node.envoyVersion}),
    ...(node.openFiles === undefined ? {} : {openFiles: node.openFiles}),
    ...(node.workers === undefined ? {} : {workers: node.workers}),
    ...(node.maxHeapBytes === undefined ? {} : {maxHeapBytes: node.maxHeapBytes}),
    ...(node.upstreamTls === undefined ? {} : {upstreamTls: [...node.upstreamTls.certificates.keys()]}),
    sequence,
    variant,
    path: admitted.path,
    ...(admitted.relayedBy === undefined ? {} : {relayedBy: admitted.relayedBy}),
    connectedSince: openedAt.toISOString(),
    ...(lastSentAt === undefined ? {} : {lastChange: lastSentAt.toISOString()}),
    types: summarizeSession(session).map(type => typeReport(type)),
    credential: {
      sha256: admitted.fingerprint,
      ...(record === undefined ? {} : {notAfter: record.notAfter, rootsDigest: record.rootsDigest}),
    },
    ...identityReport(session, ends),
    ...trustReport(session),
    ...(frozen === undefined ? {} : {frozen: bounded(frozen)}),
    equalIds,
  }
}

/** Longer reasons are cut at `SHORT_REASON` where a cluster has more than `REASONS_MAX`: an object in the store holds 1 MiB. */
const REASONS_MAX = 8
const SHORT_REASON = 80

/** The reports as they fit into the store, whatever the Envoys of one cluster write into their NACKs. */
export function withShortReasons(reports: readonly ProxyReport[]): readonly ProxyReport[] {
  const counts = new Map<Owner, number>()
  const isLong = ({nack = ''}: TypeReport, cluster: Owner): boolean =>
    nack.length > SHORT_REASON && (counts.get(cluster) ?? 0) > REASONS_MAX
  return reports.map(report => {
    if (report.types.every(type => type.nack === undefined)) return report
    const types = report.types.map(type => {
      if (type.nack === undefined) return type
      counts.set(report.cluster, (counts.get(report.cluster) ?? 0) + 1)
      return isLong(type, report.cluster) ? {...type, nack: `${type.nack.slice(0, SHORT_REASON - 3)}...`} : type
    })
    return {...report, types}
  })
}

function typeReport({typeUrl, state, sent, acknowledged, nack, nackNames}: TypeSummary): TypeReport {
  return {
    type: shortType(typeUrl),
    state,
    sent,
    acknowledged,
    ...(nack === undefined ? {} : {nack: bounded(nack)}),
    ...(nackNames === undefined ? {} : {nackNames: nackNames.slice(0, NACK_NAMES_MAX)}),
  }
}

function trustReport(session: Session): Pick<ProxyReport, 'adsTrust' | 'trust'> {
  const [trust, adsTrust] = [envoyNames.trust, envoyNames.adsTrust].map(name => acknowledgedVersion(session, typeUrls.secret, name) ?? '')
  return {...(trust === undefined || trust === '' ? {} : {trust}), ...(adsTrust === undefined || adsTrust === '' ? {} : {adsTrust})}
}

function identityReport(session: Session, ends: ReadonlyMap<string, string>): Pick<ProxyReport, 'identity'> {
  const version = acknowledgedVersion(session, typeUrls.secret, envoyNames.identity)
  if (version === undefined || version === '') return {}
  const notAfter = ends.get(version)
  return {identity: {version, ...(notAfter === undefined ? {} : {notAfter})}}
}
