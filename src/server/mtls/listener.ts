/**
 * The listener of a port for Envoys (6305 and 6306): TCP, TLS 1.3 with a client certificate, and why a connection is denied. HTTP/2 begins
 * behind it; which streams and requests are admitted is decided in ads/admission.ts and pages/admission.ts.
 */
import {type AddressInfo, type Socket, createServer as createTcpServer} from 'node:net'
import type {X509Certificate} from 'node:crypto'
import {TLSSocket, createServer as createTlsServer} from 'node:tls'
import {type HostPort, renderHostPort} from '../../lib/model/address.js'
import {type ListenPlace, listenOn} from '../listen.js'
import type {ServerTls} from './context.js'
import {type Denied, deny} from './denial.js'

export interface ListenerEvents {
  /** A verified connection that speaks HTTP/2. */
  connected(socket: TLSSocket): void
  /** @param shown the client's certificate, where TLS refuses it; whose it is, TLS does not know */
  denied(denial: Denied, peer: string, shown?: X509Certificate): void
  /** A connection could not be accepted, as a rule because the process has too many open files. */
  failed(error: Error): void
}

export interface ListenerOptions {
  readonly place: ListenPlace
  readonly handshakeTimeoutMs: number
  readonly connectionsMax: number
}

export interface MtlsListener {
  /** @throws AtlasError `failed` where the address can't be bound */
  listen(at: HostPort): Promise<void>
  /** Undefined before `listen`. */
  readonly address: () => HostPort | undefined
  /** New connections meet this from now on; open ones stay. */
  use(tls: ServerTls): void
  /** Takes no new connections. */
  close(): void
  /** Cuts every connection. */
  destroy(): void
  /** Resolves once no connection is open. */
  emptied(): Promise<void>
}

/**
 * Handshakes that begin in one turn: when a thousand clients connect at once, their handshakes must not block the event loop. None
 * waits for another to end: a client that sends nothing holds a place among the open connections, and delays no other.
 */
const HANDSHAKES_PER_TURN = 4
/** Until the next turn, milliseconds. */
const TURN = 4

/** Does not listen yet. Until `use` is called every connection is dropped. */
export function openListener(options: ListenerOptions, events: ListenerEvents): MtlsListener {
  const sockets = new Set<Socket>()
  const waiting: Socket[] = []
  let turn: NodeJS.Timeout | undefined
  const emptied: (() => void)[] = []
  let tls: ServerTls | undefined
  /** By connections whose handshake ends now: one that is refused has no certificate any more when that is told. */
  const shown = new WeakMap<TLSSocket, X509Certificate>()

  const tlsServer = createTlsServer({
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: 'TLSv1.3',
    ALPNProtocols: ['h2'],
    handshakeTimeout: options.handshakeTimeoutMs,
    SNICallback(this: unknown, _name, done) {
      // The socket, though no documentation says so; without it a refusal does not tell whose certificate it was, and nothing else changes.
      if (this instanceof TLSSocket)
        this.prependOnceListener('secure', () => {
          const certificate = this.getPeerX509Certificate()
          if (certificate !== undefined) shown.set(this, certificate)
        })
      done(null, tls?.context)
    },
  })
  tlsServer.on('secureConnection', socket => {
    shown.delete(socket)
    socket.on('error', ignore)
    if (socket.alpnProtocol === 'h2') events.connected(socket)
    else {
      events.denied(deny('tls-handshake', 'the client does not offer HTTP/2 (ALPN "h2")'), peerOf(socket))
      socket.destroy()
    }
  })
  tlsServer.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
    events.denied(explain(error, socket), peerOf(socket), shown.get(socket))
    socket.destroy()
  })

  const tcpServer = createTcpServer({noDelay: true}, socket => {
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

    // A connection that sends nothing costs a socket, and no TLS state, which has 20 KiB.
    socket.setTimeout(options.handshakeTimeoutMs, () => socket.destroy())
    socket.once('readable', () => {
      waiting.push(socket)
      turn ??= setTimeout(beginHandshakes, 0)
    })
  })
  tcpServer.maxConnections = options.connectionsMax

  function beginHandshakes(): void {
    turn = undefined
    for (let begun = 0; waiting.length > 0 && begun < HANDSHAKES_PER_TURN;) {
      const socket = waiting.shift()
      if (socket === undefined || socket.destroyed) continue
      begun += 1
      // The address is read now, and Node keeps it: after a failed handshake it is gone.
      peerOf(socket)
      socket.setTimeout(0)
      // TLS takes over the first bytes, which the socket has read.
      tlsServer.emit('connection', socket)
    }

    if (waiting.length > 0) turn = setTimeout(beginHandshakes, TURN)
  }

  return {
    async listen(at) {
      await listenOn(tcpServer, at, options.place)
      for (const server of [tcpServer, tlsServer]) server.on('error', events.failed)
    },
    address() {
      const bound = tcpServer.address() as AddressInfo | null
      return bound === null ? undefined : {host: bound.address, port: bound.port}
    },
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

/**
 * HOST:PORT of the other end; `unknown` where the connection is closed and this was not called before. A TLS socket has no address once
 * its handshake has failed; the TCP socket below it, which Node keeps in a private field, then still has the one that was read before.
 */
export function peerOf(socket: Socket): string {
  const {_parent: parent} = socket as {readonly _parent?: Socket | null}
  const {remoteAddress: host, remotePort: port} = parent ?? socket
  return host === undefined || port === undefined ? 'unknown' : renderHostPort({host, port})
}

/** Node verifies after the handshake: the reason is then in `authorizationError`, not in the error. */
function explain(error: NodeJS.ErrnoException, socket: TLSSocket): Denied {
  // Null before the handshake, against its type.
  const verdict = socket.authorizationError as unknown
  const code = typeof verdict === 'string' ? verdict : verdict instanceof Error ? verdict.message : undefined
  if (code === 'CERT_HAS_EXPIRED')
    return deny(
      'tls-certificate-expired',
      `the client's certificate has ended (${code}); if it is the ADS credential of an Envoy, apply the newest one (atlas cluster values CLUSTER --format secret)`,
    )
  if (code === 'CERT_NOT_YET_VALID') return deny('tls-certificate-expired', `the client's certificate is not valid now (${code})`)
  if (code !== undefined)
    return deny(
      'tls-certificate-untrusted',
      typeof socket.servername === 'string' && socket.servername !== ''
        ? `the client's certificate is not from an authority that is trusted here (${code})`
        : `the client sends no server name (SNI), and without one no certificate is trusted (${code})`,
    )
  switch (error.code) {
    case 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE': {
      return deny('tls-certificate-missing', 'the client shows no certificate')
    }

    case 'ERR_SSL_UNSUPPORTED_PROTOCOL': {
      return deny('tls-protocol', 'the client does not speak TLS 1.3')
    }

    default: {
      return deny('tls-handshake', `the TLS handshake failed (${error.code ?? error.message})`)
    }
  }
}

/** A connection that fails is closed, which is noticed; without this an error would end the process. */
function ignore(): void {
  // Nothing is left to do.
}
