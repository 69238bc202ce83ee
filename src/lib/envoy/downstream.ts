/** What a downstream Envoy gets: a listener in front of its Thanos sidecars (11901), its routes, and a cluster for each sidecar. */
import {ClusterSchema} from '../../gen/envoy/config/cluster/v3/cluster_pb.js'
import {ListenerSchema} from '../../gen/envoy/config/listener/v3/listener_pb.js'
import {RouteConfigurationSchema} from '../../gen/envoy/config/route/v3/route_pb.js'
import {type Cluster, downstreamPorts, replicasOf} from '../model/cluster.js'
import {listenedPort, type Node} from '../model/node.js'
import type {Settings} from '../model/settings.js'
import type {Resource} from '../xds/snapshot.js'
import {sidecarCluster} from './cluster.js'
import {sidecarListener} from './listener.js'
import {resourceOf} from './core.js'
import {remember} from '../model/remember.js'
import {sidecarRoutes} from './route.js'

/** All resources but the secrets. A pending cluster's Envoy gets them too, and is ready before the cluster has an address. */
export function downstreamResources(cluster: Cluster, settings: Settings, node: Node): readonly Resource[] {
  return [
    ...sidecarClusters(cluster, settings),
    sidecarListenerResource(settings, node.bindAddress, listenedPort(node, downstreamPorts.thanos)),
    sidecarRoutesResource(cluster, settings),
  ]
}

const sidecarClusters = remember((cluster: Cluster, settings: Settings) =>
  replicasOf(cluster).map(replica => resourceOf(ClusterSchema, sidecarCluster(settings, cluster, replica))),
)

const sidecarListenerResource = remember((settings: Settings, host: string, port: number) =>
  resourceOf(ListenerSchema, sidecarListener(settings, {host, port})),
)

const sidecarRoutesResource = remember((cluster: Cluster, settings: Settings) =>
  resourceOf(RouteConfigurationSchema, sidecarRoutes(settings, cluster)),
)
