/** A session as `status` shows it, and which versions its client has acknowledged. */
import {versionEntries, type HeldVersion, heldVersion, type VersionMap} from './versions.js'
import type {UnacknowledgedByType, Session} from './session-state.js'
import type {TypeUrl} from './snapshot.js'
import {isOutOfDate, type Unacknowledged, type Nack, noNames, type TypeState, namesOfUnknownVersion} from './type-state.js'
import {pushOrder} from './type-url.js'

export interface TypeDescription {
  readonly typeUrl: TypeUrl
  readonly wildcard: boolean
  readonly names: ReadonlySet<string>
  /** Versions by name. The version "" means that it isn't known which one the client has. */
  readonly sent: ReadonlyMap<string, string>
  readonly acked: ReadonlyMap<string, string>
  /** `synced`: all that is wanted was sent and acknowledged; `nack`: some of it was NACKed; `stale`: neither yet. */
  readonly state: 'nack' | 'stale' | 'synced'
  /** The client's message in its last NACK, until that is repaired. */
  readonly nack?: string
  /** The names that the NACKed response sent or removed, at most 100. */
  readonly nackNames?: readonly string[]
  /** Resources that were NACKed alone, with the client's message. */
  readonly refused: ReadonlyMap<string, string>
}

/** Each type that the stream has requested, in push order. Copies all names: for a page, not for every push. */
export function describeSession(session: Session): readonly TypeDescription[] {
  const states = pushOrder.map(typeUrl => session.types.get(typeUrl)).filter(state => state !== undefined)
  return states.map(state => describeType(session, state))
}

/** The version of a resource that this stream's client acknowledged last; undefined for none. */
export function acknowledgedVersion(session: Session, typeUrl: TypeUrl, name: string): string | undefined {
  const state = session.types.get(typeUrl)
  return state && heldVersion(state.acked, name)?.version
}

/**
 * What would be left NACKed or unanswered if the stream ended now: the client may have it without listing it, or list it without
 * having it. The node's next stream gets it with its first snapshot.
 */
export function unacknowledged(session: Session): UnacknowledgedByType {
  const found = new Map<TypeUrl, Unacknowledged>(session.unacknowledged)
  for (const [typeUrl, state] of session.types) {
    const sent = new Set([...namesOfUnknownVersion(state), ...state.inFlight.flatMap(response => [...response.sent.keys()])])
    const removed = new Set(state.inFlight.flatMap(response => response.removed))
    if (sent.size > 0 || removed.size > 0) found.set(typeUrl, {sent: [...sent], removed: [...removed]})
  }

  return found
}

function describeType(session: Session, state: TypeState): TypeDescription {
  const {typeUrl, subscription} = state
  const refused = refusedNow(state)
  const nack = state.nack ?? earlierNack(refused)
  return {
    typeUrl,
    wildcard: subscription !== undefined && subscription.wildcard !== 'none',
    names: subscription?.names ?? noNames,
    sent: versionsIn(state.known),
    acked: versionsIn(state.acked),
    state: nack === undefined ? (isSynced(session, state) ? 'synced' : 'stale') : 'nack',
    ...(nack === undefined ? {} : {nack: nack.message, nackNames: nack.names}),
    refused,
  }
}

function isSynced(session: Session, state: TypeState): boolean {
  return (
    session.snapshot !== undefined &&
    !state.responseDue &&
    state.requested.size === 0 &&
    state.inFlight.length === 0 &&
    state.toRemove.size === 0 &&
    !isOutOfDate(state)
  )
}

/** A version that was NACKed earlier on this stream and is wanted again is withheld until its retry: its NACK still counts. */
function earlierNack(refused: ReadonlyMap<string, string>): Nack | undefined {
  const [message] = refused.values()
  return message === undefined ? undefined : {message, names: [...refused.keys()]}
}

function refusedNow(state: TypeState): ReadonlyMap<string, string> {
  const refused = new Map<string, string>()
  for (const name of state.known.differing.keys()) {
    const wanted = state.known.base.get(name)
    const message = wanted && state.nackedVersions.get(name)?.get(wanted.version)?.message
    if (message !== undefined) refused.set(name, message)
  }

  return refused
}

function versionsIn(versions: VersionMap): ReadonlyMap<string, string> {
  return new Map([...versionEntries(versions)].map(([name, held]: [string, HeldVersion]) => [name, held.version]))
}
