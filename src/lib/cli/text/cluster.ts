/** A downstream cluster as JSON and as text: `cluster add`, `cluster list` and `cluster show`. */
import {renderAddresses, renderHostPort} from '../../model/address.js'
import {type Cluster, type Pages, downstreamPorts, renderPorts, type ServiceTarget} from '../../model/cluster.js'
import {type EndpointTls, renderEndpointTls} from '../../model/endpoint-tls.js'
import {rightToGroups} from '../../model/endpoints.js'
import {dialledAddresses, isBroken} from '../../model/fleet.js'
import {someOf} from '../../model/listing.js'
import type {PageKind} from '../../model/names.js'
import {type Settings, defaultSettings} from '../../model/settings.js'
import type {AddResult} from '../../ops/cluster/add.js'
import type {ClusterEntry, ListedCluster} from '../../ops/cluster/list.js'
import type {CertificateSummary, ClusterView} from '../../ops/cluster/show.js'
import {isSharedByReplicas} from '../../model/stack.js'
import {type PageAddressJson, pageAddressFields, pageAddresses, pageFields} from './cluster-pages.js'
import {type ClusterFlags, stackOf} from '../flags/cluster.js'
import {type StoreFlags, sameStore} from '../flags/store.js'
import {type JoiningOptions, renderJoining} from './joining.js'
import {columns, renderDifference, renderFields, renderTable} from './render.js'

/** Documented in docs/reference/json.md; fields are only ever added. */
export interface ClusterJson {
  readonly name: string
  readonly state: string
  readonly generation: number
  readonly addresses?: readonly string[]
  readonly ports?: Readonly<Record<string, number>>
  readonly replicas?: number
  readonly services?: {readonly thanos: string; readonly prometheus: string; readonly alertmanager: string}
  /** What Thanos Query reaches beside the sidecars. */
  readonly targets?: Readonly<Record<string, {readonly address: string; readonly replicas: number; readonly tls?: string}>>
  /** TLS to the sidecars, as in the registration. */
  readonly thanosTls?: string
  readonly groups?: readonly string[]
  /** What the registration says of its web pages. */
  readonly pages?: Pages
  readonly suspendedSince?: string
  readonly revokedSince?: string
  readonly fault?: {readonly object: string; readonly key: string; readonly message: string}
}

/** A cluster of `cluster list`. */
export interface ListedClusterJson extends ClusterJson {
  /** Absent where no server reports it. */
  readonly connected?: boolean
}

interface CertificateJson {
  readonly name: string
  readonly serial: string
  readonly notBefore?: string
  readonly notAfter: string
  /** Of an ADS credential. */
  readonly sha256?: string
}

export interface ShownCluster extends ClusterJson {
  readonly sni: string
  readonly sidecars: readonly string[]
  /** Where the web pages are; absent where there are none. */
  readonly pageAddresses?: Readonly<Record<PageKind, PageAddressJson>>
  readonly identity?: CertificateJson
  readonly credential?: CertificateJson
  /** Why `identity` or `credential` is absent, where it may be there and cannot be read. */
  readonly unreadable?: Readonly<Partial<Record<'credential' | 'identity', string>>>
  readonly fields: Readonly<Record<string, string>>
}

/** A cluster as `--json` prints it; unknown fields are absent. */
export function clusterJson({name, state, cluster, fault, suspendedSince, revokedSince, generation}: ClusterEntry): ClusterJson {
  const text = ({host, port}: ServiceTarget): string => renderHostPort({host, port})
  return {
    name,
    state,
    generation,
    ...(cluster !== undefined && {
      addresses: cluster.addresses.map(address => address.host),
      ports: Object.fromEntries(cluster.ports),
      replicas: cluster.replicas,
      services: {
        thanos: text(cluster.services.thanos),
        prometheus: text(cluster.services.prometheus),
        alertmanager: text(cluster.services.alertmanager),
      },
      ...(cluster.targets.size > 0 && {
        targets: Object.fromEntries(
          [...cluster.targets].map(([name, {tls, ...target}]) => [
            name,
            {address: text(target), replicas: target.replicas, ...(tls && {tls: renderEndpointTls(tls)})},
          ]),
        ),
      }),
      ...(cluster.thanosTls && {thanosTls: renderEndpointTls(cluster.thanosTls)}),
      groups: cluster.groups,
      pages: cluster.pages,
    }),
    ...(suspendedSince !== undefined && {suspendedSince}),
    ...(revokedSince !== undefined && {revokedSince}),
    ...(fault !== undefined && {fault: {object: fault.source ?? fault.object, key: fault.key, message: fault.message}}),
  }
}

