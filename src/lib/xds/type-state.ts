/**
 * What one stream knows of one resource type: what is subscribed, wanted, sent, acknowledged, NACKed and to be removed.
 * Requests and snapshots change it in pending.ts, ACKs and NACKs in ack.ts. delta.ts and sotw.ts decide what to send next,
 * removal.ts when a removal may go.
 */
import {emptyVersions, type HeldVersion, heldVersion, unknownVersion, type VersionMap} from './versions.js'
import type {Resource, Resources, TypeUrl} from './snapshot.js'
import type {Subscription} from './subscription.js'
import {keepsUnapplied} from './type-url.js'

/** What a response holds: `delta`: changes; `full`: all resources (SotW, wildcard types); `partial`: some (SotW by name, where absence means nothing). */
export type ResponseMode = 'delta' | 'full' | 'partial'

/** A response that the client hasn't answered yet. Nonces are rising numbers. */
export interface InFlightResponse {
  readonly nonce: number
  /** The versions that a NACK would put in doubt. */
  readonly sent: ReadonlyMap<string, HeldVersion>
  readonly removed: readonly string[]
  /** The response holds a group of suspects, sent to learn which of them the client accepts. */
  readonly isProbe: boolean
}

export interface Nack {
  /** The client's `error_detail`. */
  readonly message: string
  /** The names that the NACKed response sent or removed, at most 100. */
  readonly names: readonly string[]
}

export interface NackedVersion {
  /** The client's `error_detail`. */
  readonly message: string
  /** How often the client has NACKed it alone. */
  readonly failures: number
  /** When it is sent again, ms since 1970; undefined while a retry is under way. */
  readonly retryAt: number | undefined
}

export interface TypeState {
  readonly typeUrl: TypeUrl
  readonly mode: ResponseMode
  /** Undefined before the first request. */
  readonly subscription: Subscription | undefined
  /** From which resources and subscription `known.base` was made. */
  readonly target: {readonly source: Resources; readonly subscription: Subscription} | undefined
  /** The versions that the client has if it accepted all that was sent. Its base is what is wanted, so `known.differing` is left to do. */
  readonly known: VersionMap
  readonly acked: VersionMap
  /** Whether the client has acknowledged any response of this type on this stream, or lists what it uses of a type that needs none (pending.ts). */
  readonly everAcked: boolean
  /** Names that must be answered, as existing or as missing, even in a version that was NACKed. */
  readonly requested: ReadonlySet<string>
  /** A response must be sent even if it is empty. */
  readonly responseDue: boolean
  /** What the client has and is not to have, and since when (ms since 1970). removal.ts decides when it is removed. */
  readonly toRemove: ReadonlyMap<string, number>
  /** Names whose removal was NACKed: they aren't removed again, but are sent if they come back. */
  readonly nackedRemovals: ReadonlySet<string>
  /** Names and versions from NACKed responses, sent again group by group until the bad ones are found. */
  readonly suspects: ReadonlyArray<ReadonlyMap<string, string>>
  /** What the client may have kept of NACKed responses without applying it (type-url.ts): cleared before it is sent again. */
  readonly unapplied: ReadonlyMap<string, Unapplied>
  /** Versions that were NACKed in a response of their own, by name and version: withheld until their retry is due (retry.ts). */
  readonly nackedVersions: ReadonlyMap<string, ReadonlyMap<string, NackedVersion>>
  readonly inFlight: readonly InFlightResponse[]
  /** The last NACK, until all that it concerned is repaired. */
  readonly nack: Nack | undefined
  /** An earlier stream of the node has left something NACKed or unanswered. */
  readonly isDoubted: boolean
}

/** Which versions of a resource the client may have kept without applying them: this one, or any but the one that it lists. */
export type Unapplied = {readonly listed: string | undefined} | {readonly version: string}

/** What an earlier stream of the node sent and removed in responses that were NACKed or never answered, by name. */
export interface Unacknowledged {
  readonly sent: readonly string[]
  readonly removed: readonly string[]
}

/** The next response of a type before it has a nonce. Planned in delta.ts and sotw.ts, chosen in session.ts. */
export interface ResponsePlan {
  /** The type's state once this is sent. */
  readonly state: TypeState
  readonly resources: readonly Resource[]
  readonly removed: readonly string[]
  /** Those of `resources` that the client hasn't acknowledged: a NACK would put them in doubt. */
  readonly sent: ReadonlyMap<string, HeldVersion>
  readonly isProbe: boolean
}

export const noNames: ReadonlySet<string> = new Set()
export const nothingToRemove: TypeState['toRemove'] = new Map()
export const nothingUnapplied: TypeState['unapplied'] = new Map()
const noNackedVersions: TypeState['nackedVersions'] = new Map()
const noSuspects: TypeState['suspects'] = []
const noInFlight: TypeState['inFlight'] = []

