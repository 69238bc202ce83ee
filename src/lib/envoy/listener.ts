/**
 * Listeners. Not a byte of them depends on which clusters are registered: Envoy answers a changed listener by
 * cutting its streams at drain time, so what varies with the fleet lives in clusters, routes, scopes and secrets.
 */
import {create, type MessageInitShape} from '@bufbuild/protobuf'
import type {TransportSocket} from '../../gen/envoy/config/core/v3/base_pb.js'
import {HttpProtocolOptions_HeadersWithUnderscoresAction as Underscores} from '../../gen/envoy/config/core/v3/protocol_pb.js'
import {type Listener, ListenerSchema} from '../../gen/envoy/config/listener/v3/listener_pb.js'
import {type FilterChain, FilterChainSchema} from '../../gen/envoy/config/listener/v3/listener_components_pb.js'
import {RouterSchema} from '../../gen/envoy/extensions/filters/http/router/v3/router_pb.js'
import {TlsInspectorSchema} from '../../gen/envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector_pb.js'
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
import {type InternalPort, clientsOf} from '../model/internal-ports.js'
import type {Settings} from '../model/settings.js'
import {connectionLog, requestLog} from './access-log.js'
import {streamOpenings} from './rate-limit.js'
import {allowFilter, connectionFilter, denyFilter} from './rbac.js'
import {http2} from './http2.js'
import {callReplies} from './local-reply.js'
import {THANOS_SERVICES} from './route.js'
import {refusedClientFilter} from './refused-client.js'
import {duration, extension, fromAds, socketAddress} from './core.js'
import {deliveredSecrets, downstreamTls, type PeerName} from './tls.js'

/**
 * Connections that one listener holds at a time; Envoy closes further ones at once. A connection counts from its first bytes of TLS on.
 * 10900 has one for each downstream Envoy: 10,000 clusters with three Envoys, and some to replace them. 10901 has one for each Thanos
 * sidecar from each Thanos Query: 10,000 clusters with two replicas, and five Queries. 11901 has a few from each observability Envoy.
 */
const MAX_CONNECTIONS = {ads: 40_000, queries: 100_000, sidecars: 10_000} as const

/**
 * Seconds until a connection ends on which a client of a TLS listener sends nothing. Until then it takes no room from other clients of
 * that listener, because the inspector in front of the filter chains still waits for its first bytes.
 */
const SILENCE_TIMEOUT = 5

/**
 * Seconds after which a connection from a downstream cluster without a stream is asked to end; Envoy closes it 5 s later. So the idle
 * connections of a revoked cluster are gone within a minute.
 */
export const IDLE_TIMEOUT = 50

/** Streams on one connection; further ones wait at the client. An Envoy opens one ADS stream, Thanos Query one per replica and query. */
const MAX_STREAMS = {ads: 8, thanos: 1024} as const

/** Seconds for a client's TLS handshake, and for the headers of a request that it began; Envoy then closes the connection or the request. */
const HANDSHAKE_TIMEOUT = 5
const REQUEST_HEADERS_TIMEOUT = 10

/**
 * 10900, the ADS relay: admits any downstream cluster's ADS credential, never the observability Envoy's own. It replaces any
 * `x-forwarded-client-cert` header of the client's by one from the verified certificate, which the ADS server trusts.
 */
