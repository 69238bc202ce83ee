/** What the observability Envoy gets: the ADS relay (10900), the door for Thanos Query (10901), and the way to every cluster. */
import {ClusterSchema} from '../../gen/envoy/config/cluster/v3/cluster_pb.js'
import {ListenerSchema} from '../../gen/envoy/config/listener/v3/listener_pb.js'
import {RouteConfigurationSchema} from '../../gen/envoy/config/route/v3/route_pb.js'
import {ScopedRouteConfigurationSchema} from '../../gen/envoy/config/route/v3/scoped_route_pb.js'
import {type Cluster, isPending} from '../model/cluster.js'
import {clustersOf, type Fleet} from '../model/fleet.js'
import {listenedPort, type Node} from '../model/node.js'
import type {InternalPort, Settings} from '../model/settings.js'
import type {Resource} from '../xds/snapshot.js'
import {adsServersCluster, thanosCluster} from './cluster.js'
import {deniedAdsClients} from './rbac.js'
import {pinnedGeneration} from '../pki/recover.js'
import {adsListener, thanosListener} from './listener.js'
import {resourceOf} from './core.js'
import {remember} from '../model/remember.js'
import {adsRoutes, thanosScope} from './route.js'

/** All but the secrets. A cluster that is pending gets nothing: nobody could dial it. */
export function observabilityResources(fleet: Fleet, settings: Settings, node: Node): readonly Resource[] {
  const clusters = clustersOf(fleet).filter(cluster => !isPending(cluster))
  return [
    adsServers(settings),
    ...clusters.map(cluster => toThanos(cluster, settings, pinnedGeneration(fleet, settings, cluster.name))),
    adsDoor(settings, node.bindAddress, listenedPort(node, 10_900)),
    thanosDoor(settings, internalAddress(settings, node, 10_901), listenedPort(node, 10_901)),
    adsPaths(settings, deniedAdsClients(fleet, settings).join(' ')),
    ...clusters.map(cluster => thanosPaths(cluster, settings)),
  ]
}

/**
 * Builds every cluster's share ahead, a few at a time, so that `observabilityResources` finds it: the first snapshot of a large
 * fleet is the one piece of work that is not small (0.2 ms a cluster), and the caller may let others in between.
 */
export function* observabilityAhead(fleet: Fleet, settings: Settings): Generator<undefined, void> {
  for (const [index, cluster] of clustersOf(fleet).entries()) {
    if (isPending(cluster)) continue
    toThanos(cluster, settings, pinnedGeneration(fleet, settings, cluster.name))
    thanosPaths(cluster, settings)
    if (index % AT_ONCE === AT_ONCE - 1) yield
  }
}

const AT_ONCE = 20

/** What speaks plaintext stays on the node's local address; what speaks mutual TLS may be reached from anywhere. */
function internalAddress({internalTls}: Settings, {bindAddress, localAddress}: Node, port: InternalPort): string {
  return internalTls.includes(port) ? bindAddress : localAddress
}

const adsServers = remember((settings: Settings) => resourceOf(ClusterSchema, adsServersCluster(settings)))

const toThanos = remember((cluster: Cluster, settings: Settings, generation: number) =>
  resourceOf(ClusterSchema, thanosCluster(settings, cluster, generation)),
)

const adsDoor = remember((settings: Settings, host: string, port: number) =>
  resourceOf(ListenerSchema, adsListener(settings, {host, port})),
)

const thanosDoor = remember((settings: Settings, host: string, port: number) =>
  resourceOf(ListenerSchema, thanosListener(settings, {host, port})),
)

/** The names as one text, by which equal lists are found to be equal; no name holds a blank. */
const adsPaths = remember((settings: Settings, denied: string) =>
  resourceOf(RouteConfigurationSchema, adsRoutes(settings, denied === '' ? [] : denied.split(' '))),
)

const thanosPaths = remember((cluster: Cluster, settings: Settings) =>
  resourceOf(ScopedRouteConfigurationSchema, thanosScope(settings, cluster)),
)
