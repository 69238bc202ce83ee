/** One ADS stream: bytes between gRPC and `xds/session.step`. What to say is decided there, who may listen in admission.ts. */
import {status} from '@grpc/grpc-js'
import type {DeltaDiscoveryResponse, DiscoveryResponse} from '../../gen/envoy/service/discovery/v3/discovery_pb.js'
import type {Built} from '../../lib/envoy/build.js'
import {messageOf} from '../../lib/model/errors.js'
import type {Fleet} from '../../lib/model/fleet.js'
import {OBSERVABILITY} from '../../lib/model/names.js'
import type {Node} from '../../lib/model/node.js'
import type {Note} from '../../lib/xds/note.js'
import {type Input, type UnacknowledgedByType, type Session, type Variant, openSession, step} from '../../lib/xds/session.js'
import type {Log} from '../log.js'
import {type AdsCall, type AdsRequest, claimOf, grpcCodeOf, encodeResponse, endCall, failCall, refuseCall} from './call.js'
import {type Admitted, type Peer, type Denied, admit, admitNode} from './admission.js'
import type {Limiter} from './limits.js'

/** Why a stream ended. */
export type EndReason = 'age' | 'client' | 'error' | 'protocol' | 'refused' | 'stop'

/** All durations in milliseconds. */
export interface StreamTimes {
  /**
   * A stream is ended at this age or up to a twentieth later: after its client's connection was asked to go (1 h), so that it comes
   * back on a fresh one, and before Envoy cuts it (66 min; docs/explanation/envoy.md#how-connections-and-streams-end).
   */
  readonly maxAgeMs: number
  /** A stream whose first request does not come within this time is ended. */
  readonly firstRequestMs: number
  /** How long a client that has stopped reading may keep an ended stream. */
  readonly resetAfterMs: number
  /** How long removals wait at most for acknowledgements (session). */
  readonly removalDelayMs: number
}

export const defaultStreamTimes: StreamTimes = {maxAgeMs: 62 * 60_000, firstRequestMs: 30_000, resetAfterMs: 5000, removalDelayMs: 5000}

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
  readonly frozen: string | undefined
  /** What other streams of the node left unrepaired and the session has not been given yet: a frozen node is given nothing. */
  readonly before: UnacknowledgedByType | undefined
  readonly lastSentAt: Date | undefined
  /** Takes what it is to have now, or ends where it is admitted no more. */
  update(fleet: Fleet): void
  end(reason: EndReason): void
}

/** What a stream needs of its surroundings. */
export interface StreamDependencies {
  readonly now: () => Date
  readonly times: StreamTimes
  readonly limiter: Limiter
  readonly log: Log
  fleet(): Fleet
  build(fleet: Fleet, node: Node): Built
  /** What other streams of the node left unrepaired. */
  takeUnrepaired(node: Node): UnacknowledgedByType | undefined
  /** The node is known; from now on `update` is called when something changes. */
  joined(stream: Stream): void
  noted(stream: Stream, note: Note): void
  sent(stream: Stream, typeUrl: string, bytes: number): void
  throttled(): void
  refused(refusal: Denied, peer: string): void
  opened(stream: Stream): void
  closed(stream: Stream, reason: EndReason): void
}

/** Serves a call to its end, or refuses it. `peer` is undefined where the connection shows no certificate that decodes. */
export function serveStream(call: AdsCall, variant: Variant, sequence: number, peer: Peer | undefined, deps: StreamDependencies): void {
  const xfcc = call.metadata.get('x-forwarded-client-cert').map(String)
  const outcome = enter(peer, xfcc, deps)
  if (outcome.kind === 'refused') {
    deps.refused(outcome, call.getPeer())
    refuseCall(call, outcome, deps.times.resetAfterMs)
    return
  }

  const stream = new OpenStream(call, {variant, sequence, peer, xfcc, admitted: outcome}, deps)
  stream.begin()
}

/** Admitted, and counted in. */
function enter(peer: Peer | undefined, xfcc: readonly string[], deps: StreamDependencies): Admitted | Denied {
  const outcome = admit(deps.fleet(), peer, xfcc, deps.now())
  if (outcome.kind === 'refused' || deps.limiter.open(outcome.cluster, deps.now().getTime())) return outcome
  const {cluster} = outcome
  return {
    kind: 'refused',
    reason: 'streams',
    message: `cluster "${cluster}" has as many open streams as it may, or opens them too fast`,
    cluster,
  }
}

