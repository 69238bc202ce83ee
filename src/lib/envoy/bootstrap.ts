/**
 * The bootstrap with which an Envoy joins: its node, where it connects to ADS, and its limits. A bootstrap never changes while the
 * Envoy runs; its certificates come from files that may be replaced. The caller writes the files.
 */
import {create, createRegistry, type JsonObject, toJson} from '@bufbuild/protobuf'
import {
  BootstrapSchema,
  type Bootstrap_DynamicResources,
  Bootstrap_DynamicResourcesSchema,
} from '../../gen/envoy/config/bootstrap/v3/bootstrap_pb.js'
import type {Cluster as EnvoyCluster} from '../../gen/envoy/config/cluster/v3/cluster_pb.js'
import {ApiConfigSource_ApiType, ApiVersion} from '../../gen/envoy/config/core/v3/config_source_pb.js'
import {type TypedExtensionConfig, TypedExtensionConfigSchema} from '../../gen/envoy/config/core/v3/extension_pb.js'
import {type OverloadManager, OverloadManagerSchema} from '../../gen/envoy/config/overload/v3/overload_pb.js'
import {DownstreamReverseConnectionSocketInterfaceSchema as DownstreamTunnelSchema} from '../../gen/envoy/extensions/bootstrap/reverse_tunnel/downstream_socket_interface/v3/downstream_reverse_connection_socket_interface_pb.js'
import {UpstreamReverseConnectionSocketInterfaceSchema as UpstreamTunnelSchema} from '../../gen/envoy/extensions/bootstrap/reverse_tunnel/upstream_socket_interface/v3/upstream_reverse_connection_socket_interface_pb.js'
import {DnsClusterSchema} from '../../gen/envoy/extensions/clusters/dns/v3/dns_cluster_pb.js'
import {RouterSchema} from '../../gen/envoy/extensions/filters/http/router/v3/router_pb.js'
import {ConnectionLimitSchema} from '../../gen/envoy/extensions/filters/network/connection_limit/v3/connection_limit_pb.js'
import {HttpConnectionManagerSchema} from '../../gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js'
import {CaresDnsResolverConfigSchema} from '../../gen/envoy/extensions/network/dns_resolver/cares/v3/cares_dns_resolver_pb.js'
import {DownstreamConnectionsConfigSchema} from '../../gen/envoy/extensions/resource_monitors/downstream_connections/v3/downstream_connections_pb.js'
import {FixedHeapConfigSchema} from '../../gen/envoy/extensions/resource_monitors/fixed_heap/v3/fixed_heap_pb.js'
import {UpstreamTlsContextSchema} from '../../gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js'
import {HttpProtocolOptionsSchema} from '../../gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js'
import type {HostPort} from '../model/address.js'
import {AtlasError} from '../model/errors.js'
import {DEFAULT_MAX_HEAP} from '../model/heap.js'
import {type UpstreamTls, upstreamTlsClaim} from '../model/endpoint-tls.js'
import {envoyNames, OBSERVABILITY, type Owner, sni, spiffe} from '../model/names.js'
import {nodeMetadata} from '../model/node.js'
import {adsServersOf, type Settings} from '../model/settings.js'
import {admin, adminCluster, STATS_PORT, statsListener} from './admin.js'
import {adsCluster} from './cluster.js'
import {ADMIN_SOCKET, credentialSecrets} from './credential-files.js'
import {duration, extension, fromAds, pack} from './core.js'
import {statsMatcher} from './stats.js'

export interface BootstrapOptions {
  readonly owner: Owner
  /** Which replica; 1 to 128 printable characters. */
  readonly nodeId: string
  /** The folder that `bootstrapPaths` are below, on the machine that Envoy runs on. */
  readonly directory: string
  /** That folder is simply where the bootstrap was written: `cluster values` follows it where it has moved. */
  readonly isWrittenInPlace?: boolean
  /** Where the listeners for other clusters bind; Atlas's default is 0.0.0.0. */
  readonly bindAddress?: string
  /** Where the plaintext listeners bind; Atlas's default is 127.0.0.1. */
  readonly localAddress?: string
  /** Ports listened on instead of the standard ones. */
  readonly ports?: ReadonlyMap<number, number>
  /** Path of the Unix socket of Envoy's admin pages, at most 103 bytes; default `admin.sock` in `directory`. */
  readonly adminSocket?: string
  /** Where `/ready` and `/stats/prometheus` answer; default port 9902 of `localAddress`. */
  readonly stats?: HostPort
  /** How many files this Envoy may have open, and its worker threads: for `atlas status` alone. */
  readonly openFiles?: number
  readonly workers?: number
  /** Certificates for Thanos endpoints with TLS, as files. */
  readonly upstreamTls?: UpstreamTls
  /** At 95 % of this heap Envoy refuses requests; default 1 GiB. */
  readonly maxHeapBytes?: number
  /** Envoy runtime keys, such as `envoy.features.fail_on_any_deprecated_feature`. */
  readonly runtime?: JsonObject
}

