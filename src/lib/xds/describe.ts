/** What a session says of itself: for `status` and as evidence that a version was acknowledged. */
import {versionEntries, type HeldVersion, heldIn, type Versions} from './versions.js'
import type {Reported, Session} from './session-state.js'
import type {TypeUrl} from './snapshot.js'
import {isBlocked, type Unanswered, type Nack, noNames, type TypeState, unsureNames} from './type-state.js'
import {pushOrder} from './type-url.js'

export interface TypeDescription {
  readonly typeUrl: TypeUrl
  readonly wildcard: boolean
  readonly names: ReadonlySet<string>
  /** Versions by name. A version of "" means that it isn't known which the client has. */
  readonly sent: ReadonlyMap<string, string>
  readonly acked: ReadonlyMap<string, string>
  /** `synced`: all that is wanted was sent and acknowledged; `nack`: some of it was refused; `stale`: neither yet. */
  readonly state: 'nack' | 'stale' | 'synced'
  /** The client's words in its last NACK, while it isn't repaired. */
  readonly nack?: string
  /** What the response that it refused had brought, at most 100 names. */
  readonly nackNames?: readonly string[]
  /** What the client refuses for good, with its words. */
  readonly refused: ReadonlyMap<string, string>
}

/** Each type that the stream has asked for, in push order. Copies all names: for a page, not for every push. */
export function describeSession(session: Session): readonly TypeDescription[] {
  const states = pushOrder.map(typeUrl => session.types.get(typeUrl)).filter(state => state !== undefined)
  return states.map(state => describeType(session, state))
}

/** The version of a resource that this stream's client has acknowledged last; undefined for none. */
export function acknowledgedVersion(session: Session, typeUrl: TypeUrl, name: string): string | undefined {
  const state = session.types.get(typeUrl)
  return state && heldIn(state.acked, name)?.version
}

/**
 * What the client may have without listing it, or list without having it, if the stream ended now: all that was refused or is
 * unanswered. The next stream of the node is given it with its first snapshot.
 */
export function unrepaired(session: Session): Reported {
  const reported = new Map<TypeUrl, Unanswered>(session.before)
  for (const [typeUrl, state] of session.types) {
    const sent = new Set([...unsureNames(state), ...state.flights.flatMap(flight => [...flight.sent.keys()])])
    const removed = new Set(state.flights.flatMap(flight => flight.removed))
    if (sent.size > 0 || removed.size > 0) reported.set(typeUrl, {sent: [...sent], removed: [...removed]})
  }

  return reported
}

function describeType(session: Session, state: TypeState): TypeDescription {
  const {typeUrl, subscription} = state
  const refused = refusedNow(state)
  const nack = state.nack ?? nackAgain(refused)
  return {
    typeUrl,
    wildcard: subscription !== undefined && subscription.wildcard !== 'none',
    names: subscription?.names ?? noNames,
    sent: versionsIn(state.known),
    acked: versionsIn(state.acked),
    state: nack === undefined ? (isInStep(session, state) ? 'synced' : 'stale') : 'nack',
    ...(nack === undefined ? {} : {nack: nack.message, nackNames: nack.names}),
    refused,
  }
}

function isInStep(session: Session, state: TypeState): boolean {
  return (
    session.snapshot !== undefined &&
    !state.answerDue &&
    state.asked.size === 0 &&
    state.flights.length === 0 &&
    state.leaving.size === 0 &&
    !isBlocked(state)
  )
}

/** What was refused earlier on this stream and is wanted again is not sent again: its NACK still stands. */
function nackAgain(refused: ReadonlyMap<string, string>): Nack | undefined {
  const [message] = refused.values()
  return message === undefined ? undefined : {message, names: [...refused.keys()]}
}

function refusedNow(state: TypeState): ReadonlyMap<string, string> {
  const refused = new Map<string, string>()
  for (const name of state.known.differing.keys()) {
    const wanted = state.known.base.get(name)
    const words = wanted && state.refused.get(name)?.get(wanted.version)
    if (words !== undefined) refused.set(name, words)
  }

  return refused
}

function versionsIn(ledger: Versions): ReadonlyMap<string, string> {
  return new Map([...versionEntries(ledger)].map(([name, held]: [string, HeldVersion]) => [name, held.version]))
}
