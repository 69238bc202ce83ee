/** Small servers on loopback that record who asked them for what: API servers with and without TLS, and proxies in front of them. */
import {type IncomingMessage, type RequestListener, createServer as createHttp, request} from 'node:http'
import {createServer as createHttps} from 'node:https'
import {type AddressInfo, type Server, type Socket, connect} from 'node:net'
import {type PeerCertificate, TLSSocket} from 'node:tls'
import {type Certified, certify} from '../../../helpers/kubernetes/certificates.js'
import {socksServer} from './socks-server.js'

/** A host that no resolver can know, for a label of more than 63 letters is none: what reaches it came through a proxy. */
export const UNKNOWN_HOST = `${'a'.repeat(64)}.corp.example`
/** Linux takes it for this machine; Go and Node don't take it for a loopback address. */
export const THIS_HOST = '0.0.0.0'

/** A request as an API server got it. */
export interface Sent {
  readonly server: string
  readonly path: string
  /** Of the TLS handshake; empty: none. */
  readonly serverName: string
  /** The common name of the client certificate; empty: none. */
  readonly client: string
  readonly authorization: string
  /** `name: value` of each header, sorted. */
  readonly impersonation: readonly string[]
  /** Undefined: it came directly. */
  readonly proxy?: Passed
}

/** What a proxy was asked for, on the connection that the request came through. */
export interface Passed {
  readonly proxy: string
  readonly target: string
  readonly authorization: string
  readonly serverName: string
  readonly client: string
}

export interface Servers {
  readonly ca: Certified
  /** Signed by `ca`; it signs the certificate of server `below`. */
  readonly intermediate: Certified
  readonly otherCa: Certified
  /** Signed by `ca`, for a user `client`. */
  readonly client: Certified
  /** A certificate of server `main`. */
  readonly mainCertificate: string
  readonly ports: Readonly<Record<ServerName | ProxyName, number>>
  /** What came since this was called last, with `part` in its path. */
  take(part: string): readonly Sent[]
  close(): Promise<void>
}

/** `unnamed` has a common name only, `below` an issuer between it and `ca`, `other` another authority; `plain` speaks HTTP. */
export type ServerName = 'below' | 'main' | 'other' | 'plain' | 'unnamed'
/** `refusing` answers 407 to everyone; `locked` requires user and password. */
export type ProxyName = 'http' | 'https' | 'locked' | 'refusing' | 'socks5'

/** Starts all of them. The caller closes them. */
export async function startServers(): Promise<Servers> {
  const sent: Sent[] = []
  const passed = new Map<number, Passed>()
  const sockets = new Set<Socket>()
  const [ca, otherCa] = await Promise.all([certify({name: 'ca'}), certify({name: 'other ca'})])
  const addresses = ['127.0.0.1', THIS_HOST]
  const names = ['kubernetes', 'localhost', UNKNOWN_HOST]
  const [intermediate, main, other, unnamed, client] = await Promise.all([
    certify({name: 'intermediate', kind: 'authority'}, ca),
    certify({name: 'main', addresses, names}, ca),
    certify({name: 'other', addresses, names}, otherCa),
    certify({name: 'localhost', kind: 'server'}, ca),
    certify({name: 'client'}, ca),
  ])
  const below = await certify({name: 'below', addresses, names}, intermediate)

  const record =
    (server: string): RequestListener =>
    (message, response) => {
      const via = passed.get(message.socket.remotePort ?? 0)
      sent.push({...sentOf(server, message), ...(via !== undefined && {proxy: via})})
      response.setHeader('content-type', 'application/json').end('{"gitVersion": "v1.36.3", "major": "1", "minor": "36"}')
    }
  const tls = ({certificate, key}: Certified) => ({
    cert: certificate,
    key,
    ca: ca.certificate,
    requestCert: true,
    rejectUnauthorized: false,
  })
  const notePass = (socket: Socket, pass: Passed): void => {
    const port = socket.localPort ?? 0
    passed.set(port, pass)
    // The system gives the port to another connection afterwards, which passed no proxy.
    socket.once('close', () => passed.delete(port))
  }
  const servers: Record<ServerName | ProxyName, Server> = {
    main: createHttps(tls(main), record('main')),
    other: createHttps(tls(other), record('other')),
    below: createHttps(tls(below), record('below')),
    unnamed: createHttps(tls(unnamed), record('unnamed')),
    plain: createHttp(record('plain')),
    http: httpProxy('http', createHttp(), notePass),
    https: httpProxy('https', createHttps(tls(main)), notePass),
    locked: httpProxy('locked', createHttp(), notePass, 'Basic dXNlcjpwYXNzOndvcmQ='),
    refusing: httpProxy('refusing', createHttp(), notePass, 'nothing is right'),
    socks5: socksServer((socket, {target, login}) =>
      notePass(socket, {proxy: 'socks5', target, authorization: login, serverName: '', client: ''}),
    ),
  }
  const ports = await Promise.all(
    Object.entries(servers).map(async ([name, server]) => {
      server.on('connection', socket => {
        sockets.add(socket)
        socket.on('error', () => undefined)
      })
      server.on('tlsClientError', () => undefined)
      await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
      return [name, (server.address() as AddressInfo).port] as const
    }),
  )
  return {
    ca,
    intermediate,
    otherCa,
    client,
    mainCertificate: main.certificate,
    ports: Object.fromEntries(ports) as Servers['ports'],
    take(part) {
      const taken = sent.filter(({path}) => path.includes(part))
      for (const each of taken) sent.splice(sent.indexOf(each), 1)
      return taken
    },
    async close() {
      for (const socket of sockets) socket.destroy()
      await Promise.all(Object.values(servers).map(async server => new Promise(resolve => server.close(resolve))))
    },
  }
}

