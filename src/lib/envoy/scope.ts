/** Scoped routes of 10901: one scope per cluster, so that a cluster comes and goes with a few hundred bytes at any fleet size. */
import {create} from '@bufbuild/protobuf'
import {type ScopedRouteConfiguration, ScopedRouteConfigurationSchema} from '../../gen/envoy/config/route/v3/scoped_route_pb.js'
import type {Cluster} from '../model/cluster.js'
import {envoyNames} from '../model/names.js'
import type {Settings} from '../model/settings.js'
import {thanosHosts} from './route.js'

/**
 * The key is what the listener cuts from the host name, the cluster's name, and never changes (docs/explanation/envoy.md#scoped-routes);
 * `validate_clusters` is off, or one scope ahead of its cluster would cost all of them.
 */
export function thanosScope(settings: Settings, cluster: Cluster): ScopedRouteConfiguration {
  const name = envoyNames.thanosOf(cluster.name)
  return create(ScopedRouteConfigurationSchema, {
    name,
    key: {fragments: [{type: {case: 'stringKey', value: cluster.name}}]},
    routeConfiguration: {name, validateClusters: false, virtualHosts: [...thanosHosts(settings, cluster)]},
  })
}