/** Node's timers fire at once beyond 2^31 - 1 ms. */
const LONGEST_TIMER = 2 ** 31 - 1

/** What a node asks for by name is its secrets and route tables: a few. */
const NAMES_MAX = 512
const NAME_LENGTH_MAX = 256
/** More than a proxy that is slow, or that warms clusters, ever leaves unanswered. */
const UNANSWERED_MAX = 256
/** What a node may claim to have: a downstream one has a handful, the observability Envoy some for each cluster. */
const VERSIONS_MAX = {downstream: 1000, observability: 200_000} as const

type Timer = 'age' | 'first' | 'rate' | 'wake'

interface Opening {
  readonly variant: Variant
  readonly sequence: number
  readonly peer: Peer | undefined
  readonly xfcc: readonly string[]
  readonly admitted: Admitted
}

/** A class, because it is one thing with an identity and a life; its protocol state is the value `session`. */
class OpenStream implements Stream {
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
  readonly #deps: StreamDependencies
  readonly #timers = new Map<Timer, NodeJS.Timeout>()
  /** Responses that the client has neither acknowledged nor refused. */
  #unanswered = 0
  #ended: EndReason | undefined
  #isClosed = false

  constructor(call: AdsCall, opening: Opening, deps: StreamDependencies) {
    this.#call = call
    this.#opening = opening
    this.#deps = deps
    this.sequence = opening.sequence
    this.variant = opening.variant
    this.admitted = opening.admitted
    this.peer = call.getPeer()
    this.openedAt = deps.now()
    this.session = openSession(opening.variant, {
      removalDelayMs: deps.times.removalDelayMs,
      maxNames: NAMES_MAX,
      maxNameLength: NAME_LENGTH_MAX,
    })
  }