function sentOf(server: string, message: IncomingMessage): Omit<Sent, 'proxy'> {
  const headers = message.rawHeaders.flatMap((name, index, all) =>
    index % 2 === 0 ? [`${name.toLowerCase()}: ${all[index + 1] ?? ''}`] : [],
  )
  return {
    server,
    path: (message.url ?? '').replace(/\?.*/, ''),
    ...tlsOf(message.socket),
    authorization: message.headers.authorization ?? '',
    impersonation: headers.filter(header => header.startsWith('impersonate-')).sort(),
  }
}

function tlsOf(socket: Socket): {readonly serverName: string; readonly client: string} {
  if (!(socket instanceof TLSSocket)) return {serverName: '', client: ''}
  const {subject} = socket.getPeerCertificate() as Partial<PeerCertificate>
  return {serverName: typeof socket.servername === 'string' ? socket.servername : '', client: String(subject?.CN ?? '')}
}

type NotePass = (socket: Socket, pass: Passed) => void

/** Whatever host it is asked for, it connects to the port of that number on this machine. */
function httpProxy(
  proxy: string,
  server: ReturnType<typeof createHttp>,
  notePass: NotePass,
  wanted?: string,
): ReturnType<typeof createHttp> {
  const passOf = (message: IncomingMessage, target: string): Passed => ({
    proxy,
    target,
    authorization: message.headers['proxy-authorization'] ?? '',
    ...tlsOf(message.socket),
  })
  server.on('connect', (message: IncomingMessage, socket: Socket) => {
    const target = message.url ?? ''
    if (wanted !== undefined && wanted !== message.headers['proxy-authorization']) {
      socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n')
      return
    }

    pipeTo(portOf(target), socket, upstream => {
      notePass(upstream, passOf(message, target))
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
    })
  })
  server.on('request', (message, response) => {
    const url = new URL(message.url ?? '')
    const {'proxy-authorization': authorization, ...headers} = message.headers
    if (wanted !== undefined && wanted !== authorization) {
      response.writeHead(407).end()
      return
    }

    // Each request gets a connection of its own: the server tells by its port what passed the proxy.
    const forwarded = request({host: '127.0.0.1', port: url.port, path: url.pathname, headers, agent: false}, answer => {
      response.writeHead(answer.statusCode ?? 500, answer.headers)
      answer.pipe(response)
    })
    forwarded.on('socket', socket => socket.once('connect', () => notePass(socket, passOf(message, url.host))))
    forwarded.end()
  })
  return server
}

function pipeTo(port: number, socket: Socket, connected: (upstream: Socket) => void): void {
  const upstream = connect(port, '127.0.0.1', () => {
    connected(upstream)
    socket.pipe(upstream).pipe(socket)
  })
  upstream.on('error', () => socket.destroy())
  socket.on('error', () => upstream.destroy())
  socket.on('close', () => upstream.destroy())
}

function portOf(target: string): number {
  return Number(/:(\d+)$/.exec(target)?.[1])
}
