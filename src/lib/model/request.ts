/** What commands ask of the leader, which alone holds the keys: written into one ConfigMap, and answered there. */
import type {Owner} from './names.js'

/** `remove`: revoke a cluster and remove what is stored of it. `rotate`: new leaves, for every owner where none is named. */
export type RequestKind = 'remove' | 'rotate'

export interface Request {
  readonly kind: RequestKind
  readonly owners: readonly Owner[]
  /** ISO 8601, UTC. */
  readonly requestedAt: string
  readonly state: 'done' | 'failed' | 'waiting'
  /** ISO 8601, UTC: when it was answered. */
  readonly answeredAt?: string
  /** The leader's message. */
  readonly message?: string
}

/** The leader's answer to a request, which only the leader may write: an account that may ask must not be able to forge it. */
export interface Answer extends Pick<Request, 'kind' | 'owners'> {
  readonly state: 'done' | 'failed'
  /** ISO 8601, UTC. */
  readonly answeredAt: string
  readonly message?: string
}

/** When the leader removes what was asked and answered, milliseconds. */
export interface RequestTimes {
  /** After it was answered. */
  readonly answerKeptMs: number
  /** A request that still waits: its sender has given up. */
  readonly requestKeptMs: number
}

export const defaultRequestTimes: RequestTimes = {answerKeptMs: 3_600_000, requestKeptMs: 24 * 3_600_000}

/** The id of no request: removing it creates the object that requests are written into. */
export const NO_REQUEST = 'none'

/** Such as `remove paris`. */
export function describeRequest({kind, owners}: Pick<Request, 'kind' | 'owners'>): string {
  return owners.length === 0 ? `${kind} all` : `${kind} ${owners.join(', ')}`
}
