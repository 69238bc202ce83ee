/** The ADS server: its listener, gRPC behind it, and how its streams begin and end. What a stream sends is decided in stream.ts and proxies/push.ts. */
import {Server, ServerCredentials, type ServerOptions, status} from '@grpc/grpc-js'
import type {HostPort} from '../../lib/model/address.js'
import {messageOf} from '../../lib/model/errors.js'
import {OBSERVABILITY} from '../../lib/model/names.js'
import type {Fleet} from '../../lib/model/fleet.js'
import type {Variant} from '../../lib/xds/session.js'
import type {Log} from '../log.js'
import {openTurns} from './turns.js'
import {type ServerTls, type TlsMaterial, buildServerTls, materialOf, sameMaterial} from './tls.js'
import {openListener} from './listener.js'
import {openPeerReader} from './peer.js'
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
}

export interface AdsServer {
  /**
   * Answers from now on. A connection is dropped while there is no certificate in use.
   * @throws AtlasError `failed` where the address can't be bound
   */
  listen(at: HostPort): Promise<void>
  /** Undefined before `listen`. */
  readonly address: () => HostPort | undefined
  /** New connections meet the fleet's certificate and trust from now on; where these can't be used, the ones before stay in use. */
  use(fleet: Fleet): void
  /** When the certificate in use ends; undefined while there is none. */
  readonly certificateEnd: () => Date | undefined
  /** Why the newest certificate or trust is not in use, or no client accepts it. */
  readonly problem: () => string | undefined
  /** Takes no new connections, ends the streams in batches, and cuts what is left after the grace time. */
  stop(streams: () => Iterable<Stream>): Promise<void>
}

/** What streams need of the rest of the server. */
export type AdsDependencies = StreamDependencies

/** How many streams end together when the server stops, and the pause until the next, milliseconds. */
const STOP_BATCH = 32
const STOP_PAUSE = 10

/** Answers nothing before `listen`. */
export function openAdsServer(options: AdsOptions, dependencies: AdsDependencies): AdsServer {
  const {times, log} = options
  const readPeer = openPeerReader()
  const turns = openTurns()
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
      serveStream(call, variant, number, certificate === undefined ? undefined : readPeer(certificate), dependencies)
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
  const listener = openListener(
    {handshakeTimeoutMs: times.handshakeTimeoutMs, connectionsMax: options.connectionsMax},
    {
      connected(socket) {
        injector.injectConnection(socket)
      },
      denied: dependencies.denied,
      failed(error) {
        log.error('can not accept a connection', {error: error.message})
      },
    },
  )

  let material: TlsMaterial | undefined
  let tls: ServerTls | undefined
  let problem: string | undefined
  const hasEnded = (): boolean => tls !== undefined && tls.notAfter <= dependencies.now()
  return {
    listen: listener.listen,
    address: listener.address,
    certificateEnd: () => tls?.notAfter,
    problem: () =>
      problem ??
      (hasEnded() ? `the certificate of this server ended on ${tls?.notAfter.toISOString() ?? ''}; Envoys refuse it` : undefined),

    use(fleet) {
      const next = materialOf(fleet)
      if (next === undefined || sameMaterial(material, next)) return
      material = next
      try {
        tls = buildServerTls(next)
        listener.use(tls)
        problem = undefined
        const fields = {notAfter: tls.notAfter.toISOString(), anchors: next.anchors.length}
        if (hasEnded()) log.error('the certificate in use has ended; clients refuse it until a new one is issued', fields)
        else log.info('certificate and trust in use', fields)
      } catch (error) {
        problem = messageOf(error)
        log.error('can not use the new certificate or trust; the ones before stay in use', {error: problem})
      }
    },

    async stop(streams) {
      listener.close()
      grpc.tryShutdown(ignore)
      const grace = setTimeout(() => {
        listener.destroy()
      }, times.stopGraceMs)
      await endAll([...streams()])
      await listener.emptied()
      clearTimeout(grace)
      grpc.forceShutdown()
    },
  }
}

/** In random order and in batches, so that the clients don't all reconnect at once. */
async function endAll(streams: Stream[]): Promise<void> {
  const order = streams.map(stream => ({stream, at: Math.random()})).sort((a, b) => a.at - b.at)
  for (let from = 0; from < order.length; from += STOP_BATCH) {
    for (const {stream} of order.slice(from, from + STOP_BATCH)) stream.end('stop')
    await new Promise(resolve => setTimeout(resolve, STOP_PAUSE * (0.5 + Math.random())))
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