export function listedClusterJson({isConnected, ...entry}: ListedCluster): ListedClusterJson {
  return {...clusterJson(entry), ...(isConnected !== undefined && {connected: isConnected})}
}

/**
 * `cluster list` for a terminal, a row per cluster.
 * @param width columns of the terminal, where the text is shown on one
 */
export function renderList(clusters: readonly ListedClusterJson[], width?: number): string {
  const rows = clusters.map(cluster => [
    cluster.name,
    cluster.state,
    cluster.connected === undefined ? 'unknown' : cluster.connected ? 'yes' : 'no',
    addressCell(cluster.addresses),
    String(cluster.replicas ?? '-'),
    remarkOf(cluster),
  ])
  const head = ['NAME', 'STATE', 'CONNECTED', 'ADDRESS', 'REPLICAS', 'REMARK']
  return renderTable(head, rows, {width, before: head.indexOf('REMARK')})
}

/** What is wrong with a cluster, or the command that ends its state. */
function remarkOf({name, state, fault}: ListedClusterJson): string {
  if (state === 'suspended') return `"atlas cluster add ${name}" restores it`
  if (state === 'revoked') return `"atlas cluster restore ${name}" ends that`
  return fault === undefined ? '' : `${fault.object}, ${fault.key}: ${fault.message}`
}

/** Addresses of one row of `cluster list`; the others are counted. */
const SHOWN_MAX = 3

function addressCell(addresses: readonly string[] = []): string {
  return addresses.length === 0 ? '-' : someOf(addresses, SHOWN_MAX, ',')
}

/** The ports of a downstream Envoy that follow each other: `11901-11904`. */
const USUAL_PORTS = `${Math.min(...Object.values(downstreamPorts))}-${Math.max(...Object.values(downstreamPorts))}`

/** The fields of a registration, named as the flags of `cluster add`. */
function clusterFields(cluster: Cluster): Readonly<Record<string, string>> {
  const {thanos, prometheus, alertmanager} = cluster.services
  return {
    address: cluster.addresses.length === 0 ? '(none yet)' : renderAddresses(cluster.addresses),
    port: cluster.ports.size === 0 ? USUAL_PORTS : renderPorts(cluster.ports),
    replicas: String(cluster.replicas),
    thanos: `${renderHostPort(thanos)}${tlsText(cluster.thanosTls)}`,
    ...Object.fromEntries(
      [...cluster.targets].map(([target, at]) => [
        `thanos ${target}`,
        `${renderHostPort(at)}${at.replicas === 1 ? '' : `, ${at.replicas} replicas`}${tlsText(at.tls)}`,
      ]),
    ),
    prometheus: renderHostPort(prometheus),
    alertmanager: renderHostPort(alertmanager),
    group: cluster.groups.join(',') || '-',
    ...pageFields(cluster),
  }
}

function tlsText(tls: EndpointTls | undefined): string {
  return tls === undefined ? '' : `, TLS with ${renderEndpointTls(tls)}`
}

/** Whether a flag names the address; `--thanos` may name further targets alone. */
function isNamed(flags: ClusterFlags, service: 'alertmanager' | 'prometheus' | 'thanos'): boolean {
  return service === 'thanos' ? (flags.thanos ?? []).some(entry => !entry.includes('=') && entry !== 'none') : flags[service] !== undefined
}

