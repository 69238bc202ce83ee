/**
 * The life of one admitted ADS stream: moves bytes between gRPC and `xds/session.step`, which decides what to send. How a stream begins is
 * in serve-stream.ts; the limits on its client are in stream-limits.ts.
 */
import {randomBytes} from 'node:crypto'
import {status} from '@grpc/grpc-js'
import type {DeltaDiscoveryResponse, DiscoveryResponse} from '../../gen/envoy/service/discovery/v3/discovery_pb.js'
import type {Built} from '../../lib/envoy/build.js'
import {messageOf} from '../../lib/model/errors.js'
import type {Fleet} from '../../lib/model/fleet.js'
import type {Owner} from '../../lib/model/names.js'
import type {Node} from '../../lib/model/node.js'
import type {Note} from '../../lib/xds/note.js'
import {type Input, type UnacknowledgedByType, type Session, type Variant, openSession, step} from '../../lib/xds/session.js'
import type {Snapshot} from '../../lib/xds/snapshot.js'
import type {Log} from '../log.js'
import {type AdsCall, type AdsRequest, claimOf, denyCall, encodeResponse, endCall, failCall, grpcCodeOf} from './call.js'
import {type Denied, deny} from '../mtls/denial.js'
import {type Admitted, admitNode} from './admission.js'
import {type RequestBounds, decodeRequest, requestBoundsOf} from './decode-request.js'
import {limitMessages} from './grpc-internals.js'
import type {ClusterLimiter} from './cluster-limits.js'
import type {Refusals} from './refusals.js'
import {type StreamLimits, type StreamTimes, openStreamLimits, sessionLimits} from './stream-limits.js'
import {openTimers} from './timers.js'
import type {Turns} from './turns.js'

/** Why a stream ended. */
export type EndReason = 'age' | 'client' | 'error' | 'protocol' | 'refused' | 'stop'

/** A stream as the rest of the server sees it. */
export interface Stream {
  readonly sequence: number
  readonly variant: Variant
  readonly peer: string
  readonly openedAt: Date
  readonly admitted: Admitted
  /** Known once the first request has come. */
  readonly node: Node | undefined
  readonly session: Session
  /** Why the node is sent nothing. */
  readonly frozen: string | undefined
  /** What other streams of the node have left unrepaired, until the session takes it over, which the session of a frozen node does not. */
  readonly before: UnacknowledgedByType | undefined
  readonly lastSentAt: Date | undefined
  /** The fleet has changed: ends where the client is no longer admitted, and sends the node what is new otherwise. */
  update(fleet: Fleet): void
  end(reason: EndReason): void
}

/** What a stream needs of the rest of the server. */
export interface StreamDependencies {
  readonly now: () => Date
  /** Milliseconds of a clock that is never set: deadlines and budgets do not depend on the wall clock. */
  readonly steady: () => number
  readonly times: StreamTimes
  readonly limiter: ClusterLimiter
  readonly refusals: Refusals
  /** Of all streams of the server. */
  readonly turns: Turns
  /** CPU time of this process so far, milliseconds. */
  readonly cpuTime: () => number
  /** The log for lines that a cluster's client causes. */
  readonly log: (cluster: Owner) => Log
  fleet(): Fleet
  /** @param previous the node's last snapshot, with which the new one shares what is equal */
  build(fleet: Fleet, node: Node, previous: Snapshot | undefined): Built
  /** What other streams of the node have left unrepaired; the stream keeps it from now on. */
  takeUnrepaired(node: Node): UnacknowledgedByType | undefined
  opened(stream: Stream): void
  /** The node is known; from now on `update` is called when something changes. */
  joined(stream: Stream): void
  noted(stream: Stream, note: Note): void
  sent(stream: Stream, typeUrl: string, bytes: number): void
  throttled(): void
  denied(denial: Denied, peer: string): void
  closed(stream: Stream, reason: EndReason): void
}

export interface Opening {
  readonly variant: Variant
  readonly sequence: number
  /** Where its client is, for people. */
  readonly peer: string
  readonly admitted: Admitted
  /** Judges the stream again, by the same certificate. */
  admit(fleet: Fleet): Admitted | Denied
}

