/** The client and server ends of every mutual TLS connection: TLS 1.3 alone, certificates by SDS, and the name that the peer must have. */
import {create} from '@bufbuild/protobuf'
import {type TransportSocket, TransportSocketSchema} from '../../gen/envoy/config/core/v3/base_pb.js'
import {
  type SubjectAltNameMatcher,
  SubjectAltNameMatcherSchema,
  SubjectAltNameMatcher_SanType,
  TlsParameters_TlsProtocol,
} from '../../gen/envoy/extensions/transport_sockets/tls/v3/common_pb.js'
import {type SdsSecretConfig, SdsSecretConfigSchema} from '../../gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js'
import {
  type CommonTlsContext,
  CommonTlsContextSchema,
  DownstreamTlsContextSchema,
  UpstreamTlsContextSchema,
} from '../../gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js'
import {parseAddress} from '../model/address.js'
import type {EndpointTls} from '../model/endpoint-tls.js'
import {envoyNames} from '../model/names.js'
import {extension, fromAds} from './core.js'

/** The name that a peer's certificate must carry as URI SAN. */
export type PeerName = {readonly exact: string} | {readonly prefix: string}

/** Where a TLS context finds its own certificate and the anchors for its peer's. */
export interface TlsSecrets {
  readonly own: SdsSecretConfig
  readonly trust: SdsSecretConfig
}

/** The identity that SDS delivers, and its trust: `trust` for certificates of an issuer, `ads-trust` for ADS credentials. */
export function deliveredSecrets(trust: string): TlsSecrets {
  return {own: bySds(envoyNames.identity), trust: bySds(trust)}
}

/** The client's end: accepts a server with this name alone. */
export function upstreamTls(secrets: TlsSecrets, server: {readonly name: PeerName; readonly sni: string}): TransportSocket {
  return create(
    TransportSocketSchema,
    extension(TRANSPORT_SOCKET, UpstreamTlsContextSchema, {
      commonTlsContext: commonTls(secrets, [server.name], ['h2']),
      sni: server.sni,
      maxSessionKeys: 0, // a resumed session shows no certificate
    }),
  )
}

/**
 * The client's end towards a Thanos endpoint inside a downstream cluster, whose certificates are not Atlas's: they are files beside the
 * Envoy. The endpoint's certificate must be of that authority and have the name that is expected.
 */
export function endpointTls(
  {certificates, serverName}: EndpointTls,
  {host, isClient}: {readonly host: string; readonly isClient: boolean},
): TransportSocket {
  const name = parseAddress(serverName ?? host)
  const sanType = name.kind === 'dns' ? SubjectAltNameMatcher_SanType.DNS : SubjectAltNameMatcher_SanType.IP_ADDRESS
  const exact = name.host.replace(/\.$/, '')
  return create(
    TransportSocketSchema,
    extension(TRANSPORT_SOCKET, UpstreamTlsContextSchema, {
      commonTlsContext: {
        tlsParams: {
          tlsMinimumProtocolVersion: TlsParameters_TlsProtocol.TLSv1_2,
          tlsMaximumProtocolVersion: TlsParameters_TlsProtocol.TLSv1_3,
        },
        alpnProtocols: ['h2'],
        tlsCertificateSdsSecretConfigs: isClient ? [bySds(envoyNames.upstreamClient(certificates))] : [],
        validationContextType: {
          case: 'combinedValidationContext',
          value: {
            defaultValidationContext: {matchTypedSubjectAltNames: [{sanType, matcher: {matchPattern: {case: 'exact', value: exact}}}]},
            validationContextSdsSecretConfig: bySds(envoyNames.upstreamAuthority(certificates)),
          },
        },
      },
      ...(name.kind === 'dns' && {sni: exact}),
    }),
  )
}

/** The protocols that an end of TLS offers (ALPN). */
type Protocols = readonly ('h2' | 'http/1.1')[]

/** The server's end: a client without a certificate, or with none of these names on it, gets no byte. */
export function downstreamTls(secrets: TlsSecrets, clients: readonly PeerName[], protocols: Protocols = ['h2']): TransportSocket {
  return create(
    TransportSocketSchema,
    extension(TRANSPORT_SOCKET, DownstreamTlsContextSchema, {
      commonTlsContext: commonTls(secrets, clients, protocols),
      requireClientCertificate: true,
      sessionTicketKeysType: {case: 'disableStatelessSessionResumption', value: true},
      disableStatefulSessionResumption: true,
    }),
  )
}

/** Matches the name among a certificate's URI SANs, and nowhere else in it. */
export function sanMatcher(name: PeerName): SubjectAltNameMatcher {
  return create(SubjectAltNameMatcherSchema, {
    sanType: SubjectAltNameMatcher_SanType.URI,
    matcher: {matchPattern: 'exact' in name ? {case: 'exact', value: name.exact} : {case: 'prefix', value: name.prefix}},
  })
}

const TRANSPORT_SOCKET = 'envoy.transport_sockets.tls'

function bySds(name: string): SdsSecretConfig {
  return create(SdsSecretConfigSchema, {name, sdsConfig: fromAds})
}

/** As a client, Envoy uses at most TLS 1.2 by default (docs/explanation/envoy.md#tls-versions), so both ends set the version. */
function commonTls(secrets: TlsSecrets, peers: readonly PeerName[], protocols: Protocols): CommonTlsContext {
  return create(CommonTlsContextSchema, {
    tlsParams: {tlsMinimumProtocolVersion: TlsParameters_TlsProtocol.TLSv1_3, tlsMaximumProtocolVersion: TlsParameters_TlsProtocol.TLSv1_3},
    alpnProtocols: [...protocols],
    tlsCertificateSdsSecretConfigs: [secrets.own],
    // Combined: the names are here, and the shared SDS secret holds anchors alone. Envoy would add up the matchers of both.
    validationContextType: {
      case: 'combinedValidationContext',
      value: {
        defaultValidationContext: {matchTypedSubjectAltNames: peers.map(peer => sanMatcher(peer))},
        validationContextSdsSecretConfig: secrets.trust,
      },
    },
  })
}
