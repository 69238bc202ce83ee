/** The ADS port's listening side: TCP, TLS 1.3 with a client certificate, and why somebody was not let in. gRPC begins behind it. */
import {type AddressInfo, type Server, Socket, createServer as createTcpServer} from 'node:net'
import {type TLSSocket, createServer as createTlsServer} from 'node:tls'
import {type HostPort, renderHostPort} from '../../lib/model/address.js'
import {AtlasError} from '../../lib/model/errors.js'
import type {ServerTls} from './tls.js'
import type {DenialReason} from './admission.js'

export interface ListenerEvents {
  /** A verified connection that speaks HTTP/2. */
  connected(socket: TLSSocket): void
  refused(reason: DenialReason, message: string, peer: string): void
  /** A connection could not be accepted, for want of open files as a rule. */
  failed(error: Error): void
}

export interface ListenerOptions {
  readonly listen: HostPort
  readonly handshakeTimeoutMs: number
  readonly connectionsMax: number
}

export interface AdsListener {
  readonly address: HostPort
  /** From now on new connections meet this; open ones stay. */
  use(tls: ServerTls): void
  /** Takes no new connections. */
  close(): void
  /** Cuts every connection. */
  destroy(): void
  /** Resolves once no connection is open. */
  emptied(): Promise<void>
}

/**
 * A thousand clients that come at once are let in a few in each turn, so that their handshakes don't hold up the event loop. Nobody
 * waits for anybody's handshake to end: clients that say nothing cost a place in the queue, and no time.
 */
const ADMITTED_PER_TURN = 4
/** Milliseconds. */
const TURN = 4

/**
 * Listens; until `use` is called every connection is dropped.
 * @throws AtlasError `failed` where the address can't be bound
 */
export async function openListener(options: ListenerOptions, events: ListenerEvents): Promise<AdsListener> {
  const sockets = new Set<Socket>()
  const waiting: Socket[] = []
  let turn: NodeJS.Timeout | undefined
  const emptied: (() => void)[] = []
  let tls: ServerTls | undefined

  const tlsServer = createTlsServer({
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: 'TLSv1.3',
    ALPNProtocols: ['h2'],
    handshakeTimeout: options.handshakeTimeoutMs,
    // Node calls this with the connection as `this`; its address is gone when the refusal is told, unless it was read before.
    SNICallback(this: unknown, _name, done) {
      if (this instanceof Socket) peerOf(this)
      done(null, tls?.context)
    },
  })
  tlsServer.on('secureConnection', socket => {
    socket.on('error', ignore)
    if (socket.alpnProtocol === 'h2') events.connected(socket)
    else {
      events.refused('tls-handshake', 'the client does not offer HTTP/2 (ALPN "h2")', peerOf(socket))
      socket.destroy()
    }
  })
  tlsServer.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
    const [reason, message] = explain(error, socket)
    events.refused(reason, message, peerOf(socket))
    socket.destroy()
  })

  const tcpServer = createTcpServer({pauseOnConnect: true, noDelay: true}, socket => {
    sockets.add(socket)
    socket.on('error', ignore)
    socket.once('close', () => {
      sockets.delete(socket)
      if (sockets.size === 0) for (const resolve of emptied.splice(0)) resolve()
    })
    if (tls === undefined) {
      socket.destroy()
      return
    }

    waiting.push(socket)
    turn ??= setTimeout(admit, 0)
  })
  tcpServer.maxConnections = options.connectionsMax

  function admit(): void {
    turn = undefined
    for (let admitted = 0; waiting.length > 0 && admitted < ADMITTED_PER_TURN;) {
      const socket = waiting.shift()
      if (socket === undefined || socket.destroyed) continue
      admitted += 1
      tlsServer.emit('connection', socket)
      socket.resume()
    }

    if (waiting.length > 0) turn = setTimeout(admit, TURN)
  }

  await listening(tcpServer, options.listen)
  for (const server of [tcpServer, tlsServer])
    server.on('error', (error: Error) => {
      events.failed(error)
    })
  const {address: host, port} = tcpServer.address() as AddressInfo
  return {
    address: {host, port},
    use(next) {
      tlsServer.setSecureContext(next.fallback)
      tls = next
    },
    close() {
      tcpServer.close()
      clearTimeout(turn)
      for (const socket of waiting.splice(0)) socket.destroy()
    },
    destroy() {
      for (const socket of sockets) socket.destroy()
    },
    async emptied() {
      if (sockets.size > 0)
        await new Promise<void>(resolve => {
          emptied.push(resolve)
        })
    },
  }
}

/** HOST:PORT of the other end; `unknown` where the connection is gone already and nobody asked before. */
function peerOf(socket: Socket): string {
  const {remoteAddress: host, remotePort: port} = socket
  return host === undefined || port === undefined ? 'unknown' : renderHostPort({host, port})
}

/** Node verifies after the handshake: the reason then stands in `authorizationError`, not in the error. */
function explain(error: NodeJS.ErrnoException, socket: TLSSocket): [DenialReason, string] {
  // Null before the handshake, whatever its type says.
  const verdict = socket.authorizationError as unknown
  const code = typeof verdict === 'string' ? verdict : verdict instanceof Error ? verdict.message : undefined
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID')
    return ['tls-certificate-expired', `the client's certificate is not valid now (${code})`]
  if (code !== undefined)
    return [
      'tls-certificate-untrusted',
      typeof socket.servername === 'string' && socket.servername !== ''
        ? `the client's certificate is not from an authority that is trusted here (${code})`
        : `the client sends no server name (SNI), so nobody is trusted (${code})`,
    ]
  switch (error.code) {
    case 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE': {
      return ['tls-certificate-missing', 'the client shows no certificate']
    }

    case 'ERR_SSL_UNSUPPORTED_PROTOCOL': {
      return ['tls-protocol', 'the client does not speak TLS 1.3']
    }

    default: {
      return ['tls-handshake', `the TLS handshake failed (${error.code ?? error.message})`]
    }
  }
}

async function listening(server: Server, listen: HostPort): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const hint = error.code === 'EADDRINUSE' ? {hint: 'another program has that port: choose one with --listen'} : {}
      reject(new AtlasError('failed', `the ADS port ${renderHostPort(listen)} can't be opened: ${error.message}`, {cause: error, ...hint}))
    })
    server.listen(listen.port, listen.host, resolve)
  })
}

/** An error of a connection is told by its close; without a listener it would end the process. */
function ignore(): void {
  // Nothing else is to be done.
}
