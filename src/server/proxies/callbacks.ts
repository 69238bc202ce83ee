/** What streams need of the server and tell it: joins them to publisher and reporter, counts and logs. */
import {buildSnapshot} from '../../lib/envoy/build.js'
import type {Note} from '../../lib/xds/note.js'
import type {DenialReason} from '../ads/admission.js'
import type {Limiter} from '../ads/limits.js'
import type {AdsDependencies} from '../ads/server.js'
import type {Stream, StreamTimes} from '../ads/stream.js'
import type {Log} from '../log.js'
import type {Metrics} from '../metrics.js'
import type {Pusher} from './push.js'
import {type Proxies, joinReported, leftoversIn, shortType} from './proxies.js'

export interface CallbackDependencies {
  readonly now: () => Date
  readonly times: StreamTimes
  readonly limiter: Limiter
  readonly log: Log
  readonly metrics: Metrics
  readonly publisher: Pusher
  readonly reporter: Proxies
  /** This server's name among the replicas. */
  readonly replica: string
  /** What the other replicas are told of the proxies may be different. */
  readonly reported: (what: 'other' | 'refusal') => void
}

/** What streams need from the rest of the server: when they open and close, publisher, reporter, metrics and log hear of it. */
export function streamCallbacks({
  now,
  times,
  limiter,
  log,
  metrics,
  publisher,
  reporter,
  replica,
  reported,
}: CallbackDependencies): AdsDependencies {
  const leave = new Map<Stream, () => void>()

  function refused(reason: DenialReason, message: string, peer: string): void {
    metrics.refused.inc({reason})
    log.warn('refused', {reason, message, peer})
  }

  return {
    now,
    times,
    limiter,
    log,
    fleet: () => publisher.fleet(),
    build: buildSnapshot,
    takeUnrepaired: node => joinReported([reporter.takeUnrepaired(node), leftoversIn(publisher.fleet(), replica, node)]),

    connectionRefused(reason, message, peer) {
      // Probes of ports and of load balancers break off like this all the time.
      if (reason === 'tls-handshake') {
        metrics.refused.inc({reason})
        log.debug('refused', {reason, message, peer})
        return
      }

      reporter.refused({kind: 'refused', reason, message}, peer, now())
      refused(reason, message, peer)
    },

    refused(refusal, peer) {
      reporter.refused(refusal, peer, now())
      refused(refusal.reason, refusal.message, peer)
    },

    opened(stream) {
      metrics.streams.inc({variant: stream.variant, path: stream.admitted.path})
      reporter.opened(stream)
    },

    joined(stream) {
      reporter.joined(stream)
      reported('other')
      leave.set(
        stream,
        publisher.subscribe({
          cluster: stream.admitted.cluster,
          update: fleet => {
            stream.update(fleet)
          },
        }),
      )
      log.info('stream open', {
        ...who(stream),
        variant: stream.variant,
        path: stream.admitted.path,
        envoy: stream.node?.envoyVersion,
        peer: stream.peer,
        credential: stream.admitted.fingerprint,
      })
    },

    noted(stream, note) {
      metrics.notes.inc({note: note.kind, type: 'typeUrl' in note ? shortType(note.typeUrl) : ''})
      reporter.noted(stream, note)
      if (note.kind !== 'subscribed') reported(note.kind === 'nacked' ? 'refusal' : 'other')
      logNote(log, stream, note)
    },

    sent(stream, typeUrl, bytes) {
      metrics.responses.inc({type: shortType(typeUrl)})
      metrics.responseBytes.inc({type: shortType(typeUrl)}, bytes)
    },

    throttled() {
      metrics.throttled.inc()
    },

    closed(stream, reason) {
      metrics.streams.dec({variant: stream.variant, path: stream.admitted.path})
      metrics.streamsEnded.inc({reason})
      leave.get(stream)?.()
      leave.delete(stream)
      reporter.closed(stream)
      reported('other')
      if (stream.node !== undefined) log.info('stream ended', {...who(stream), reason})
    },
  }
}

function who(stream: Stream): {readonly cluster: string; readonly node: string; readonly stream: number} {
  return {cluster: stream.admitted.cluster, node: stream.node?.id ?? '', stream: stream.sequence}
}

function logNote(log: Log, stream: Stream, note: Note): void {
  const fields = {...who(stream), type: 'typeUrl' in note ? shortType(note.typeUrl) : ''}
  switch (note.kind) {
    case 'acked': {
      log.debug('acknowledged', {...fields, nonce: note.nonce, resources: note.versions.size, removed: note.removed.length})
      break
    }

    case 'nacked': {
      const {nonce, message, names, removed, refused} = note
      log.warn('refused by the proxy (NACK)', {...fields, nonce, nack: message, names, removed, refused})
      break
    }

    case 'sent': {
      log.debug('sent', {...fields, nonce: note.nonce, resources: note.resources, removed: note.removed})
      break
    }

    case 'subscribed': {
      log.debug('subscribed', {...fields, wildcard: note.wildcard, names: note.names, dropped: note.dropped})
      break
    }

    case 'repaired': {
      log.info('NACK repaired', fields)
      break
    }

    case 'removal-forced': {
      log.info('removed without waiting any longer', {...fields, names: note.names})
      break
    }

    case 'node-changed': {
      log.warn('node changed on its stream', {...fields, was: note.was, is: note.is})
      break
    }

    case 'closed': {
      log.warn('stream closed for a breach of the protocol', {...fields, message: note.message})
      break
    }

    case 'unknown-type': {
      log.info('asked for a type that is not served', {...fields, typeUrl: note.typeUrl})
      break
    }

    default: {
      log.debug(note.kind, fields)
    }
  }
}
