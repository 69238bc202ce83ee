/** The admin port: /healthz, /readyz, /metrics and /status over plain HTTP. What the answers contain is decided by readiness.ts and proxies/report.ts. */
import type {IncomingMessage, Server, ServerResponse} from 'node:http'
import {type AddressInfo, type Socket, isIP} from 'node:net'
import {type HostPort, renderHostPort} from '../lib/model/address.js'
import {messageOf} from '../lib/model/errors.js'
import type {Readiness, Report} from '../lib/model/report.js'
import {listenOn} from './listen.js'

export interface AdminSources {
  readiness(): Readiness
  /** In the Prometheus text format. */
  metrics(): Promise<string>
  report(): Report
}

export interface Admin {
  /** Such as `http://127.0.0.1:6309`. */
  readonly url: string
  close(): Promise<void>
}

/** An import would read all exports of `node:http`, and with WebSocket load undici: 35 ms of CPU at each start. */
const {createServer} = process.getBuiltinModule('node:http')

/** Milliseconds. A connection that has not sent its request by then is closed, and one without a next request too. */
const TIME_LIMITS = {requestTimeout: 10_000, headersTimeout: 5000, keepAliveTimeout: 5000, connectionsCheckingInterval: 1000} as const

/** When there are more, one is closed for each new one. */
const CONNECTIONS_MAX = 256

/**
 * Listens; port 0 takes any free one.
 * @throws AtlasError `failed` where the address can't be bound
 */
export async function openAdmin(listen: HostPort, sources: AdminSources): Promise<Admin> {
  const server = createServer({...TIME_LIMITS, maxHeaderSize: 8192}, (request, response) => {
    answer(sources, request, response).catch((error: unknown) => {
      if (response.headersSent) response.destroy()
      else send(response, 500, json({error: messageOf(error)}))
    })
  })
  boundConnections(server)
  await listenOn(server, listen, {name: 'admin port', flag: '--admin'})
  // Emitted when a connection can't be accepted because the process has too many open files: the server goes on.
  server.on('error', () => undefined)
  const {address, port} = server.address() as AddressInfo
  return {
    url: `http://${renderHostPort({host: address, port})}`,
    close: async () =>
      new Promise(resolve => {
        server.close(() => {
          resolve()
        })
        server.closeAllConnections()
      }),
  }
}

/**
 * A new connection is always served, so that slow or idle ones can't keep a probe out. It takes the place of the oldest connection of
 * the address that has most.
 */
function boundConnections(server: Server): void {
  const open = new Map<Socket, string>()
  server.on('connection', (socket: Socket) => {
    open.set(socket, socket.remoteAddress ?? '')
    socket.once('close', () => open.delete(socket))
    if (open.size <= CONNECTIONS_MAX) return
    const counts = new Map<string, number>()
    for (const address of open.values()) counts.set(address, (counts.get(address) ?? 0) + 1)
    const most = Math.max(...counts.values())
    const [oldest] = [...open].find(([, address]) => counts.get(address) === most) ?? []
    oldest?.destroy()
  })
}

async function answer(sources: AdminSources, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('allow', 'GET, HEAD')
    send(response, 405, json({error: 'only GET and HEAD are supported'}))
    return
  }

  switch ((request.url ?? '').split('?')[0]) {
    case '/healthz': {
      send(response, 200, {type: 'text/plain; charset=utf-8', body: 'ok\n'})
      break
    }

    case '/readyz': {
      const readiness = sources.readiness()
      send(response, readiness.ready ? 200 : 503, json(readiness))
      break
    }

    case '/metrics': {
      send(response, 200, {type: 'text/plain; version=0.0.4; charset=utf-8', body: await sources.metrics()})
      break
    }

    case '/status': {
      // It names every proxy and every refused client, which other pods in a cluster must not learn.
      if (!isLoopback(request.socket.remoteAddress)) {
        send(response, 403, json({error: '/status is available on the loopback interface only'}))
        break
      }

      // A page in a browser on this machine can give its own name the address 127.0.0.1 and read what is answered there.
      if (!isLoopbackHost(request.headers.host)) {
        send(response, 403, json({error: '/status answers the names localhost, 127.0.0.1 and [::1] only'}))
        break
      }

      send(response, 200, json(sources.report()))
      break
    }

    default: {
      send(response, 404, json({error: 'not found: the paths are /healthz, /readyz, /metrics and /status'}))
    }
  }
}

function isLoopback(address = ''): boolean {
  return address === '::1' || /^(::ffff:)?127\./.test(address)
}

/** Whether a Host header names this machine's loopback interface. */
function isLoopbackHost(header = ''): boolean {
  const host = header
    .replace(/:\d+$/, '')
    .replace(/^\[(.*)\]$/, '$1')
    .toLowerCase()
  return host === 'localhost' || (isIP(host) !== 0 && isLoopback(host))
}

function json(value: unknown): {readonly type: string; readonly body: string} {
  return {type: 'application/json; charset=utf-8', body: `${JSON.stringify(value)}\n`}
}

function send(response: ServerResponse, code: number, {type, body}: {readonly type: string; readonly body: string}): void {
  response.writeHead(code, {
    'content-type': type,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  })
  response.end(body)
}
