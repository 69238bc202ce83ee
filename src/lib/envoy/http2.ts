/** HTTP/2 between Envoys: windows, streams, keepalive. */
import {create} from '@bufbuild/protobuf'
import {type Http2ProtocolOptions, Http2ProtocolOptionsSchema} from '../../gen/envoy/config/core/v3/protocol_pb.js'
import type {ProxyTimeouts} from '../model/settings.js'
import {duration} from './core.js'

/**
 * `relay`: a connection that carries the ADS streams of many clusters. A cluster that stops reading must not use up the shared window:
 * its sixteen streams (the server's limit) hold 1 MiB of 256.
 * `ads`: one Envoy's ADS stream; `bulk`: query results over long distances (docs/explanation/envoy.md#http2-windows).
 */
export type Window = 'ads' | 'bulk' | 'relay'

const KIB = 1024
const windows = {
  ads: {initialStreamWindowSize: 256 * KIB, initialConnectionWindowSize: 4096 * KIB},
  bulk: {initialStreamWindowSize: 1024 * KIB, initialConnectionWindowSize: 16_384 * KIB},
  relay: {initialStreamWindowSize: 64 * KIB, initialConnectionWindowSize: 256 * KIB * KIB},
} as const

/** With pings every `timeouts.keepaliveInterval`; without `timeouts` no pings, for peers that end connections which ping. */
export function http2(window: Window, timeouts: ProxyTimeouts | undefined, streams?: number): Http2ProtocolOptions {
  return create(Http2ProtocolOptionsSchema, {
    ...windows[window],
    ...(streams === undefined ? {} : {maxConcurrentStreams: streams}),
    ...(timeouts === undefined
      ? {}
      : {connectionKeepalive: {interval: duration(timeouts.keepaliveInterval), timeout: duration(timeouts.keepaliveTimeout)}}),
  })
}
