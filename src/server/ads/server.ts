/** The ADS server: its listener, gRPC behind it, and how its streams begin and end. What a stream sends is decided in stream.ts and proxies/push.ts. */
import type {X509Certificate} from 'node:crypto'
import type {TLSSocket} from 'node:tls'
import {Server, ServerCredentials, type ServerOptions, status} from '@grpc/grpc-js'
import type {HostPort} from '../../lib/model/address.js'
import {messageOf} from '../../lib/model/errors.js'
import {OBSERVABILITY} from '../../lib/model/names.js'
import type {Variant} from '../../lib/xds/session.js'
import type {Log} from '../log.js'
import type {Denied} from '../mtls/denial.js'
import {type MtlsListener, openListener, peerOf} from '../mtls/listener.js'
import {openPeerReader, readPeer} from '../mtls/peer.js'
import {openRenewedConnections} from '../mtls/renewed-connections.js'
import {denyEnded} from './admission.js'
import {openTurns} from './turns.js'
import {adsService} from './service.js'
import {keepConnectionsWithResets} from './grpc-internals.js'
import {type AdsCall, failCall} from './call.js'
import {requestBoundsOf} from './decode-request.js'
import {serveStream} from './serve-stream.js'
import type {Stream, StreamDependencies} from './stream.js'

/** All durations in milliseconds. */
export interface ConnectionTimes {
  /** A connection of this age, give or take a tenth, is sent GOAWAY; its streams stay (one relay connection carries a fleet). */
  readonly connectionAgeMs: number
  /** A connection that has been quiet for this long is pinged … */
  readonly keepaliveMs: number
  /** … and cut when the answer takes longer than this. */
  readonly keepaliveTimeoutMs: number
  /** A TLS handshake that takes longer is broken off. */
  readonly handshakeTimeoutMs: number
  /** Connections that are still open so long after the beginning of `stop` are cut. */
  readonly stopGraceMs: number
}

export const defaultConnectionTimes: ConnectionTimes = {
  connectionAgeMs: 3_600_000,
  keepaliveMs: 30_000,
  keepaliveTimeoutMs: 10_000,
  handshakeTimeoutMs: 10_000,
  stopGraceMs: 10_000,
}

export interface AdsOptions {
  readonly times: ConnectionTimes
  readonly connectionsMax: number
  readonly log: Log
  /** The open streams. */
  readonly streams: () => Iterable<Stream>
}

export interface AdsServer {
  /**
   * Answers from now on. A connection is dropped while there is no certificate in use.
   * @throws AtlasError `failed` where the address can't be bound
   */
  listen(at: HostPort): Promise<void>
  /** Undefined before `listen`. */
  readonly address: () => HostPort | undefined
  /** New connections meet this certificate and trust from now on. */
  readonly use: MtlsListener['use']
  /** Takes no new connections, ends the streams in batches, and cuts what is left after the grace time. */
  stop(): Promise<void>
}

/** What streams need of the rest of the server. */
export type AdsDependencies = Omit<StreamDependencies, 'turns'>

/** How many streams end together, and the pause until the next, milliseconds. */
interface Pace {
  readonly batch: number
  readonly pauseMs: number
}

/** When the server stops. */
const STOP_PACE: Pace = {batch: 32, pauseMs: 10}
/** When the relay's connection is renewed: 160 a second, so that the clients that come back leave time for everything else. */
const RENEWAL_PACE: Pace = {batch: 8, pauseMs: 50}
/** Longer than any stream, milliseconds: a connection that is drained ends with its last stream. */
const DRAIN_GRACE = 2 ** 31 - 1

