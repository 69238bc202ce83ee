/** A downstream cluster as registered: the addresses and ports of its Envoy, and the services behind it. */
import {type Address, parsePort, parseAddress, requireReachable} from './address.js'
import type {EndpointTls} from './endpoint-tls.js'
import {AtlasError, invalid} from './errors.js'
import {type ClusterName, type PageKind, REPLICAS_MAX} from './names.js'
import {remember, rememberTexts} from './remember.js'

/** The ports of a downstream Envoy, by the service behind each. */
export const downstreamPorts = {thanos: 11_901, thanosHttp: 11_902, alertmanager: 11_903, prometheus: 11_904} as const

export type DownstreamPort = (typeof downstreamPorts)[keyof typeof downstreamPorts]

/** The address of a service inside the downstream cluster; `host` may hold `{replica}`, and has no brackets. */
export interface ServiceTarget {
  readonly host: string
  readonly port: number
}

export interface ServiceTargets {
  /** The Thanos sidecar's gRPC (Store API) port. */
  readonly thanos: ServiceTarget
  readonly prometheus: ServiceTarget
  readonly alertmanager: ServiceTarget
}

/** What a registration says of its cluster's pages. */
export interface Pages {
  /** The HTTP port of the Thanos sidecar, on the host of its gRPC port. */
  readonly thanosHttpPort: number
  /** Below which path each page stands at its own address, such as `/prometheus`; empty for the root. */
  readonly paths: Readonly<Record<PageKind, string>>
  /** Whether the paths that administer, stop, profile or write are passed on. */
  readonly allowAdmin: boolean
  /** Whether silences may be created and removed. */
  readonly allowSilences: boolean
  /** Whether a page may stand on the downstream Envoy's own machine, or in its link-local network. */
  readonly allowLocalTargets: boolean
}

/** How the downstream Envoy checks a Thanos endpoint: by gRPC's health service, or by a TCP connection where that is not served. */
export const endpointHealth = ['grpc', 'tcp'] as const
export type EndpointHealth = (typeof endpointHealth)[number]

/** A named target: its address inside the downstream cluster, how many replicas there are, and how their health is checked. */
export interface NamedTarget extends ServiceTarget {
  readonly replicas: number
  readonly health: EndpointHealth
  /** Absent: plaintext. */
  readonly tls?: EndpointTls
}

export interface Cluster {
  readonly name: ClusterName
  /** None: the cluster is pending. It has a credential, and the observability Envoy does not connect to it yet. */
  readonly addresses: readonly Address[]
  /** Ports to connect to instead of 11901-11904 (NodePort, shared load balancer); usually empty. */
  readonly ports: ReadonlyMap<DownstreamPort, number>
  /** The number of Prometheus replicas, each with a sidecar; 0 for a cluster that has named targets alone. */
  readonly replicas: number
  readonly services: ServiceTargets
  /** How the sidecars are checked. */
  readonly thanosHealth: EndpointHealth
  /** TLS to the sidecars; absent: plaintext. */
  readonly thanosTls?: EndpointTls
  /** What Thanos Query reaches beside the sidecars, by name and in order of name. */
  readonly targets: ReadonlyMap<string, NamedTarget>
  readonly pages: Pages
  readonly groups: readonly string[]
  /** What in the registration has no effect, a sentence each without its full stop; not part of what is accepted. */
  readonly remarks?: readonly string[]
  /** The same of what only an installation that was adopted from the 2021 program passes over in silence. */
  readonly remarksOf2021?: readonly string[]
}

/** What stands behind a cluster's Envoys: what their resources are made from, beside the cluster's name. */
export type ClusterServices = Omit<Cluster, 'addresses' | 'groups' | 'name' | 'ports' | 'remarks' | 'remarksOf2021'>

/** The observability Envoy checks the health of each address once in a few seconds; a registration with more is refused. */
export const ADDRESSES_MAX = 64

export function isPending(cluster: Cluster): boolean {
  return cluster.addresses.length === 0
}

/** The port to connect to for one of 11901-11904. */
export function dialledPort(cluster: Cluster, port: DownstreamPort): number {
  return cluster.ports.get(port) ?? port
}

/** `target` of replica `replica`: `{replica}` is filled in. @throws AtlasError `invalid` where that makes no address */
export function targetOf(target: ServiceTarget, replica: number): ServiceTarget {
  return {host: parseAddress(target.host.replaceAll('{replica}', String(replica))).host, port: target.port}
}

/**
 * `11901=30901,11904=30904`: for a port of Envoy, the port to connect to.
 * @throws AtlasError `invalid`
 */
export function parsePorts(text: string, what = 'port overrides'): ReadonlyMap<DownstreamPort, number> {
  const ports = new Map<DownstreamPort, number>()
  for (const part of text
    .split(',')
    .map(entry => entry.trim())
    .filter(entry => entry !== '')) {
    const [from = '', to = '', ...rest] = part.split('=')
    const port = Number(from) as DownstreamPort
    if (rest.length > 0 || !part.includes('=') || !Object.values(downstreamPorts).includes(port) || ports.has(port))
      throw invalid(what, 'a list such as 11901=30901, each of 11901 to 11904 at most once', text)
    ports.set(port, parsePort(to, `the port to connect to for ${from}`))
  }
  return ports
}