/** A class, because a stream has an identity and a life; its protocol state is the value `session`. */
export class OpenStream implements Stream {
  readonly sequence: number
  readonly variant: Variant
  readonly peer: string
  readonly openedAt: Date
  admitted: Admitted
  node: Node | undefined
  session: Session
  frozen: string | undefined
  before: UnacknowledgedByType | undefined
  lastSentAt: Date | undefined
  readonly #call: AdsCall
  readonly #opening: Opening
  readonly #dependencies: StreamDependencies
  readonly #timers = openTimers(act => {
    this.#safely(act)
  })
  readonly #limits: StreamLimits
  #ended: EndReason | undefined
  #isClosed = false

  constructor(call: AdsCall, opening: Opening, dependencies: StreamDependencies) {
    const {now, steady, times, limiter, turns} = dependencies
    const {cluster} = opening.admitted
    this.#call = call
    this.#opening = opening
    this.#dependencies = dependencies
    this.sequence = opening.sequence
    this.variant = opening.variant
    this.admitted = opening.admitted
    this.peer = opening.peer
    this.openedAt = now()
    const mark = randomBytes(6).toString('hex')
    this.session = openSession(opening.variant, {removalDelayMs: times.removalDelayMs, ...sessionLimits, mark})
    this.#limits = openStreamLimits({
      call,
      cluster,
      times,
      limiter,
      timers: this.#timers,
      turns,
      steady,
      silent: () => {
        this.#refuse(deny('node-missing', 'the first request did not come in time', cluster))
      },
      old: () => {
        this.end('age')
      },
      throttled: () => {
        dependencies.throttled()
      },
    })
  }

  begin(): void {
    const bounds = requestBoundsOf(this.admitted.cluster)
    limitMessages(this.#call, bounds.bytes)
    this.#call.on('data', (bytes: Buffer) => {
      if (this.#ended !== undefined) return
      this.#limits.received(bytes.length, () => {
        this.#charged(() => {
          this.#received(bytes, bounds)
        })
        return this.#ended === undefined
      })
    })
    this.#call.on('end', () => {
      this.#limits.finished(() => {
        this.end('client')
      })
    })
    this.#call.on('error', () => {
      this.end('error')
    })
    // grpc-js emits "cancelled" at every end of a call, whichever side has ended it.
    for (const event of ['cancelled', 'close'])
      this.#call.on(event, () => {
        this.#close()
      })
    this.#dependencies.opened(this)
  }

  update(fleet: Fleet): void {
    const {node} = this
    if (this.#ended !== undefined || node === undefined) return
    const outcome = this.#opening.admit(fleet)
    if (outcome.kind === 'denied') {
      this.#deny(outcome)
      return
    }

    this.admitted = outcome
    this.#safely(() => {
      this.#give(fleet, node)
    })
  }

  end(reason: EndReason): void {
    if (this.#ended !== undefined) return
    this.#ended = reason
    endCall(this.#call, this.#dependencies.times.resetAfterMs)
  }

  #received(bytes: Buffer, bounds: RequestBounds): void {
    if (this.#ended !== undefined) return
    const decoded = decodeRequest(bytes, this.variant, bounds)
    if (decoded.kind === 'invalid') {
      this.#fail('protocol', status.INVALID_ARGUMENT, decoded.message)
      return
    }

    const {request} = decoded
    if (this.node === undefined && !this.#join(request)) return
    const breach = this.#limits.check(request)
    if (breach === undefined) this.#step({kind: 'request', request})
    else this.#fail('protocol', breach.code, breach.message)
  }

  /** The first request names the node. @returns whether it is admitted */
  #join(request: AdsRequest): boolean {
    // A stream is updated only once its node is known: its cluster may have been cut off since it was opened.
    const again = this.#opening.admit(this.#dependencies.fleet())
    if (again.kind === 'denied') {
      this.#refuse(again)
      return false
    }

    this.admitted = again
    const outcome = admitNode(again, claimOf(request))
    if ('kind' in outcome) {
      this.#refuse(outcome)
      return false
    }

    this.before = this.#dependencies.takeUnrepaired(outcome)
    this.node = outcome
    this.#dependencies.joined(this)
    this.#give(this.#dependencies.fleet(), outcome)
    return true
  }

  /** A frozen node is sent nothing, and keeps what it has (promise 6). */
  #give(fleet: Fleet, node: Node): void {
    const built = this.#built(fleet, node)
    const why = built.kind === 'frozen' ? built.why : undefined
    if (why !== undefined && why !== this.frozen)
      this.#dependencies.log(node.cluster).warn('node is frozen', {cluster: node.cluster, node: node.id, why})
    this.frozen = why
    if (built.kind === 'frozen') return
    const {before} = this
    // Most changes leave the node's snapshot as it is: what waits for a time is woken by its timer.
    if (built.snapshot === this.session.snapshot && before === undefined) return
    this.before = undefined
    this.#step({kind: 'snapshot', snapshot: built.snapshot, ...(before === undefined ? {} : {before})})
  }

  /** A configuration that can't be built freezes the node. */
  #built(fleet: Fleet, node: Node): Built {
    try {
      return this.#dependencies.build(fleet, node, this.session.snapshot)
    } catch (error) {
      return {kind: 'frozen', why: `its resources can't be built: ${messageOf(error)}`}
    }
  }

  #step(input: Input): void {
    if (this.#ended !== undefined) return
    const now = new Date(this.#dependencies.steady())
    const next = step(this.session, input, now)
    this.session = next.session
    for (const note of next.notes) this.#dependencies.noted(this, note)
    if (next.send !== undefined) this.#send(next.send)
    if (next.wakeAt === undefined) this.#timers.clear('wake')
    else
      this.#timers.set('wake', next.wakeAt.getTime() - now.getTime(), () => {
        this.#step({kind: 'wake'})
      })
    if (next.close !== undefined) this.#fail('protocol', status[next.close.code], next.close.message)
  }

  /** At most one response is unwritten. On a stream that is cut the callback never comes; its end shows in "cancelled". */
  #send(response: DeltaDiscoveryResponse | DiscoveryResponse): void {
    const bytes = encodeResponse(response)
    this.lastSentAt = this.#dependencies.now()
    this.#dependencies.sent(this, response.typeUrl, bytes.length)
    this.#call.write(bytes, () => {
      this.#charged(() => {
        this.#step({kind: 'writable'})
      })
    })
  }

  /** A stream that has not begun is refused; the answer may be delayed. Until then nothing is read from it, and it counts as open. */
  #refuse(denial: Denied): void {
    if (this.#ended !== undefined) return
    const {denied, refusals, steady, times} = this.#dependencies
    this.#ended = 'refused'
    denied(denial, this.peer)
    this.#call.pause()
    refusals.answer(denial, steady(), () => {
      denyCall(this.#call, denial, times.resetAfterMs)
    })
  }

  /** A stream that was served ends at once: its client is cut off. */
  #deny(denial: Denied): void {
    if (this.#ended !== undefined) return
    this.#dependencies.denied(denial, this.peer)
    this.#fail('refused', grpcCodeOf(denial), denial.message)
  }

  #fail(reason: EndReason, code: status, details: string): void {
    if (this.#ended !== undefined) return
    this.#ended = reason
    failCall(this.#call, code, details, this.#dependencies.times.resetAfterMs)
  }

  /** The CPU time of what the client causes is charged to its cluster; that of a change of the fleet is not the client's doing. */
  #charged(act: () => void): void {
    const {cpuTime, limiter, steady} = this.#dependencies
    const from = cpuTime()
    this.#safely(act)
    limiter.spent(this.admitted.cluster, cpuTime() - from, steady())
  }

  /** An error that a client causes ends its own stream, and not the server. */
  #safely(act: () => void): void {
    try {
      act()
    } catch (error) {
      this.#dependencies.log(this.admitted.cluster).error('stream failed', {cluster: this.admitted.cluster, error: messageOf(error)})
      this.#fail('error', status.INTERNAL, 'the server failed to handle this stream')
    }
  }

  #close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#ended ??= 'client'
    this.#timers.close()
    this.#dependencies.limiter.close(this.admitted.cluster)
    this.#dependencies.closed(this, this.#ended)
  }
}
