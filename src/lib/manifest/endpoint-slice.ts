/** Reads Alertmanagers out of EndpointSlices (discovery.k8s.io/v1). Which slices those are is left to the settings, when a list is written to ops/alertmanagers.ts. */
import {type Alertmanager, isAlertmanagerName} from '../model/alertmanager.js'
import {quote} from '../model/errors.js'
import {byText} from '../model/listing.js'

/** The fields of an EndpointSlice that are read. The API server has validated their types. */
export interface EndpointSlice {
  readonly metadata: {readonly name: string; readonly namespace?: string; readonly labels?: Readonly<Record<string, string>>}
  readonly addressType?: string
  readonly endpoints?: readonly Endpoint[] | null
  readonly ports?: readonly Port[] | null
}

interface Endpoint {
  readonly addresses: readonly string[]
  readonly hostname?: string
  readonly targetRef?: {readonly kind?: string; readonly name?: string}
}

interface Port {
  readonly name?: string
  readonly port?: number | null
  readonly protocol?: string
}

/** Names of an Alertmanager's HTTP port: the Prometheus operator's, kube-prometheus-stack's, and chart prometheus-community/alertmanager's. */
const PORT_NAMES = ['web', 'http-web', 'http']

/**
 * The Alertmanagers of EndpointSlices by name, and a sentence for each part that can't be used. Every endpoint counts, ready or not: an
 * endpoint goes when its pod is deleted. An Alertmanager that is not ready for a while would otherwise be forgotten by every Prometheus,
 * and with it the alerts that wait for it. A pod of several Services or IP families is one Alertmanager.
 */
export function decodeAlertmanagers(
  slices: readonly EndpointSlice[],
  clusterDomain: string,
): {readonly alertmanagers: readonly Alertmanager[]; readonly problems: readonly string[]} {
  const found = new Map<string, Alertmanager & {readonly rank: number}>()
  const problems: string[] = []
  for (const slice of [...slices].sort((a, b) => byText(a.metadata.name, b.metadata.name))) {
    const port = portOf(slice)
    if (port === undefined) {
      if ((slice.endpoints ?? []).length > 0)
        problems.push(
          `EndpointSlice ${quote(slice.metadata.name)} has several ports, and none is named ${PORT_NAMES.join(', ')}: its Alertmanagers are left out`,
        )
      continue
    }

    for (const endpoint of slice.endpoints ?? []) {
      const name = endpoint.targetRef?.kind === 'Pod' ? endpoint.targetRef.name : endpoint.hostname
      const host = hostOf(slice, endpoint, clusterDomain)
      if (name === undefined || !isAlertmanagerName(name) || host === undefined) {
        problems.push(
          `an endpoint of EndpointSlice ${quote(slice.metadata.name)} has no pod whose name is a DNS label, and no host name: it is left out`,
        )
        continue
      }

      const rank = rankOf(slice, endpoint)
      if (rank < (found.get(name)?.rank ?? Infinity)) found.set(name, {name, host, port, rank})
    }
  }

  const alertmanagers = [...found.values()].map(({name, host, port}) => ({name, host, port}))
  return {alertmanagers: alertmanagers.sort((a, b) => byText(a.name, b.name)), problems: [...new Set(problems)]}
}

function portOf({ports}: EndpointSlice): number | undefined {
  const tcp = (ports ?? []).filter(({protocol = 'TCP', port}) => protocol === 'TCP' && typeof port === 'number')
  const named = PORT_NAMES.map(name => tcp.find(port => port.name === name)).find(port => port !== undefined)
  return (named ?? (tcp.length === 1 ? tcp[0] : undefined))?.port ?? undefined
}

/** A name of DNS outlives the pod's address; only pods of a headless Service's own have one. */
function hostOf({metadata}: EndpointSlice, {hostname, addresses}: Endpoint, clusterDomain: string): string | undefined {
  const service = metadata.labels?.['kubernetes.io/service-name']
  if (hostname === undefined || service === undefined) return addresses[0]
  return `${hostname}.${service}.${metadata.namespace ?? ''}.svc.${clusterDomain}`
}

/** The lowest counts: names of DNS before IPv4 before IPv6. */
function rankOf({addressType, metadata}: EndpointSlice, {hostname}: Endpoint): number {
  if (hostname !== undefined && metadata.labels?.['kubernetes.io/service-name'] !== undefined) return 0
  return addressType === 'IPv6' ? 2 : 1
}
