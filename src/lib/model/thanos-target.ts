/**
 * What Thanos Query reaches in a downstream cluster: the sidecar of each Prometheus replica, and each replica of any number of named
 * targets, such as a Ruler, a Store gateway or another Thanos Query.
 */
import {
  type Cluster,
  type EndpointHealth,
  type NamedTarget,
  type ServiceTarget,
  parseEndpointHealth,
  parseReplicas,
  parseServiceTarget,
  targetOf,
} from './cluster.js'
import {type EndpointTls, parseEndpointTls} from './endpoint-tls.js'
import {AtlasError, invalid} from './errors.js'
import {type ClusterName, REPLICAS_MAX, SIDECAR_SEPARATOR, parseSidecarName, sidecarName} from './names.js'

/** Targets of one cluster, and endpoints of all of them together. */
export const TARGETS_MAX = 32
export const ENDPOINTS_MAX = REPLICAS_MAX

/** `<cluster>-thanos-sidecar-<T>-<N>` with N up to three digits is the name of a Service, at most 63 characters (RFC 1035). */
const NAMES_MAX = 63 - SIDECAR_SEPARATOR.length - 5
const TARGET_NAME_MAX = 20

/** One address that Thanos Query reaches in a cluster. */
export interface ThanosEndpoint {
  /** Its Service and host name. */
  readonly name: string
  /** Undefined for a sidecar. */
  readonly target: string | undefined
  readonly replica: number
  /** Where it stands inside the downstream cluster; parsed when it is asked for, since most callers want the names alone. */
  readonly at: ServiceTarget
  readonly health: EndpointHealth
  /** Undefined for plaintext. */
  readonly tls: EndpointTls | undefined
}

/** The sidecars by replica, then the named targets by name and replica. */
export function thanosEndpointsOf(cluster: Cluster): readonly ThanosEndpoint[] {
  const {name, services, replicas, targets, thanosHealth: health, thanosTls: tls} = cluster
  return [
    ...endpoints(name, undefined, {...services.thanos, replicas, health, ...(tls && {tls})}),
    ...[...targets].flatMap(([target, named]) => endpoints(name, target, named)),
  ]
}

function endpoints(
  cluster: ClusterName,
  target: string | undefined,
  {host, port, replicas, health, tls}: NamedTarget,
): readonly ThanosEndpoint[] {
  return Array.from({length: replicas}, (_, replica) => ({
    name: sidecarName(cluster, replica, target),
    target,
    replica,
    health,
    tls,
    get at() {
      return targetOf({host, port}, replica)
    },
  }))
}

/**
 * A target's name: an RFC 1035 label, with which the Service's name is not too long.
 * @throws AtlasError `invalid`
 */
export function parseTargetName(text: string, cluster: ClusterName): string {
  const what = 'the name of a target'
  if (text.length > TARGET_NAME_MAX || !/^[a-z]([-a-z0-9]*[a-z0-9])?$/.test(text))
    throw invalid(what, `at most ${TARGET_NAME_MAX} lower-case letters, digits and "-", such as "ruler"`, text)
  if (cluster.length + text.length > NAMES_MAX)
    throw invalid(
      what,
      `at most ${NAMES_MAX - cluster.length} characters long in cluster "${cluster}", since Service names are derived from both`,
      text,
    )
  // A name with Atlas's separator in it makes a Service name that can't be taken apart again.
  if (parseSidecarName(sidecarName(cluster, 0, text))?.target !== text) throw invalid(what, 'another one', text)
  return text
}

/** `HOST:PORT` and a number of replicas, each with an address of its own. @throws AtlasError `invalid` */
export function parseNamedTarget(
  text: string,
  {replicas, health, tls}: Readonly<Partial<Record<'health' | 'replicas' | 'tls', string | undefined>>>,
  what: string,
): NamedTarget {
  const target = parseServiceTarget(text, what)
  const count = replicas === undefined ? 1 : parseReplicas(replicas)
  if (count > 1 && !target.host.includes('{replica}'))
    throw new AtlasError('invalid', `${what} has ${count} replicas, but the address "${target.host}" is the same for all of them`, {
      hint: "put {replica} in place of the replica's number",
    })
  targetOf(target, count - 1)
  return {
    ...target,
    replicas: count,
    health: parseEndpointHealth(health ?? 'grpc'),
    ...(tls === undefined ? {} : {tls: parseEndpointTls(tls, `the TLS of ${what}`)}),
  }
}

/** @throws AtlasError `invalid` for more targets or endpoints than a cluster may have */
export function requireFewTargets(cluster: Cluster): Cluster {
  const count = thanosEndpointsOf(cluster).length
  if (cluster.targets.size > TARGETS_MAX || count > ENDPOINTS_MAX)
    throw new AtlasError(
      'invalid',
      `cluster "${cluster.name}" has ${cluster.targets.size} targets and ${count} endpoints; at most ${TARGETS_MAX} and ${ENDPOINTS_MAX} are possible`,
      {hint: 'register what is more as a cluster of its own'},
    )
  return cluster
}

/** In place of a target's name, where the sidecars are meant. Here, so that a command that adds nothing loads no more than this. */
export const sidecars = Symbol('sidecars')
