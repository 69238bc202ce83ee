/**
 * The fields of grpc-js that have no public setting, all in one place: limits of its HTTP/2 connections, of one call's messages, and the
 * reset of a call. The version of grpc-js is pinned, and test/server/ads/bounds.test.ts fails if one of these fields loses its effect.
 */
import {constants} from 'node:http2'
import type {Server, ServerDuplexStream} from '@grpc/grpc-js'

/**
 * Node closes a connection on which the client has reset more streams than this, by default 1,000 and 33 more a second. The relay's
 * connection carries the whole fleet, and an Envoy resets each stream that is refused, so no number of resets may close it.
 */
const RESETS_MAX = 2 ** 31 - 1

type GrpcCall = Pick<ServerDuplexStream<unknown, unknown>, 'cancelled'>

interface InnerCall {
  readonly stream?: {close?(code: number): void}
  readonly decoder?: {maxReadMessageLength: number}
  incomingEncoding?: string
}

/** Connections of `server` stay open however many streams their clients reset. Must be called before the server has a connection. */
export function keepConnectionsWithResets(server: Server): void {
  const {commonServerOptions} = server as unknown as {readonly commonServerOptions: Record<string, unknown>}
  Object.assign(commonServerOptions, {streamResetBurst: RESETS_MAX, streamResetRate: RESETS_MAX})
}

/** No request may be compressed: some kilobytes on the wire can be megabytes. grpc-js names this text in its error. */
const NO_ENCODING = 'compressed requests are not accepted'

/**
 * A message of `call` that is longer than `bytes`, or compressed, ends the call before its bytes are gathered. Must be called before
 * anything is read from the call.
 */
export function limitMessages(call: GrpcCall, bytes: number): void {
  const inner = innerOf(call)
  if (inner?.decoder === undefined) return
  inner.decoder.maxReadMessageLength = bytes
  inner.incomingEncoding = NO_ENCODING
}

/** Resets the HTTP/2 stream of a call whose client does not read, or never ends its own half. */
export function resetCall(call: GrpcCall): void {
  innerOf(call)?.stream?.close?.(constants.NGHTTP2_CANCEL)
}

function innerOf(call: GrpcCall): InnerCall | undefined {
  return (call as unknown as {readonly call?: InnerCall}).call
}
