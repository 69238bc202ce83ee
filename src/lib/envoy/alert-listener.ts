/**
 * The listeners for alerts: 10903 of a downstream Envoy, to which the Prometheus of its cluster sends them, and 10903 of the observability
 * Envoy, which takes them from every downstream cluster.
 */
import {create} from '@bufbuild/protobuf'
import type {Listener} from '../../gen/envoy/config/listener/v3/listener_pb.js'
import {
  HttpConnectionManagerSchema,
  HttpConnectionManager_CodecType as Codec,
} from '../../gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js'
import type {HostPort} from '../model/address.js'
import {envoyNames, spiffe} from '../model/names.js'
import type {Settings} from '../model/settings.js'
import {requestLog} from './access-log.js'
import {duration, fromAds} from './core.js'
import {http2} from './http2.js'
import {IDLE_TIMEOUT, common, listener} from './listener.js'
import {alertRequests} from './rate-limit.js'
import {allowFilter, denyFilter} from './rbac.js'
import {refusedClientFilter} from './refused-client.js'
import {deliveredSecrets, downstreamTls, type PeerName} from './tls.js'

/** Connections that one listener holds at a time: 10,000 clusters with three Envoys of several threads each. */
const MAX_CONNECTIONS = {fromClusters: 40_000, fromPrometheus: 1024} as const

/** Requests on one connection from a downstream Envoy at a time. */
export const ALERT_STREAMS = 32

/** Seconds until a connection of Prometheus without a request ends, and within which a request must have arrived whole. */
const PROMETHEUS_IDLE_TIMEOUT = 120
const REQUEST_TIMEOUT = 20

/** Observability 10903: admits any downstream cluster's identity. Which names are denied, and where a path leads, the routes say. */
export function alertsListener({trustDomain, timeouts}: Settings, at: HostPort): Listener {
  const senders: PeerName = {prefix: spiffe.downstreams(trustDomain)}
  const name = envoyNames.alerts
  return listener({
    name,
    at,
    bufferBytes: 65_536, // many clients, little traffic
    connections: MAX_CONNECTIONS.fromClusters,
    manager: create(HttpConnectionManagerSchema, {
      ...common(name, [refusedClientFilter(), alertRequests(name), allowFilter([senders]), denyFilter()]),
      ...alertsCommon,
      accessLog: [requestLog(name, 'all')], // who has sent an alert; the rate limit bounds it
      codecType: Codec.HTTP2,
      routeSpecifier: {case: 'rds', value: {routeConfigName: name, configSource: fromAds}},
      commonHttpProtocolOptions: {idleTimeout: duration(IDLE_TIMEOUT), maxConnectionDuration: duration(timeouts.thanosConnection)},
      http2ProtocolOptions: http2('ads', timeouts, ALERT_STREAMS),
    }),
    tls: downstreamTls(deliveredSecrets(envoyNames.trust), [senders]),
  })
}

/** Downstream 10903: plaintext, on the node's local address alone. */
export function alertRelayListener(settings: Settings, at: HostPort): Listener {
  const name = envoyNames.alerts
  return listener({
    name,
    at,
    connections: MAX_CONNECTIONS.fromPrometheus,
    manager: create(HttpConnectionManagerSchema, {
      ...common(name, []),
      ...alertsCommon,
      accessLog: [requestLog(name, 'alerts')],
      codecType: Codec.AUTO,
      routeSpecifier: {case: 'rds', value: {routeConfigName: name, configSource: fromAds}},
      commonHttpProtocolOptions: {idleTimeout: duration(PROMETHEUS_IDLE_TIMEOUT)},
    }),
  })
}

const alertsCommon = {requestTimeout: duration(REQUEST_TIMEOUT), normalizePath: true}
