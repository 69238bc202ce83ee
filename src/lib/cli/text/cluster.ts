/** `cluster show` as JSON and as text. */
import {renderHostPort} from '../../model/address.js'
import type {ServiceTarget} from '../../model/cluster.js'
import type {ClusterEntry} from '../../ops/cluster/list.js'
import type {CertificateSummary, ClusterView} from '../../ops/cluster/show.js'
import {clusterFields} from './render.js'

/** A cluster as `--json` prints it; the shape is documented in docs/reference/json.md and only ever grows. */
export interface ClusterJson {
  readonly name: string
  readonly state: string
  readonly generation: number
  readonly addresses?: readonly string[]
  readonly ports?: Readonly<Record<string, number>>
  readonly replicas?: number
  readonly services?: {readonly thanos: string; readonly prometheus: string; readonly alertmanager: string}
  readonly groups?: readonly string[]
  readonly suspendedSince?: string
  readonly fault?: {readonly object: string; readonly key: string; readonly message: string}
}

interface CertificateJson {
  readonly name: string
  readonly serial: string
  readonly notBefore?: string
  readonly notAfter: string
}

export interface ShownCluster extends ClusterJson {
  readonly sni: string
  readonly sidecars: readonly string[]
  readonly identity?: CertificateJson
  readonly credential?: CertificateJson
  readonly fields: Readonly<Record<string, string>>
}

/** A cluster as `--json` shows it: what is not known is absent. */
export function clusterJson({name, state, cluster, fault, suspendedSince, generation}: ClusterEntry): ClusterJson {
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
      groups: cluster.groups,
    }),
    ...(suspendedSince !== undefined && {suspendedSince}),
    ...(fault !== undefined && {fault: {object: fault.source ?? fault.object, key: fault.key, message: fault.message}}),
  }
}

/** What `cluster show --json` prints. */
export function shownCluster({entry, sni, sidecars, identity, credential}: ClusterView): ShownCluster {
  return {
    ...clusterJson(entry),
    sni,
    sidecars,
    ...(typeof identity === 'object' && {identity: certificateJson(identity)}),
    ...(credential !== undefined && {credential: certificateJson(credential)}),
    fields: entry.cluster === undefined ? {} : clusterFields(entry.cluster),
  }
}

/** The same for a terminal, a line for each word. */
export function renderShown(shown: ShownCluster, {identity}: Pick<ClusterView, 'identity'>): string {
  const lines: [string, string][] = [
    ['name', shown.name],
    ['state', shown.state],
  ]
  if (shown.fault !== undefined) lines.push(['fault', `${shown.fault.object}, ${shown.fault.key}: ${shown.fault.message}`])
  if (shown.suspendedSince !== undefined) lines.push(['suspended since', shown.suspendedSince])
  lines.push(...Object.entries(shown.fields), ['server name', shown.sni], ['sidecars', shown.sidecars.join(', ') || '-'])
  if (identity !== 'unread') lines.push(['identity', certificateLine(shown.identity)])
  lines.push(['ADS credential', certificateLine(shown.credential)])
  return lines.map(([key, value]) => `${key.padEnd(16)}  ${value}`).join('\n')
}

function certificateJson({name, serial, notBefore, notAfter}: CertificateSummary): CertificateJson {
  return {name, serial, ...(notBefore !== undefined && {notBefore: notBefore.toISOString()}), notAfter: notAfter.toISOString()}
}

function certificateLine(certificate: CertificateJson | undefined): string {
  return certificate === undefined ? 'none' : `${certificate.name}, serial ${certificate.serial}, until ${certificate.notAfter}`
}
