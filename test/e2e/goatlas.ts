/**
 * A network of goatlas: real Envoys with the configuration that its server sent. Both ends show the one certificate of the fleet
 * and only check that the authority has signed it.
 */
import type {HostPort} from '../../src/lib/model/address.js'
import type {CertifiedKey} from '../../src/lib/model/authority.js'
import type {GoatlasAuthority} from '../helpers/goatlas.js'
import {type RunningEnvoy, startEnvoy} from '../helpers/envoy-process.js'

/** 10901: a virtual host for each cluster, of all its replicas, and one route to its Envoy. @param clusters addresses by name */
export async function startOldObservability(
  address: string,
  clusters: Readonly<Record<string, string>>,
  {ca, client}: GoatlasAuthority,
): Promise<RunningEnvoy> {
  const names = Object.keys(clusters)
  return start(
    address,
    {
      host: address,
      port: 10_901,
      virtualHosts: names.map(name => ({
        name,
        domains: [0, 1].map(replica => `${name}-thanos-sidecar${replica}.monitoring.svc.cluster.local*`),
      })),
    },
    names.map(name => ({
      ...cluster(name, {host: clusters[name] ?? '', port: 11_901}),
      transport_socket: socket('UpstreamTlsContext', {common_tls_context: common(client, ca)}),
    })),
  )
}

/** 11901: every request goes to the one sidecar. */
export async function startOldDownstream(address: string, sidecar: HostPort, {ca, server}: GoatlasAuthority): Promise<RunningEnvoy> {
  const tls = socket('DownstreamTlsContext', {require_client_certificate: true, common_tls_context: common(server, ca)})
  const target = {host: address, port: 11_901, virtualHosts: [{name: 'thanos_sidecar', domains: ['*']}], tls}
  return start(address, target, [cluster('thanos_sidecar', sidecar)])
}

interface ListenerSpec extends HostPort {
  /** Each resolves to the cluster of its name. */
  readonly virtualHosts: readonly {readonly name: string; readonly domains: readonly string[]}[]
  readonly tls?: object
}

async function start(address: string, target: ListenerSpec, clusters: readonly object[]): Promise<RunningEnvoy> {
  const admin = {host: address, port: 9000}
  return startEnvoy({admin: {address: at(admin)}, static_resources: {listeners: [listener(target)], clusters}}, admin)
}

function listener({host, port, virtualHosts, tls}: ListenerSpec): object {
  const manager = {
    '@type': 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
    stat_prefix: 'http',
    route_config: {
      virtual_hosts: virtualHosts.map(({name, domains}) => ({name, domains, routes: [{match: {prefix: '/'}, route: {cluster: name}}]})),
    },
    http_filters: [{name: 'router', typed_config: {'@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router'}}],
  }
  const chain = {filters: [{name: 'http', typed_config: manager}], ...(tls !== undefined && {transport_socket: tls})}
  return {name: String(port), address: at({host, port}), filter_chains: [chain]}
}

function cluster(name: string, to: HostPort): object {
  return {
    name,
    connect_timeout: '5s',
    load_assignment: {cluster_name: name, endpoints: [{lb_endpoints: [{endpoint: {address: at(to)}}]}]},
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
        explicit_http_config: {http2_protocol_options: {}},
      },
    },
  }
}

function common({certificate, key}: CertifiedKey, ca: CertifiedKey): object {
  return {
    alpn_protocols: ['h2', 'http/1.1'],
    tls_certificates: [{certificate_chain: {inline_string: certificate}, private_key: {inline_string: key.reveal()}}],
    validation_context: {trusted_ca: {inline_string: ca.certificate}},
  }
}

function socket(type: 'DownstreamTlsContext' | 'UpstreamTlsContext', context: object): object {
  return {name: 'tls', typed_config: {'@type': `type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.${type}`, ...context}}
}

function at({host, port}: HostPort): object {
  return {socket_address: {address: host, port_value: port}}
}
