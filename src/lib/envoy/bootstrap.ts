/**
 * The bootstrap with which an Envoy joins: who it is, where it dials ADS, and what it guards itself with. It never changes while the
 * Envoy lives: its certificates come from files that may be replaced. Writing the files is left to others.
 */
import {create, createRegistry, type JsonObject, toJson} from '@bufbuild/protobuf'
import {
  BootstrapSchema,
  type Bootstrap_DynamicResources,
  Bootstrap_DynamicResourcesSchema,
} from '../../gen/envoy/config/bootstrap/v3/bootstrap_pb.js'
import type {Cluster as EnvoyCluster} from '../../gen/envoy/config/cluster/v3/cluster_pb.js'
import {ApiConfigSource_ApiType, ApiVersion} from '../../gen/envoy/config/core/v3/config_source_pb.js'
import {type OverloadManager, OverloadManagerSchema} from '../../gen/envoy/config/overload/v3/overload_pb.js'
import {DnsClusterSchema} from '../../gen/envoy/extensions/clusters/dns/v3/dns_cluster_pb.js'
import {DownstreamConnectionsConfigSchema} from '../../gen/envoy/extensions/resource_monitors/downstream_connections/v3/downstream_connections_pb.js'
import {FixedHeapConfigSchema} from '../../gen/envoy/extensions/resource_monitors/fixed_heap/v3/fixed_heap_pb.js'
import {UpstreamTlsContextSchema} from '../../gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js'
import {HttpProtocolOptionsSchema} from '../../gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js'
import type {HostPort} from '../model/address.js'
import {AtlasError} from '../model/errors.js'
import {envoyNames, OBSERVABILITY, type Owner, sni, spiffe} from '../model/names.js'
import {nodeMetadata} from '../model/node.js'
import {adsServersOf, type Settings} from '../model/settings.js'
import {adsCluster} from './cluster.js'
import {credentialSecrets} from './credential-files.js'
import {duration, extension, fromAds, socketAddress} from './core.js'
import {statsMatcher} from './stats.js'

export interface BootstrapOptions {
  readonly owner: Owner
  /** Which replica; 1 to 128 printable characters. */
  readonly nodeId: string
  /** The folder in which `bootstrapPaths` are found: the files are named by path. */
  readonly directory: string
  /** Where the listeners for other clusters bind; Atlas's default is 0.0.0.0. */
  readonly bindAddress?: string
  /** Where the plaintext listeners bind; Atlas's default is 127.0.0.1. */
  readonly localAddress?: string
  /** Ports listened on instead of the standard ones. */
  readonly ports?: ReadonlyMap<number, number>
  /** Where Envoy's own pages answer: a loopback address, 127.0.0.1:9901 unless said. They show secrets and can stop it. */
  readonly admin?: HostPort
  /** The heap at which Envoy refuses requests; 1 GiB unless said. */
  readonly maxHeapBytes?: number
  /** Envoy runtime keys, such as `envoy.features.fail_on_any_deprecated_feature`. */
  readonly runtime?: JsonObject
}

const ADMIN: HostPort = {host: '127.0.0.1', port: 9901}
const MAX_HEAP = 1024 ** 3
const MAX_CONNECTIONS = 50_000

/**
 * The text of `envoy.json`, byte-stable.
 * @throws AtlasError `failed` for a downstream cluster when nobody has said where it will dial
 */
export function buildBootstrap(settings: Settings, options: BootstrapOptions): string {
  const admin = options.admin ?? ADMIN
  const bootstrap = create(BootstrapSchema, {
    node: {cluster: options.owner, id: options.nodeId, metadata: metadata(options)},
    dynamicResources: dynamicResources(options.owner),
    staticResources: {clusters: [controlPlane(settings, options)]},
    admin: {address: socketAddress(admin.host, admin.port), ignoreGlobalConnLimit: true},
    // A static layer alone: without one, Envoy's admin page could change these.
    layeredRuntime: {layers: [{name: 'atlas', layerSpecifier: {case: 'staticLayer', value: options.runtime ?? {}}}]},
    overloadManager: overloadManager(options.maxHeapBytes ?? MAX_HEAP),
    statsConfig: {statsMatcher: statsMatcher()},
  })
  return `${JSON.stringify(toJson(BootstrapSchema, bootstrap, {registry, useProtoFieldName: true}), undefined, 2)}\n`
}

/** What stands in a bootstrap's Anys. */
const registry = createRegistry(
  DnsClusterSchema,
  DownstreamConnectionsConfigSchema,
  FixedHeapConfigSchema,
  HttpProtocolOptionsSchema,
  UpstreamTlsContextSchema,
)

function metadata({bindAddress, localAddress, ports}: BootstrapOptions): JsonObject {
  return {
    ...(bindAddress === undefined ? {} : {[nodeMetadata.bindAddress]: bindAddress}),
    ...(localAddress === undefined ? {} : {[nodeMetadata.localAddress]: localAddress}),
    ...(ports === undefined || ports.size === 0 ? {} : {[nodeMetadata.ports]: Object.fromEntries(ports)}),
  }
}

/**
 * Delta ADS. Envoy waits for its clusters and listeners without end (0 s, not its 15): until then it is not ready and says so, rather
 * than ready with nothing. Its own back-off (to 30 s) would be too slow after an outage (docs/explanation/envoy.md#reconnecting-to-ads).
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

/** The observability Envoy dials the ADS servers; every other the observability Envoy, which relays. Each is pinned to that. */
function controlPlane(settings: Settings, {owner, directory}: BootstrapOptions): EnvoyCluster {
  const {trustDomain} = settings
  const direct = owner === OBSERVABILITY
  return adsCluster(settings, {
    name: envoyNames.bootstrap.cluster,
    hosts: direct ? adsServersOf(settings) : relaysOf(settings),
    secrets: credentialSecrets(directory),
    server: direct
      ? {name: {exact: spiffe.ads(trustDomain)}, sni: sni.ads(trustDomain)}
      : {name: {exact: spiffe.observability(trustDomain)}, sni: sni.observability(trustDomain)},
  })
}

function relaysOf({addresses, adsPort}: Settings): readonly HostPort[] {
  if (addresses.length === 0)
    throw new AtlasError('failed', 'it is not known where downstream clusters dial the observability cluster', {
      hint: 'say it with "atlas init --address HOST"',
    })
  return addresses.map(({host}) => ({host, port: adsPort}))
}

/** Before memory ends: first the heap is shrunk, then requests are refused; connections have a limit that admin is free of. */
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
