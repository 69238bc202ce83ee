/** Envoy's clusters: which peers a node connects to, how it verifies them, and after which times it gives up. */
import {create} from '@bufbuild/protobuf'
import type {Any} from '@bufbuild/protobuf/wkt'
import {CircuitBreakersSchema} from '../../gen/envoy/config/cluster/v3/circuit_breaker_pb.js'
import {type Cluster as EnvoyCluster, ClusterSchema, UpstreamConnectionOptionsSchema} from '../../gen/envoy/config/cluster/v3/cluster_pb.js'
import {
  type HealthCheck,
  HealthCheckSchema,
  HealthCheck_GrpcHealthCheckSchema,
  HealthCheck_TcpHealthCheckSchema,
} from '../../gen/envoy/config/core/v3/health_check_pb.js'
import {OutlierDetectionSchema} from '../../gen/envoy/config/cluster/v3/outlier_detection_pb.js'
import type {TransportSocket} from '../../gen/envoy/config/core/v3/base_pb.js'
import {CodecClientType} from '../../gen/envoy/type/v3/http_pb.js'
import {HttpProtocolOptionsSchema} from '../../gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js'
import type {HostPort} from '../model/address.js'
import {type Cluster, type DownstreamPort, type EndpointHealth, dialledPort, downstreamPorts} from '../model/cluster.js'
import type {UpstreamTls} from '../model/endpoint-tls.js'
import {envoyNames, sni, spiffe} from '../model/names.js'
import {adsServersOf, type ProxyTimeouts, type Settings} from '../model/settings.js'
import {HEALTH_PATH} from './route.js'
import {duration, pack, socketAddress} from './core.js'
import {discovery, type LookUps} from './discovery.js'
import {remember} from '../model/remember.js'
import type {ThanosEndpoint} from '../model/thanos-target.js'
import {deliveredSecrets, endpointTls, type TlsSecrets, upstreamTls} from './tls.js'
import {http2, type Window} from './http2.js'

/**
 * Circuit breakers, far above what one Atlas carries: Envoy's defaults (1024) would refuse requests of a large fleet
 * (docs/explanation/envoy.md#relayed-ads-streams).
 */
const MAX_REQUESTS = 100_000
const MAX_CONNECTIONS = 10_000

/**
 * From the observability Envoy to port 11901 of one downstream Envoy. The cluster must have an address; of several the first is used, and
 * each of the others only while the health checks of all before it fail.
 */
export function thanosCluster(settings: Settings, cluster: Cluster, generation: number): EnvoyCluster {
  const to = {name: envoyNames.thanosOf(cluster.name), port: downstreamPorts.thanos}
  return envoyCluster({...toDownstream(settings, cluster, generation, to), inTurn: true, healthCheck: healthCheck(settings.timeouts)})
}

/** What every Envoy cluster of the observability Envoy towards one port of a downstream Envoy has. */
export function toDownstream(
  {trustDomain, timeouts}: Settings,
  cluster: Cluster,
  generation: number,
  to: {readonly name: string; readonly port: DownstreamPort},
): ClusterSpec {
  const port = dialledPort(cluster, to.port)
  return {
    name: to.name,
    hosts: cluster.addresses.map(({host}) => ({host, port})),
    lookUps: 'many',
    timeouts,
    window: 'bulk',
    connectionLifetime: timeouts.thanosConnection,
    tls: upstreamTls(deliveredSecrets(envoyNames.trust), {
      name: {exact: spiffe.downstream(trustDomain, cluster.name, generation)},
      sni: sni.downstream(trustDomain, cluster.name),
    }),
  }
}

/** From the observability Envoy to `atlas serve`, for the ADS streams that it relays. */
export function adsServersCluster(settings: Settings): EnvoyCluster {
  return adsCluster(settings, {
    name: envoyNames.adsServers,
    hosts: adsServersOf(settings),
    secrets: deliveredSecrets(envoyNames.trust),
    server: {name: {exact: spiffe.ads(settings.trustDomain)}, sni: sni.ads(settings.trustDomain)},
    window: 'relay',
  })
}

/** A cluster for ADS streams: the relay's, and that of a bootstrap, where the secrets come from files. */
export function adsCluster(
  {timeouts}: Settings,
  to: {
    readonly name: string
    readonly hosts: readonly HostPort[]
    readonly secrets: TlsSecrets
    readonly server: Parameters<typeof upstreamTls>[1]
    readonly window?: Window
    /** Whether it is in a bootstrap. */
    readonly isStatic?: boolean
  },
): EnvoyCluster {
  return envoyCluster({
    name: to.name,
    hosts: to.hosts,
    lookUps: 'few',
    timeouts,
    window: to.window ?? 'ads',
    connectionLifetime: timeouts.adsConnection,
    tls: upstreamTls(to.secrets, to.server),
    ...(to.isStatic === undefined ? {} : {isStatic: to.isStatic}),
  })
}

