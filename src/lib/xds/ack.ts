/**
 * What an ACK or a NACK changes. A NACK is partial, and which part the client applies differs by type (measured on Envoy: CDS
 * applies the good additions, SRDS none, both apply all removals), so everything in the response is in doubt. It is sent again in
 * ever smaller groups until each resource was either acknowledged or NACKed in a response of its own. The groups shrink with every
 * NACK, so this ends. A version that was NACKed alone is withheld until retry.ts sends it again.
 */
import {forgetVersions, type HeldVersion, heldVersion, setVersions} from './versions.js'
import {nextRetryOf, retryAfterRemoval} from './retry.js'
import {keepsUnapplied} from './type-url.js'
import {
  type InFlightResponse,
  isOutOfDate,
  namesOfUnknownVersion,
  stillSuspect,
  type TypeState,
  type Unapplied,
  withKnown,
} from './type-state.js'

/** How many names of a NACKed response are kept for `status`; further names are not shown. */
const NACK_NAMES_MAX = 100

/** How many NACKed versions of one name are remembered; beyond it the oldest is forgotten, and is sent again at once if it is wanted. */
const NACKED_VERSIONS_MAX = 8

export interface AckResult {
  readonly state: TypeState
  /** The response that was answered. */
  readonly response: InFlightResponse
  /** Names that were NACKed alone: withheld in this version until its retry. */
  readonly rejected: readonly string[]
}

/**
 * The state with one more response in flight. Every unanswered response is kept, in state of the world too: an ACK that arrives after
 * the next response was sent still shows what the client has.
 */
export function recordSent(state: TypeState, response: InFlightResponse): TypeState {
  return {...state, inFlight: [...state.inFlight, response]}
}

/** The state after an ACK; undefined when the nonce is of no response that is in flight. */
export function handleAck(state: TypeState, nonce: number): AckResult | undefined {
  const answered = answeredBy(state, nonce)
  if (answered === undefined) return undefined
  const {response, overtaken, inFlight} = answered
  const acked = ackedAfter(state, inFlight, [...overtaken, response])
  const nackedVersions = retryAfterRemoval({...state, nackedVersions: withoutAccepted(state, response)}, response.removed)
  return {state: {...state, inFlight, everAcked: true, acked, nackedVersions}, response, rejected: []}
}

/** The state after a NACK with the client's message; undefined when the nonce is of no response that is in flight. */
export function handleNack(state: TypeState, nonce: number, message: string, now: Date): AckResult | undefined {
  const answered = answeredBy(state, nonce)
  if (answered === undefined) return undefined
  const {response, overtaken, inFlight} = answered
  const later = inFlight.filter(other => other.nonce > response.nonce)
  const sentLater = new Set(later.flatMap(other => [...other.sent.keys(), ...other.removed]))
  // Where each response holds all resources, the answer to the later one decides about all of them.
  const isReplaced = (name: string): boolean => (state.mode === 'full' ? later.length > 0 : sentLater.has(name))
  const sent = new Map([...response.sent].filter(([name, held]) => !isAckedMeanwhile(state, name, held)))
  const current = [...sent].filter(([name]) => !isReplaced(name))
  const doubtful = current.filter(([name, held]) => heldVersion(state.known, name)?.version === held.version)
  const notRemoved = response.removed.filter(
    name => !isReplaced(name) && heldVersion(state.known, name) === undefined && !state.known.base.has(name),
  )

  const isAlone = sent.size === 1
  const rejected = isAlone ? [...sent] : []
  const next: TypeState = {
    ...withKnown(state, forgetVersions(state.known, [...doubtful.map(([name]) => name), ...notRemoved])),
    inFlight,
    // A response that holds all resources replaces those before it, so what these brought is not known to be accepted.
    acked: state.mode === 'full' ? state.acked : setVersions(state.acked, acceptedEntries(state, overtaken)),
    nack: {message, names: [...response.sent.keys(), ...response.removed].slice(0, NACK_NAMES_MAX)},
    nackedRemovals: notRemoved.length === 0 ? state.nackedRemovals : new Set([...state.nackedRemovals, ...notRemoved]),
    // A resource that is NACKed alone isn't kept by the client.
    unapplied: !keepsUnapplied(state.typeUrl) || isAlone ? state.unapplied : withUnapplied(state.unapplied, current),
    nackedVersions: withRejected(state.nackedVersions, rejected, {message, now}),
  }
  const group = new Map(doubtful.map(([name, held]): [string, string] => [name, held.version]))
  const groups = stillSuspect(next, isAlone ? [] : [group]).flatMap(suspects => bisect(suspects, message))
  return {
    state: {...next, suspects: [...stillSuspect(next, state.suspects), ...groups]},
    response,
    rejected: rejected.map(([name]) => name),
  }
}

