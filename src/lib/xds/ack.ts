/**
 * What an ACK or a NACK changes. A NACK is partial, and which part the client applies differs by type (measured on Envoy: CDS
 * applies the good additions, SRDS none, both apply all removals), so everything in the response is in doubt. It is sent again in
 * ever smaller groups until each resource was either acknowledged or NACKed in a response of its own. The groups shrink with every
 * NACK, so this ends, and a version that was NACKed alone is never sent again.
 */
import {forgetVersions, type HeldVersion, heldVersion, setVersions} from './versions.js'
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

/** How many responses may be in flight; beyond it the oldest two are counted as one. */
const IN_FLIGHT_MAX = 64

/** How many names of a NACKed response are kept for `status`; further names are not shown. */
const NACK_NAMES_MAX = 100

/** How many NACKed versions of one name are remembered; beyond it the oldest is forgotten, and could be sent again. */
const NACKED_VERSIONS_MAX = 8

export interface AckResult {
  readonly state: TypeState
  /** The response that was answered. */
  readonly response: InFlightResponse
  /** Names that were NACKed alone: not sent again in this version. */
  readonly rejected: readonly string[]
}

/** The state with one more response in flight. A response that holds all resources replaces those before it. */
export function recordSent(state: TypeState, response: InFlightResponse): TypeState {
  const inFlight = state.mode === 'full' ? [response] : [...state.inFlight, response]
  return {...state, inFlight: inFlight.length > IN_FLIGHT_MAX ? mergeOldest(inFlight) : inFlight}
}

/** The state after an ACK; undefined when the nonce is of no response that is in flight. */
export function handleAck(state: TypeState, nonce: number): AckResult | undefined {
  const answered = answeredBy(state, nonce)
  if (answered === undefined) return undefined
  const {response, overtaken, inFlight} = answered
  // An ACK of the last response of a merged range acknowledges all of it. An ACK of an earlier one acknowledges that one alone, and is ignored.
  if (nonce !== response.lastNonce) return {state, response: {...response, sent: new Map(), removed: []}, rejected: []}
  const acked = ackedAfter(state, inFlight, [...overtaken, response])
  return {state: {...state, inFlight, everAcked: true, acked, nackedVersions: withoutAccepted(state, response)}, response, rejected: []}
}

/** The state after a NACK with the client's message; undefined when the nonce is of no response that is in flight. */
export function handleNack(state: TypeState, nonce: number, message: string): AckResult | undefined {
  const answered = answeredBy(state, nonce)
  if (answered === undefined) return undefined
  const {response, overtaken, inFlight} = answered
  const later = inFlight.filter(other => other.firstNonce > response.lastNonce)
  const replaced = new Set(later.flatMap(other => [...other.sent.keys(), ...other.removed]))
  const current = [...response.sent].filter(([name]) => !replaced.has(name))
  const doubtful = current.filter(([name, held]) => heldVersion(state.known, name)?.version === held.version)
  const notRemoved = response.removed.filter(
    name => !replaced.has(name) && heldVersion(state.known, name) === undefined && !state.known.base.has(name),
  )

  const isAlone = response.sent.size === 1 && response.firstNonce === response.lastNonce
  const rejected = isAlone ? [...response.sent] : []
  const next: TypeState = {
    ...withKnown(state, forgetVersions(state.known, [...doubtful.map(([name]) => name), ...notRemoved])),
    inFlight,
    acked: setVersions(state.acked, acceptedEntries(state, overtaken)),
    nack: {message, names: [...response.sent.keys(), ...response.removed].slice(0, NACK_NAMES_MAX)},
    nackedRemovals: notRemoved.length === 0 ? state.nackedRemovals : new Set([...state.nackedRemovals, ...notRemoved]),
    // A resource that is NACKed alone isn't kept by the client.
    unapplied: !keepsUnapplied(state.typeUrl) || isAlone ? state.unapplied : withUnapplied(state.unapplied, current),
    nackedVersions: withRejected(state.nackedVersions, rejected, message),
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

/** The response with this nonce, those that its answer covers too, and those that stay in flight. */
function answeredBy(state: TypeState, nonce: number) {
  const response = state.inFlight.find(({firstNonce, lastNonce}) => firstNonce <= nonce && nonce <= lastNonce)
  if (response === undefined) return undefined
  // A SotW client answers in order, so an answer covers the responses before it. A delta client answers each.
  const isOvertaken = (other: InFlightResponse): boolean => state.mode !== 'delta' && other.lastNonce < response.firstNonce
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
  message: string,
): TypeState['nackedVersions'] {
  if (rejected.length === 0) return nackedVersions
  const next = new Map(nackedVersions)
  for (const [name, held] of rejected) {
    const versions = [...(next.get(name) ?? [])].filter(([version]) => version !== held.version)
    next.set(name, new Map([...versions, [held.version, message] as const].slice(-NACKED_VERSIONS_MAX)))
  }

  return next
}

/** A client that requests what it NACKed before may accept it the second time. */
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

function mergeOldest(inFlight: TypeState['inFlight']): TypeState['inFlight'] {
  const [first, second, ...rest] = inFlight
  if (first === undefined || second === undefined) return inFlight
  const removed = [...new Set([...second.removed, ...first.removed.filter(name => !second.sent.has(name))])]
  const sent = new Map([...first.sent, ...second.sent])
  for (const name of second.removed) sent.delete(name)
  return [{firstNonce: first.firstNonce, lastNonce: second.lastNonce, sent, removed, isProbe: first.isProbe || second.isProbe}, ...rest]
}

function isNamePart(character: string | undefined): boolean {
  return character !== undefined && /[\w/-]/.test(character)
}