/** What `cluster add` did or would do, what is still missing, and the next commands. */
export function renderAdded(
  added: AddResult,
  flags: ClusterFlags & StoreFlags & {readonly 'dry-run': boolean},
  joining: JoiningOptions,
): string {
  const {after, cluster, previous, restored, unsigned} = added
  const {name} = cluster
  const is = flags['dry-run'] ? 'would be' : 'is'
  const difference = previous === undefined ? '' : renderDifference(clusterFields(previous), clusterFields(cluster))
  const isNew = previous === undefined && !restored
  const stack = stackOf(flags)
  const assumed = isNew ? (['thanos', 'prometheus', 'alertmanager'] as const).filter(service => !isNamed(flags, service)) : []
  const next =
    isNew || (previous !== undefined && difference === '') ? renderJoining(name, flags, joining) : `Next: atlas status${sameStore(flags)}`
  return [
    renderDone(added, is, difference),
    ...(assumed.length === 0
      ? []
      : [
          `Assumed from ${stack.name} in namespace ${stack.namespace}: ${assumed.map(service => `--${service}`).join(', ')}. Set them if yours differ.`,
        ]),
    ...renderStaying(cluster, flags),
    ...(isSharedByReplicas(cluster.services.thanos)
      ? [
          `Warning: ${cluster.services.thanos.host} is one name for all replicas of Prometheus, so with several of them Thanos Query would get now one, now another. ` +
            `Unless there is one alone, run "atlas cluster add ${name}${sameStore(flags)} --replicas N --thanos prometheus-NAME-{replica}.prometheus-operated.NAMESPACE.svc:10901", where NAME is that of the Prometheus object.`,
        ]
      : []),
    ...(cluster.addresses.length > 0
      ? []
      : [
          `Cluster ${name} has no address yet. When its Envoy can be reached, run "atlas cluster add ${name}${sameStore(flags)} --address HOST".`,
        ]),
    ...(dialledAddresses(after).length > 0
      ? []
      : [
          `The observability Envoy has no address yet, so the Envoy of ${name} cannot connect. Run "atlas init${sameStore(flags)} --address HOST" first.`,
        ]),
    ...renderUnlisted(cluster, after.settings, flags),
    ...renderPages(cluster, after.settings),
    ...unsigned.map(reason => `Warning: ${reason}.`),
    ...(unsigned.length === 0
      ? []
      : [`The Envoy of ${name} cannot join before it has certificates. Repair this first, then run the same command again.`]),
    ...(flags['dry-run'] || unsigned.length > 0 ? [] : [`\n${next}`]),
  ].join('\n')
}

/** What was done, with the fields. */
function renderDone({before, cluster, previous, restored}: AddResult, is: string, difference: string): string {
  const {name} = cluster
  if (previous === undefined)
    return `Cluster ${name} ${is} ${restored ? 'restored, with its earlier certificates' : 'registered'}:\n${renderFields(clusterFields(cluster))}`
  if (isBroken(before, 'registration', name))
    return `Cluster ${name} ${is} repaired: its registration could not be read, and ${is} written again as it was last read${difference === '' ? '.' : `, with this change:\n${difference}`}`
  return difference === ''
    ? `Cluster ${name} is already registered with these settings; nothing changed.`
    : `Cluster ${name} ${is} changed:\n${difference}`
}

/** That a flag which names no address has left the sidecars as they are. */
function renderStaying({replicas, services}: Cluster, {thanos = []}: ClusterFlags): readonly string[] {
  if (!thanos.includes('none') || replicas === 0) return []
  const at = renderHostPort(services.thanos)
  return [
    `Its sidecars stay (${at}): "--thanos none" removes further targets alone. A cluster without sidecars has --replicas 0 and a target, such as --thanos ruler=HOST:PORT.`,
  ]
}

