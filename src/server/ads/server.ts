/** The ADS server: a door, gRPC behind it, and the streams that are open. What they are sent comes from proxies/push.ts. */
import {Server, ServerCredentials, type ServerOptions, status} from '@grpc/grpc-js'
import type {HostPort} from '../../lib/model/address.js'
import {messageOf} from '../../lib/model/errors.js'
import type {Fleet} from '../../lib/model/fleet.js'
import type {Variant} from '../../lib/xds/session.js'
import type {Log} from '../log.js'
import {openTurns} from './turns.js'
import {type ServerTls, type TlsMaterial, buildServerTls, materialOf, sameMaterial} from './tls.js'
import {openListener} from './listener.js'
import type {DenialReason} from './admission.js'
import {openPeerReader} from './peer.js'
import {adsService} from './service.js'
import {type AdsCall, failCall} from './call.js'
import {type Stream, type StreamDependencies, serveStream} from './stream.js'

/** All durations in milliseconds. */
export interface ConnectionTimes {
  /** A connection is asked to go at this age, give or take a tenth; its streams stay (one relay connection carries a fleet). */
  readonly connectionAgeMs: number
  /** A connection that was quiet for this long is pinged … */
  readonly keepaliveMs: number
  /** … and cut when it does not answer. */
  readonly keepaliveTimeoutMs: number
  readonly handshakeTimeoutMs: number
  /** How long `stop` waits for clients to go. */
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
  readonly listen: HostPort
  readonly times: ConnectionTimes
  readonly connectionsMax: number
  readonly log: Log
}

export interface AdsServer {
  readonly address: HostPort
  /** Shows and trusts what the fleet says from now on. What can't be used is left out, and the one before stays. */
  use(fleet: Fleet): void
  /** When the certificate in use ends; undefined while there is none, and nobody is let in. */
  certificateEnd(): Date | undefined
  /** Why the newest certificate or trust is not in use. */
  problem(): string | undefined
  /** Lets the clients go: no new connections, streams ended in batches, what is left cut after the grace time. */
  stop(streams: () => Iterable<Stream>): Promise<void>
}

/** What the streams need, and who hears of connections that were refused. */
export interface AdsDependencies extends StreamDependencies {
  connectionRefused(reason: DenialReason, message: string, peer: string): void
}

/** How many streams end together when the server stops, and the pause until the next, milliseconds. */
const STOP_BATCH = 32
const STOP_PAUSE = 10

/**
 * Listens. Nobody is let in before `use` was given a fleet with a certificate.
 * @throws AtlasError `failed` where the address can't be bound
 */
export async function openAdsServer(options: AdsOptions, dependencies: AdsDependencies): Promise<AdsServer> {
  const {times, log} = options
  const readPeer = openPeerReader()
  const turns = openTurns()
  const grpc = new Server(grpcOptions(times))
  let sequence = 0
  const handle =
    (variant: Variant) =>
    (call: AdsCall): void => {
      sequence += 1
      const number = sequence
      // A relay that comes back opens the streams of a whole fleet at once.
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
      // As a rule the connection went away meanwhile, and there is nobody left to tell.
      log.debug('a stream was lost before it began', {error: messageOf(error)})
      call.on('error', ignore)
      failCall(call, status.INTERNAL, 'the server failed to open this stream', dependencies.times.resetAfterMs)
    }
  }

  grpc.addService(adsService, {streamAggregatedResources: handle('sotw'), deltaAggregatedResources: handle('delta')})
  // TLS ends at the door: what comes through it has been verified.
  const injector = grpc.createConnectionInjector(ServerCredentials.createInsecure())
  const door = await openListener(
    {listen: options.listen, handshakeTimeoutMs: times.handshakeTimeoutMs, connectionsMax: options.connectionsMax},
    {
      connected(socket) {
        injector.injectConnection(socket)
      },
      refused(reason, message, peer) {
        dependencies.connectionRefused(reason, message, peer)
      },
      failed(error) {
        log.error('a connection could not be accepted', {error: error.message})
      },
    },
  )

  let material: TlsMaterial | undefined
  let tls: ServerTls | undefined
  let problem: string | undefined
  return {
    address: door.address,
    certificateEnd: () => tls?.notAfter,
    problem: () => problem,

    use(fleet) {
      const next = materialOf(fleet)
      if (next === undefined || sameMaterial(material, next)) return
      material = next
      try {
        tls = buildServerTls(next)
        door.use(tls)
        problem = undefined
        log.info('certificate and trust in use', {notAfter: tls.notAfter.toISOString(), anchors: next.anchors.length})
      } catch (error) {
        problem = messageOf(error)
        log.error('certificate or trust not usable; the ones before stay', {error: problem})
      }
    },

    async stop(streams) {
      door.close()
      grpc.tryShutdown(ignore)
      const grace = setTimeout(() => {
        door.destroy()
      }, times.stopGraceMs)
      await endAll([...streams()])
      await door.emptied()
      clearTimeout(grace)
      grpc.forceShutdown()
    },
  }
}

/** In random order and in batches, so that the clients don't all come back at once. */
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
    'grpc.max_receive_message_length': 4 * 1024 * 1024,
    // Bookkeeping of every connection that nobody reads here (grpc-node #2068).
    'grpc.enable_channelz': 0,
  }
}

/** What ends is told elsewhere: the door knows when the last connection is gone, a call that failed has its status. */
function ignore(): void {
  // Nothing else is to be done.
}
