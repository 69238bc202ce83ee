/** A session as `status` shows it, and which versions its client has acknowledged. */
import {versionEntries, type HeldVersion, heldVersion, unknownVersion, type VersionMap} from './versions.js'
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

/** A type as `describeSession` has it, with numbers in place of the names. */
export interface TypeSummary extends Pick<TypeDescription, 'nack' | 'nackNames' | 'state' | 'typeUrl'> {
  /** How many resources the client was sent and is to have, and how many of them it has acknowledged in that version. */
  readonly sent: number
  readonly acknowledged: number
}

/** Each type that the stream has requested, in push order. Costs what is not acknowledged, however many resources there are. */
export function summarizeSession(session: Session): readonly TypeSummary[] {
  const states = pushOrder.map(typeUrl => session.types.get(typeUrl)).filter(state => state !== undefined)
  return states.map(state => ({typeUrl: state.typeUrl, ...stateOf(session, state), ...countVersions(state.known, state.acked)}))
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
  return {
    typeUrl,
    wildcard: subscription !== undefined && subscription.wildcard !== 'none',
    names: subscription?.names ?? noNames,
    sent: versionsIn(state.known),
    acked: versionsIn(state.acked),
    ...stateOf(session, state),
    refused: refusedNow(state),
  }
}

function stateOf(session: Session, state: TypeState): Pick<TypeDescription, 'nack' | 'nackNames' | 'state'> {
  const nack = state.nack ?? earlierNack(refusedNow(state))
  if (nack !== undefined) return {state: 'nack', nack: nack.message, nackNames: nack.names}
  return {state: isSynced(session, state) ? 'synced' : 'stale'}
}

/** Names that neither map has of its own have the same version in both, where the two have one base. */
function countVersions(known: VersionMap, acked: VersionMap): Pick<TypeSummary, 'acknowledged' | 'sent'> {
  const isAcknowledged = (name: string): boolean => {
    const version = heldVersion(known, name)?.version
    return version !== undefined && version !== unknownVersion.version && heldVersion(acked, name)?.version === version
  }
  const added = [...known.differing].filter(([name, held]) => held !== undefined && !known.base.has(name)).length
  const removed = [...known.differing].filter(([name, held]) => held === undefined && known.base.has(name)).length
  const sent = known.base.size + added - removed
  if (known.base !== acked.base) return {sent, acknowledged: [...versionEntries(known)].filter(([name]) => isAcknowledged(name)).length}
  const apart = [...new Set([...known.differing.keys(), ...acked.differing.keys()])]
  const common = known.base.size - apart.filter(name => known.base.has(name)).length
  return {sent, acknowledged: common + apart.filter(name => isAcknowledged(name)).length}
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
