/**
 * Listeners: the doors of a node. Not a byte of them depends on which clusters are registered: Envoy answers a changed listener by
 * cutting its streams at drain time, so what varies with the fleet lives in clusters, routes, scopes and secrets.
 */
import {create} from '@bufbuild/protobuf'
import type {TransportSocket} from '../../gen/envoy/config/core/v3/base_pb.js'
import {HttpProtocolOptions_HeadersWithUnderscoresAction as Underscores} from '../../gen/envoy/config/core/v3/protocol_pb.js'
import {type Listener, ListenerSchema} from '../../gen/envoy/config/listener/v3/listener_pb.js'
import {RouterSchema} from '../../gen/envoy/extensions/filters/http/router/v3/router_pb.js'
import {ConnectionLimitSchema} from '../../gen/envoy/extensions/filters/network/connection_limit/v3/connection_limit_pb.js'
import {
  type HttpConnectionManager,
  HttpConnectionManagerSchema,
  HttpConnectionManager_CodecType as Codec,
  HttpConnectionManager_ForwardClientCertDetails as ClientCertDetails,
  type HttpFilter,
  HttpFilterSchema,
} from '../../gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js'
import type {HostPort} from '../model/address.js'
import {envoyNames, OBSERVABILITY, SIDECAR_SEPARATOR, spiffe} from '../model/names.js'
import type {InternalPort, Settings} from '../model/settings.js'
import {connectionLog, requestLog} from './access-log.js'
import {denyFilter, allowFilter} from './rbac.js'
import {http2} from './http2.js'
import {duration, extension, fromAds, socketAddress} from './core.js'
import {deliveredSecrets, downstreamTls, type PeerName} from './tls.js'

/** Connections that one listener holds at a time; more are closed as they come. */
const MOST_CONNECTIONS = 10_000

/** Streams that one connection carries at a time. An Envoy opens one ADS stream; Thanos Query one per replica and query. */
const streams = {ads: 8, thanos: 1024} as const

/** Seconds in which a client must have finished its TLS handshake, and then sent the headers of a request that it began. */
const HANDSHAKE = 5
const REQUEST_HEADERS = 10

/**
 * 10900, the ADS relay: any downstream cluster's ADS credential, never the observability Envoy's own. The server behind believes
 * the XFCC element that is set here, and finds no other: what the client sends of it is dropped.
 */
export function adsListener({trustDomain, timeouts}: Settings, at: HostPort): Listener {
  const clients: PeerName = {prefix: spiffe.adsClients(trustDomain)}
  const own: PeerName = {prefix: spiffe.adsClientsOf(trustDomain, OBSERVABILITY)}
  return listener({
    name: envoyNames.ads,
    at,
    bufferBytes: 65_536, // many clients, little traffic
    manager: create(HttpConnectionManagerSchema, {
      ...common(envoyNames.ads, [allowFilter([clients], own), denyFilter()]),
      accessLog: [requestLog(envoyNames.ads, 'nothing')],
      codecType: Codec.HTTP2,
      routeSpecifier: {case: 'rds', value: {routeConfigName: envoyNames.ads, configSource: fromAds}},
      forwardClientCertDetails: ClientCertDetails.SANITIZE_SET,
      setCurrentClientCertDetails: {uri: true},
      commonHttpProtocolOptions: {
        maxConnectionDuration: duration(timeouts.adsConnection),
        headersWithUnderscoresAction: Underscores.REJECT_REQUEST,
      },
      http2ProtocolOptions: http2('edge', timeouts, streams.ads),
    }),
    tls: downstreamTls(deliveredSecrets(envoyNames.adsTrust), [clients]),
  })
}

/**
 * 10901, for Thanos Query: plaintext, on the pod's own address, or mutual TLS. The cluster is what stands before `-thanos-sidecar` in
 * the host name.
 */