/**
 * From a downstream Envoy to one Thanos sidecar, or replica of a named target, inside its own cluster: plaintext, or TLS with certificates
 * that this Envoy has; without HTTP/2 pings, because a sidecar's gRPC server ends connections that ping
 * (docs/explanation/envoy.md#relayed-ads-streams). A health check detects a dead or frozen one
 * (docs/explanation/envoy.md#a-thanos-endpoint-that-stops-answering).
 */
export function sidecarCluster(
  {timeouts}: Settings,
  {target, replica, at, health, tls}: ThanosEndpoint,
  upstreamTls: UpstreamTls | undefined,
): EnvoyCluster {
  return envoyCluster({
    name: envoyNames.sidecar(replica, target),
    hosts: [at],
    forgetsAddresses: true,
    lookUps: 'few',
    timeouts,
    window: 'bulk',
    pings: false,
    ...(tls && {tls: endpointTls(tls, {host: at.host, isClient: upstreamTls?.certificates.get(tls.certificates)?.isClient === true})}),
    healthCheck: endpointChecks[health](timeouts),
  })
}

export interface ClusterSpec {
  readonly name: string
  readonly hosts: readonly HostPort[]
  readonly lookUps: LookUps
  readonly timeouts: ProxyTimeouts
  /** HTTP/2 with these windows; without it, HTTP/1.1. */
  readonly window?: Window
  /**
   * The peer's limit of streams on a connection, where it is below Envoy's. Envoy learns it only after it has sent what waits for the connection, and
   * the peer refuses what is above.
   */
  readonly streams?: number
  /** Whether the hosts are used in their order, the next one while those before are down, and not all at the same time. */
  readonly inTurn?: boolean
  /** Seconds, after which a connection is replaced; without it, never. */
  readonly connectionLifetime?: number
  readonly tls?: TransportSocket
  /** Whether the connection pings the peer; by default where there is TLS, since that peer is an Envoy or a server of Atlas. */
  readonly pings?: boolean
  readonly healthCheck?: HealthCheck
  /**
   * Whether an address that its name no longer has is dropped even while its health check passes: another replica may be given the address of
   * a pod that is gone.
   */
  readonly forgetsAddresses?: boolean
  /** Whether of several hosts one to which a connection fails is left out for a while, where no health check says which answer. */
  readonly ejectsUnreachable?: boolean
  /** Whether it is in a bootstrap. */
  readonly isStatic?: boolean
}

/** Any of Atlas's Envoy clusters: endpoints, look-ups, health check, protocol and TLS, as `spec` chooses. */
export function envoyCluster(spec: ClusterSpec): EnvoyCluster {
  const {name, hosts, timeouts, tls} = spec
  return create(ClusterSchema, {
    name,
    ...discovery(hosts, {lookUps: spec.lookUps, isChecked: spec.healthCheck !== undefined, isStatic: spec.isStatic === true}),
    connectTimeout: duration(timeouts.connect),
    loadAssignment: {
      clusterName: name,
      endpoints: (spec.inTurn === true ? hosts.map(each => [each]) : [hosts]).map((group, priority) => ({
        priority,
        lbEndpoints: group.map(({host, port}) => ({
          hostIdentifier: {case: 'endpoint' as const, value: {address: socketAddress(host, port)}},
        })),
      })),
    },
    circuitBreakers,
    upstreamConnectionOptions: connectionOptions(timeouts),
    ...(spec.window === undefined
      ? {}
      : {
          typedExtensionProtocolOptions: protocolOptions(
            timeouts,
            spec.window,
            spec.connectionLifetime,
            spec.pings ?? tls !== undefined,
            spec.streams,
          ),
        }),
    ...(tls === undefined ? {} : {transportSocket: tls}),
    ...(spec.ejectsUnreachable === true && hosts.length > 1 ? {outlierDetection: unreachable} : {}),
    ...(spec.forgetsAddresses === true ? {ignoreHealthOnHostRemoval: true} : {}),
    ...(spec.healthCheck === undefined
      ? {}
      : {
          healthChecks: [spec.healthCheck],
          // Most clusters have one endpoint; by default Envoy sends to it even when it is down
          // (docs/explanation/envoy.md#a-peer-that-stops-answering).
          commonLbConfig: {healthyPanicThreshold: {value: 0}},
        }),
  })
}

/** Seconds over which first health checks are spread, and between the checks of a cluster that was not healthy yet. */
const FIRST_CHECKS = 1

