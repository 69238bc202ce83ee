/** Routes and scoped routes: which requests a listener forwards, to which Envoy cluster, and for how long. */
import {create, type MessageInitShape} from '@bufbuild/protobuf'
import {
  type Route,
  RouteActionSchema,
  RouteSchema,
  type VirtualHost,
  VirtualHostSchema,
} from '../../gen/envoy/config/route/v3/route_components_pb.js'
import {type RouteConfiguration, RouteConfigurationSchema} from '../../gen/envoy/config/route/v3/route_pb.js'
import {type ScopedRouteConfiguration, ScopedRouteConfigurationSchema} from '../../gen/envoy/config/route/v3/scoped_route_pb.js'
import {type Cluster, replicasOf} from '../model/cluster.js'
import {type ClusterName, envoyNames, sidecarName} from '../model/names.js'
import type {Settings} from '../model/settings.js'
import {denyRoutes} from './rbac.js'
import {duration} from './core.js'

/** The path of the health check on `envoyNames.healthHost`. */
export const HEALTH_PATH = '/healthz'

/**
 * The gRPC services behind the Thanos path, by the beginning of their paths: every service of Thanos, and what clients use to examine a
 * gRPC server. Anything else, and requests that are not gRPC, get 404: what a registration names as its target may have other pages.
 */
const THANOS_SERVICES = ['/thanos.', '/grpc.health.v1.Health/', '/grpc.reflection.'] as const

/** Thanos Receive takes series through it: nothing is written to a downstream cluster. */
const WRITE_SERVICE = '/thanos.WriteableStore/'

const ADS_SERVICE = '/envoy.service.discovery.v3.AggregatedDiscoveryService'

/** 10900: the two ADS methods and nothing else, denied to the names given. */
export function adsRoutes({timeouts}: Settings, denied: readonly string[]): RouteConfiguration {
  return create(RouteConfigurationSchema, {
    name: envoyNames.ads,
    virtualHosts: [
      {
        name: envoyNames.ads,
        domains: ['*'],
        routes: ['DeltaAggregatedResources', 'StreamAggregatedResources'].map(method =>
          route({case: 'path', value: `${ADS_SERVICE}/${method}`}, {...longStream(envoyNames.adsServers, timeouts.adsConnection)}),
        ),
      },
    ],
    typedPerFilterConfig: denyRoutes(denied),
  })
}

/** 11901: each replica by its own name to its own sidecar, and the health check, which Envoy answers itself. */
export function sidecarRoutes({timeouts}: Settings, cluster: Cluster): RouteConfiguration {
  return create(RouteConfigurationSchema, {
    name: envoyNames.thanos,
    virtualHosts: [
      ...replicasOf(cluster).map(replica =>
        sidecarHost(
          envoyNames.sidecar(replica),
          cluster.name,
          [replica],
          longStream(envoyNames.sidecar(replica), timeouts.thanosConnection),
        ),
      ),
      create(VirtualHostSchema, {
        name: envoyNames.healthHost,
        domains: [envoyNames.healthHost],
        routes: [{match: {pathSpecifier: {case: 'path', value: HEALTH_PATH}}, action: {case: 'directResponse', value: {status: 200}}}],
      }),
    ],
  })
}

/** The observability side of a cluster: every replica's name, and no other, to the cluster's Envoy. */
function thanosHosts({timeouts}: Settings, cluster: Cluster): readonly VirtualHost[] {
  const action = longStream(envoyNames.thanosOf(cluster.name), timeouts.thanosConnection)
  return [sidecarHost(cluster.name, cluster.name, replicasOf(cluster), action)]
}

/**
 * 10901: one scope per cluster, so that adding or removing a cluster costs a few hundred bytes at any fleet size. The scope's key is
 * the cluster's name, which the listener cuts from the host name; it must never change, because Envoy loses a scope when two scopes
 * swap keys (docs/explanation/envoy.md#scoped-routes). `validate_clusters` is off: with it, one scope that arrives before its cluster makes Envoy refuse all scopes.
 */
export function thanosScope(settings: Settings, cluster: Cluster): ScopedRouteConfiguration {
  const name = envoyNames.thanosOf(cluster.name)
  return create(ScopedRouteConfigurationSchema, {
    name,
    key: {fragments: [{type: {case: 'stringKey', value: cluster.name}}]},
    routeConfiguration: {name, validateClusters: false, virtualHosts: [...thanosHosts(settings, cluster)]},
  })
}

type Action = MessageInitShape<typeof RouteActionSchema>

/** A bare `name1*` would take `name10` too (docs/explanation/envoy.md#per-replica-virtual-hosts). */
function sidecarHost(name: string, cluster: ClusterName, replicas: readonly number[], action: Action): VirtualHost {
  const {retryPolicy, ...stream} = action
  return create(VirtualHostSchema, {
    name,
    domains: replicas.map(replica => sidecarName(cluster, replica)).flatMap(host => [host, `${host}:*`, `${host}.*`]),
    routes: [
      {match: {pathSpecifier: {case: 'prefix', value: WRITE_SERVICE}}, action: {case: 'directResponse', value: {status: 403}}},
      ...THANOS_SERVICES.map(value => grpcRoute(value, stream)),
    ],
    ...(retryPolicy === undefined ? {} : {retryPolicy}),
  })
}

function grpcRoute(prefix: string, action: Action): Route {
  return create(RouteSchema, {
    match: {pathSpecifier: {case: 'prefix', value: prefix}, grpc: {}},
    action: {case: 'route', value: create(RouteActionSchema, action)},
  })
}

function route(path: {case: 'path'; value: string}, action: Action): Route {
  return create(RouteSchema, {match: {pathSpecifier: path}, action: {case: 'route', value: create(RouteActionSchema, action)}})
}

/**
 * For streams that last as long as a query or an ADS session: instead of Envoy's route timeout of 15 s, a limit 10 % above the
 * connection's. Both limits are needed for a rotation or a revocation to reach every connection: a connection that carries a
 * stream never ends by its own limit (docs/explanation/envoy.md#how-connections-and-streams-end).
 * A request is retried once, and only if it was never sent; with `connect_timeout` 2 s that stays below Thanos's 5 s.
 */
function longStream(cluster: string, connectionLifetime: number): Action {
  return {
    clusterSpecifier: {case: 'cluster', value: cluster},
    timeout: duration(0),
    maxStreamDuration: {maxStreamDuration: duration(connectionLifetime * 1.1)},
    retryPolicy: {retryOn: 'connect-failure,refused-stream,reset-before-request', numRetries: 1},
  }
}
