/** What happened in a session, as data for log, status and counters. */
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
      /** What the response had brought, by name. */
      readonly versions: ReadonlyMap<string, string>
      readonly removed: readonly string[]
    }
  | {
      readonly kind: 'nacked'
      readonly typeUrl: TypeUrl
      readonly nonce: string
      /** The client's words, cut at NACK_TEXT_MAX characters: a stranger's text. */
      readonly message: string
      /** The resources that the response had brought. */
      readonly names: readonly string[]
      readonly removed: readonly string[]
      /** Those of them that were refused alone: not sent again in this version. */
      readonly refused: readonly string[]
    }
  /** Nothing is left of the type's NACK. */
  | {readonly kind: 'repaired'; readonly typeUrl: TypeUrl}
  /** Removed after the delay, without the ACKs that it waited for. */
  | {readonly kind: 'removal-forced'; readonly typeUrl: TypeUrl; readonly names: readonly string[]}
  /** An answer to a response that was answered or replaced before, or never sent: neither ACK nor NACK. */
  | {readonly kind: 'stale-nonce'; readonly typeUrl: TypeUrl; readonly nonce: string}
  /** A type that is not served: the request is parked, once noted. */
  | {readonly kind: 'unknown-type'; readonly typeUrl: TypeUrl}
  | {readonly kind: 'duplicate-names'; readonly typeUrl: TypeUrl; readonly names: readonly string[]}
  /** "*" for a type that is only served by name. */
  | {readonly kind: 'wildcard-refused'; readonly typeUrl: TypeUrl}
  | {readonly kind: 'node-changed'; readonly was: string; readonly is: string}
  | {readonly kind: 'closed'; readonly message: string}

export const NACK_TEXT_MAX = 4096
