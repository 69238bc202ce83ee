/**
 * The limits on the client of one stream: how long it may be silent, how fast it may ask, how much it may name.
 * A client that exceeds one is read later or loses this stream. What all streams of a cluster may ask for: cluster-limits.ts.
 */
import {status} from '@grpc/grpc-js'
import type {Owner} from '../../lib/model/names.js'
import type {SessionOptions} from '../../lib/xds/session.js'
import type {AdsRequest} from './call.js'
import type {ClusterLimiter} from './cluster-limits.js'
import type {Timers} from './timers.js'
import type {Turns} from './turns.js'

/** Milliseconds. */
export interface StreamTimes {
  /**
   * A stream is ended at this age or up to a twentieth later: after its connection was sent GOAWAY (1 h), so that the client returns on
   * a new one, and before Envoy cuts the stream (66 min; docs/explanation/envoy.md#how-connections-and-streams-end).
   */
  readonly maxAgeMs: number
  /** A stream is ended when its first request takes longer than this. */
  readonly firstRequestMs: number
  /** How long a client that does not read may keep a stream that is ended; then it is reset. */
  readonly resetAfterMs: number
  /** A removal that has waited so long for acknowledgements is sent without them. */
  readonly removalDelayMs: number
}

export const defaultStreamTimes: StreamTimes = {maxAgeMs: 62 * 60_000, firstRequestMs: 30_000, resetAfterMs: 5000, removalDelayMs: 5000}

/** More names of one type, or longer ones, break the protocol: an Envoy names its secrets and route tables, which are a few. */
export const sessionLimits: SessionOptions = {maxNames: 512, maxNameLength: 256}

/** A longer name in `initial_resource_versions` ends the stream. */
const VERSION_NAME_LENGTH_MAX = 256

/** Why a stream is ended. */
export interface Breach {
  readonly code: status
  readonly message: string
}

export interface StreamLimitsOptions {
  readonly call: {pause(): unknown; resume(): unknown}
  readonly cluster: Owner
  readonly times: StreamTimes
  readonly limiter: ClusterLimiter
  readonly timers: Timers
  /** In which requests are handled: after a restart those of a whole fleet arrive in one turn of the event loop. */
  readonly turns: Turns
  /** Milliseconds of a clock that is never set. */
  readonly steady: () => number
  /** The first request did not come in time. */
  silent(): void
  /** The stream has reached its greatest age. */
  old(): void
  /** Requests come too fast: this one is handled later. */
  throttled(): void
}

export interface StreamLimits {
  /**
   * Charges a request to its cluster, then handles it in its turn: later, where requests come too fast. Until then nothing more is read
   * from the call, so that requests keep their order, and one request of a stream waits at most.
   * @param handle returns whether the stream goes on; must not throw
   */
  received(bytes: number, handle: () => boolean): void
  /** The client sends nothing more: calls `act` once the last request is handled. Node ends a paused stream whose last part was read. */
  finished(act: () => void): void
  /** Whether a request claims too much. */
  check(request: AdsRequest): Breach | undefined
}

/** From now on the client's time runs. */
export function openStreamLimits(options: StreamLimitsOptions): StreamLimits {
  const {call, cluster, times, limiter, timers, turns, steady, throttled} = options
  let isWaiting = false
  let afterLast: (() => void) | undefined

  function take(handle: () => boolean): boolean {
    isWaiting = false
    const goesOn = handle()
    afterLast?.()
    return goesOn
  }

  timers.set('first request', times.firstRequestMs, options.silent)
  timers.set('age', times.maxAgeMs * (1 + Math.random() / 20), options.old)
  return {
    received(bytes, handle) {
      // The request has come, even if it is handled later.
      timers.clear('first request')
      const wait = limiter.request(cluster, bytes, steady())
      call.pause()
      isWaiting = true
      if (wait <= 0) {
        turns.add(() => {
          // Node resumes a stream after the code that runs now. What a stream that has ended still has is read and dropped.
          call.resume()
          take(handle)
        })
        return
      }

      throttled()
      timers.set('rate', wait, () => {
        // Nothing is read any more from a stream that the request has ended.
        if (take(handle)) call.resume()
      })
    },

    finished(act) {
      if (isWaiting) afterLast = act
      else act()
    },

    check(request) {
      const versions = 'initialResourceVersions' in request ? Object.keys(request.initialResourceVersions) : []
      if (versions.every(name => name.length <= VERSION_NAME_LENGTH_MAX)) return undefined
      return {
        code: status.INVALID_ARGUMENT,
        message: `initial_resource_versions must not have a name longer than ${VERSION_NAME_LENGTH_MAX} characters`,
      }
    },
  }
}
