/** gRPC's health service: a stand-in for a Thanos sidecar that serves it, and the calls to it. */
import {type Http2Server, type ServerHttp2Stream, createServer} from 'node:http2'
import type {HostPort} from '../../lib/model/address.js'
import {AtlasError} from '../../lib/model/errors.js'
import {type Call, frame, grpcCodes} from './grpc.js'

const CHECK = '/grpc.health.v1.Health/Check'
const WATCH = '/grpc.health.v1.Health/Watch'

/** HealthCheckResponse {status: SERVING}. */
export const SERVING = Buffer.from([0x08, 0x01])

/** The response header with the name of the stand-in. */
export const ANSWERED_BY = 'x-atlas-demo-answered-by'

/** A health check of `authority`. */
export function healthCall(authority: string, timeoutMs = 5000): Call {
  return {authority, path: CHECK, message: new Uint8Array(), timeoutMs, until: 'end'}
}

/** A stream that stays open, as Thanos's `Series` may for minutes, until an error or `timeoutMs`. */
export function watchCall(authority: string, timeoutMs: number): Call {
  return {authority, path: WATCH, message: new Uint8Array(), timeoutMs, until: 'end'}
}

/** Whether a health response is SERVING. */
export function isServing(message: Buffer | undefined): boolean {
  return message?.equals(SERVING) === true
}

export interface StandIn {
  /** Stops it and closes its connections. */
  close(): Promise<void>
}

/**
 * Serves the health service, and nothing else, over plaintext HTTP/2.
 * @param name the value of `ANSWERED_BY`
 * @throws AtlasError `failed` when the port can't be bound
 */
export async function serveStandIn({host, port}: HostPort, name: string): Promise<StandIn> {
  const server = createServer()
  const sessions = new Set<{destroy(): void}>()
  server.on('session', session => {
    sessions.add(session)
    session.on('close', () => sessions.delete(session))
  })
  server.on('stream', (stream, headers) => {
    stream.on('error', () => undefined)
    answer(stream, headers[':path'] ?? '', name)
  })
  await listen(server, {host, port})
  return {
    close: async () => {
      for (const session of sessions) session.destroy()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

function answer(stream: ServerHttp2Stream, path: string, name: string): void {
  const headers = {':status': 200, 'content-type': 'application/grpc', [ANSWERED_BY]: name}
  if (path === WATCH) {
    stream.respond(headers)
    stream.write(frame(SERVING))
    return
  }

  if (path !== CHECK) {
    stream.respond({...headers, 'grpc-status': grpcCodes.unimplemented}, {endStream: true})
    return
  }

  stream.on('wantTrailers', () => {
    stream.sendTrailers({'grpc-status': String(grpcCodes.ok)})
  })
  stream.respond(headers, {waitForTrailers: true})
  stream.end(frame(SERVING))
}

async function listen(server: Http2Server, {host, port}: HostPort): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: Error) => {
      reject(new AtlasError('failed', `the stand-in for a sidecar can't listen on ${host}:${port}: ${error.message}`, {cause: error}))
    })
    server.listen({host, port}, resolve)
  })
  server.unref()
}
