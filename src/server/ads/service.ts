/** The gRPC service definition of ADS for grpc-js: its two methods, and how their messages are decoded. What a stream does is in stream.ts. */
import {fromBinary} from '@bufbuild/protobuf'
import type {ServiceDefinition} from '@grpc/grpc-js'
import {
  type DeltaDiscoveryRequest,
  DeltaDiscoveryRequestSchema,
  type DiscoveryRequest,
  DiscoveryRequestSchema,
} from '../../gen/envoy/service/discovery/v3/discovery_pb.js'

const service = '/envoy.service.discovery.v3.AggregatedDiscoveryService'

/** Responses are encoded before they reach grpc-js (call.ts). */
const common = {
  requestStream: true,
  responseStream: true,
  responseSerialize: (bytes: Buffer): Buffer => bytes,
  responseDeserialize: (bytes: Buffer): Buffer => bytes,
} as const

/** `envoy.service.discovery.v3.AggregatedDiscoveryService`; names as in its proto, first letter in lower case. */
export const adsService = {
  streamAggregatedResources: {
    ...common,
    path: `${service}/StreamAggregatedResources`,
    requestSerialize: refuse,
    requestDeserialize: (bytes: Buffer): DiscoveryRequest => fromBinary(DiscoveryRequestSchema, bytes),
  },
  deltaAggregatedResources: {
    ...common,
    path: `${service}/DeltaAggregatedResources`,
    requestSerialize: refuse,
    requestDeserialize: (bytes: Buffer): DeltaDiscoveryRequest => fromBinary(DeltaDiscoveryRequestSchema, bytes),
  },
} satisfies ServiceDefinition

function refuse(): Buffer {
  throw new Error('This definition must be used by a server alone')
}
