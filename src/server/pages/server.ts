/** The server's own web pages on port 6306, which the observability Envoy passes on from its port 10904. What they say is in documents.ts. */
import {type Http2Session, type ServerHttp2Stream, type IncomingHttpHeaders, constants, createServer} from 'node:http2'
import {type HostPort, renderHostPort} from '../../lib/model/address.js'
import {messageOf} from '../../lib/model/errors.js'
import type {Fleet} from '../../lib/model/fleet.js'
import {printable} from '../../lib/model/printable.js'
import type {Log} from '../log.js'
import type {Denied, Peer} from '../mtls/denial.js'
import {type MtlsListener, openListener, peerOf} from '../mtls/listener.js'
import {openPeerReader} from '../mtls/peer.js'
import {openRenewedConnections} from '../mtls/renewed-connections.js'
import {denialOf} from './admission.js'
import type {Documents} from './documents.js'
import {PORT} from './links.js'
import {securityHeaders} from './style.js'

export interface PagesServer {
  /** @throws AtlasError `failed` where the address can't be bound */
  listen(at: HostPort): Promise<void>
  /** New connections meet this certificate and trust from now on. */
  readonly use: MtlsListener['use']
  /** HOST:PORT; empty before `listen`. */
  readonly address: () => string
  /** Takes no new connections, lets requests end that are under way, and cuts what is left. */
  stop(): Promise<void>
}

export interface PagesDependencies {
  readonly documents: Documents
  readonly fleet: () => Fleet
  readonly now: () => Date
  readonly log: Log
  readonly handshakeTimeoutMs: number
  /** A connection or a request was not admitted. */
  denied(denial: Denied, peer: string): void
}

/** The Envoys that relay have one connection for each of their workers. */
const CONNECTIONS_MAX = 256
/** Of one connection. */
const STREAMS_MAX = 100
/** Milliseconds. A request that has not been answered and read by then is cut; a connection without one for so long is closed. */
const STREAM_TIME = 30_000
const IDLE_TIME = 600_000
/** Milliseconds, at `stop`. */
const STOP_GRACE = 1000

interface Answer {
  readonly status: number
  readonly type: 'application/json' | 'text/html' | 'text/plain'
  readonly body: string
}

/** Answers nothing before `listen`. */
export function openPagesServer(dependencies: PagesDependencies): PagesServer {
  const {documents, log} = dependencies
  const readPeer = openPeerReader()
  const sessions = new Map<Http2Session, Peer | undefined>()
  const renewed = openRenewedConnections(dependencies.fleet)
  /** Of the connection that is being passed to HTTP/2, which begins its session at once. */
  let arriving: Peer | undefined
  const http = createServer({settings: {maxConcurrentStreams: STREAMS_MAX, maxHeaderListSize: 16_384, enablePush: false}})
  http.on('session', session => {
    sessions.set(session, arriving)
    const forget = renewed.concerns(arriving)
      ? renewed.add(arriving, () => {
          session.close()
        })
      : undefined
    session.on('error', ignore)
    session.once('close', () => {
      forget?.()
      sessions.delete(session)
    })
    session.setTimeout(IDLE_TIME, () => {
      session.close()
    })
  })
  http.on('stream', (stream, headers) => {
    stream.on('error', ignore)
    stream.setTimeout(STREAM_TIME, () => {
      stream.close(constants.NGHTTP2_CANCEL)
    })
    // A body is not wanted, and must not hold the stream back.
    stream.resume()
    void answered(stream, headers)
  })
  const denialNow = (peer: Peer | undefined): Denied | undefined => denialOf(dependencies.fleet(), peer, dependencies.now())
  const listener = openListener(
    {
      place: {name: 'pages port', flag: '--pages-listen', toldBy: 'atlas init --pages-server HOST:PORT'},
      handshakeTimeoutMs: dependencies.handshakeTimeoutMs,
      connectionsMax: CONNECTIONS_MAX,
    },
    {
      connected(socket) {
        const {raw, fingerprint256} = socket.getPeerCertificate()
        arriving = readPeer({raw, fingerprint256})
        const denial = denialNow(arriving)
        if (denial === undefined) http.emit('connection', socket)
        else {
          dependencies.denied(denial, peerOf(socket))
          socket.destroy()
        }
      },
      denied: dependencies.denied,
      failed(error) {
        log.error('can not accept a connection', {port: 'pages', error: error.message})
      },
    },
  )

  async function answered(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Promise<void> {
    const {session} = stream
    const denial = denialNow(session === undefined ? undefined : sessions.get(session))
    if (denial !== undefined) {
      dependencies.denied(denial, 'an open connection')
      send(stream, headers, plain(403, denial.message))
      session?.close()
      return
    }

    const answer = await answerTo(headers).catch((error: unknown): Answer => {
      log.error('can not make a web page', {error: messageOf(error)})
      return plain(500, `this page could not be made: ${printable(messageOf(error))}`)
    })
    send(stream, headers, answer)
  }

  async function answerTo({':method': method, ':path': path = ''}: IncomingHttpHeaders): Promise<Answer> {
    const [name] = path.split('?')
    if (name !== '/' && name !== '/status.json') return plain(404, 'not found: the pages are / and /status.json')
    if (method !== 'GET' && method !== 'HEAD') return plain(405, 'only GET and HEAD are supported')
    return name === '/'
      ? {status: 200, type: 'text/html', body: await documents.page()}
      : {status: 200, type: 'application/json', body: await documents.json()}
  }

  return {
    listen: listener.listen,
    use: listener.use,
    address() {
      const address = listener.address()
      return address === undefined ? '' : renderHostPort(address)
    },
    async stop() {
      renewed.close()
      listener.close()
      for (const session of sessions.keys()) session.close()
      const grace = setTimeout(listener.destroy, STOP_GRACE)
      await listener.emptied()
      clearTimeout(grace)
    },
  }
}

function plain(status: number, text: string): Answer {
  return {status, type: 'text/plain', body: `${text}\n`}
}

function send(stream: ServerHttp2Stream, {':method': method, ':authority': authority = ''}: IncomingHttpHeaders, answer: Answer): void {
  if (stream.destroyed || stream.headersSent) return
  const {status, type} = answer
  const body = Buffer.from(type === 'text/html' ? answer.body.replaceAll(PORT, portOf(authority)) : answer.body)
  const headers = {
    ':status': status,
    'content-type': `${type}; charset=utf-8`,
    'content-length': body.length,
    ...(status === 405 && {allow: 'GET, HEAD'}),
    ...securityHeaders,
  }
  stream.respond(headers, {endStream: method === 'HEAD'})
  if (method !== 'HEAD') stream.end(body)
}

/** `:10904` of `host:10904`; empty where the browser uses the usual port. */
function portOf(authority: string): string {
  return /:\d{1,5}$/.exec(authority)?.[0] ?? ''
}

/** A connection or stream that fails is closed, and no client waits for its answer. */
function ignore(): void {
  // Nothing is left to do.
}