export function adsListener({trustDomain, timeouts}: Settings, at: HostPort): Listener {
  const clients: PeerName = {prefix: spiffe.adsClients(trustDomain)}
  const own: PeerName = {prefix: spiffe.adsClientsOf(trustDomain, OBSERVABILITY)}
  return listener({
    name: envoyNames.ads,
    at,
    bufferBytes: 65_536, // many clients, little traffic
    connections: MAX_CONNECTIONS.ads,
    manager: create(HttpConnectionManagerSchema, {
      ...common(envoyNames.ads, [refusedClientFilter(), streamOpenings(envoyNames.ads), allowFilter([clients], own), denyFilter()]),
      accessLog: [requestLog(envoyNames.ads, 'streams')],
      codecType: Codec.HTTP2,
      routeSpecifier: {case: 'rds', value: {routeConfigName: envoyNames.ads, configSource: fromAds}},
      forwardClientCertDetails: ClientCertDetails.SANITIZE_SET,
      setCurrentClientCertDetails: {uri: true},
      commonHttpProtocolOptions: {
        idleTimeout: duration(IDLE_TIMEOUT),
        maxConnectionDuration: duration(timeouts.adsConnection),
        headersWithUnderscoresAction: Underscores.REJECT_REQUEST,
      },
      http2ProtocolOptions: http2('ads', timeouts, MAX_STREAMS.ads),
    }),
    tls: downstreamTls(deliveredSecrets(envoyNames.adsTrust), [clients]),
  })
}

/**
 * 10901, for Thanos Query: plaintext on the node's local address, or mutual TLS. The part of the host name before `-thanos-sidecar` is
 * the cluster, and selects the scope.
 */
export function thanosListener(settings: Settings, at: HostPort): Listener {
  const protection = internalProtection(settings, 10_901, 'HTTP2')
  return listener({
    name: envoyNames.thanos,
    at,
    internal: true,
    connections: MAX_CONNECTIONS.queries,
    manager: create(HttpConnectionManagerSchema, {
      ...callsCommon('observability'),
      accessLog: [requestLog(envoyNames.thanos, 'calls')],
      codecType: protection.codecType,
      ...(protection.limits === undefined ? {} : {commonHttpProtocolOptions: protection.limits}),
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
          rdsConfigSource: fromAds, // required, but unused: the scopes carry their routes
          configSpecifier: {case: 'scopedRds', value: {scopedRdsConfigSource: fromAds}},
        },
      },
      http2ProtocolOptions: http2('bulk', settings.timeouts, MAX_STREAMS.thanos),
    }),
    ...protection.transport,
  })
}

/** 11901, in front of the Thanos sidecars: admits the observability Envoy alone. */
export function sidecarListener({trustDomain, timeouts}: Settings, at: HostPort): Listener {
  const observability: PeerName = {exact: spiffe.observability(trustDomain)}
  return listener({
    name: envoyNames.thanos,
    at,
    connections: MAX_CONNECTIONS.sidecars,
    manager: create(HttpConnectionManagerSchema, {
      ...callsCommon('downstream'),
      accessLog: [requestLog(envoyNames.thanos, 'calls-but-health-checks')],
      codecType: Codec.HTTP2,
      routeSpecifier: {case: 'rds', value: {routeConfigName: envoyNames.thanos, configSource: fromAds}},
      commonHttpProtocolOptions: {maxConnectionDuration: duration(timeouts.thanosConnection)},
      http2ProtocolOptions: http2('bulk', timeouts, MAX_STREAMS.thanos),
    }),
    tls: downstreamTls(deliveredSecrets(envoyNames.trust), [observability]),
    admits: [observability],
  })
}

/**
 * Of the listeners of the Thanos path. Headers that neither Thanos nor Atlas reads are not added to its many small calls: `x-forwarded-for`, and
 * those with times (`x-envoy-upstream-service-time`).
 */
function callsCommon(side: Parameters<typeof callReplies>[0]) {
  return {
    ...common(envoyNames.thanos, [], {suppressEnvoyHeaders: true}),
    localReplyConfig: callReplies(side, THANOS_SERVICES),
    skipXffAppend: true,
  }
}

/**
 * The protection of an internal port: none, or mutual TLS that admits the clients of the settings for that port. Connections have a
 * maximum duration, so that none goes on for long after its certificate ends or its issuer is no longer trusted.
 * @param secured the protocols in mutual TLS: HTTP/2 alone, or HTTP/1.1 too, in which an ingress controller speaks
 */
