/** Opens an ADS stream as an Envoy would, to see which credentials are admitted for which node. */
import {create, fromBinary, toBinary} from '@bufbuild/protobuf'
import {DeltaDiscoveryRequestSchema, DeltaDiscoveryResponseSchema} from '../../gen/envoy/service/discovery/v3/discovery_pb.js'
import type {CertifiedKey} from '../../lib/model/authority.js'
import {typeUrls} from '../../lib/xds/type-url.js'
import {type GrpcReply, callOnce, openTls} from './grpc.js'
import {type TlsTarget, tlsOptions} from './tls-probe.js'

const METHOD = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources'

/** The node that a client claims to be. */
export interface AdsNode {
  readonly cluster: string
  readonly id: string
}

/**
 * Requests clusters on a delta stream and waits for the first response.
 * @throws Error when the connection is refused or no response comes
 */
export async function askAds(target: TlsTarget, certificate: CertifiedKey, node: AdsNode): Promise<GrpcReply> {
  const request = create(DeltaDiscoveryRequestSchema, {node: {cluster: node.cluster, id: node.id}, typeUrl: typeUrls.cluster})
  return callOnce(openTls(target, tlsOptions(target, {certificate})), {
    authority: target.servername,
    path: METHOD,
    message: toBinary(DeltaDiscoveryRequestSchema, request),
    timeoutMs: 5000,
    until: 'message',
  })
}

/** How many resources the first response holds; undefined without a response. */
export function resourcesInAnswer({messages: [first]}: GrpcReply): number | undefined {
  return first === undefined ? undefined : fromBinary(DeltaDiscoveryResponseSchema, first).resources.length
}
