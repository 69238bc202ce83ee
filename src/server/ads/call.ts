/** One gRPC call of either method: its end with a status, its bytes, what its first request claims. When it ends is decided in stream.ts. */
import {constants} from 'node:http2'
import {toBinary} from '@bufbuild/protobuf'
import {type ServerDuplexStream, status} from '@grpc/grpc-js'
import {
  type DeltaDiscoveryRequest,
  type DeltaDiscoveryResponse,
  DeltaDiscoveryResponseSchema,
  type DiscoveryRequest,
  type DiscoveryResponse,
  DiscoveryResponseSchema,
} from '../../gen/envoy/service/discovery/v3/discovery_pb.js'
import type {NodeClaim} from '../../lib/model/node.js'
import type {Denied} from './admission.js'

export type AdsRequest = DeltaDiscoveryRequest | DiscoveryRequest

export type AdsCall = ServerDuplexStream<AdsRequest, Buffer>

/** Ends a call that is not to be served. `resetAfterMs`: how long its client may keep it. */
export function refuseCall(call: AdsCall, refusal: Denied, resetAfterMs: number): void {
  call.on('error', ignore)
  failCall(call, grpcCodeOf(refusal), refusal.message, resetAfterMs)
}

/** Ends a call with an error. Whoever calls this listens to "error". */
export function failCall(call: AdsCall, code: status, details: string, resetAfterMs: number): void {
  // What grpc-js makes of an "error" is the call's status; percent-encoding it throws on half a surrogate pair.
  call.emit('error', {code, details: details.replaceAll(/\p{Surrogate}/gu, '?')})
  resetLater(call, resetAfterMs)
}

/** Ends a call in good order. */
export function endCall(call: AdsCall, resetAfterMs: number): void {
  call.end()
  resetLater(call, resetAfterMs)
}

/** The gRPC status of a refusal: a proxy retries UNAVAILABLE, and shows the others to its operator. */
export function grpcCodeOf({reason}: Denied): status {
  if (reason === 'not-initialized') return status.UNAVAILABLE
  if (reason === 'streams') return status.RESOURCE_EXHAUSTED
  return reason === 'node-invalid' || reason === 'node-missing' ? status.INVALID_ARGUMENT : status.PERMISSION_DENIED
}

/** The bytes of a response of either variant. */
export function encodeResponse(response: DeltaDiscoveryResponse | DiscoveryResponse): Buffer {
  const bytes =
    response.$typeName === 'envoy.service.discovery.v3.DiscoveryResponse'
      ? toBinary(DiscoveryResponseSchema, response)
      : toBinary(DeltaDiscoveryResponseSchema, response)
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** What a request says of its node; undefined where it says nothing. */
export function claimOf({node}: AdsRequest): NodeClaim | undefined {
  if (node === undefined) return undefined
  const {cluster, id, metadata, userAgentName: userAgent, userAgentVersionType: said} = node
  const version = said.case === 'userAgentBuildVersion' ? said.value.version : undefined
  return {
    cluster,
    id,
    metadata,
    userAgent,
    ...(version === undefined ? {} : {version: {major: version.majorNumber, minor: version.minorNumber, patch: version.patch}}),
  }
}

/**
 * Frees the stream of a client that reads no more, or never ends its own half. grpc-js offers no way to do so and keeps the HTTP/2
 * stream in private fields; where these change, the stream ends with its connection.
 */
function resetLater(call: AdsCall, milliseconds: number): void {
  const {call: inner} = call as unknown as {readonly call?: {readonly stream?: {close?(code: number): void}}}
  setTimeout(() => inner?.stream?.close?.(constants.NGHTTP2_CANCEL), milliseconds).unref()
}

/** An error of a call is told by its end; without a listener it would end the process. */
function ignore(): void {
  // Nothing else is to be done.
}