/** Answers nothing before `listen`. */
export function openAdsServer(options: AdsOptions, dependencies: AdsDependencies): AdsServer {
  const {times, log} = options
  const readKnown = openPeerReader()
  const turns = openTurns()
  const ofStreams: StreamDependencies = {...dependencies, turns}
  const grpc = new Server(grpcOptions(times))
  keepConnectionsWithResets(grpc)
  let sequence = 0
  const handle =
    (variant: Variant) =>
    (call: AdsCall): void => {
      sequence += 1
      const number = sequence
      // In turns: a relay that reconnects opens the streams of a whole fleet at once.
      turns.add(() => {
        begin(call, variant, number)
      })
    }

  function begin(call: AdsCall, variant: Variant, number: number): void {
    if (call.cancelled) return
    try {
      const {sslPeerCertificate: certificate} = call.getAuthContext()
      serveStream(call, variant, number, certificate === undefined ? undefined : readKnown(certificate), ofStreams)
    } catch (error) {
      // As a rule the connection was closed meanwhile.
      log.debug('a stream was lost before it began', {error: messageOf(error)})
      call.on('error', ignore)
      failCall(call, status.INTERNAL, 'the server failed to open this stream', dependencies.times.resetAfterMs)
    }
  }

  grpc.addService(adsService, {streamAggregatedResources: handle('sotw'), deltaAggregatedResources: handle('delta')})
  // TLS ends at the listener: a connection that it passes on has been verified.
  const injector = grpc.createConnectionInjector(ServerCredentials.createInsecure())
  const renewed = openRenewedConnections(dependencies.fleet)

  /** A connection of the relay has an injector of its own, by which it alone can be told to go: its client then makes the next one. */
  function connect(socket: TLSSocket): void {
    // Not `getPeerCertificate`, which writes every field of it as text.
    const certificate = socket.getPeerX509Certificate()
    const peer = certificate && readKnown(certificate)
    if (!renewed.concerns(peer)) {
      injector.injectConnection(socket)
      return
    }

    const own = grpc.createConnectionInjector(ServerCredentials.createInsecure())
    const forget = renewed.add(peer, () => {
      log.info('the observability Envoy has a new identity: its connection is renewed', {peer: peerOf(socket)})
      own.drain(DRAIN_GRACE)
      void endAll(
        [...options.streams()].filter(({admitted}) => admitted.relayedBy === peer.sha256),
        'age',
        RENEWAL_PACE,
      )
    })
    socket.once('close', () => {
      forget()
      own.destroy()
    })
    own.injectConnection(socket)
  }

  /** Not remembered: strangers show certificates without end, and those of admitted clients are to stay remembered. */
  function ended(shown: X509Certificate | undefined): Denied | undefined {
    const peer = shown && readPeer(shown)
    return peer && denyEnded(dependencies.fleet(), peer, dependencies.now())
  }

  const listener = openListener(
    {
      place: {name: 'ADS port', flag: '--listen', toldBy: 'atlas init --ads-server HOST:PORT'},
      handshakeTimeoutMs: times.handshakeTimeoutMs,
      connectionsMax: options.connectionsMax,
    },
    {
      connected: connect,
      denied(denial, from, shown) {
        dependencies.denied((denial.reason === 'tls-certificate-expired' ? ended(shown) : undefined) ?? denial, from)
      },
      failed(error) {
        log.error('can not accept a connection', {error: error.message})
      },
    },
  )

  return {
    listen: listener.listen,
    address: listener.address,
    use: listener.use,

    async stop() {
      renewed.close()
      listener.close()
      grpc.tryShutdown(ignore)
      const grace = setTimeout(() => {
        listener.destroy()
      }, times.stopGraceMs)
      await endAll([...options.streams()], 'stop', STOP_PACE)
      await listener.emptied()
      clearTimeout(grace)
      grpc.forceShutdown()
    },
  }
}

/** In random order and in batches, so that the clients don't all reconnect at once. */
async function endAll(streams: readonly Stream[], reason: 'age' | 'stop', {batch, pauseMs}: Pace): Promise<void> {
  const order = streams.map(stream => ({stream, at: Math.random()})).sort((a, b) => a.at - b.at)
  for (let from = 0; from < order.length; from += batch) {
    for (const {stream} of order.slice(from, from + batch)) stream.end(reason)
    await new Promise(resolve => setTimeout(resolve, pauseMs * (0.5 + Math.random())))
  }
}

function grpcOptions(times: ConnectionTimes): ServerOptions {
  return {
    'grpc.max_connection_age_ms': times.connectionAgeMs,
    'grpc.keepalive_time_ms': times.keepaliveMs,
    'grpc.keepalive_timeout_ms': times.keepaliveTimeoutMs,
    // Of any role; a stream lowers it to what its own cluster may send.
    'grpc.max_receive_message_length': requestBoundsOf(OBSERVABILITY).bytes,
    // Bookkeeping of every connection, which nothing reads here (grpc-node #2068).
    'grpc.enable_channelz': 0,
  }
}

/** The listener knows when the last connection is closed, and a call that failed has its status. */
function ignore(): void {
  // Nothing is left to do.
}
