/** The callbacks of ADS streams: opening, the first request, each answer and the end are passed on to pushes, proxies, report, metrics and log. */
import {buildSnapshot} from '../../lib/envoy/build.js'
import type {Note} from '../../lib/xds/note.js'
import type {Owner} from '../../lib/model/names.js'
import {shortType} from '../../lib/xds/type-url.js'
import type {ClusterLimiter} from '../ads/cluster-limits.js'
import type {AdsDependencies} from '../ads/server.js'
import type {Refusals} from '../ads/refusals.js'
import type {StreamTimes} from '../ads/stream-limits.js'
import type {Stream} from '../ads/stream.js'
import type {CurrentFleet} from '../fleet/current-fleet.js'
import type {Log, LogLevel} from '../log.js'
import type {Metrics} from '../metrics.js'
import type {Denied} from '../mtls/denial.js'
import {openClusterLog} from './cluster-log.js'
import type {Proxies} from './proxies.js'
import type {ReportPublisher} from './publish-report.js'
import type {Pusher} from './push.js'

export interface CallbackDependencies {
  readonly fleet: Pick<CurrentFleet, 'served'>
  readonly now: () => Date
  /** Milliseconds of a clock that is never set. */
  readonly steady: () => number
  readonly times: StreamTimes
  readonly limiter: ClusterLimiter
  readonly refusals: Refusals
  readonly cpuTime: () => number
  readonly log: Log
  readonly metrics: Metrics
  readonly pusher: Pusher
  readonly proxies: Proxies
  /** This server's report on its proxies may be different. */
  readonly mayDiffer: ReportPublisher['mayDiffer']
  /** An Envoy of a cluster has connected, or is gone. */
  readonly proxiesChanged: (cluster: Owner) => void
}

/** What ADS needs of the rest of the server. */
export function streamCallbacks({
  fleet,
  now,
  steady,
  times,
  limiter,
  refusals,
  cpuTime,
  log,
  metrics,
  pusher,
  proxies,
  mayDiffer,
  proxiesChanged,
}: CallbackDependencies): AdsDependencies {
  const leave = new Map<Stream, () => void>()
  const logOf = openClusterLog(log)

  function denied(denial: Denied, peer: string): void {
    const {reason, message} = denial
    metrics.refused.inc({reason})
    // Port probes and load balancers break off a handshake all the time.
    const level: LogLevel = reason === 'tls-handshake' ? 'debug' : 'warn'
    logOf(denial.cluster)[level]('refused', {reason, message, peer, ...(denial.cluster !== undefined && {cluster: denial.cluster})})
    if (level === 'debug') return
    proxies.denied(denial, peer, now())
    mayDiffer('other')
  }

  return {
    now,
    steady,
    times,
    limiter,
    refusals,
    cpuTime,
    log: logOf,
    fleet: fleet.served,
    build: buildSnapshot,
    takeUnrepaired: proxies.takeUnrepaired,
    denied,

    opened(stream) {
      metrics.streams.inc({variant: stream.variant, path: stream.admitted.path})
      proxies.opened(stream)
    },

    joined(stream) {
      proxies.joined(stream)
      mayDiffer('other')
      leave.set(
        stream,
        pusher.subscribe({
          cluster: stream.admitted.cluster,
          update: current => {
            stream.update(current)
          },
        }),
      )
      proxiesChanged(stream.admitted.cluster)
      logOf(stream.admitted.cluster).info('stream open', {
        ...fieldsOf(stream),
        variant: stream.variant,
        path: stream.admitted.path,
        envoy: stream.node?.envoyVersion,
        peer: stream.peer,
        credential: stream.admitted.fingerprint,
      })
    },

    noted(stream, note) {
      metrics.notes.inc({note: note.kind, type: 'typeUrl' in note ? shortType(note.typeUrl) : ''})
      if (note.kind === 'nacked') mayDiffer({refusedBy: stream.admitted.cluster})
      else if (note.kind !== 'subscribed') mayDiffer('other')
      logNote(logOf(stream.admitted.cluster), stream, note)
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
      proxies.closed(stream)
      mayDiffer('other')
      proxiesChanged(stream.admitted.cluster)
      if (stream.node !== undefined) logOf(stream.admitted.cluster).info('stream ended', {...fieldsOf(stream), reason})
    },
  }
}

function fieldsOf(stream: Stream): {readonly cluster: string; readonly node: string; readonly stream: number} {
  return {cluster: stream.admitted.cluster, node: stream.node?.id ?? '', stream: stream.sequence}
}

function logNote(log: Log, stream: Stream, note: Note): void {
  const fields = {...fieldsOf(stream), type: 'typeUrl' in note ? shortType(note.typeUrl) : ''}
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
      log.info('removed without the ACKs that the removal waited for', {...fields, names: note.names})
      break
    }

    case 'node-changed': {
      log.warn('the node has changed during its stream', {...fields, was: note.was, is: note.is})
      break
    }

    case 'closed': {
      log.warn('stream closed: the client broke the protocol', {...fields, message: note.message})
      break
    }

    case 'too-large': {
      log.warn('stream closed: a state-of-the-world response is too large', {...fields, message: note.message})
      break
    }

    case 'unknown-type': {
      log.info('subscription to a type that is not served', {...fields, typeUrl: note.typeUrl})
      break
    }

    default: {
      log.debug(note.kind, fields)
    }
  }
}
