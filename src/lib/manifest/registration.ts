/** A registration: Service `<cluster>` <-> cluster. Labels and annotations of the 2021 program are read as they are. */
import {parseAddresses, parsePort, renderAddresses} from '../model/address.js'
import {
  type Cluster,
  type ServiceTarget,
  type ServiceTargets,
  checkCluster,
  dialledPort,
  downstreamPorts,
  parsePorts,
  parseReplicas,
  parseServiceTarget,
  renderPorts,
} from '../model/cluster.js'
import {AtlasError, quote} from '../model/errors.js'
import {parseClusterName} from '../model/names.js'
import {defaultStack, operatedTargets, targetsOf} from '../model/stack.js'
import {type Manifest, frameOf, isLeaving, labels} from './manifest.js'
import {at} from './path.js'

const annotations = {addresses: 'goatlas.io/addresses', ports: 'goatlas.io/ports'} as const
const services = ['thanos', 'prometheus', 'alertmanager'] as const

/** Whether an object registers a cluster: the label counts by presence, as in 2021. */
export function isRegistration(manifest: Manifest): boolean {
  return manifest.kind === 'Service' && manifest.metadata.labels?.[labels.cluster] !== undefined
}

/** @throws AtlasError `invalid`, naming the label or annotation */
export function decodeRegistration(manifest: Manifest): Cluster {
  const {metadata} = manifest
  const name = at('metadata.name', () => parseClusterName(metadata.name))
  const [own, noted] = [metadata.labels ?? {}, metadata.annotations ?? {}]
  const ports = noted[annotations.ports]
  const replicas = decodeReplicas(own)
  const groups = Object.keys(own)
    .filter(label => label.startsWith(labels.group))
    .map(label => label.slice(labels.group.length))
  return at('metadata.annotations', () =>
    checkCluster({
      name,
      addresses: decodeAddresses(manifest),
      ports: ports === undefined ? new Map() : at(`metadata.annotations["${annotations.ports}"]`, () => parsePorts(ports)),
      replicas,
      services: decodeServices(noted, isMarked(own) || replicas > 1 ? targetsOf(defaultStack) : operatedTargets(defaultStack.namespace)),
      groups: groups.sort(),
    }),
  )
}

/**
 * Labels and annotations that aren't Atlas's stay.
 * @throws AtlasError `failed` where a Service of that name belongs to somebody else
 */
export function encodeRegistration(existing: Manifest | undefined, cluster: Cluster, namespace: string): Manifest {
  if (existing !== undefined && !isRegistration(existing) && existing.metadata.labels?.[labels.managedBy] !== 'atlas')
    throw new AtlasError('failed', `Service "${cluster.name}" is there already and registers no cluster, so it is somebody else's`, {
      hint: `choose another name, or give that Service the label ${labels.cluster} if it is to register one`,
    })
  if (existing !== undefined && isLeaving(existing))
    throw new AtlasError('failed', `Service "${cluster.name}" is being deleted: what is written into it would go with it`, {
      hint: `wait until it is gone, then run the command again; its finalizers: ${quote(JSON.stringify(existing.metadata['finalizers']))}`,
    })
  const frame = frameOf(existing, ['Service', cluster.name], namespace)
  const ownLabels = {
    [labels.cluster]: cluster.name,
    [labels.replicas]: String(cluster.replicas),
    ...Object.fromEntries(cluster.groups.map(group => [`${labels.group}${group}`, ''])),
  }
  // Marks of ownership stay: the 2021 program puts none on a registration, but k3s and Fleet put such on what they deploy.
  const present = {labels: {...existing?.metadata.labels, ...frame.metadata.labels}, annotations: existing?.metadata.annotations}
  const kept = Object.fromEntries(Object.entries(present.labels).filter(([label]) => !label.startsWith(labels.group)))
  const ownAnnotations: Record<string, string | undefined> = {
    // Written even when empty: its absence would let `spec.externalIPs` speak again.
    [annotations.addresses]: renderAddresses(cluster.addresses),
    [annotations.ports]: cluster.ports.size === 0 ? undefined : renderPorts(cluster.ports),
    ...Object.fromEntries(
      services.flatMap(service => [
        [serviceKey(service), cluster.services[service].host],
        [portKey(service), String(cluster.services[service].port)],
      ]),
    ),
  }
  const noted = Object.fromEntries(
    Object.entries({...present.annotations, ...ownAnnotations}).filter((entry): entry is [string, string] => entry[1] !== undefined),
  )
  const spec = othersSpec(existing) ?? {clusterIP: 'None', ...existing?.spec, ports: dialledPorts(cluster)}
  return {...frame, metadata: {...frame.metadata, labels: {...kept, ...ownLabels}, annotations: noted}, spec}
}

/** Nobody reaches anything by it: it shows in `kubectl get services` which ports are dialled in the cluster. */
function dialledPorts(cluster: Cluster): readonly Readonly<Record<string, unknown>>[] {
  const port = dialledPort(cluster, downstreamPorts.thanos)
  return [{name: 'thanos', port, protocol: 'TCP', targetPort: port}]
}

/** The 2021 program's, and what a person has made: its ports stay as they are. */
function othersSpec(existing: Manifest | undefined): Manifest['spec'] {
  return existing?.metadata.labels?.[labels.format] === undefined ? existing?.spec : undefined
}

/** A Service that the 2021 program left has no format, and there a number that can't be read meant 1. */
function decodeReplicas(own: Readonly<Record<string, string>>): number {
  const text = own[labels.replicas]
  if (text === undefined) return 1
  try {
    return at(`metadata.labels["${labels.replicas}"]`, () => parseReplicas(text))
  } catch (error) {
    if (!isMarked(own)) return 1
    throw error
  }
}

/** Whether Atlas has written it: it says then all that it means. */
function isMarked(own: Readonly<Record<string, string>>): boolean {
  return own[labels.format] !== undefined || own[labels.managedBy] === 'atlas'
}

function decodeAddresses(manifest: Manifest): Cluster['addresses'] {
  const text = manifest.metadata.annotations?.[annotations.addresses]
  if (text !== undefined) return at(`metadata.annotations["${annotations.addresses}"]`, () => parseAddresses(text))
  const external = manifest.spec?.['externalIPs']
  if (external === undefined || external === null) return []
  if (!Array.isArray(external) || !external.every(entry => typeof entry === 'string'))
    throw new AtlasError('invalid', 'spec.externalIPs must be a list of addresses')
  return at('spec.externalIPs', () => parseAddresses(external.join(',')))
}

function decodeServices(noted: Readonly<Record<string, string>>, assumed: ServiceTargets): ServiceTargets {
  const target = (service: (typeof services)[number]): ServiceTarget => {
    const [host, port] = [noted[serviceKey(service)], noted[portKey(service)]]
    const parsed = port === undefined ? assumed[service].port : at(`metadata.annotations["${portKey(service)}"]`, () => parsePort(port))
    if (host === undefined) return {host: assumed[service].host, port: parsed}
    return at(`metadata.annotations["${serviceKey(service)}"]`, () => parseServiceTarget(`${host}:${parsed}`, 'the service'))
  }

  return {thanos: target('thanos'), prometheus: target('prometheus'), alertmanager: target('alertmanager')}
}

function serviceKey(service: string): string {
  return `goatlas.io/${service}-service`
}

function portKey(service: string): string {
  return `goatlas.io/${service}-service-port`
}