/** The state without its NACK once it is repaired: nothing is in doubt, out of date or in flight. */
export function clearRepairedNack(state: TypeState): TypeState {
  const isOpen = state.nack === undefined || state.inFlight.length > 0 || namesOfUnknownVersion(state).length > 0 || isOutOfDate(state)
  return isOpen ? state : {...state, nack: undefined}
}

/** Which of the names a NACK message contains as whole words. It only orders the repair; nothing is judged by it. */
export function namesInMessage(text: string, names: readonly string[]): readonly string[] {
  return names.filter(name => {
    for (let at = text.indexOf(name); at >= 0; at = text.indexOf(name, at + 1))
      if (!isNamePart(text[at - 1]) && !isNamePart(text[at + name.length])) return true
    return false
  })
}

/**
 * Whether an earlier response has brought this version, and its ACK came after this response was sent. That happens where each response
 * holds all resources; the client had the version then, and its NACK is about another resource.
 */
function isAckedMeanwhile(state: TypeState, name: string, held: HeldVersion): boolean {
  return state.mode === 'full' && heldVersion(state.acked, name)?.version === held.version
}

/** The response with this nonce, those that its answer covers too, and those that stay in flight. */
function answeredBy(state: TypeState, nonce: number) {
  const response = state.inFlight.find(flight => flight.nonce === nonce)
  if (response === undefined) return undefined
  // A SotW client answers in order, so an answer covers the responses before it. A delta client answers each.
  const isOvertaken = (other: InFlightResponse): boolean => state.mode !== 'delta' && other.nonce < response.nonce
  return {
    response,
    overtaken: state.inFlight.filter(other => isOvertaken(other)),
    inFlight: state.inFlight.filter(other => other !== response && !isOvertaken(other)),
  }
}

/** Bisection: resources that Envoy's message names are retried alone, the rest together; without such a hint, in halves. */
function bisect(group: ReadonlyMap<string, string>, message: string): TypeState['suspects'] {
  const entries = [...group]
  const named = new Set(namesInMessage(message, [...group.keys()]))
  const half = Math.ceil(entries.length / 2)
  const groups =
    named.size > 0 && named.size < entries.length
      ? [entries.filter(([name]) => !named.has(name)), ...entries.filter(([name]) => named.has(name)).map(entry => [entry])]
      : [entries.slice(0, half), entries.slice(half)]
  return groups.filter(part => part.length > 0).map(part => new Map(part))
}

function withUnapplied(unapplied: TypeState['unapplied'], sent: ReadonlyArray<readonly [string, HeldVersion]>): TypeState['unapplied'] {
  return new Map([...unapplied, ...sent.map(([name, {version}]): [string, Unapplied] => [name, {version}])])
}

function withRejected(
  nackedVersions: TypeState['nackedVersions'],
  rejected: ReadonlyArray<readonly [string, HeldVersion]>,
  {message, now}: {readonly message: string; readonly now: Date},
): TypeState['nackedVersions'] {
  if (rejected.length === 0) return nackedVersions
  const next = new Map(nackedVersions)
  for (const [name, held] of rejected) {
    const known = next.get(name)
    const versions = [...(known ?? [])].filter(([version]) => version !== held.version)
    const nacked = {...nextRetryOf(known?.get(held.version), now), message}
    next.set(name, new Map([...versions, [held.version, nacked] as const].slice(-NACKED_VERSIONS_MAX)))
  }

  return next
}

/** A client may accept at a later time what it NACKed before. */
function withoutAccepted({nackedVersions}: TypeState, response: InFlightResponse): TypeState['nackedVersions'] {
  const accepted = [...response.sent].filter(([name, held]) => nackedVersions.get(name)?.has(held.version))
  if (accepted.length === 0) return nackedVersions
  const next = new Map(nackedVersions)
  for (const [name, held] of accepted) next.set(name, new Map([...(next.get(name) ?? [])].filter(([version]) => version !== held.version)))
  return next
}

/** With nothing in flight, all known versions are acknowledged but those in doubt. */
function ackedAfter(state: TypeState, inFlight: TypeState['inFlight'], accepted: TypeState['inFlight']): TypeState['acked'] {
  if (inFlight.length > 0) return setVersions(state.acked, acceptedEntries(state, accepted))
  return setVersions(
    state.known,
    namesOfUnknownVersion(state).map(name => [name, heldVersion(state.acked, name)]),
  )
}

/** What the client has by these accepted responses, without what it dropped or was sent again since. */
function acceptedEntries(state: TypeState, accepted: TypeState['inFlight']): ReadonlyArray<[string, HeldVersion | undefined]> {
  const isKnown = (name: string): boolean => heldVersion(state.known, name) !== undefined
  return accepted.flatMap(response => [
    ...[...response.sent].filter(([name]) => isKnown(name)),
    ...response.removed.filter(name => !isKnown(name)).map((name): [string, undefined] => [name, undefined]),
  ])
}

function isNamePart(character: string | undefined): boolean {
  return character !== undefined && /[\w/-]/.test(character)
}
