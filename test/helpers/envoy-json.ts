/** Snapshots as canonical proto JSON with Envoy's field names and unpacked Anys: for golden files, and for an Envoy that reads them as a file. */
import {
  createRegistry,
  type DescFile,
  type DescMessage,
  fromBinary,
  type JsonObject,
  type JsonValue,
  type Registry,
  toJson,
} from '@bufbuild/protobuf'
import {file_envoy_config_cluster_v3_cluster as cluster} from '../../src/gen/envoy/config/cluster/v3/cluster_pb.js'
import {file_envoy_config_listener_v3_listener as listener} from '../../src/gen/envoy/config/listener/v3/listener_pb.js'
import {file_envoy_config_route_v3_route as route} from '../../src/gen/envoy/config/route/v3/route_pb.js'
import {file_envoy_config_route_v3_scoped_route as scopedRoute} from '../../src/gen/envoy/config/route/v3/scoped_route_pb.js'
import {file_envoy_extensions_access_loggers_filters_cel_v3_cel as logFilter} from '../../src/gen/envoy/extensions/access_loggers/filters/cel/v3/cel_pb.js'
import {file_envoy_extensions_filters_http_buffer_v3_buffer as buffer} from '../../src/gen/envoy/extensions/filters/http/buffer/v3/buffer_pb.js'
import {file_envoy_extensions_filters_http_lua_v3_lua as lua} from '../../src/gen/envoy/extensions/filters/http/lua/v3/lua_pb.js'
import {file_envoy_extensions_http_early_header_mutation_header_mutation_v3_header_mutation as headerMutation} from '../../src/gen/envoy/extensions/http/early_header_mutation/header_mutation/v3/header_mutation_pb.js'
import {file_envoy_extensions_filters_http_local_ratelimit_v3_local_rate_limit as rateLimit} from '../../src/gen/envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit_pb.js'
import {file_envoy_extensions_filters_listener_tls_inspector_v3_tls_inspector as inspector} from '../../src/gen/envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector_pb.js'
import {file_envoy_extensions_rate_limit_descriptors_expr_v3_expr as rateBy} from '../../src/gen/envoy/extensions/rate_limit_descriptors/expr/v3/expr_pb.js'
import {file_envoy_extensions_access_loggers_stream_v3_stream as stdoutLog} from '../../src/gen/envoy/extensions/access_loggers/stream/v3/stream_pb.js'
import {file_envoy_extensions_clusters_dns_v3_dns_cluster as dns} from '../../src/gen/envoy/extensions/clusters/dns/v3/dns_cluster_pb.js'
import {file_envoy_extensions_filters_http_rbac_v3_rbac as rbac} from '../../src/gen/envoy/extensions/filters/http/rbac/v3/rbac_pb.js'
import {file_envoy_extensions_filters_http_router_v3_router as router} from '../../src/gen/envoy/extensions/filters/http/router/v3/router_pb.js'
import {file_envoy_extensions_filters_network_connection_limit_v3_connection_limit as limit} from '../../src/gen/envoy/extensions/filters/network/connection_limit/v3/connection_limit_pb.js'
import {file_envoy_extensions_filters_network_rbac_v3_rbac as connectionRbac} from '../../src/gen/envoy/extensions/filters/network/rbac/v3/rbac_pb.js'
import {file_envoy_extensions_filters_network_http_connection_manager_v3_http_connection_manager as manager} from '../../src/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js'
import {file_envoy_extensions_rbac_principals_mtls_authenticated_v3_mtls_authenticated as principal} from '../../src/gen/envoy/extensions/rbac/principals/mtls_authenticated/v3/mtls_authenticated_pb.js'
import {file_envoy_extensions_transport_sockets_tls_v3_secret as secret} from '../../src/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js'
import {file_envoy_extensions_transport_sockets_tls_v3_tls as tls} from '../../src/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js'
import {file_envoy_extensions_upstreams_http_v3_http_protocol_options as protocol} from '../../src/gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js'
import {type Resource, resourcesOf, type Snapshot} from '../../src/lib/xds/snapshot.js'
import {typeUrls} from '../../src/lib/xds/type-url.js'

const files: readonly DescFile[] = [
  buffer,
  lua,
  headerMutation,
  logFilter,
  rateLimit,
  inspector,
  rateBy,
  cluster,
  listener,
  route,
  scopedRoute,
  stdoutLog,
  dns,
  rbac,
  router,
  limit,
  connectionRbac,
  manager,
  principal,
  secret,
  tls,
  protocol,
]

export const envoyRegistry: Registry = createRegistry(...files)

export function resourceJson(resource: Resource): JsonObject {
  const schema = envoyRegistry.getMessage(resource.typeUrl.slice(resource.typeUrl.indexOf('/') + 1)) as DescMessage
  return tidied(toJson(schema, fromBinary(schema, resource.body), {registry: envoyRegistry, useProtoFieldName: true})) as JsonObject
}

/** By kind (`cluster`, `listener` …), in the order of names. */
export function snapshotJson(snapshot: Snapshot): Record<string, readonly JsonObject[]> {
  return Object.fromEntries(
    Object.entries(typeUrls)
      .map(([kind, typeUrl]): [string, readonly JsonObject[]] => [
        kind,
        [...resourcesOf(snapshot, typeUrl).values()].sort((a, b) => (a.name < b.name ? -1 : 1)).map(each => resourceJson(each)),
      ])
      .filter(([, resources]) => resources.length > 0),
  )
}

/** Puts `@type` first. */
function tidied(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(item => tidied(item))
  if (typeof value !== 'object' || value === null) return value
  const {['@type']: type, ...rest} = value
  return Object.fromEntries([
    ...(type === undefined ? [] : [['@type', type] as [string, JsonValue]]),
    ...Object.entries(rest).map(([key, entry]): [string, JsonValue] => [key, tidied(entry)]),
  ])
}
