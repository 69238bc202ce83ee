/** HTTP/2 between Envoys: windows, streams, keepalive. */
import {create} from '@bufbuild/protobuf'
import {type Http2ProtocolOptions, Http2ProtocolOptionsSchema} from '../../gen/envoy/config/core/v3/protocol_pb.js'
import type {ProxyTimeouts} from '../model/settings.js'
import {duration} from './core.js'

/**
 * `relay`: a connection that carries the ADS streams of many clusters. One cluster that reads nothing must not use up what they
 * share: sixteen streams of its (the server's limit) hold 1 MiB of 256.
 * `edge`: little traffic, any network in front; `bulk`: query results over long distances (docs/explanation/envoy.md#http2-windows).
 */
export type Window = 'bulk' | 'edge' | 'relay'

const KIB = 1024
const windows = {
  bulk: {initialStreamWindowSize: 1024 * KIB, initialConnectionWindowSize: 16_384 * KIB},
  edge: {initialStreamWindowSize: 256 * KIB, initialConnectionWindowSize: 4096 * KIB},
  relay: {initialStreamWindowSize: 64 * KIB, initialConnectionWindowSize: 256 * KIB * KIB},
} as const

/** Pings as `timeouts` say; none without, for peers that end connections which ping. */
export function http2(window: Window, timeouts: ProxyTimeouts | undefined, streams?: number): Http2ProtocolOptions {
  return create(Http2ProtocolOptionsSchema, {
    ...windows[window],
    ...(streams === undefined ? {} : {maxConcurrentStreams: streams}),
    ...(timeouts === undefined
      ? {}
      : {connectionKeepalive: {interval: duration(timeouts.keepaliveInterval), timeout: duration(timeouts.keepaliveTimeout)}}),
  })
}
