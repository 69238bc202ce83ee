/**
 * The leanest pair of Envoys, written by hand, that carries what Atlas's pair carries: mutual TLS and HTTP/2 between the two, gRPC calls and
 * pages, and nothing else. No access log, no filter, no check of names or paths, no ADS. Atlas is compared with it.
 */
import type {HostPort} from '../src/lib/model/address.js'
import type {CertifiedKey} from '../src/lib/model/authority.js'

/** The certificates of both: those of Atlas's own pair. */
export interface LeanPair {
  readonly own: CertifiedKey
  readonly roots: readonly string[]
}

export interface LeanWay {
  readonly name: string
  readonly listens: HostPort
  readonly to: HostPort
}

/** In front: plaintext to its clients, TLS to the other Envoy. */
export function leanFront(ways: readonly LeanWay[], tls: LeanPair): object {
  return envoy(
    ways.map(way => listener(way)),
    ways.map(way => ({...cluster(way), ...http2, transport_socket: socketOf('Upstream', {common_tls_context: commonTls(tls)})})),
  )
}

/** Behind it: TLS to the other Envoy, plaintext to the servers, HTTP/2 for those of gRPC. */
export function leanBack(ways: readonly LeanWay[], grpc: string, tls: LeanPair): object {
  const transport_socket = socketOf('Downstream', {common_tls_context: commonTls(tls), require_client_certificate: true})
  return envoy(
    ways.map(way => listener(way, transport_socket)),
    ways.map(way => ({...cluster(way), ...(way.name === grpc ? http2 : {})})),
  )
}

function envoy(listeners: readonly object[], clusters: readonly object[]): object {
  return {static_resources: {listeners, clusters}}
}

const TYPES = 'type.googleapis.com/envoy.extensions'

function listener({name, listens}: LeanWay, transport_socket?: object): object {
  const route = {match: {prefix: '/'}, route: {cluster: name, timeout: '0s'}}
  const manager = {
    '@type': `${TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: name,
    route_config: {virtual_hosts: [{name, domains: ['*'], routes: [route]}]},
    http_filters: [{name: 'router', typed_config: {'@type': `${TYPES}.filters.http.router.v3.Router`}}],
  }
  const chain = {filters: [{name: 'http', typed_config: manager}], ...(transport_socket === undefined ? {} : {transport_socket})}
  return {name, address: address(listens), filter_chains: [chain]}
}

function cluster({name, to}: LeanWay): object {
  return {name, load_assignment: {cluster_name: name, endpoints: [{lb_endpoints: [{endpoint: {address: address(to)}}]}]}}
}

const http2 = {
  typed_extension_protocol_options: {
    'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
      '@type': `${TYPES}.upstreams.http.v3.HttpProtocolOptions`,
      explicit_http_config: {http2_protocol_options: {}},
    },
  },
}

function socketOf(end: 'Downstream' | 'Upstream', context: object): object {
  return {name: 'tls', typed_config: {'@type': `${TYPES}.transport_sockets.tls.v3.${end}TlsContext`, ...context}}
}

function commonTls({own, roots}: LeanPair): object {
  return {
    alpn_protocols: ['h2'],
    tls_params: {tls_minimum_protocol_version: 'TLSv1_3', tls_maximum_protocol_version: 'TLSv1_3'},
    tls_certificates: [{certificate_chain: {inline_string: own.certificate}, private_key: {inline_string: own.key.reveal()}}],
    validation_context: {trusted_ca: {inline_string: roots.join('\n')}},
  }
}

function address({host, port}: HostPort): object {
  return {socket_address: {address: host, port_value: port}}
}
