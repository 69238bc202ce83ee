/** `cluster show` as JSON and as text. */
import type {CertificateSummary, ClusterView} from '../../ops/cluster/show.js'
import {type ClusterJson, clusterJson} from './cluster-json.js'
import {clusterFields} from './render.js'

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
