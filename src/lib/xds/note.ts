/** What happened in a session, as data for the log, `status` and metrics. */
import type {TypeUrl} from './snapshot.js'

export type Note =
  | {
      readonly kind: 'subscribed'
      readonly typeUrl: TypeUrl
      readonly wildcard: boolean
      readonly names: readonly string[]
      readonly dropped: readonly string[]
    }
  | {readonly kind: 'sent'; readonly typeUrl: TypeUrl; readonly nonce: string; readonly resources: number; readonly removed: number}
  | {
      readonly kind: 'acked'
      readonly typeUrl: TypeUrl
      readonly nonce: string
      /** The versions that the response held, by name. */
      readonly versions: ReadonlyMap<string, string>
      readonly removed: readonly string[]
    }
  | {
      readonly kind: 'nacked'
      readonly typeUrl: TypeUrl
      readonly nonce: string
      /** The client's `error_detail`, cut at NACK_TEXT_MAX characters because a client chooses it. */
      readonly message: string
      /** The resources that the response held. */
      readonly names: readonly string[]
      readonly removed: readonly string[]
      /** Those of them that were NACKed alone: not sent again in this version. */
      readonly refused: readonly string[]
    }
  /** The type's NACK is repaired. */
  | {readonly kind: 'repaired'; readonly typeUrl: TypeUrl}
  /** Removed after the delay, without the ACKs that the removal waited for. */
  | {readonly kind: 'removal-forced'; readonly typeUrl: TypeUrl; readonly names: readonly string[]}
  /** The nonce of a response that was answered or replaced before, or never sent: neither ACK nor NACK. */
  | {readonly kind: 'stale-nonce'; readonly typeUrl: TypeUrl; readonly nonce: string}
  /** A type that is not served: the request is ignored, and noted once. */
  | {readonly kind: 'unknown-type'; readonly typeUrl: TypeUrl}
  | {readonly kind: 'duplicate-names'; readonly typeUrl: TypeUrl; readonly names: readonly string[]}
  /** "*" for a type that is only served by name. */
  | {readonly kind: 'wildcard-refused'; readonly typeUrl: TypeUrl}
  | {readonly kind: 'node-changed'; readonly was: string; readonly is: string}
  | {readonly kind: 'closed'; readonly message: string}
  /** A state-of-the-world response takes too many bytes, so the stream ends. */
  | {readonly kind: 'too-large'; readonly typeUrl: TypeUrl; readonly message: string}

/** How many characters of a NACK's message are kept; the rest is cut. */
export const NACK_TEXT_MAX = 4096