/** The downstream Envoy itself answers the check over the same mutual TLS, so one dead sidecar doesn't take out the whole cluster. */
const healthCheck = remember((timeouts: ProxyTimeouts): HealthCheck => {
  const first = duration(Math.min(FIRST_CHECKS, timeouts.healthInterval))
  return create(HealthCheckSchema, {
    timeout: duration(timeouts.healthTimeout),
    interval: duration(timeouts.healthInterval),
    intervalJitterPercent: 15,
    initialJitter: first, // a thousand clusters come at once
    noTrafficInterval: first,
    noTrafficHealthyInterval: duration(timeouts.healthInterval),
    unhealthyThreshold: 2,
    healthyThreshold: 1,
    healthChecker: {
      case: 'httpHealthCheck',
      value: {host: envoyNames.healthHost, path: HEALTH_PATH, codecClientType: CodecClientType.HTTP2},
    },
  })
})

/** What answers for one Thanos endpoint: the gRPC health service that every Thanos program has, or the kernel, which accepts a connection. */
const endpointChecks: Readonly<Record<EndpointHealth, (timeouts: ProxyTimeouts) => HealthCheck>> = {
  grpc: remember(timeouts =>
    endpointCheck(timeouts, {
      case: 'grpcHealthCheck',
      value: create(HealthCheck_GrpcHealthCheckSchema, {authority: envoyNames.healthHost}),
    }),
  ),
  tcp: remember(timeouts => endpointCheck(timeouts, {case: 'tcpHealthCheck', value: create(HealthCheck_TcpHealthCheckSchema)})),
}

/** The first check comes at once, because the endpoint is unavailable until then; a doubt is settled soon by the next one. */
function endpointCheck(timeouts: ProxyTimeouts, healthChecker: HealthCheck['healthChecker']): HealthCheck {
  const soon = duration(Math.min(FIRST_CHECKS, timeouts.healthInterval))
  return create(HealthCheckSchema, {
    timeout: duration(timeouts.healthTimeout),
    interval: duration(timeouts.healthInterval),
    intervalJitterPercent: 15,
    unhealthyInterval: soon,
    noTrafficInterval: soon,
    noTrafficHealthyInterval: duration(timeouts.healthInterval),
    unhealthyThreshold: 2,
    healthyThreshold: 1,
    healthChecker,
  })
}

/** Seconds for which a host is left out after a failed connection, times the failures in a row, up to the most. */
const EJECTED = 10
const EJECTED_MAX = 60

/**
 * A host is left out at its first failed connection, also the only one of its priority, so that the next priority takes over
 * (docs/explanation/envoy.md#addresses-of-pages). Answers of the page, such as its own errors, never count.
 */
const unreachable = create(OutlierDetectionSchema, {
  splitExternalLocalOriginErrors: true,
  consecutiveLocalOriginFailure: 1,
  enforcingLocalOriginSuccessRate: 0,
  enforcingConsecutive5xx: 0,
  enforcingSuccessRate: 0,
  interval: duration(1),
  baseEjectionTime: duration(EJECTED),
  maxEjectionTime: duration(EJECTED_MAX),
  maxEjectionPercent: 100,
})

const circuitBreakers = create(CircuitBreakersSchema, {
  thresholds: [{maxConnections: MAX_CONNECTIONS, maxPendingRequests: MAX_REQUESTS, maxRequests: MAX_REQUESTS, maxRetries: MAX_REQUESTS}],
})

const connectionOptions = remember((timeouts: ProxyTimeouts) =>
  create(UpstreamConnectionOptionsSchema, {
    tcpKeepalive: {
      keepaliveProbes: 3,
      keepaliveTime: wholeSeconds(timeouts.keepaliveInterval),
      keepaliveInterval: wholeSeconds(timeouts.keepaliveTimeout),
    },
  }),
)

/** HTTP/2 without negotiation; with pings where `pings`. */
const protocolOptions = remember(
  (
    timeouts: ProxyTimeouts,
    window: Window,
    connectionLifetime: number | undefined,
    pings: boolean,
    streams: number | undefined,
  ): Record<string, Any> => ({
    'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': pack(HttpProtocolOptionsSchema, {
      ...(connectionLifetime === undefined ? {} : {commonHttpProtocolOptions: {maxConnectionDuration: duration(connectionLifetime)}}),
      upstreamProtocolOptions: {
        case: 'explicitHttpConfig',
        value: {protocolConfig: {case: 'http2ProtocolOptions', value: http2(window, pings ? timeouts : undefined, streams)}},
      },
    }),
  }),
)

/** TCP keepalive takes whole seconds, at least one. */
function wholeSeconds(seconds: number): number {
  return Math.max(1, Math.round(seconds))
}
