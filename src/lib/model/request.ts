/** What commands ask of the leader, which alone holds the keys: written into one ConfigMap, and answered there. */
import {type NextPart, authorityParts, nextParts} from './authority.js'
import type {Owner} from './names.js'
import type {RotationPart} from './rotation.js'

/**
 * `remove`: revoke a cluster and remove what is stored of it. `restore`: issue certificates for a revoked cluster again. `revoke`: refuse
 * the certificates of a cluster, or one credential. `rotate`: new leaves, for every owner where none is named. `rotate-ads`: new ADS
 * credentials, likewise. `rotate-issuer` and `rotate-root`: begin to replace the issuer or the root; they concern all owners.
 */
export const requestKinds = ['remove', 'restore', 'revoke', 'rotate', 'rotate-ads', 'rotate-issuer', 'rotate-root'] as const

export type RequestKind = (typeof requestKinds)[number]

/** The certificates that a request of these kinds rotates. */
export const rotatedBy: Readonly<Partial<Record<RequestKind, RotationPart>>> = {'rotate-issuer': 'issuer', 'rotate-root': 'root'}

/**
 * Of a rotation to certificates from outside: the SHA-256 of each, which lies in the Secret of that name (`nextRoot` and so on), lower-case
 * hex.
 */
export type Named = Readonly<Partial<Record<NextPart, string>>>

/** What is asked for. */
export interface Asked extends Named {
  readonly kind: RequestKind
  readonly owners: readonly Owner[]
  /** Of a rotation of the issuer or the root: the clusters that it leaves behind. */
  readonly skip?: readonly Owner[]
  /** Of `revoke`: new certificates follow at once. */
  readonly reissue?: boolean
  /** Of `revoke`: the SHA-256 of the credential that alone is revoked, lower-case hex. */
  readonly credential?: string
  /**
   * Of `revoke` without `credential`: the generation that is revoked. A leader that finds a later one has nothing to do: an earlier leader
   * ended before it could answer.
   */
  readonly generation?: number
}

export interface Request extends Asked {
  /** ISO 8601, UTC. */
  readonly requestedAt: string
  readonly state: 'done' | 'failed' | 'waiting'
  /** ISO 8601, UTC: when it was answered. */
  readonly answeredAt?: string
  /** The leader's message. */
  readonly message?: string
}

/** The leader's answer to a request, which only the leader may write: an account that may ask must not be able to forge it. */
export interface Answer extends Asked {
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

/** Such as `remove paris`, or `rotate the issuer`. */
export function describeRequest(asked: Asked): string {
  const {kind, owners, skip = [], reissue, credential} = asked
  const part = rotatedBy[kind]
  if (part !== undefined) {
    const named = Object.entries(namedIn(asked)).map(([next, sha256]) => `${nouns[next as NextPart]} with fingerprint ${sha256}`)
    return `rotate the ${part}${named.length === 0 ? '' : ` to ${named.join(' and ')}`}${skip.length === 0 ? '' : `, without ${skip.join(', ')}`}`
  }

  const which = credential === undefined ? '' : ` credential ${credential} of`
  const names = owners.length === 0 ? 'all' : owners.join(', ')
  return `${kind}${which} ${names}${reissue === true ? ' and issue again' : ''}`
}

const nouns: Readonly<Record<NextPart, string>> = {
  nextRoot: 'the root',
  nextIssuer: 'the issuer',
  nextCredentialIssuer: 'the credential issuer',
}

/** The certificates from outside that a request names. */
export function namedIn(asked: Named): Named {
  return Object.fromEntries(
    authorityParts.flatMap(part => {
      const sha256 = asked[nextParts[part]]
      return sha256 === undefined ? [] : [[nextParts[part], sha256]]
    }),
  )
}

/** Of a request or an answer, what is asked for. */
export function askedIn(asked: Asked): Asked {
  const {kind, owners, skip, reissue, credential, generation} = asked
  return {
    ...namedIn(asked),
    kind,
    owners,
    ...(skip !== undefined && {skip}),
    ...(reissue !== undefined && {reissue}),
    ...(credential !== undefined && {credential}),
    ...(generation !== undefined && {generation}),
  }
}
