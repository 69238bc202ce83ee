/** The admin port: /healthz, /readyz, /metrics and /status over plain HTTP. What the answers contain is decided by readiness.ts and proxies/report.ts. */
import {type IncomingMessage, type ServerResponse, createServer} from 'node:http'
import type {AddressInfo} from 'node:net'
import {type HostPort, renderHostPort} from '../lib/model/address.js'
import {AtlasError, messageOf} from '../lib/model/errors.js'
import type {Readiness, Report} from '../lib/model/report.js'

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

/**
 * Listens; port 0 takes any free one.
 * @throws AtlasError `failed` where the address can't be bound
 */
export async function openAdmin(listen: HostPort, sources: AdminSources): Promise<Admin> {
  const server = createServer({requestTimeout: 10_000, headersTimeout: 5000, maxHeaderSize: 8192}, (request, response) => {
    answer(sources, request, response).catch((error: unknown) => {
      if (response.headersSent) response.destroy()
      else send(response, 500, json({error: messageOf(error)}))
    })
  })
  server.maxConnections = 256
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const hint = error.code === 'EADDRINUSE' ? 'another program uses that port: choose one with --admin' : undefined
      reject(
        new AtlasError('failed', `the admin port ${renderHostPort(listen)} can't be opened: ${error.message}`, {
          cause: error,
          ...(hint === undefined ? {} : {hint}),
        }),
      )
    })
    server.listen(listen.port, listen.host, resolve)
  })
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