  begin(): void {
    const {times} = this.#deps
    this.#call.on('data', (request: AdsRequest) => {
      this.#safely(() => {
        this.#received(request)
      })
    })
    this.#call.on('end', () => {
      this.end('client')
    })
    this.#call.on('error', () => {
      this.end('error')
    })
    // grpc-js says "cancelled" at every end of a call, whoever ended it.
    for (const event of ['cancelled', 'close'])
      this.#call.on(event, () => {
        this.#close()
      })
    this.#after('first', times.firstRequestMs, () => {
      this.#refuse({
        kind: 'refused',
        reason: 'node-missing',
        message: 'the first request did not come in time',
        cluster: this.admitted.cluster,
      })
    })
    this.#after('age', times.maxAgeMs * (1 + Math.random() / 20), () => {
      this.end('age')
    })
    this.#deps.opened(this)
  }

  update(fleet: Fleet): void {
    const {node} = this
    if (this.#ended !== undefined || node === undefined) return
    const outcome = admit(fleet, this.#opening.peer, this.#opening.xfcc, this.#deps.now())
    if (outcome.kind === 'refused') {
      this.#refuse(outcome)
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
    endCall(this.#call, this.#deps.times.resetAfterMs)
  }

  #received(request: AdsRequest): void {
    if (this.#ended !== undefined) return
    const wait = this.#deps.limiter.request(this.admitted.cluster, this.#deps.now().getTime())
    if (wait > 0) {
      this.#deps.throttled()
      this.#call.pause()
      this.#after('rate', wait, () => this.#call.resume())
    }

    if (this.node === undefined && !this.#join(request)) return
    const most = this.admitted.cluster === OBSERVABILITY ? VERSIONS_MAX.observability : VERSIONS_MAX.downstream
    const versions = 'initialResourceVersions' in request ? Object.keys(request.initialResourceVersions) : []
    if (versions.length > most || versions.some(name => name.length > NAME_LENGTH_MAX)) {
      this.#fail(
        'protocol',
        status.INVALID_ARGUMENT,
        `initial_resource_versions must name at most ${most} resources, none longer than ${NAME_LENGTH_MAX}`,
      )
      return
    }

    this.#step({kind: 'request', request})
  }

  /** The first request says which node it is; false where it is refused. */
  #join(request: AdsRequest): boolean {
    this.#clear('first')
    // Until now nothing has told this stream of changes: whoever was cut off since it was opened is out.
    const again = admit(this.#deps.fleet(), this.#opening.peer, this.#opening.xfcc, this.#deps.now())
    if (again.kind === 'refused') {
      this.#refuse(again)
      return false
    }

    this.admitted = again
    const outcome = admitNode(again, claimOf(request))
    if ('kind' in outcome) {
      this.#refuse(outcome)
      return false
    }

    this.before = this.#deps.takeUnrepaired(outcome)
    this.node = outcome
    this.#deps.joined(this)
    this.#give(this.#deps.fleet(), outcome)
    return true
  }

  /** A frozen node is sent nothing and nothing is taken from it (promise 6). */
  #give(fleet: Fleet, node: Node): void {
    const built = this.#built(fleet, node)
    const why = built.kind === 'frozen' ? built.why : undefined
    if (why !== undefined && why !== this.frozen) this.#deps.log.warn('node is frozen', {cluster: node.cluster, node: node.id, why})
    this.frozen = why
    if (built.kind === 'frozen') return
    const {before} = this
    this.before = undefined
    this.#step({kind: 'snapshot', snapshot: built.snapshot, ...(before === undefined ? {} : {before})})
  }

  /** What can't be built freezes the node: what it has stays in force. */
  #built(fleet: Fleet, node: Node): Built {
    try {
      return this.#deps.build(fleet, node)
    } catch (error) {
      return {kind: 'frozen', why: `its resources can't be built: ${messageOf(error)}`}
    }
  }

  #step(input: Input): void {
    if (this.#ended !== undefined) return
    const next = step(this.session, input, this.#deps.now())
    this.session = next.session
    for (const note of next.notes) {
      this.#deps.noted(this, note)
      if (note.kind === 'acked' || note.kind === 'nacked') this.#unanswered = Math.max(0, this.#unanswered - 1)
    }

    if (next.send !== undefined) this.#send(next.send)
    if (next.wakeAt === undefined) this.#clear('wake')
    else
      this.#after('wake', next.wakeAt.getTime() - this.#deps.now().getTime(), () => {
        this.#step({kind: 'wake'})
      })
    if (next.close !== undefined) this.#fail('protocol', status.INVALID_ARGUMENT, next.close.message)
  }

  /** At most one response is unwritten. A callback of a cut stream never comes; its end is told by "cancelled". */
  #send(response: DeltaDiscoveryResponse | DiscoveryResponse): void {
    this.#unanswered += 1
    if (this.#unanswered > UNANSWERED_MAX) {
      this.#fail('protocol', status.RESOURCE_EXHAUSTED, `more than ${UNANSWERED_MAX} responses were left unanswered`)
      return
    }

    const bytes = encodeResponse(response)
    this.lastSentAt = this.#deps.now()
    this.#deps.sent(this, response.typeUrl, bytes.length)
    this.#call.write(bytes, () => {
      this.#safely(() => {
        this.#step({kind: 'writable'})
      })
    })
  }

  #refuse(refusal: Denied): void {
    if (this.#ended !== undefined) return
    this.#deps.refused(refusal, this.peer)
    this.#fail('refused', grpcCodeOf(refusal), refusal.message)
  }

  #fail(reason: EndReason, code: status, details: string): void {
    if (this.#ended !== undefined) return
    this.#ended = reason
    failCall(this.#call, code, details, this.#deps.times.resetAfterMs)
  }

  /** Whatever a client makes us trip over costs its own stream, not the server. */
  #safely(act: () => void): void {
    try {
      act()
    } catch (error) {
      this.#deps.log.error('stream failed', {cluster: this.admitted.cluster, error: messageOf(error)})
      this.#fail('error', status.INTERNAL, 'the server failed to handle this stream')
    }
  }

  #close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#ended ??= 'client'
    for (const timer of this.#timers.values()) clearTimeout(timer)
    this.#deps.limiter.close(this.admitted.cluster)
    this.#deps.closed(this, this.#ended)
  }

  #after(timer: Timer, milliseconds: number, act: () => void): void {
    if (this.#isClosed) return
    this.#clear(timer)
    this.#timers.set(
      timer,
      setTimeout(
        () => {
          this.#timers.delete(timer)
          this.#safely(act)
        },
        Math.min(Math.max(0, milliseconds), LONGEST_TIMER),
      ),
    )
  }

  #clear(timer: Timer): void {
    clearTimeout(this.#timers.get(timer))
    this.#timers.delete(timer)
  }
}
