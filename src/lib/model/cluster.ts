/** A downstream cluster as registered: where its Envoy is dialled, and what stands behind it. */
import {type Address, parsePort, parseAddress} from './address.js'
import {AtlasError, invalid} from './errors.js'
import {type ClusterName, REPLICAS_MAX} from './names.js'

/** The ports on which a downstream Envoy is dialled, by what stands behind each. */
export const downstreamPorts = {thanos: 11_901, thanosHttp: 11_902, alertmanager: 11_903, prometheus: 11_904} as const

export type DownstreamPort = (typeof downstreamPorts)[keyof typeof downstreamPorts]

/** Where something runs inside the downstream cluster; `host` may hold `{replica}`. */
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

export interface Cluster {
  readonly name: ClusterName
  /** None: the cluster is pending, it has credentials but nobody dials it yet. */
  readonly addresses: readonly Address[]
  /** Ports that are dialled instead of 11901-11904 (NodePort, shared load balancer); empty as a rule. */
  readonly ports: ReadonlyMap<DownstreamPort, number>
  /** How many Prometheus replicas, each with a sidecar, stand behind it; 1 or more. */
  readonly replicas: number
  readonly services: ServiceTargets
  readonly groups: readonly string[]
}

export function isPending(cluster: Cluster): boolean {
  return cluster.addresses.length === 0
}

/** The port to dial for one of 11901-11904. */
export function dialledPort(cluster: Cluster, port: DownstreamPort): number {
  return cluster.ports.get(port) ?? port
}

/** `target` of replica `replica`: `{replica}` is filled in. */
export function targetOf(target: ServiceTarget, replica: number): ServiceTarget {
  return {host: target.host.replaceAll('{replica}', String(replica)), port: target.port}
}

/**
 * `11901=30901,11904=30904`: dialled ports by the port they stand for.
 * @throws AtlasError `invalid`
 */
export function parsePorts(text: string): ReadonlyMap<DownstreamPort, number> {
  const ports = new Map<DownstreamPort, number>()
  for (const part of text
    .split(',')
    .map(entry => entry.trim())
    .filter(entry => entry !== '')) {
    const [from = '', to = '', ...rest] = part.split('=')
    const port = Number(from) as DownstreamPort
    if (rest.length > 0 || !Object.values(downstreamPorts).includes(port) || ports.has(port))
      throw invalid('port overrides', 'a list such as 11901=30901, each of 11901 to 11904 at most once', text)
    ports.set(port, parsePort(to, `the port dialled for ${from}`))
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
  const target = {host: text.slice(0, cut), port: parsePort(text.slice(cut + 1), `the port of ${what}`)}
  parseAddress(targetOf(target, 0).host)
  return target
}

/**
 * Two replicas behind one address would be one Prometheus read twice and another never (defect D20 of the 2021 program).
 * @throws AtlasError `invalid`
 */
export function checkCluster(cluster: Cluster): Cluster {
  if (cluster.replicas > 1 && !cluster.services.thanos.host.includes('{replica}'))
    throw new AtlasError(
      'invalid',
      `cluster "${cluster.name}" has ${cluster.replicas} replicas, but the Thanos address "${cluster.services.thanos.host}" does not tell them apart`,
      {
        hint: "put {replica} where the replica's number stands, for example prometheus-k8s-{replica}.prometheus-operated.monitoring.svc:10901",
      },
    )
  // The last replica's address may be one that the first one's is not: 10.0.0.{replica} ends at 255.
  for (const target of Object.values(cluster.services)) parseAddress(targetOf(target as ServiceTarget, cluster.replicas - 1).host)
  return cluster
}

/** The replicas' numbers: 0, 1 … */
export function replicasOf(cluster: Cluster): readonly number[] {
  return Array.from({length: cluster.replicas}, (_, index) => index)
}
