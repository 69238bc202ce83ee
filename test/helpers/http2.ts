/** HTTP/2 in tests: a client with or without a certificate, and servers that answer with their name and the request's headers, and keep a stream open that asks for it (`x-hold`). */
import http2 from 'node:http2'
import type {AddressInfo} from 'node:net'
import {createSecureContext} from 'node:tls'
import {type HostPort, renderHostPort} from '../../src/lib/model/address.js'
import type {CertifiedKey} from '../../src/lib/model/authority.js'
import {frame} from '../../src/demo/lab/grpc.js'
import {SERVING} from '../../src/demo/lab/health.js'
import {isEnvoysCheck} from './health-check.js'

export interface Answer {
  readonly status: number
  readonly headers: http2.IncomingHttpHeaders
  readonly body: string
}

export interface Visit {
  readonly authority?: string
  readonly path?: string
  readonly headers?: http2.OutgoingHttpHeaders
  /** Absent: plaintext. */
  readonly tls?: {
    readonly shows?: CertifiedKey
    readonly ca: readonly string[]
    readonly servername: string
    readonly maxVersion?: 'TLSv1.2'
  }
}

/** A call that the Thanos path carries: gRPC to a service that it knows. A refusal is status 200 without `x-answered-by`. */
export const thanosCall = {path: '/grpc.health.v1.Health/Check', headers: {'content-type': 'application/grpc'}} as const

/** Sends one request on a new connection. @throws Error when the connection or the stream is refused, with the other side's reason */
export async function visit(
  {host, port}: HostPort,
  {authority, path = '/', headers = {}, tls}: Visit,
  milliseconds = 8000,
): Promise<Answer> {
  const session = http2.connect(
    `${tls === undefined ? 'http' : 'https'}://${renderHostPort({host, port})}`,
    tls === undefined
      ? {}
      : {
          ca: [...tls.ca],
          allowPartialTrustChain: true,
          servername: tls.servername,
          ...(tls.shows === undefined ? {} : {cert: tls.shows.certificate, key: tls.shows.key.reveal()}),
          ...(tls.maxVersion === undefined ? {} : {maxVersion: tls.maxVersion}),
        },
  )
  try {
    return await new Promise<Answer>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('no answer')), milliseconds)
      const refuse = (error: Error): void => {
        clearTimeout(timer)
        reject(error)
      }
      session.once('error', refuse)
      session.once('close', () => refuse(new Error('the connection was closed')))
      const stream = session.request({
        ':path': path,
        ':method': 'POST',
        ...(authority === undefined ? {} : {':authority': authority}),
        ...headers,
      })
      stream.once('error', refuse)
      let body = ''
      stream.setEncoding('utf8').on('data', chunk => (body += String(chunk)))
      stream.once('response', answered =>
        stream.once('end', () => {
          clearTimeout(timer)
          resolve({status: Number(answered[':status']), headers: answered, body})
        }),
      )
      stream.end()
    })
  } finally {
    session.destroy()
  }
}

/** The status of one request without a body among others on a connection. */
export async function statusOn(
  session: http2.ClientHttp2Session,
  path: string,
  {method = 'GET', authority = 'page'}: {readonly method?: string; readonly authority?: string} = {},
): Promise<number> {
  return new Promise((resolve, reject) => {
    const stream = session.request({':path': path, ':method': method, ':authority': authority})
    stream.once('error', reject)
    stream.once('response', answered => {
      stream.resume()
      stream.once('end', () => resolve(Number(answered[':status'])))
    })
    stream.end()
  })
}

/** A server that answers 200, to gRPC OK, with `name` and, as JSON, the headers that reached it; and Envoy's health checks with SERVING. */
export async function serveEcho(
  {host, port}: HostPort,
  name: string,
  tls?: {readonly shows: CertifiedKey; readonly ca: readonly string[]},
): Promise<{readonly port: number; close(): void}> {
  const answer = (request: http2.Http2ServerRequest, response: http2.Http2ServerResponse): void => {
    if (isEnvoysCheck(request.headers)) {
      response.writeHead(200, {'content-type': 'application/grpc'})
      response.addTrailers({'grpc-status': '0'})
      response.end(frame(SERVING))
      return
    }

    const isGrpc = request.headers['content-type'] === 'application/grpc'
    response.writeHead(200, {'x-answered-by': name, ...(isGrpc ? {'grpc-status': '0'} : {})})
    if (request.headers['x-hold'] === undefined) response.end(JSON.stringify(request.headers))
    else response.write('held')
  }
  const server =
    tls === undefined
      ? http2.createServer(answer)
      : http2.createSecureServer(
          {
            requestCert: true,
            minVersion: 'TLSv1.3',
            // Node's TLS server drops allowPartialTrustChain from its own options; a separate context keeps it.
            SNICallback: (_name, done) =>
              done(
                null,
                createSecureContext({
                  cert: tls.shows.certificate,
                  key: tls.shows.key.reveal(),
                  ca: [...tls.ca],
                  allowPartialTrustChain: true,
                }),
              ),
          },
          answer,
        )
  const sessions = new Set<http2.ServerHttp2Session>()
  server.on('session', session => {
    sessions.add(session)
    session.on('close', () => sessions.delete(session))
  })
  await new Promise<void>(resolve => server.listen(port, host, resolve))
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      for (const session of sessions) session.destroy()
      server.close()
    },
  }
}
