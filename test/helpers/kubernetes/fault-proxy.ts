/**
 * A proxy in front of a real API server: it counts requests, and plays faults on single ones (fault.ts). It terminates TLS,
 * so requests need a token: a client certificate is not passed on. It serves HTTP/2 and HTTP/1.1.
 */
import {createSecureServer, type Http2ServerRequest, type Http2ServerResponse} from 'node:http2'
import {Agent} from 'node:https'
import type {AddressInfo, Socket} from 'node:net'
import path from 'node:path'
import {randomBytes} from 'node:crypto'
import {certify} from './certificates.js'
import {type Fault, carryOut} from './fault.js'
import {readKubeconfig, writeKubeconfig} from './kubeconfig.js'
import type {Kubernetes} from './kubernetes.js'

/** A request that the proxy has received. */
export interface Seen {
  readonly method: string
  /** Without the query. */
  readonly path: string
  readonly query: URLSearchParams
  /** Whether its query has `watch`. */
  readonly isWatch: boolean
  /** Its number among the requests of its method and path (watches separately), from 1, since the proxy started or was reset. */
  readonly nth: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: string
  /** The status that the client has received; undefined: none yet. */
  readonly status: number | undefined
  /** Whether it is still open: a running watch, a hanging request. */
  readonly isOpen: boolean
}

/** The fault for a request; undefined: it passes. */
export type Script = (request: Seen) => Fault | Promise<Fault | undefined> | undefined

/** Selects requests; a string is the whole path. */
export interface Which {
  readonly method?: string
  readonly path?: RegExp | string
  readonly isWatch?: boolean
  readonly isOpen?: boolean
}

export interface FaultProxy {
  /** https://ADDRESS:PORT, the same after `down` and `up`. */
  readonly url: string
  /** The path of the administrator's kubeconfig through this proxy (0600). */
  readonly kubeconfig: string
  /** The same for another kubeconfig; it must hold a token. */
  kubeconfigOf(kubeconfig: string): Promise<string>
  /** From now on `script` chooses the faults; without one, requests pass. */
  play(script?: Script): void
  /** The requests, in the order of arrival. */
  requests(which?: Which): readonly Seen[]
  /** How many connections were opened to it. */
  connections(): number
  /** Forgets all requests that are not open. */
  reset(): void
  /** Closes every connection. */
  cutAll(): void
  /** Closes every connection and refuses new ones. */
  down(): Promise<void>
  up(): Promise<void>
  close(): Promise<void>
}

/** Opens one; its caller closes it. */
export async function faultProxy({cluster, url, kubeconfig: admin}: Kubernetes): Promise<FaultProxy> {
  const {address, ca, folder} = cluster
  const {certificate, key} = await certify({name: 'fault-proxy', addresses: [address]}, ca)
  const target = {url, ca: ca.certificate, agent: new Agent({keepAlive: true})}
  const seen: Recorded[] = []
  let script: Script = () => undefined

  const serve = async (request: Http2ServerRequest, response: Http2ServerResponse): Promise<void> => {
    const body = await read(request)
    const record = recordOf(request, body, seen)
    seen.push(record)
    response.once('close', () => (record.isOpen = false))
    await carryOut({request, response, body, target, onStatus: status => (record.status = status)}, await script(record))
  }

  const server = createSecureServer({allowHTTP1: true, cert: certificate, key}, (request, response) => {
    // A client that goes away during its request, or a script that throws: there is no client left to answer.
    serve(request, response).catch(() => request.destroy())
  })
  const sockets = new Set<Socket>()
  let connections = 0
  server.on('connection', (socket: Socket) => {
    connections += 1
    // Without Nagle's algorithm: the last piece of a response must not wait 40 ms for the acknowledgement of the one before.
    socket.setNoDelay(true)
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  const cutAll = (): void => sockets.forEach(socket => socket.destroy())
  const listen = async (port: number): Promise<void> => new Promise(resolve => server.listen(port, address, resolve))
  const down = async (): Promise<void> => {
    const closed = new Promise<void>(resolve => server.close(() => resolve()))
    cutAll()
    await closed
  }

  await listen(0)
  const {port} = server.address() as AddressInfo
  const own = `https://${address}:${port}`
  const kubeconfigOf = async (file: string): Promise<string> => {
    const access = await readKubeconfig(file)
    if (!('token' in access.credential)) throw new Error(`${file} must hold a token: a client certificate does not get through a proxy`)
    return writeKubeconfig(path.join(folder, 'users', `proxy-${randomBytes(4).toString('hex')}.kubeconfig`), {...access, server: own})
  }
  return {
    url: own,
    kubeconfig: await kubeconfigOf(admin),
    kubeconfigOf,
    play: (next = () => undefined) => {
      script = next
    },
    requests: (which = {}) => seen.filter(record => isMeant(record, which)),
    connections: () => connections,
    reset: () => {
      connections = 0
      seen.splice(0, seen.length, ...seen.filter(({isOpen}) => isOpen))
    },
    cutAll,
    down,
    up: async () => listen(port),
    async close() {
      if (server.listening) await down()
      target.agent.destroy()
    },
  }
}

type Recorded = {-readonly [Key in keyof Seen]: Seen[Key]}

function recordOf(request: Http2ServerRequest, body: Buffer, earlier: readonly Seen[]): Recorded {
  const {pathname, searchParams} = new URL(request.url, 'https://localhost')
  const method = request.method
  const isWatch = ['1', 'true'].includes(searchParams.get('watch') ?? '')
  const nth = 1 + earlier.filter(record => isMeant(record, {method, path: pathname, isWatch})).length
  const {headers} = request
  return {method, path: pathname, query: searchParams, isWatch, nth, headers, body: body.toString(), status: undefined, isOpen: true}
}

function isMeant(seen: Seen, {method, path: wanted, isWatch, isOpen}: Which): boolean {
  const isPath = wanted === undefined || (typeof wanted === 'string' ? wanted === seen.path : wanted.test(seen.path))
  const is = <T>(value: T, want: T | undefined): boolean => want === undefined || value === want
  return isPath && is(seen.method, method) && is(seen.isWatch, isWatch) && is(seen.isOpen, isOpen)
}

async function read(request: Http2ServerRequest): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
  return Buffer.concat(chunks)
}