/** Connections of all listeners together; Envoy closes further ones at once. */
const MAX_CONNECTIONS = 50_000

/**
 * The text of `envoy.json`, byte-stable.
 * @throws AtlasError `failed` for a downstream cluster while the address that its Envoy would connect to is not set, `invalid` where the
 * path of the admin socket is too long
 */
export function buildBootstrap(settings: Settings, options: BootstrapOptions): string {
  const socket = options.adminSocket ?? `${options.directory}/${ADMIN_SOCKET}`
  const stats = options.stats ?? {host: options.localAddress ?? '127.0.0.1', port: STATS_PORT}
  const bootstrap = create(BootstrapSchema, {
    node: {cluster: options.owner, id: options.nodeId, metadata: metadata(options)},
    dynamicResources: dynamicResources(options.owner),
    staticResources: {clusters: [controlPlane(settings, options), adminCluster(socket)], listeners: [statsListener(stats)]},
    bootstrapExtensions: [tunnelExtension(options.owner)],
    typedDnsResolverConfig: dnsResolver,
    admin: admin(socket),
    // A static layer alone: without a layer, Envoy's admin page could change these keys.
    layeredRuntime: {layers: [{name: 'atlas', layerSpecifier: {case: 'staticLayer', value: options.runtime ?? {}}}]},
    overloadManager: overloadManager(options.maxHeapBytes ?? DEFAULT_MAX_HEAP),
    statsConfig: {statsMatcher: statsMatcher()},
  })
  return `${JSON.stringify(toJson(BootstrapSchema, bootstrap, {registry, useProtoFieldName: true}), undefined, 2)}\n`
}

/**
 * Seconds until a DNS query is repeated, and how often it is sent: about 6 s until a name server that does not answer is given up
 * (docs/explanation/envoy.md#names). Envoy's default is 5 s and four times.
 */
const dnsResolver = create(TypedExtensionConfigSchema, {
  name: 'envoy.network.dns_resolver.cares',
  typedConfig: pack(CaresDnsResolverConfigSchema, {queryTimeoutSeconds: 2n, queryTries: 2}),
})

/** The messages in a bootstrap's Anys. */
const registry = createRegistry(
  CaresDnsResolverConfigSchema,
  ConnectionLimitSchema,
  DnsClusterSchema,
  DownstreamConnectionsConfigSchema,
  DownstreamTunnelSchema,
  FixedHeapConfigSchema,
  HttpConnectionManagerSchema,
  HttpProtocolOptionsSchema,
  RouterSchema,
  UpstreamTlsContextSchema,
  UpstreamTunnelSchema,
)

/**
 * What an Envoy needs of its bootstrap to open or accept reverse tunnels; no listener uses it yet. Without fields, so that 1.36 starts too
 * (docs/explanation/envoy.md#reverse-tunnels).
 */
function tunnelExtension(owner: Owner): TypedExtensionConfig {
  const [name, typedConfig] =
    owner === OBSERVABILITY
      ? ['upstream_socket_interface', pack(UpstreamTunnelSchema, {})]
      : ['downstream_socket_interface', pack(DownstreamTunnelSchema, {})]
  return create(TypedExtensionConfigSchema, {name: `envoy.bootstrap.reverse_tunnel.${name}`, typedConfig})
}

/** Not the path: the server is not told how this machine's folders are called. */
export const IN_PLACE = 'output'

