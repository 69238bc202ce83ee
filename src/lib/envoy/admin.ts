/**
 * Envoy's admin pages and who reaches them. They show secrets and can stop Envoy, so they are on a Unix socket: what connects by TCP, such
 * as this Envoy itself on behalf of a registration, cannot reach them. A listener of their own serves the two pages that probes and
 * Prometheus read.
 */
import {create} from '@bufbuild/protobuf'
import {type Admin, AdminSchema} from '../../gen/envoy/config/bootstrap/v3/bootstrap_pb.js'
import {Cluster_DiscoveryType, type Cluster as EnvoyCluster, ClusterSchema} from '../../gen/envoy/config/cluster/v3/cluster_pb.js'
import {type Address, AddressSchema} from '../../gen/envoy/config/core/v3/address_pb.js'
import {type Listener, ListenerSchema} from '../../gen/envoy/config/listener/v3/listener_pb.js'
import {RouterSchema} from '../../gen/envoy/extensions/filters/http/router/v3/router_pb.js'
import {ConnectionLimitSchema} from '../../gen/envoy/extensions/filters/network/connection_limit/v3/connection_limit_pb.js'
import {
  HttpConnectionManagerSchema,
  HttpConnectionManager_CodecType as Codec,
} from '../../gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js'
import type {HostPort} from '../model/address.js'
import {AtlasError} from '../model/errors.js'
import {envoyNames} from '../model/names.js'
import {duration, extension, socketAddress} from './core.js'

/** The port of `/ready` and `/stats/prometheus`, unless another one is chosen. */
export const STATS_PORT = 9902

/** The pages that the stats listener serves, to GET alone. */
const PAGES = ['/ready', '/stats/prometheus'] as const

/** Bytes of a Unix socket's path: macOS takes 103, Linux 107. */
const SOCKET_PATH_MAX = 103

/** Only the user that Envoy runs as may connect. */
const SOCKET_MODE = 0o600

/**
 * Connections to the stats listener at a time; Envoy closes further ones at once. A client that sends nothing, or that sends its request too
 * slowly, holds one for `IDLE_TIMEOUT` seconds, so probes are answered while fewer than 200 such connections a second come in.
 */
const MAX_CONNECTIONS = 1000
const IDLE_TIMEOUT = 5

/** Seconds without progress until an answer that its client does not read ends, and seconds until any answer ends. */
const STREAM_IDLE_TIMEOUT = 10
const STREAM_TIMEOUT = 30

/** The admin pages on the Unix socket at `path`. */
export function admin(path: string): Admin {
  return create(AdminSchema, {address: socket({path, mode: SOCKET_MODE}), ignoreGlobalConnLimit: true})
}

/** To the admin pages, for the stats listener. */
export function adminCluster(path: string): EnvoyCluster {
  const name = envoyNames.bootstrap.admin
  return create(ClusterSchema, {
    name,
    clusterDiscoveryType: {case: 'type', value: Cluster_DiscoveryType.STATIC},
    connectTimeout: duration(1),
    loadAssignment: {
      clusterName: name,
      endpoints: [{lbEndpoints: [{hostIdentifier: {case: 'endpoint', value: {address: socket({path})}}}]}],
    },
  })
}

/**
 * Two admin pages, read-only. The listener answers from the time when Envoy has its configuration, and also when Envoy is short of memory or
 * connections. It does not share its port: a second Envoy started with the same bootstrap ends at once.
 */
export function statsListener(at: HostPort): Listener {
  const name = envoyNames.bootstrap.stats
  return create(ListenerSchema, {
    name,
    statPrefix: name,
    address: socketAddress(at.host, at.port),
    enableReusePort: false,
    ignoreGlobalConnLimit: true,
    bypassOverloadManager: true,
    perConnectionBufferLimitBytes: 65_536,
    filterChains: [
      {
        filters: [
          extension('envoy.filters.network.connection_limit', ConnectionLimitSchema, {
            statPrefix: name,
            maxConnections: BigInt(MAX_CONNECTIONS),
          }),
          extension('envoy.filters.network.http_connection_manager', HttpConnectionManagerSchema, {
            statPrefix: name,
            codecType: Codec.HTTP1,
            requestHeadersTimeout: duration(IDLE_TIMEOUT),
            streamIdleTimeout: duration(STREAM_IDLE_TIMEOUT),
            commonHttpProtocolOptions: {idleTimeout: duration(IDLE_TIMEOUT), maxStreamDuration: duration(STREAM_TIMEOUT)},
            httpFilters: [extension('envoy.filters.http.router', RouterSchema, {})],
            routeSpecifier: {case: 'routeConfig', value: {virtualHosts: [{name, domains: ['*'], routes: PAGES.map(page => get(page))}]}},
          }),
        ],
      },
    ],
  })
}

function get(page: string) {
  const exact = {matchPattern: {case: 'exact' as const, value: 'GET'}}
  return {
    match: {
      pathSpecifier: {case: 'path' as const, value: page},
      headers: [{name: ':method', headerMatchSpecifier: {case: 'stringMatch' as const, value: exact}}],
    },
    action: {case: 'route' as const, value: {clusterSpecifier: {case: 'cluster' as const, value: envoyNames.bootstrap.admin}}},
  }
}

/** @throws AtlasError `invalid` for a path that no Unix socket can have */
function socket({path, mode = 0}: {readonly path: string; readonly mode?: number}): Address {
  const bytes = new TextEncoder().encode(path).length
  if (bytes > SOCKET_PATH_MAX)
    throw new AtlasError(
      'invalid',
      `${path} is too long for Envoy's admin socket: it has ${bytes} bytes, and a Unix socket takes ${SOCKET_PATH_MAX}`,
      {hint: 'choose a shorter path with --admin PATH, such as /run/atlas/admin.sock'},
    )
  return create(AddressSchema, {address: {case: 'pipe', value: {path, mode}}})
}