/** A group of no list has no endpoints: as a slip of the pen would it be noticed in an empty Thanos Query only. */
function renderUnlisted({groups}: Cluster, settings: Settings | undefined, {store}: StoreFlags): readonly string[] {
  const listed = settings?.groups ?? []
  const unlisted = groups.filter(group => !listed.includes(group))
  if (unlisted.length === 0) return []
  const all = [...listed, ...unlisted].sort()
  const first = store === undefined ? `${rightToGroups(settings ?? defaultSettings, all)}, then ` : ''
  return [
    `Warning: ${unlisted.length === 1 ? 'group' : 'groups'} ${unlisted.join(', ')} ${unlisted.length === 1 ? 'is' : 'are'} not listed in the settings, so without an endpoints file and a DNS name: ${first}run "atlas init --groups ${all.join(',')}".`,
  ]
}

function renderPages(cluster: Cluster, settings: Settings | undefined): readonly string[] {
  const fields = Object.entries(pageAddressFields(settings && pageAddresses(cluster, settings)))
  return fields.length === 0 ? [] : [`Its web pages:\n${renderFields(Object.fromEntries(fields))}`]
}

/** What `cluster show --json` prints. */
export function shownCluster({entry, settings, sni, sidecars, identity, credential, unreadable}: ClusterView): ShownCluster {
  const pages = entry.cluster === undefined ? undefined : pageAddresses(entry.cluster, settings)
  return {
    ...clusterJson(entry),
    sni,
    sidecars,
    ...(pages !== undefined && {pageAddresses: pages}),
    ...(typeof identity === 'object' && {identity: certificateJson(identity)}),
    ...(credential !== undefined && {credential: certificateJson(credential)}),
    ...(Object.keys(unreadable).length > 0 && {
      unreadable: Object.fromEntries(
        Object.entries(unreadable).map(([name, {object, source, key, message}]) => [name, `${source ?? object}, ${key}: ${message}`]),
      ),
    }),
    fields: entry.cluster === undefined ? {} : clusterFields(entry.cluster),
  }
}

/** `cluster show` for a terminal, a line per field. */
export function renderShown(shown: ShownCluster, {identity}: Pick<ClusterView, 'identity'>): string {
  const lines: [string, string][] = [
    ['name', shown.name],
    ['state', shown.state],
  ]
  if (shown.fault !== undefined) lines.push(['fault', `${shown.fault.object}, ${shown.fault.key}: ${shown.fault.message}`])
  if (shown.suspendedSince !== undefined) lines.push(['suspended since', shown.suspendedSince])
  if (shown.revokedSince !== undefined) lines.push(['revoked since', shown.revokedSince])
  lines.push(...Object.entries(shown.fields), ['server name', shown.sni], ['sidecars', shown.sidecars.join(', ') || '-'])
  lines.push(...Object.entries(pageAddressFields(shown.pageAddresses)))
  if (identity !== 'unread') lines.push(['identity', certificateLine(shown.identity, shown.unreadable?.identity)])
  lines.push(['ADS credential', certificateLine(shown.credential, shown.unreadable?.credential)])
  return columns(lines).join('\n')
}

function certificateJson({name, serial, notBefore, notAfter, sha256}: CertificateSummary): CertificateJson {
  return {
    name,
    serial,
    ...(notBefore !== undefined && {notBefore: notBefore.toISOString()}),
    notAfter: notAfter.toISOString(),
    ...(sha256 !== undefined && {sha256}),
  }
}

function certificateLine(certificate: CertificateJson | undefined, unreadable: string | undefined): string {
  if (certificate === undefined) return unreadable === undefined ? 'none' : `could not be read: ${unreadable}`
  const {name, serial, notAfter, sha256} = certificate
  // As many digits as `cluster revoke --credential` needs.
  return `${name}, serial ${serial}${sha256 === undefined ? '' : `, SHA-256 ${sha256.slice(0, 16)}`}, until ${notAfter}`
}