/** As `parsePorts` reads them: `11901=30901,11902=30902`. */
export function renderPorts(ports: ReadonlyMap<DownstreamPort, number>): string {
  return [...ports]
    .sort(([a], [b]) => a - b)
    .map(([from, to]) => `${from}=${to}`)
    .join(',')
}

/** The registration without what is only said of it: two of these are equal when they register the same. */
export function acceptedPart({remarks: _, remarksOf2021: _of2021, ...cluster}: Cluster): Cluster {
  return cluster
}

/** The services of a cluster, the same object for clusters that have all of them in common, as most of a fleet have. */
export const servicesOf: (cluster: Cluster) => ClusterServices = remember(
  ({addresses: _a, groups: _g, name: _n, ports: _p, remarks: _r, remarksOf2021: _o, ...services}: Cluster) => {
    const shared = sharedServices(textOf(services))
    shared.first ??= services
    return shared.first
  },
)

/** For each text the first services that have it. */
const sharedServices = rememberTexts((): {first?: ClusterServices} => ({}))

/** Whether two registrations of a cluster differ in nothing but what its own Envoys do not see: how they are reached, and who lists them. */
export function isSameBehind(a: Cluster, b: Cluster): boolean {
  if (a === b) return true
  const [was, is] = [servicesOf(a), servicesOf(b)]
  return a.name === b.name && (was === is || textOf(was) === textOf(is))
}

function textOf(services: ClusterServices): string {
  return JSON.stringify({...services, targets: [...services.targets]})
}

/** @throws AtlasError `invalid` */
export function parseEndpointHealth(text: string): EndpointHealth {
  const known = endpointHealth.find(each => each === text)
  if (known === undefined) throw invalid('the health check of a Thanos endpoint', `one of ${endpointHealth.join(', ')}`, text)
  return known
}

/** A whole number from 1 to 1000. @throws AtlasError `invalid` */
export function parseReplicas(text: string): number {
  const replicas = /^[0-9]{1,4}$/.test(text) ? Number(text) : 0
  if (replicas < 1 || replicas > REPLICAS_MAX) throw invalid('replicas', `a whole number from 1 to ${REPLICAS_MAX}`, text)
  return replicas
}

/**
 * `HOST:PORT` inside a downstream cluster, HOST with `{replica}` where replicas have addresses of their own.
 * @throws AtlasError `invalid`
 */
export function parseServiceTarget(text: string, what: string): ServiceTarget {
  const cut = text.lastIndexOf(':')
  if (cut < 1) throw invalid(what, 'HOST:PORT, HOST with {replica} where each replica has an address of its own', text)
  const host = text
    .slice(0, cut)
    .toLowerCase()
    .replaceAll(/^\[|\]$/g, '')
  const target = {host, port: parsePort(text.slice(cut + 1), `the port of ${what}`)}
  try {
    targetOf(target, 0)
  } catch (error) {
    const hint = error instanceof AtlasError ? error.hint : undefined
    throw invalid(what, 'HOST:PORT, HOST an IP address or a DNS name', text, hint)
  }

  return target
}

/**
 * With two replicas behind one address, one Prometheus is read twice and the other never (defect D20 of the 2021 program).
 * @throws AtlasError `invalid`
 */
export function checkCluster(cluster: Cluster): Cluster {
  if (cluster.replicas === 0 && cluster.targets.size === 0)
    throw new AtlasError('invalid', `cluster "${cluster.name}" has neither a replica nor a named target`, {
      hint: 'a cluster without a Prometheus has at least one target: --thanos NAME=HOST:PORT',
    })
  if (cluster.replicas > 1 && !cluster.services.thanos.host.includes('{replica}'))
    throw new AtlasError(
      'invalid',
      `cluster "${cluster.name}" has ${cluster.replicas} replicas, but the Thanos address "${cluster.services.thanos.host}" is the same for all of them`,
      {
        hint: "put {replica} in place of the replica's number, for example prometheus-k8s-{replica}.prometheus-operated.monitoring.svc:10901",
      },
    )
  // The last replica's address may be one that the first one's is not: 10.0.0.{replica} ends at 255.
  for (const target of targetsOf(cluster)) targetOf(target, Math.max(0, cluster.replicas - 1))
  return cluster
}

/**
 * A new registration, or one that is changed, has at most `ADDRESSES_MAX` addresses, and addresses and services that a connection can be
 * made to.
 * @throws AtlasError `invalid`
 */
export function requireReachableCluster(cluster: Cluster): Cluster {
  const count = cluster.addresses.length
  if (count > ADDRESSES_MAX)
    throw new AtlasError('invalid', `a cluster may have at most ${ADDRESSES_MAX} addresses; cluster "${cluster.name}" has ${count}`, {
      hint: 'register a load balancer, or a DNS name that has all of them',
    })
  for (const {host} of cluster.addresses) requireReachable(host)
  for (const target of targetsOf(cluster)) requireReachable(targetOf(target, 0).host, 'the address of a service')
  return cluster
}

function targetsOf({services}: Cluster): readonly ServiceTarget[] {
  return [services.thanos, services.prometheus, services.alertmanager]
}

/** The replicas' numbers: 0, 1 … */
export function replicasOf(cluster: Pick<Cluster, 'replicas'>): readonly number[] {
  return Array.from({length: cluster.replicas}, (_, index) => index)
}
