/** One gRPC call of either ADS method: how it is ended, its bytes, and the node of its first request. When it ends is decided in stream.ts. */
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
import type {Denied} from '../mtls/denial.js'
import {resetCall} from './grpc-internals.js'

export type AdsRequest = DeltaDiscoveryRequest | DiscoveryRequest

export type AdsCall = ServerDuplexStream<Buffer, Buffer>

/** Keeps a call that is not admitted until it is answered; nothing is read from it. */
export function holdCall(call: AdsCall): void {
  call.on('error', ignore).pause()
}

/** Ends a call that is not admitted. The caller must listen to "error". @param resetAfterMs how long its client may keep it */
export function denyCall(call: AdsCall, denial: Denied, resetAfterMs: number): void {
  call.resume()
  failCall(call, grpcCodeOf(denial), denial.message, resetAfterMs)
}

/** Ends a call with an error. The caller must listen to "error". */
export function failCall(call: AdsCall, code: status, details: string, resetAfterMs: number): void {
  if (call.cancelled) return
  // grpc-js turns the "error" into the call's status; percent-encoding it throws on half a surrogate pair.
  call.emit('error', {code, details: details.replaceAll(/\p{Surrogate}/gu, '?')})
  resetLater(call, resetAfterMs)
}

/** Ends a call in good order. */
export function endCall(call: AdsCall, resetAfterMs: number): void {
  call.end()
  resetLater(call, resetAfterMs)
}

/** The gRPC status of a denial: an Envoy retries UNAVAILABLE, and shows the others to its operator. */
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

/** The node that a request names; undefined where it names none. */
export function claimOf({node}: AdsRequest): NodeClaim | undefined {
  if (node === undefined) return undefined
  const {cluster, id, metadata, userAgentName: userAgent, userAgentVersionType: agent} = node
  const version = agent.case === 'userAgentBuildVersion' ? agent.value.version : undefined
  return {
    cluster,
    id,
    metadata,
    userAgent,
    ...(version === undefined ? {} : {version: {major: version.majorNumber, minor: version.minorNumber, patch: version.patch}}),
  }
}

/** Resets the stream of a client that does not read, or never ends its own half. */
function resetLater(call: AdsCall, milliseconds: number): void {
  setTimeout(() => {
    resetCall(call)
  }, milliseconds).unref()
}

/** The end of the call shows the error; without a listener it would end the process. */
function ignore(): void {
  // Nothing is left to do.
}
