/**
 * What a downstream Envoy gets: listeners in front of its Thanos sidecars (11901), of its web pages (11902 to 11904) and for alerts
 * (10903), their routes, and an Envoy cluster for each sidecar and page, and for the alerts.
 */
import {ClusterSchema} from '../../gen/envoy/config/cluster/v3/cluster_pb.js'
import {ListenerSchema} from '../../gen/envoy/config/listener/v3/listener_pb.js'
import {RouteConfigurationSchema} from '../../gen/envoy/config/route/v3/route_pb.js'
import {type Cluster, type ClusterServices, downstreamPorts, servicesOf} from '../model/cluster.js'
import type {UpstreamTls} from '../model/endpoint-tls.js'
import {listenedPort, type Node} from '../model/node.js'
import type {Address} from '../model/address.js'
import type {Alertmanager} from '../model/alertmanager.js'
import {alertmanagersOf, dialledAddresses, type Fleet} from '../model/fleet.js'
import {ALERTS_PORT, type Settings} from '../model/settings.js'
import {thanosEndpointsOf} from '../model/thanos-target.js'
import type {Resource} from '../xds/snapshot.js'
import {type PageKind, pageKinds} from '../model/names.js'
import {pagePorts, pageReplicas, refusalOf} from '../model/page.js'
import {alertRelayListener} from './alert-listener.js'
import {alertRelayRoutes} from './alert-route.js'
import {sidecarCluster} from './cluster.js'
import {alertsCluster, pageTargetCluster} from './web-cluster.js'
import {pageListener} from './page-listener.js'
import {downstreamPageRoutes, refusedPageRoutes} from './page-route.js'
import {sidecarListener} from './listener.js'
import {resourceOf} from './core.js'
import {remember} from '../model/remember.js'
import {sidecarRoutes} from './route.js'
import {upstreamSecrets} from './secret.js'

/** All resources but the secrets of Atlas's own certificates. A pending cluster's Envoy gets them too, and is ready before the cluster has an address. */
export function downstreamResources(fleet: Fleet, cluster: Cluster, settings: Settings, node: Node): readonly Resource[] {
  const alerts = {host: node.localAddress, port: listenedPort(node, ALERTS_PORT)}
  return [
    ...sidecarClusters(cluster, settings, node.upstreamTls),
    sidecarListenerResource(settings, node.bindAddress, listenedPort(node, downstreamPorts.thanos)),
    sidecarRoutesResource(cluster, settings),
    ...pageKinds.map(kind => pageListenerResource(settings, kind, node.bindAddress, listenedPort(node, pagePorts[kind]))),
    ...pageResources(cluster, settings, node.ports.size === 0 ? undefined : node.ports),
    ...alertResources(settings, dialledAddresses(fleet)),
    alertRelayListenerResource(settings, alerts.host, alerts.port),
    alertRelayRoutesResource(alertmanagersOf(fleet), alerts.host, alerts.port),
  ]
}

/** All values that `downstreamResources` are built from beside the cluster; each stays the same object while it does not differ. */
export function downstreamSources(fleet: Fleet, settings: Settings, node: Node): readonly unknown[] {
  return [node, settings, dialledAddresses(fleet), alertmanagersOf(fleet)]
}

/** A page that Atlas refuses to show has no Envoy cluster, and its routes say why. */
const pageResources = remember((cluster: Cluster, settings: Settings, moved: Node['ports'] | undefined): readonly Resource[] =>
  pageKinds.flatMap(kind =>
    refusalOf(cluster, kind, moved) === undefined
      ? shownPage(servicesOf(cluster), settings, kind)
      : [resourceOf(RouteConfigurationSchema, refusedPageRoutes(cluster, kind))],
  ),
)

/** Made once for all clusters of the same services: for a thousand Envoys after a restart they would take a second. */
const shownPage = remember((services: ClusterServices, settings: Settings, kind: PageKind): readonly Resource[] => [
  ...[undefined, ...pageReplicas(services, kind)].map(replica =>
    resourceOf(ClusterSchema, pageTargetCluster(settings, services, kind, replica)),
  ),
  resourceOf(RouteConfigurationSchema, downstreamPageRoutes(settings, services, kind)),
])

const pageListenerResource = remember((settings: Settings, kind: PageKind, host: string, port: number) =>
  resourceOf(ListenerSchema, pageListener(settings, kind, {host, port})),
)

/**
 * An endpoint whose certificates this Envoy has not has no Envoy cluster, and its route answers UNAVAILABLE; `atlas status` says why
 * (ops/findings.ts). An Envoy cluster that refers to a missing file would be refused by Envoy, and one without TLS would ask in plaintext.
 */
const sidecarClusters = remember((cluster: Cluster, settings: Settings, upstreamTls: UpstreamTls | undefined) => {
  const endpoints = thanosEndpointsOf(cluster)
  const clusters = endpoints
    .filter(({tls}) => tls === undefined || upstreamTls?.certificates.has(tls.certificates) === true)
    .map(endpoint => resourceOf(ClusterSchema, sidecarCluster(settings, endpoint, upstreamTls)))
  const used = new Set(endpoints.flatMap(({tls}) => (tls === undefined ? [] : [tls.certificates])))
  const secrets = upstreamTls === undefined ? [] : [...used].filter(name => upstreamTls.certificates.has(name))
  return [...clusters, ...secrets.flatMap(name => (upstreamTls === undefined ? [] : upstreamSecrets(upstreamTls, name)))]
})

const sidecarListenerResource = remember((settings: Settings, host: string, port: number) =>
  resourceOf(ListenerSchema, sidecarListener(settings, {host, port})),
)

const sidecarRoutesResource = remember((cluster: Cluster, settings: Settings) =>
  resourceOf(RouteConfigurationSchema, sidecarRoutes(settings, cluster)),
)

/** Without an address of the observability cluster there is nowhere to send alerts to. */
const alertResources = remember((settings: Settings, addresses: readonly Address[]): readonly Resource[] =>
  addresses.length === 0 ? [] : [resourceOf(ClusterSchema, alertsCluster(settings, addresses))],
)

const alertRelayListenerResource = remember((settings: Settings, host: string, port: number) =>
  resourceOf(ListenerSchema, alertRelayListener(settings, {host, port})),
)

const alertRelayRoutesResource = remember((alertmanagers: readonly Alertmanager[], host: string, port: number) =>
  resourceOf(RouteConfigurationSchema, alertRelayRoutes(alertmanagers, {host, port})),
)
