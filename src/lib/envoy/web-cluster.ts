/** Envoy clusters of web pages and alerts, at both Envoys. */
import {create} from '@bufbuild/protobuf'
import type {Cluster as EnvoyCluster} from '../../gen/envoy/config/cluster/v3/cluster_pb.js'
import {type HealthCheck, HealthCheckSchema} from '../../gen/envoy/config/core/v3/health_check_pb.js'
import type {Address} from '../model/address.js'
import type {Alertmanager} from '../model/alertmanager.js'
import {type Cluster, type ClusterServices, targetOf} from '../model/cluster.js'
import {type PageKind, envoyNames, sni, spiffe} from '../model/names.js'
import {pagePorts, pageReplicas, pageTarget} from '../model/page.js'
import {remember} from '../model/remember.js'
import {pagesServersOf, type ProxyTimeouts, type Settings} from '../model/settings.js'
import {ALERT_STREAMS} from './alert-listener.js'
import {envoyCluster, toDownstream} from './cluster.js'
import {duration} from './core.js'
import {deliveredSecrets, upstreamTls} from './tls.js'

/**
 * From the observability Envoy to one of 11902 to 11904. Without a health check of its own: a thousand clusters have four thousand of these.
 * Of several addresses each is used while connections to all before it fail, by what requests meet.
 */
export function pageCluster(settings: Settings, cluster: Cluster, kind: PageKind, generation: number): EnvoyCluster {
  const to = {name: envoyNames.pageOf(kind, cluster.name), port: pagePorts[kind]}
  return envoyCluster({...toDownstream(settings, cluster, generation, to), inTurn: true, ejectsUnreachable: true})
}

/** From the observability Envoy to `atlas serve`, for the start page. */
export function pagesServersCluster(settings: Settings): EnvoyCluster {
  const {trustDomain, timeouts} = settings
  return envoyCluster({
    name: envoyNames.pagesServers,
    hosts: pagesServersOf(settings),
    lookUps: 'few',
    timeouts,
    window: 'ads',
    connectionLifetime: timeouts.adsConnection,
    tls: upstreamTls(deliveredSecrets(envoyNames.trust), {name: {exact: spiffe.ads(trustDomain)}, sni: sni.ads(trustDomain)}),
  })
}

/**
 * From a downstream Envoy to one replica's page, over HTTP/1.1; without a replica to the first that accepts connections: an address
 * that several replicas share, or each replica's own, the next one only while those before are down.
 */
export function pageTargetCluster({timeouts}: Settings, cluster: ClusterServices, kind: PageKind, replica?: number): EnvoyCluster {
  const target = pageTarget(cluster, kind)
  const replicas = replica === undefined ? pageReplicas(cluster, kind) : [replica]
  const hosts = replicas.length === 0 ? [targetOf(target, 0)] : replicas.map(each => targetOf(target, each))
  return envoyCluster({
    name: envoyNames.page(kind, replica),
    hosts,
    inTurn: true,
    lookUps: 'few',
    timeouts,
    ...(hosts.length > 1 ? {healthCheck: acceptsConnections(timeouts)} : {}),
  })
}

/** From a downstream Envoy to 10903 of the observability Envoy. */
export function alertsCluster({trustDomain, timeouts, alertsPort}: Settings, addresses: readonly Address[]): EnvoyCluster {
  return envoyCluster({
    name: envoyNames.alerts,
    hosts: addresses.map(({host}) => ({host, port: alertsPort})),
    lookUps: 'few',
    timeouts,
    window: 'ads',
    streams: ALERT_STREAMS,
    connectionLifetime: timeouts.thanosConnection,
    tls: upstreamTls(deliveredSecrets(envoyNames.trust), {
      name: {exact: spiffe.observability(trustDomain)},
      sni: sni.observability(trustDomain),
    }),
  })
}

/** From the observability Envoy to one Alertmanager of its cluster, over HTTP/1.1. */
export function alertmanagerCluster({timeouts}: Settings, {name, host, port}: Alertmanager): EnvoyCluster {
  return envoyCluster({name: envoyNames.alertmanager(name), hosts: [{host, port}], lookUps: 'few', timeouts})
}

/** Envoy connects, and closes the connection: a page's own paths may need a login. */
const acceptsConnections = remember((timeouts: ProxyTimeouts): HealthCheck =>
  create(HealthCheckSchema, {
    timeout: duration(timeouts.healthTimeout),
    interval: duration(timeouts.healthInterval),
    noTrafficInterval: duration(timeouts.healthInterval),
    unhealthyThreshold: 1,
    healthyThreshold: 1,
    healthChecker: {case: 'tcpHealthCheck', value: {}},
  }),
)