function metadata(options: BootstrapOptions): JsonObject {
  const {owner, bindAddress, isWrittenInPlace = false, localAddress, maxHeapBytes, openFiles, ports, workers, upstreamTls} = options
  return {
    ...(bindAddress === undefined ? {} : {[nodeMetadata.bindAddress]: bindAddress}),
    ...(isWrittenInPlace ? {[nodeMetadata.directory]: IN_PLACE} : {}),
    ...(localAddress === undefined ? {} : {[nodeMetadata.localAddress]: localAddress}),
    // The heap of the other Envoys does not grow with the fleet.
    ...(owner === OBSERVABILITY ? {[nodeMetadata.maxHeapBytes]: maxHeapBytes ?? DEFAULT_MAX_HEAP} : {}),
    ...(openFiles === undefined ? {} : {[nodeMetadata.openFiles]: openFiles}),
    ...(ports === undefined || ports.size === 0 ? {} : {[nodeMetadata.ports]: Object.fromEntries(ports)}),
    ...(workers === undefined ? {} : {[nodeMetadata.workers]: workers}),
    ...(upstreamTls === undefined ? {} : {[nodeMetadata.upstreamTls]: upstreamTlsClaim(upstreamTls)}),
  }
}

/**
 * Delta ADS. Envoy waits for its first clusters and listeners without a limit (0 s; Envoy's default is 15 s), so it reports "not
 * ready" instead of serving without configuration. Envoy's default back-off (up to 30 s) is too slow after an outage
 * (docs/explanation/envoy.md#reconnecting-to-ads).
 */
function dynamicResources(owner: Owner): Bootstrap_DynamicResources {
  const backOff = {baseInterval: duration(0.2), maxInterval: duration(owner === OBSERVABILITY ? 1 : 4)}
  const awaited = {...fromAds, initialFetchTimeout: duration(0)}
  return create(Bootstrap_DynamicResourcesSchema, {
    adsConfig: {
      apiType: ApiConfigSource_ApiType.DELTA_GRPC,
      transportApiVersion: ApiVersion.V3,
      setNodeOnFirstMessageOnly: true,
      grpcServices: [
        {targetSpecifier: {case: 'envoyGrpc', value: {clusterName: envoyNames.bootstrap.cluster, retryPolicy: {retryBackOff: backOff}}}},
      ],
    },
    cdsConfig: awaited,
    ldsConfig: awaited,
  })
}

/** The observability Envoy connects to the ADS servers, a downstream Envoy to the observability Envoy's relay, each pinned to that name. */
function controlPlane(settings: Settings, {owner, directory}: BootstrapOptions): EnvoyCluster {
  const {trustDomain} = settings
  const direct = owner === OBSERVABILITY
  return adsCluster(settings, {
    name: envoyNames.bootstrap.cluster,
    hosts: direct ? adsServersOf(settings) : relaysOf(settings),
    secrets: credentialSecrets(directory),
    isStatic: true,
    server: direct
      ? {name: {exact: spiffe.ads(trustDomain)}, sni: sni.ads(trustDomain)}
      : {name: {exact: spiffe.observability(trustDomain)}, sni: sni.observability(trustDomain)},
  })
}

function relaysOf({addresses, adsPort}: Settings): readonly HostPort[] {
  if (addresses.length === 0)
    throw new AtlasError('failed', 'the observability cluster has no address that downstream Envoys could connect to', {
      hint: 'set it with "atlas init --address HOST"',
    })
  return addresses.map(({host}) => ({host, port: adsPort}))
}

/** Before memory runs out Envoy shrinks its heap, then refuses requests. The limit of connections doesn't apply to its admin listener. */
function overloadManager(maxHeapBytes: number): OverloadManager {
  const heap = 'envoy.resource_monitors.fixed_heap'
  const at = (action: string, value: number) => ({
    name: action,
    triggers: [{name: heap, triggerOneof: {case: 'threshold' as const, value: {value}}}],
  })
  return create(OverloadManagerSchema, {
    refreshInterval: duration(0.25),
    resourceMonitors: [
      extension(heap, FixedHeapConfigSchema, {maxHeapSizeBytes: BigInt(maxHeapBytes)}),
      extension('envoy.resource_monitors.global_downstream_max_connections', DownstreamConnectionsConfigSchema, {
        maxActiveDownstreamConnections: BigInt(MAX_CONNECTIONS),
      }),
    ],
    actions: [at('envoy.overload_actions.shrink_heap', 0.9), at('envoy.overload_actions.stop_accepting_requests', 0.95)],
  })
}
