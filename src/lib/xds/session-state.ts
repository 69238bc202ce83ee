/** The value that a session is, and an empty one to begin with. What happens to it stands in session.ts. */
import type {Snapshot, TypeUrl} from './snapshot.js'
import type {Unanswered, TypeState} from './type-state.js'

export type Variant = 'delta' | 'sotw'

/** By type: what was refused, or not answered, when a stream ended. */
export type Reported = ReadonlyMap<TypeUrl, Unanswered>

export interface SessionOptions {
  /** How long a removal waits for the ACKs of what could still use the resource; default 5,000. */
  readonly removalDelayMs?: number
  /** How many names of one type a stream may subscribe to; default 10,000. */
  readonly maxNames?: number
  /** How long such a name may be; default 512 characters. */
  readonly maxNameLength?: number
  /** How many types that are not served a stream may ask for; default 32. */
  readonly maxUnknownTypes?: number
}

export interface Session {
  readonly variant: Variant
  readonly options: Required<SessionOptions>
  /** What the first request with a node said; a later one may not say otherwise. */
  readonly node: {readonly id: string; readonly cluster: string} | undefined
  readonly snapshot: Snapshot | undefined
  /** What earlier streams left open, of types that this stream hasn't asked for yet. */
  readonly before: Reported
  readonly types: ReadonlyMap<TypeUrl, TypeState>
  readonly unknownTypes: ReadonlySet<TypeUrl>
  readonly lastNonce: number
  /** A response is with the transport, unwritten. */
  readonly busy: boolean
  readonly closed: boolean
}

const defaults: Required<SessionOptions> = {removalDelayMs: 5000, maxNames: 10_000, maxNameLength: 512, maxUnknownTypes: 32}

/** A stream that has just been opened. */
export function openSession(variant: Variant, options: SessionOptions = {}): Session {
  return {
    variant,
    options: {...defaults, ...options},
    node: undefined,
    snapshot: undefined,
    before: new Map(),
    types: new Map(),
    unknownTypes: new Set(),
    lastNonce: 0,
    busy: false,
    closed: false,
  }
}
