/**
 * What the observability Envoy gets: listeners for ADS (10900), Thanos Query (10901), alerts (10903) and web pages (10902, 10904); for each downstream
 * cluster an Envoy cluster and a scope, and more of both for each kind of its pages.
 */
import type {DescMessage} from '@bufbuild/protobuf'
import {ClusterSchema} from '../../gen/envoy/config/cluster/v3/cluster_pb.js'
import {ListenerSchema} from '../../gen/envoy/config/listener/v3/listener_pb.js'
import {RouteConfigurationSchema} from '../../gen/envoy/config/route/v3/route_pb.js'
import {ScopedRouteConfigurationSchema} from '../../gen/envoy/config/route/v3/scoped_route_pb.js'
import type {Alertmanager} from '../model/alertmanager.js'
import {type Cluster, isPending} from '../model/cluster.js'
import {alertmanagersOf, clusterOf, clustersOf, type Fleet, ownersApart} from '../model/fleet.js'
import {type ClusterName, OBSERVABILITY, envoyNames, pageKinds} from '../model/names.js'
import {listenedPort, type Node} from '../model/node.js'
import type {InternalPort} from '../model/internal-ports.js'
import {type Settings, showsPages} from '../model/settings.js'
import {typeUrlOf} from '../xds/resource.js'
import {type Resource, type ResourceEdit, editOf} from '../xds/snapshot.js'
import {alertsListener} from './alert-listener.js'
import {alertRoutes} from './alert-route.js'
import {adsServersCluster, thanosCluster} from './cluster.js'
import {alertmanagerCluster, pageCluster, pagesServersCluster} from './web-cluster.js'
import {deniedAdsClients, deniedOf, deniedSenders} from './rbac.js'
import {pinnedGeneration} from '../pki/recover.js'
import {adsListener, thanosListener} from './listener.js'
import {pagesListener, thanosPagesListener} from './page-listener.js'
import {pageHostScope, pagePathScope, pageScopeNames, startPageScope} from './page-route.js'
import {resourceOf} from './core.js'
import {remember} from '../model/remember.js'
import {adsRoutes, thanosScope} from './route.js'

/** All resources but the secrets. A pending cluster gets none: it has no address to connect to. */
export function observabilityResources(fleet: Fleet, settings: Settings, node: Node): readonly Resource[] {
  return [
    ...commonResources(settings, node),
    ...denyingResources(fleet, settings),
    ...alertmanagersOf(fleet).map(each => alertmanagerResource(settings, each)),
    ...clustersOf(fleet).flatMap(cluster => resourcesFor(fleet, settings, cluster)),
  ]
}

/**
 * Where the resources of `observabilityResources` differ from those of an earlier fleet, at the cost of the clusters that differ.
 * Undefined: the settings, the faults or the Alertmanagers differ, and with them perhaps every resource.
 */
export function observabilityEdits(before: Fleet, fleet: Fleet, node: Node): readonly ResourceEdit[] | undefined {
  const {settings} = fleet
  if (settings === undefined || before.settings !== settings || before.faults !== fleet.faults) return undefined
  if (before.alertmanagers !== fleet.alertmanagers) return undefined
  const names = changedClusters(before, fleet)
  const isDenialChanged = names.some(name => deniedOf(before, settings, name).join(' ') !== deniedOf(fleet, settings, name).join(' '))
  const common = [...commonResources(settings, node), ...(isDenialChanged ? denyingResources(fleet, settings) : [])]
  return [...common.map(resource => editOf(resource)), ...names.flatMap(name => editsFor(fleet, settings, name))]
}

/** What the resources of a cluster are built from: its registration, its record and, while the record is broken, its identity. */
function changedClusters(before: Fleet, fleet: Fleet): readonly ClusterName[] {
  const maps = ['registrations', 'records', ...(fleet.faults.size === 0 ? [] : (['identities'] as const))] as const
  return ownersApart(before, fleet, maps).filter((owner): owner is ClusterName => owner !== OBSERVABILITY)
}

/** The routes that deny names: those of ADS, and of alerts. */
function denyingResources(fleet: Fleet, settings: Settings): readonly Resource[] {
  return [
    adsRoutesResource(settings, deniedAdsClients(fleet, settings).join(' ')),
    alertRoutesResource(alertmanagersOf(fleet), deniedSenders(fleet, settings).join(' ')),
  ]
}

function commonResources(settings: Settings, node: Node): readonly Resource[] {
  return [
    adsServersResource(settings),
    adsListenerResource(settings, node.bindAddress, listenedPort(node, 10_900)),
    thanosListenerResource(settings, internalAddress(settings, node, 10_901), listenedPort(node, 10_901)),
    alertsListenerResource(settings, node.bindAddress, listenedPort(node, 10_903)),
    pagesServersResource(settings),
    pagesListenerResource(settings, internalAddress(settings, node, 10_904), listenedPort(node, 10_904)),
    thanosPagesListenerResource(settings, internalAddress(settings, node, 10_902), listenedPort(node, 10_902)),
    startPageResource(settings),
  ]
}