/** A type that the client hasn't requested yet. */
export function openType(typeUrl: TypeUrl, mode: ResponseMode): TypeState {
  return {
    typeUrl,
    mode,
    subscription: undefined,
    target: undefined,
    known: emptyVersions,
    acked: emptyVersions,
    everAcked: false,
    requested: noNames,
    responseDue: false,
    toRemove: nothingToRemove,
    nackedRemovals: noNames,
    suspects: noSuspects,
    unapplied: nothingUnapplied,
    nackedVersions: noNackedVersions,
    inFlight: noInFlight,
    nack: undefined,
    isDoubted: false,
  }
}

/**
 * What goes on the wire for a resource. A delta client is sent only what it lacks, which it may have NACKed on any stream; one of the other variant is
 * sent everything on each stream, and must not apply all of it each time.
 */
export function bodyFor(state: TypeState, {body, marked}: Resource, mark: string): Uint8Array {
  if (marked === undefined) return body
  const mayBeRefused = state.mode === 'delta' || state.isDoubted || state.nack !== undefined || state.nackedVersions.size > 0
  return mayBeRefused ? marked(mark) : body
}

/** The state with other known versions. What the client no longer has needn't be removed. */
export function withKnown(state: TypeState, known: VersionMap): TypeState {
  const toRemove = [...state.toRemove].filter(([name]) => known.differing.get(name) !== undefined)
  return {...state, known, toRemove: toRemove.length === state.toRemove.size ? state.toRemove : new Map(toRemove)}
}

/** The names to send now: without versions that are withheld after a NACK, unless the client requests them, and without suspects, which go group by group. */
export function pendingNames(state: TypeState): readonly string[] {
  if (state.known.differing.size === 0) return []
  const suspected = new Set(state.suspects.flatMap(group => [...group.keys()]))
  return [...state.known.differing.keys()].filter(name => {
    const wanted = state.known.base.get(name)
    if (wanted === undefined || suspected.has(name)) return false
    return state.requested.has(name) || !isWithheld(state, name, wanted.version)
  })
}

/**
 * Whether additions wait for the answer to the last ones. They do for types of which a client keeps resources without applying
 * them: the effect of the next response depends on what it kept.
 */
export function awaitsAck(state: TypeState): boolean {
  return keepsUnapplied(state.typeUrl) && state.inFlight.some(response => response.sent.size > 0)
}

/** Which of the names the client may have kept, without applying it, in the very version that is wanted. */
export function unappliedAmong(state: TypeState, names: Iterable<string>): readonly string[] {
  if (state.unapplied.size === 0) return []
  return [...names].filter(name => {
    const kept = state.unapplied.get(name)
    const wanted = state.known.base.get(name)?.version
    return kept !== undefined && ('version' in kept ? kept.version === wanted : kept.listed !== wanted)
  })
}

/** The state once these names were sent or removed, which replaces what the client kept of them. */
export function withoutUnapplied(state: TypeState, names: Iterable<string>): TypeState {
  if (state.unapplied.size === 0) return state
  const unapplied = new Map(state.unapplied)
  for (const name of names) unapplied.delete(name)
  return {...state, unapplied}
}

/** The last version of a name that the client is known to have, as far as the server still has its body. */
export function previousOf(state: TypeState, name: string): Resource | undefined {
  for (const held of [heldVersion(state.known, name), heldVersion(state.acked, name)])
    if (held?.body !== undefined) return {name, typeUrl: state.typeUrl, version: held.version, body: held.body}
  return undefined
}

/** Whether the client lacks a resource in the version that is wanted: not sent yet, NACKed, or among the suspects. */
export function isOutOfDate(state: TypeState): boolean {
  return [...state.known.differing.keys()].some(name => state.known.base.has(name))
}

/** Names that the client has in a version that isn't known: it NACKed a response that held them, or subscribed to them again. */
export function namesOfUnknownVersion(state: TypeState): readonly string[] {
  return [...state.known.differing].filter(([, held]) => held?.version === unknownVersion.version).map(([name]) => name)
}

/** Whether the client NACKed this version alone, and its retry isn't due yet. */
export function isWithheld(state: TypeState, name: string, version: string): boolean {
  return state.nackedVersions.get(name)?.get(version)?.retryAt !== undefined
}

/** Those suspects that are still wanted in that version and were not NACKed alone since. */
export function stillSuspect(state: TypeState, suspects: TypeState['suspects']): TypeState['suspects'] {
  return filterSuspects(suspects, (name, version) => state.known.base.get(name)?.version === version && !isWithheld(state, name, version))
}

/** The groups with those suspects alone that are to be kept, without groups that become empty. */
export function filterSuspects(suspects: TypeState['suspects'], keep: (name: string, version: string) => boolean): TypeState['suspects'] {
  if (suspects.length === 0) return suspects
  return suspects.map(group => new Map([...group].filter(([name, version]) => keep(name, version)))).filter(group => group.size > 0)
}
