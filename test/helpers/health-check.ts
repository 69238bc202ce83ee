/** How a server of a test answers the health checks of a downstream Envoy: SERVING, by gRPC's health service. */
import type {IncomingHttpHeaders, ServerHttp2Stream} from 'node:http2'
import {frame} from '../../src/demo/lab/grpc.js'
import {SERVING} from '../../src/demo/lab/health.js'

/** Whether Envoy itself asks, and no client through it. */
export function isEnvoysCheck(headers: IncomingHttpHeaders): boolean {
  return headers['user-agent'] === 'Envoy/HC'
}

export function answerCheck(stream: ServerHttp2Stream): void {
  stream.on('wantTrailers', () => stream.sendTrailers({'grpc-status': '0'}))
  stream.respond({':status': 200, 'content-type': 'application/grpc'}, {waitForTrailers: true})
  stream.end(frame(SERVING))
}
