/** The server behind a downstream Envoy in these tests: a gRPC server that answers with its name, counts requests, and streams for a given time. */
import {type ServerHttp2Stream, createServer} from 'node:http2'
import {type Call, frame} from '../../src/demo/lab/grpc.js'
import {answerCheck, isEnvoysCheck} from '../helpers/health-check.js'
import type {HostPort} from '../../src/lib/model/address.js'

export interface Backend {
  readonly name: string
  /** How many requests have come in so far, Envoy's health checks not counted. */
  requests(): number
  /** From now on nothing is answered, as by a process that is stopped (SIGSTOP); or only health checks are not. */
  freeze(what?: 'all' | 'checks'): void
  thaw(): void
  close(): Promise<void>
}

/** The response header with the backend's name. */
export const ANSWERED_BY = 'x-answered-by'

const ONE = '/thanos.Test/One'
const STREAM = '/thanos.Test/Stream'

/** A call with one message, which the backend answers at once with its name. */
export function oneCall(authority: string, timeoutMs = 5000): Call {
  return {authority, path: ONE, message: new Uint8Array(), timeoutMs, until: 'end'}
}

/** A server stream: `begin` at once, then nothing for `seconds`, then `end` and status 0. */
export function streamCall(authority: string, seconds: number): Call {
  return {authority, path: STREAM, message: Buffer.from(String(seconds)), timeoutMs: seconds * 1000 + 10_000, until: 'end'}
}

/** Serves plaintext HTTP/2, as a Thanos sidecar does. */
export async function serveBackend({host, port}: HostPort, name: string): Promise<Backend> {
  const server = createServer()
  const sessions = new Set<{destroy(): void}>()
  let requests = 0
  let frozen: 'all' | 'checks' | undefined
  server.on('session', session => {
    sessions.add(session)
    session.on('close', () => sessions.delete(session))
  })
  server.on('stream', (stream, headers) => {
    stream.on('error', () => undefined)
    if (isEnvoysCheck(headers)) {
      if (frozen === undefined) answerCheck(stream)
      return
    }

    requests += 1
    if (frozen !== 'all') answer(stream, headers[':path'] ?? '', name)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({host, port}, resolve)
  })
  return {
    name,
    requests: () => requests,
    freeze: (what = 'all') => {
      frozen = what
    },
    thaw: () => {
      frozen = undefined
    },
    close: async () => {
      for (const session of sessions) session.destroy()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

function answer(stream: ServerHttp2Stream, path: string, name: string): void {
  const headers = {':status': 200, 'content-type': 'application/grpc', [ANSWERED_BY]: name}
  if (path !== ONE && path !== STREAM) {
    stream.respond({...headers, 'grpc-status': '12'}, {endStream: true})
    return
  }

  stream.on('wantTrailers', () => stream.sendTrailers({'grpc-status': '0'}))
  stream.respond(headers, {waitForTrailers: true})
  if (path === ONE) {
    stream.end(frame(Buffer.from(name)))
    return
  }

  const chunks: Buffer[] = []
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  stream.on('end', () => {
    const seconds = Number(Buffer.concat(chunks).subarray(5).toString())
    stream.write(frame(Buffer.from('begin')))
    const timer = setTimeout(() => stream.end(frame(Buffer.from('end'))), seconds * 1000)
    stream.on('close', () => clearTimeout(timer))
  })
}