/** The resources through which one downstream cluster is reached. */
function resourcesFor(fleet: Fleet, settings: Settings, cluster: Cluster): readonly Resource[] {
  if (isPending(cluster)) return []
  const generation = pinnedGeneration(fleet, settings, cluster.name)
  return [
    thanosClusterResource(cluster, settings, generation),
    thanosScopeResource(cluster, settings),
    ...pageResources(cluster, settings, generation),
  ]
}

/** Without host names and paths no request could ask for a page. */
const pageResources = remember((cluster: Cluster, settings: Settings, generation: number): readonly Resource[] => {
  const {webDomain, pagesByPath} = settings
  if (!showsPages(settings)) return []
  return pageKinds.flatMap(kind => [
    resourceOf(ClusterSchema, pageCluster(settings, cluster, kind, generation)),
    ...(pagesByPath ? [resourceOf(ScopedRouteConfigurationSchema, pagePathScope(settings, cluster, kind))] : []),
    ...(webDomain === undefined ? [] : [resourceOf(ScopedRouteConfigurationSchema, pageHostScope(settings, cluster, kind, webDomain))]),
  ])
})

function editsFor(fleet: Fleet, settings: Settings, name: ClusterName): readonly ResourceEdit[] {
  const cluster = clusterOf(fleet, name)
  const resources = cluster === undefined ? [] : resourcesFor(fleet, settings, cluster)
  if (resources.length > 0) return resources.map(resource => editOf(resource))
  return [
    ...removals(ClusterSchema, [envoyNames.thanosOf(name), ...pageKinds.map(kind => envoyNames.pageOf(kind, name))]),
    ...removals(ScopedRouteConfigurationSchema, [envoyNames.thanosOf(name), ...pageScopeNames(name)]),
  ]
}

function removals(schema: DescMessage, names: readonly string[]): readonly ResourceEdit[] {
  return names.map(name => ({typeUrl: typeUrlOf(schema), name, resource: undefined}))
}

/**
 * Builds every cluster's resources ahead, a few at a time, so that `observabilityResources` finds them. The first snapshot of a
 * large fleet takes long (0.2 ms per cluster); between two steps the caller can do other work.
 */
export function* observabilityAhead(fleet: Fleet, settings: Settings): Generator<undefined, void> {
  for (const [index, cluster] of clustersOf(fleet).entries()) {
    resourcesFor(fleet, settings, cluster)
    if (index % AT_ONCE === AT_ONCE - 1) yield
  }
}

/** Clusters built in one step: about 4 ms. */
const AT_ONCE = 20

/** A plaintext listener binds the node's local address; a listener with mutual TLS may be reached from anywhere. */
function internalAddress({internalTls}: Settings, {bindAddress, localAddress}: Node, port: InternalPort): string {
  return internalTls.includes(port) ? bindAddress : localAddress
}

const adsServersResource = remember((settings: Settings) => resourceOf(ClusterSchema, adsServersCluster(settings)))

const thanosClusterResource = remember((cluster: Cluster, settings: Settings, generation: number) =>
  resourceOf(ClusterSchema, thanosCluster(settings, cluster, generation)),
)

const adsListenerResource = remember((settings: Settings, host: string, port: number) =>
  resourceOf(ListenerSchema, adsListener(settings, {host, port})),
)

const thanosListenerResource = remember((settings: Settings, host: string, port: number) =>
  resourceOf(ListenerSchema, thanosListener(settings, {host, port})),
)

const alertsListenerResource = remember((settings: Settings, host: string, port: number) =>
  resourceOf(ListenerSchema, alertsListener(settings, {host, port})),
)

const alertmanagerResource = remember((settings: Settings, alertmanager: Alertmanager) =>
  resourceOf(ClusterSchema, alertmanagerCluster(settings, alertmanager)),
)

const pagesServersResource = remember((settings: Settings) => resourceOf(ClusterSchema, pagesServersCluster(settings)))

const pagesListenerResource = remember((settings: Settings, host: string, port: number) =>
  resourceOf(ListenerSchema, pagesListener(settings, {host, port})),
)

const thanosPagesListenerResource = remember((settings: Settings, host: string, port: number) =>
  resourceOf(ListenerSchema, thanosPagesListener(settings, {host, port})),
)

const startPageResource = remember((settings: Settings) => resourceOf(ScopedRouteConfigurationSchema, startPageScope(settings)))

/** `denied` is one text because `remember` compares by identity; no name contains a blank. */
const adsRoutesResource = remember((settings: Settings, denied: string) =>
  resourceOf(RouteConfigurationSchema, adsRoutes(settings, denied === '' ? [] : denied.split(' '))),
)

const alertRoutesResource = remember((alertmanagers: readonly Alertmanager[], denied: string) =>
  resourceOf(RouteConfigurationSchema, alertRoutes(alertmanagers, denied === '' ? [] : denied.split(' '))),
)

const thanosScopeResource = remember((cluster: Cluster, settings: Settings) =>
  resourceOf(ScopedRouteConfigurationSchema, thanosScope(settings, cluster)),
)
