/** HTTP/1.1 in tests: one request with exactly the path and headers given, and a server that records what it is asked and answers as told. */
import http from 'node:http'
import https from 'node:https'
import type {Socket} from 'node:net'
import type {ConnectionOptions} from 'node:tls'
import type {HostPort} from '../../src/lib/model/address.js'

export interface PageRequest {
  readonly method?: string
  readonly headers?: http.OutgoingHttpHeaders
  readonly body?: string
  /** Absent: plaintext. */
  readonly tls?: ConnectionOptions
  /** How long the connection may be silent; 10 s by default. */
  readonly timeoutMs?: number
}

export interface PageAnswer {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly body: string
}

/** Sends one request on a new connection; the path goes out as it is. */
export async function ask(at: HostPort, path: string, request: PageRequest = {}): Promise<PageAnswer> {
  const {method = 'GET', headers = {}, body, tls, timeoutMs = 10_000} = request
  return new Promise((resolve, reject) => {
    const options = {...at, path, method, headers, agent: false, timeout: timeoutMs}
    const onResponse = (response: http.IncomingMessage): void => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.once('error', reject)
      response.once('end', () => {
        resolve({status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks).toString()})
      })
    }
    const sent = tls === undefined ? http.request(options, onResponse) : https.request({...options, ...tls}, onResponse)
    sent.once('error', reject)
    sent.once('timeout', () => sent.destroy(new Error(`no answer to ${method} ${path}`)))
    sent.end(body)
  })
}

/** The status of the answer to a CONNECT. */
export async function connect(at: HostPort, path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = http.request({...at, path, method: 'CONNECT', agent: false, timeout: 10_000})
    request.once('connect', ({statusCode = 0}: http.IncomingMessage, socket: Socket) => {
      socket.destroy()
      resolve(statusCode)
    })
    request.once('error', reject)
    request.once('timeout', () => request.destroy(new Error(`no answer to CONNECT ${path}`)))
    request.end()
  })
}

export interface Recorded {
  readonly method: string
  readonly path: string
  readonly headers: http.IncomingHttpHeaders
}

export interface RecordingServer {
  readonly requests: Recorded[]
  /** What it answers from now on; 200 with its name by default. */
  answer(status: number, headers: http.OutgoingHttpHeaders, body?: string): void
  close(): Promise<void>
}

/** A web server that answers every request alike. */
export async function serveRecording(at: HostPort, name: string): Promise<RecordingServer> {
  const requests: Recorded[] = []
  let next: {status: number; headers: http.OutgoingHttpHeaders; body: string} = {status: 200, headers: {}, body: name}
  const server = http.createServer((request, response) => {
    requests.push({method: request.method ?? '', path: request.url ?? '', headers: request.headers})
    request.resume()
    response.writeHead(next.status, next.headers).end(next.body)
  })
  // Node closes an idle connection after 5 s, also while an Envoy is sending a request on it; Prometheus and Alertmanager do not.
  server.keepAliveTimeout = 0
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    // An Envoy may open a thousand connections at once, while this process is busy.
    server.listen({...at, backlog: 4096}, resolve)
  })
  return {
    requests,
    answer(status, headers, body = name) {
      next = {status, headers, body}
    },
    async close() {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
}