export function thanosListener(settings: Settings, at: HostPort): Listener {
  const guard = internalGuard(settings, 10_901)
  return listener({
    name: envoyNames.thanos,
    at,
    manager: create(HttpConnectionManagerSchema, {
      ...common(envoyNames.thanos, guard.filters),
      accessLog: [requestLog(envoyNames.thanos, 'routine')],
      ...guard.protocol,
      routeSpecifier: {
        case: 'scopedRoutes',
        value: {
          name: envoyNames.thanos,
          scopeKeyBuilder: {
            fragments: [
              {
                type: {
                  case: 'headerValueExtractor',
                  value: {name: ':authority', elementSeparator: SIDECAR_SEPARATOR, extractType: {case: 'index', value: 0}},
                },
              },
            ],
          },
          rdsConfigSource: fromAds, // required, and unused with scopes that carry their routes
          configSpecifier: {case: 'scopedRds', value: {scopedRdsConfigSource: fromAds}},
        },
      },
      http2ProtocolOptions: http2('bulk', settings.timeouts, streams.thanos),
    }),
    ...guard.transport,
  })
}

/** 11901, in front of the Thanos sidecars: the observability Envoy alone. */
export function sidecarListener({trustDomain, timeouts}: Settings, at: HostPort): Listener {
  const observability: PeerName = {exact: spiffe.observability(trustDomain)}
  return listener({
    name: envoyNames.thanos,
    at,
    manager: create(HttpConnectionManagerSchema, {
      ...common(envoyNames.thanos, [allowFilter([observability])]),
      accessLog: [requestLog(envoyNames.thanos, 'health-checks')],
      codecType: Codec.HTTP2,
      routeSpecifier: {case: 'rds', value: {routeConfigName: envoyNames.thanos, configSource: fromAds}},
      commonHttpProtocolOptions: {maxConnectionDuration: duration(timeouts.thanosConnection)},
      http2ProtocolOptions: http2('bulk', timeouts, streams.thanos),
    }),
    tls: downstreamTls(deliveredSecrets(envoyNames.trust), [observability]),
  })
}

/**
 * What guards an internal port: nothing, or mutual TLS that admits the clients of the settings. Connections end in time, so that
 * none outlives its certificate, or its issuer's being in force, for long.
 */
function internalGuard({internalTls, clients, trustDomain, timeouts}: Settings, port: InternalPort) {
  if (!internalTls.includes(port)) return {filters: [], protocol: {codecType: Codec.AUTO}, transport: {}}
  const names = clients.map((client): PeerName => ({exact: spiffe.client(trustDomain, client)}))
  return {
    filters: [allowFilter(names)],
    protocol: {codecType: Codec.HTTP2, commonHttpProtocolOptions: {maxConnectionDuration: duration(timeouts.thanosConnection)}},
    transport: {tls: downstreamTls(deliveredSecrets(envoyNames.trust), names)},
  }
}

/**
 * `stream_idle_timeout` 0: an ADS stream is idle for hours, and the routes bound streams
 * (docs/explanation/envoy.md#how-connections-and-streams-end).
 */
function common(name: string, filters: readonly HttpFilter[]) {
  return {
    statPrefix: name,
    useRemoteAddress: true,
    streamIdleTimeout: duration(0),
    requestHeadersTimeout: duration(REQUEST_HEADERS),
    httpFilters: [...filters, create(HttpFilterSchema, extension('envoy.filters.http.router', RouterSchema, {}))],
  }
}

interface ListenerSpec {
  readonly name: string
  readonly at: HostPort
  readonly manager: HttpConnectionManager
  readonly tls?: TransportSocket
  /** What one connection may keep in memory; Envoy's 1 MiB unless said. */
  readonly bufferBytes?: number
}

function listener({name, at, manager, tls, bufferBytes}: ListenerSpec): Listener {
  return create(ListenerSchema, {
    name,
    statPrefix: name,
    address: socketAddress(at.host, at.port),
    ...(bufferBytes === undefined ? {} : {perConnectionBufferLimitBytes: bufferBytes}),
    accessLog: [connectionLog(name)],
    filterChains: [
      {
        filters: [
          extension('envoy.filters.network.connection_limit', ConnectionLimitSchema, {
            statPrefix: name,
            maxConnections: BigInt(MOST_CONNECTIONS),
          }),
          extension('envoy.filters.network.http_connection_manager', HttpConnectionManagerSchema, manager),
        ],
        ...(tls === undefined ? {} : {transportSocket: tls, transportSocketConnectTimeout: duration(HANDSHAKE)}),
      },
    ],
  })
}
