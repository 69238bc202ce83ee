/** The gRPC service definition of ADS for grpc-js: its two methods. Messages are bytes here; what a stream does with them is in stream.ts. */
import type {ServiceDefinition} from '@grpc/grpc-js'

const service = '/envoy.service.discovery.v3.AggregatedDiscoveryService'

/** Requests are decoded after they were charged to their cluster (decode-request.ts), responses encoded before they reach grpc-js (call.ts). */
const common = {
  requestStream: true,
  responseStream: true,
  requestSerialize: refuse,
  requestDeserialize: (bytes: Buffer): Buffer => bytes,
  responseSerialize: (bytes: Buffer): Buffer => bytes,
  responseDeserialize: (bytes: Buffer): Buffer => bytes,
} as const

/** `envoy.service.discovery.v3.AggregatedDiscoveryService`; names as in its proto, first letter in lower case. */
export const adsService = {
  streamAggregatedResources: {...common, path: `${service}/StreamAggregatedResources`},
  deltaAggregatedResources: {...common, path: `${service}/DeltaAggregatedResources`},
} satisfies ServiceDefinition

function refuse(): Buffer {
  throw new Error('This definition must be used by a server alone')
}