export function internalProtection({internalTls, clients, trustDomain, timeouts}: Settings, port: InternalPort, secured: 'AUTO' | 'HTTP2') {
  if (!internalTls.includes(port)) return {codecType: Codec.AUTO, limits: undefined, transport: {}}
  const names = clientsOf(clients, port).map((client): PeerName => ({exact: spiffe.client(trustDomain, client)}))
  return {
    codecType: Codec[secured],
    limits: {maxConnectionDuration: duration(timeouts.thanosConnection)},
    transport: {
      tls: downstreamTls(deliveredSecrets(envoyNames.trust), names, secured === 'HTTP2' ? ['h2'] : ['h2', 'http/1.1']),
      admits: names,
    },
  }
}

/**
 * What every HTTP listener has.
 * No `stream_idle_timeout`: an ADS stream is idle for hours. The routes limit how long streams last
 * (docs/explanation/envoy.md#how-connections-and-streams-end).
 */
export function common(name: string, filters: readonly HttpFilter[], router: MessageInitShape<typeof RouterSchema> = {}) {
  return {
    statPrefix: name,
    useRemoteAddress: true,
    streamIdleTimeout: duration(0),
    requestHeadersTimeout: duration(REQUEST_HEADERS_TIMEOUT),
    httpFilters: [...filters, create(HttpFilterSchema, extension('envoy.filters.http.router', RouterSchema, router))],
  }
}

export interface ListenerSpec {
  readonly name: string
  readonly at: HostPort
  /** Connections at a time. */
  readonly connections: number
  readonly manager: HttpConnectionManager
  readonly tls?: TransportSocket
  /** Names of clients, of which each connection must have one, as `tls` has required before; without it, the HTTP filters decide. */
  readonly admits?: readonly PeerName[]
  /** For clients in the cluster itself: goes on accepting when other listeners have used up the connections of the whole Envoy. */
  readonly internal?: boolean
  /** Limit of one connection's buffers; Envoy's default is 1 MiB. */
  readonly bufferBytes?: number
}

/**
 * With TLS, an inspector comes first. Its one filter chain has no match, so clients with any server name, or none, get that chain; a
 * chain with `server_names` can be added later in place, without cutting the streams of this one. Adding the inspector later, or
 * another change in a chain, would cut them (docs/explanation/envoy.md#listener-updates).
 */
export function listener({name, at, internal = false, tls, bufferBytes, ...chain}: ListenerSpec): Listener {
  return create(ListenerSchema, {
    name,
    statPrefix: name,
    address: socketAddress(at.host, at.port),
    ...(bufferBytes === undefined ? {} : {perConnectionBufferLimitBytes: bufferBytes}),
    ...(internal ? {ignoreGlobalConnLimit: true} : {}),
    ...(tls === undefined ? {} : {listenerFilters: [inspector], listenerFiltersTimeout: duration(SILENCE_TIMEOUT)}),
    accessLog: [connectionLog(name)],
    filterChains: [filterChain({name, tls, ...chain})],
  })
}

const inspector = extension('envoy.filters.listener.tls_inspector', TlsInspectorSchema, {})

interface ChainSpec extends Pick<ListenerSpec, 'admits' | 'connections' | 'manager' | 'name'> {
  readonly tls: TransportSocket | undefined
}

function filterChain({name, connections, manager, tls, admits}: ChainSpec): FilterChain {
  return create(FilterChainSchema, {
    filters: [
      extension('envoy.filters.network.connection_limit', ConnectionLimitSchema, {statPrefix: name, maxConnections: BigInt(connections)}),
      ...(admits === undefined ? [] : [connectionFilter(name, admits)]),
      extension('envoy.filters.network.http_connection_manager', HttpConnectionManagerSchema, manager),
    ],
    ...(tls === undefined ? {} : {transportSocket: tls, transportSocketConnectTimeout: duration(HANDSHAKE_TIMEOUT)}),
  })
}
