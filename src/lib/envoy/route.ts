/** Routes and scoped routes: which requests a listener forwards, to which Envoy cluster, and for how long. */
import {create, type MessageInitShape} from '@bufbuild/protobuf'
import {
  type HeaderMatcher,
  HeaderMatcherSchema,
  type Route,
  RouteActionSchema,
  RouteSchema,
  type VirtualHost,
  VirtualHostSchema,
} from '../../gen/envoy/config/route/v3/route_components_pb.js'
import {type RouteConfiguration, RouteConfigurationSchema} from '../../gen/envoy/config/route/v3/route_pb.js'
import {type ScopedRouteConfiguration, ScopedRouteConfigurationSchema} from '../../gen/envoy/config/route/v3/scoped_route_pb.js'
import type {Cluster} from '../model/cluster.js'
import {envoyNames} from '../model/names.js'
import type {Settings} from '../model/settings.js'
import {thanosEndpointsOf} from '../model/thanos-target.js'
import {denyRoutes} from './rbac.js'
import {duration} from './core.js'

/** The path of the health check on `envoyNames.healthHost`. */
export const HEALTH_PATH = '/healthz'

/**
 * The gRPC services behind the Thanos path, by the beginning of their paths: every service of Thanos, and what clients use to examine a
 * gRPC server. Anything else, and requests that are not gRPC, get 404: what a registration names as its target may have other pages.
 */
export const THANOS_SERVICES = ['/thanos.', '/grpc.health.v1.Health/', '/grpc.reflection.'] as const

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
          pathRoute(`${ADS_SERVICE}/${method}`, longStream(envoyNames.adsServers, timeouts.adsConnection)),
        ),
      },
    ],
    typedPerFilterConfig: denyRoutes(denied),
  })
}

/** 11901: each replica of the sidecars and of every named target by its own name, and the health check, which Envoy answers itself. */
export function sidecarRoutes({timeouts}: Settings, cluster: Cluster): RouteConfiguration {
  return create(RouteConfigurationSchema, {
    name: envoyNames.thanos,
    virtualHosts: [
      ...thanosEndpointsOf(cluster).map(({name, replica, target}) => {
        const upstream = envoyNames.sidecar(replica, target)
        return sidecarHost(upstream, [name], longStream(upstream, timeouts.thanosConnection))
      }),
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
  const names = thanosEndpointsOf(cluster).map(({name}) => name)
  return names.length === 0 ? [] : [sidecarHost(cluster.name, names, action)]
}

/**
 * 10901: one scope per cluster, so that adding or removing a cluster costs a few hundred bytes at any fleet size. The scope's key is
 * the cluster's name, which the listener cuts from the host name.
 */
export function thanosScope(settings: Settings, cluster: Cluster): ScopedRouteConfiguration {
  return scope(envoyNames.thanosOf(cluster.name), [cluster.name], thanosHosts(settings, cluster))
}

/**
 * A scope with its routes. Its key must never change, because Envoy loses a scope when two scopes swap keys
 * (docs/explanation/envoy.md#scoped-routes). `validate_clusters` is off: with it, one scope that arrives before its Envoy cluster makes
 * Envoy refuse all scopes.
 */
export function scope(name: string, key: readonly string[], virtualHosts: readonly VirtualHost[]): ScopedRouteConfiguration {
  return create(ScopedRouteConfigurationSchema, {
    name,
    key: {fragments: key.map(value => ({type: {case: 'stringKey' as const, value}}))},
    routeConfiguration: {name, validateClusters: false, virtualHosts: [...virtualHosts]},
  })
}

/** What the action of a route is made of. */
export type Action = MessageInitShape<typeof RouteActionSchema>

/** A host name with any port and below any domain. A bare `name1*` would take `name10` too (docs/explanation/envoy.md#per-replica-virtual-hosts). */
export function domainsOf(host: string): readonly string[] {
  return [host, `${host}:*`, `${host}.*`]
}

function sidecarHost(name: string, hosts: readonly string[], action: Action): VirtualHost {
  const {retryPolicy, ...stream} = action
  return create(VirtualHostSchema, {
    name,
    domains: hosts.flatMap(host => domainsOf(host)),
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

/** A route of exactly this path. */
export function pathRoute(path: string, action: Action): Route {
  return create(RouteSchema, {
    match: {pathSpecifier: {case: 'path', value: path}},
    action: {case: 'route', value: create(RouteActionSchema, action)},
  })
}

/** Matches requests of one method. */
export function methodIs(exact: string): HeaderMatcher {
  return create(HeaderMatcherSchema, {
    name: ':method',
    headerMatchSpecifier: {case: 'stringMatch', value: {matchPattern: {case: 'exact', value: exact}}},
  })
}

/** A request is retried once, and only if it was never sent; with `connect_timeout` 2 s that stays below Thanos's 5 s. */
export const onceIfUnsent = {retryOn: 'connect-failure,refused-stream,reset-before-request', numRetries: 1} as const

/**
 * For streams that last as long as a query or an ADS session: instead of Envoy's route timeout of 15 s, a limit 10 % above the
 * connection's. Both limits are needed for a rotation or a revocation to reach every connection: a connection that carries a
 * stream never ends by its own limit (docs/explanation/envoy.md#how-connections-and-streams-end).
 */
export function longStream(cluster: string, connectionLifetime: number): Action {
  return {
    clusterSpecifier: {case: 'cluster', value: cluster},
    timeout: duration(0),
    maxStreamDuration: {maxStreamDuration: duration(streamLimit(connectionLifetime))},
    retryPolicy: onceIfUnsent,
  }
}

/** Seconds after which a stream ends that `longStream` routes, whatever has become of its cluster. */
export function streamLimit(connectionLifetime: number): number {
  return Math.round(connectionLifetime * 11) / 10
}
