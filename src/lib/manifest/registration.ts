/** A registration: Service `<cluster>` <-> cluster. What is read otherwise where the 2021 program wrote it: goatlas.ts. */
import {parseAddresses, parsePort, renderAddresses} from '../model/address.js'
import {
  type Cluster,
  type Pages,
  type ServiceTarget,
  type ServiceTargets,
  checkCluster,
  dialledPort,
  downstreamPorts,
  parseEndpointHealth,
  parsePorts,
  parseReplicas,
  parseServiceTarget,
  renderPorts,
  requireReachableCluster,
} from '../model/cluster.js'
import {parseEndpointTls, renderEndpointTls} from '../model/endpoint-tls.js'
import {AtlasError, quote} from '../model/errors.js'
import {type PageKind, annotations, labels, parseClusterName} from '../model/names.js'
import {defaultPages, parsePagePath} from '../model/page.js'
import {rememberTexts} from '../model/remember.js'
import {parseSwitch} from '../model/settings.js'
import {defaultStack, targetsOf} from '../model/stack.js'
import {externalIps, goatlasRemarks, isWrittenByAtlas, keptSpec, operatedTargets, replicasOr1} from './goatlas.js'
import {type Manifest, frameOf, isLeaving} from './manifest.js'
import {decodeGroups, decodeTargets, encodeTargets, unknownKeys} from './registration-targets.js'
import {at} from './path.js'

const services = ['thanos', 'prometheus', 'alertmanager'] as const

/** Whether an object registers a cluster: the label counts by presence. */
export function isRegistration(manifest: Manifest): boolean {
  return manifest.kind === 'Service' && manifest.metadata.labels?.[labels.cluster] !== undefined
}

/** @throws AtlasError `invalid`, naming the label or annotation */
export function decodeRegistration(manifest: Manifest): Cluster {
  const {labels: own = {}, annotations: noted = {}} = manifest.metadata
  const {remarks = [], ...cluster} = decodeAccepted(manifest)
  const all = [...remarks, ...unknownKeys(own, noted)]
  return at('metadata.annotations', () => requireReachableCluster(all.length === 0 ? cluster : {...cluster, remarks: all}))
}

/**
 * A registration that was accepted, by this release or an earlier one. Rules that only new registrations must obey do not count, so that
 * an upgrade takes no running cluster away.
 * @throws AtlasError `invalid`, naming the label or annotation
 */
export function decodeAccepted(manifest: Manifest): Cluster {
  const {metadata} = manifest
  const name = at('metadata.name', () => parseClusterName(metadata.name))
  const [own, noted] = [metadata.labels ?? {}, metadata.annotations ?? {}]
  const ports = noted[annotations.ports]
  const {replicas, remarks: lenient} = decodeReplicas(own, noted)
  const {groups, remarks: ofGroups} = decodeGroups(own)
  const {targets, remarks: ofTargets} = decodeTargets(noted, name, replicas)
  const remarks = [...ofGroups, ...ofTargets]
  const remarksOf2021 = [...lenient, ...goatlasRemarks(noted)]
  const tls = noted[annotations.thanosTls]
  return at('metadata.annotations', () =>
    checkCluster({
      ...(remarks.length === 0 ? {} : {remarks}),
      ...(remarksOf2021.length === 0 ? {} : {remarksOf2021}),
      name,
      addresses: decodeAddresses(manifest),
      ports: ports === undefined ? new Map() : at(`metadata.annotations["${annotations.ports}"]`, () => parsePorts(ports)),
      replicas,
      services: decodeServices(
        noted,
        isWrittenByAtlas(own) || replicas > 1 ? targetsOf(defaultStack) : operatedTargets(defaultStack.namespace),
      ),
      thanosHealth: decodeHealth(noted),
      ...(tls === undefined ? {} : {thanosTls: at(`metadata.annotations["${annotations.thanosTls}"]`, () => parseEndpointTls(tls))}),
      targets,
      pages: decodePages(noted),
      groups,
    }),
  )
}

/**
 * Labels and annotations that aren't Atlas's stay.
 * @throws AtlasError `failed` where a Service of that name belongs to another program
 */
export function encodeRegistration(existing: Manifest | undefined, cluster: Cluster, namespace: string): Manifest {
  if (existing !== undefined && !isRegistration(existing) && existing.metadata.labels?.[labels.managedBy] !== 'atlas')
    throw new AtlasError(
      'failed',
      `Service "${cluster.name}" is there already and registers no cluster, so it belongs to another program`,
      {hint: `choose another name, or add the label ${labels.cluster} to that Service if it should register one`},
    )
  if (existing !== undefined && isLeaving(existing))
    throw new AtlasError('failed', `Service "${cluster.name}" is being deleted, and what is written into it would be lost`, {
      hint: `wait until it is gone, then run the command again; its finalizers: ${quote(JSON.stringify(existing.metadata['finalizers']))}`,
    })
  const frame = frameOf(existing, ['Service', cluster.name], namespace)
  const ownLabels = {
    [labels.cluster]: cluster.name,
    [labels.replicas]: String(cluster.replicas),
    ...Object.fromEntries(cluster.groups.map(group => [`${labels.group}${group}`, ''])),
  }
  // Marks of ownership stay: the 2021 program puts none on a registration, but k3s and Fleet put such marks on what they deploy.
  const present = {labels: {...existing?.metadata.labels, ...frame.metadata.labels}, annotations: existing?.metadata.annotations}
  const kept = Object.fromEntries(Object.entries(present.labels).filter(([label]) => !label.startsWith(labels.group)))
  const ownAnnotations: Record<string, string | undefined> = {
    // Written even when empty: without it `spec.externalIPs` would count.
    [annotations.addresses]: renderAddresses(cluster.addresses),
    [annotations.ports]: cluster.ports.size === 0 ? undefined : renderPorts(cluster.ports),
    ...Object.fromEntries(
      services.flatMap(service => [
        [annotations.service(service), cluster.services[service].host],
        [annotations.servicePort(service), String(cluster.services[service].port)],
      ]),
    ),
    [annotations.thanosHealth]: cluster.thanosHealth === 'grpc' ? undefined : cluster.thanosHealth,
    [annotations.thanosTls]: cluster.thanosTls && renderEndpointTls(cluster.thanosTls),
    ...encodeTargets(present.annotations ?? {}, cluster.targets),
    ...encodePages(cluster.pages),
  }
  const noted = Object.fromEntries(
    Object.entries({...present.annotations, ...ownAnnotations}).filter((entry): entry is [string, string] => entry[1] !== undefined),
  )
  const spec = keptSpec(existing) ?? {clusterIP: 'None', ...existing?.spec, ports: dialledPorts(cluster)}
  return {...frame, metadata: {...frame.metadata, labels: {...kept, ...ownLabels}, annotations: noted}, spec}
}

