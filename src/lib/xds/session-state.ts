/** The state of a session, and a new one. session.ts changes it. */
import type {Snapshot, TypeUrl} from './snapshot.js'
import type {Unacknowledged, TypeState} from './type-state.js'

export type Variant = 'delta' | 'sotw'

/** What was NACKed or unanswered when a stream ended, by type. */
export type UnacknowledgedByType = ReadonlyMap<TypeUrl, Unacknowledged>

export interface SessionOptions {
  /** How long a removal waits for the ACKs of what could still use the resource; then it is sent without them. Default 5,000. */
  readonly removalDelayMs?: number
  /** How many names of one type a stream may subscribe to; more end it with INVALID_ARGUMENT. Default 10,000. */
  readonly maxNames?: number
  /** How many characters such a name may have; more end the stream with INVALID_ARGUMENT. Default 512. */
  readonly maxNameLength?: number
  /** How many types that aren't served a stream may request; more end it with INVALID_ARGUMENT. Default 32. */
  readonly maxUnknownTypes?: number
  /** How many responses a client may leave unanswered; while there are as many, nothing more is sent of the types concerned. Default 64. */
  readonly maxInFlight?: number
  /**
   * How many bytes a delta response has before the rest goes in another one. Default 1 MiB: it is encoded in a few milliseconds, and far
   * below `maxResponseBytes`.
   */
  readonly maxPartBytes?: number
  /** How many bytes a state-of-the-world response may have; more ends the stream. Default 4 MiB, which gRPC clients accept by default. */
  readonly maxResponseBytes?: number
  /** What no other stream has, of this server or of another: part of each mark (`Resource.marked`). Default: nothing. */
  readonly mark?: string
}

/** Why a stream must end: the client broke the protocol, or a response that it needs can't be sent. */
export interface StreamError {
  readonly code: 'INVALID_ARGUMENT' | 'RESOURCE_EXHAUSTED'
  readonly message: string
}

export interface Session {
  readonly variant: Variant
  readonly options: Required<SessionOptions>
  /** The node of the first request that had one. A request with another node ends the stream. */
  readonly node: {readonly id: string; readonly cluster: string} | undefined
  readonly snapshot: Snapshot | undefined
  /** What earlier streams left unacknowledged, of types that this stream hasn't requested yet. */
  readonly unacknowledged: UnacknowledgedByType
  readonly types: ReadonlyMap<TypeUrl, TypeState>
  readonly unknownTypes: ReadonlySet<TypeUrl>
  readonly lastNonce: number
  /** The transport hasn't written the last response yet. */
  readonly awaitsWritable: boolean
  readonly closed: boolean
}

const defaults: Required<SessionOptions> = {
  removalDelayMs: 5000,
  maxNames: 10_000,
  maxNameLength: 512,
  maxUnknownTypes: 32,
  maxInFlight: 64,
  maxPartBytes: 1024 * 1024,
  maxResponseBytes: 4 * 1024 * 1024,
  mark: '',
}

/** The session of a stream that was just opened. */
export function openSession(variant: Variant, options: SessionOptions = {}): Session {
  return {
    variant,
    options: {...defaults, ...options},
    node: undefined,
    snapshot: undefined,
    unacknowledged: new Map(),
    types: new Map(),
    unknownTypes: new Set(),
    lastNonce: 0,
    awaitsWritable: false,
    closed: false,
  }
}