/** The kinds of pages, by the word that stands for each in annotations. */
const pageServices: Readonly<Record<PageKind, string>> = {alertmanager: 'alertmanager', prom: 'prometheus', thanos: 'thanos'}

const switches = ['allowAdmin', 'allowSilences', 'allowLocalTargets'] as const

function decodePages(noted: Readonly<Record<string, string>>): Pages {
  const read = <T>(key: string, absent: T, parse: (text: string) => T): T => {
    const text = noted[key]
    return text === undefined ? absent : at(`metadata.annotations["${key}"]`, () => parse(text))
  }
  const path = (kind: PageKind): string => {
    const key = annotations.path(pageServices[kind])
    return read(key, defaultPages.paths[kind], text => parsePagePath(text, 'the path'))
  }
  const chosen = (name: (typeof switches)[number]): boolean => read(annotations[name], defaultPages[name], text => parseSwitch(text, 'it'))
  return {
    thanosHttpPort: read(annotations.thanosHttpPort, defaultPages.thanosHttpPort, text => parsePort(text)),
    paths: {alertmanager: path('alertmanager'), prom: path('prom'), thanos: path('thanos')},
    allowAdmin: chosen('allowAdmin'),
    allowSilences: chosen('allowSilences'),
    allowLocalTargets: chosen('allowLocalTargets'),
  }
}

/** What is as by default is not written. */
function encodePages(pages: Pages): Readonly<Record<string, string | undefined>> {
  const unless = <T>(standard: T, value: T): string | undefined => (value === standard ? undefined : String(value))
  return {
    [annotations.thanosHttpPort]: unless(defaultPages.thanosHttpPort, pages.thanosHttpPort),
    ...Object.fromEntries(
      Object.entries(pageServices).map(([kind, service]) => [annotations.path(service), unless('', pages.paths[kind as PageKind])]),
    ),
    ...Object.fromEntries(switches.map(name => [annotations[name], unless(defaultPages[name], pages[name])])),
  }
}

/** For people only: `kubectl get services` shows the port to which the observability Envoy connects. */
function dialledPorts(cluster: Cluster): readonly Readonly<Record<string, unknown>>[] {
  const port = dialledPort(cluster, downstreamPorts.thanos)
  return [{name: 'thanos', port, protocol: 'TCP', targetPort: port}]
}

function decodeReplicas(
  own: Readonly<Record<string, string>>,
  noted: Readonly<Record<string, string>>,
): {readonly replicas: number; readonly remarks: readonly string[]} {
  const text = own[labels.replicas]
  if (text === undefined) return {replicas: 1, remarks: []}
  if (text === '0') return {replicas: 0, remarks: []}
  return replicasOr1({own, noted}, () => at(`metadata.labels["${labels.replicas}"]`, () => parseReplicas(text)))
}

function decodeHealth(noted: Readonly<Record<string, string>>): Cluster['thanosHealth'] {
  const key = annotations.thanosHealth
  return at(`metadata.annotations["${key}"]`, () => parseEndpointHealth(noted[key] ?? 'grpc'))
}

function decodeAddresses(manifest: Manifest): Cluster['addresses'] {
  const text = manifest.metadata.annotations?.[annotations.addresses]
  return text === undefined ? externalIps(manifest) : at(`metadata.annotations["${annotations.addresses}"]`, () => parseAddresses(text))
}

/** Most clusters have the same Services: they share the values. */
const serviceTargetIn = rememberTexts(text => parseServiceTarget(text, 'the service'))

function decodeServices(noted: Readonly<Record<string, string>>, assumed: ServiceTargets): ServiceTargets {
  const target = (service: (typeof services)[number]): ServiceTarget => {
    const [host, port] = [noted[annotations.service(service)], noted[annotations.servicePort(service)]]
    const parsed =
      port === undefined ? assumed[service].port : at(`metadata.annotations["${annotations.servicePort(service)}"]`, () => parsePort(port))
    if (host === undefined) return {host: assumed[service].host, port: parsed}
    return at(`metadata.annotations["${annotations.service(service)}"]`, () => serviceTargetIn(`${host}:${parsed}`))
  }

  return {thanos: target('thanos'), prometheus: target('prometheus'), alertmanager: target('alertmanager')}
}
