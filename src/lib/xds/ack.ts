/**
 * What an ACK or a NACK makes of what is known. A NACK is partial, and which part differs by type (measured on Envoy:
 * CDS keeps the good additions, SRDS none, both all removals), so everything that the response brought is in doubt. It is sent
 * again in ever smaller groups until each resource was either acknowledged or refused in a response of its own; the groups
 * shrink with every NACK, so this ends, and a version that was refused alone is never sent again.
 */
import {type HeldVersion, heldIn, record, unsure} from './versions.js'
import {leavesResidue} from './type-url.js'
import {type Flight, isBlocked, type Residue, stillSuspect, type TypeState, unsureNames, withKnown} from './type-state.js'

/** How many responses may be unanswered before the oldest two are counted as one. */
const FLIGHTS_MAX = 64

/** How many names of a refused response are kept for `status`. */
const NACK_NAMES_MAX = 100

/** How many refused versions of one name are remembered. */
const REFUSED_MAX = 8

/** What an answer said, for log and status. */
export interface Verdict {
  readonly state: TypeState
  /** What the response had brought and removed. */
  readonly flight: Flight
  /** Names that are refused for good in the version sent. */
  readonly refused: readonly string[]
}

/** The state with one more response under way. A response that holds all there is replaces those before it. */
export function takeOff(state: TypeState, flight: Flight): TypeState {
  const flights = state.manner === 'all' ? [flight] : [...state.flights, flight]
  return {...state, flights: flights.length > FLIGHTS_MAX ? mergeOldest(flights) : flights}
}

/** The state after an ACK; undefined when the nonce is of no response that is still to be answered. */
export function acknowledge(state: TypeState, nonce: number): Verdict | undefined {
  const flight = state.flights.find(candidate => covers(candidate, nonce))
  if (flight === undefined) return undefined
  // The last response of a merged range speaks for all of it; an earlier one only for itself, and is passed over.
  if (nonce !== flight.last) return {state, flight: {...flight, sent: new Map(), removed: []}, refused: []}
  const overtaken = state.flights.filter(other => isOvertaken(state, other, flight))
  const flights = state.flights.filter(other => other !== flight && !overtaken.includes(other))
  const acked = ackedAfter(state, flights, [...overtaken, flight])
  return {state: {...state, flights, everAcked: true, acked, refused: acquitted(state.refused, flight)}, flight, refused: []}
}

/** The state after a NACK with the client's words; undefined when the nonce is of no response that is still to be answered. */
export function refuse(state: TypeState, nonce: number, message: string): Verdict | undefined {
  const flight = state.flights.find(candidate => covers(candidate, nonce))
  if (flight === undefined) return undefined
  const overtaken = state.flights.filter(other => isOvertaken(state, other, flight))
  const flights = state.flights.filter(other => other !== flight && !overtaken.includes(other))
  const later = flights.filter(other => other.first > flight.last)
  const decided = new Set(later.flatMap(other => [...other.sent.keys(), ...other.removed]))
  const isOpen = (name: string): boolean => !decided.has(name)
  const doubtful = [...flight.sent].filter(([name, held]) => isOpen(name) && heldIn(state.known, name)?.version === held.version)
  const kept = flight.removed.filter(name => isOpen(name) && heldIn(state.known, name) === undefined && !state.known.base.has(name))

  const alone = flight.sent.size === 1 && flight.first === flight.last
  const convicted = alone ? [...flight.sent] : []
  const known = record(
    state.known,
    [...doubtful.map(([name]) => name), ...kept].map(name => [name, unsure]),
  )
  const next: TypeState = {
    ...withKnown(state, known),
    flights,
    acked: record(state.acked, landedEntries(state, overtaken)),
    nack: {message, names: [...flight.sent.keys()].slice(0, NACK_NAMES_MAX)},
    stuck: kept.length === 0 ? state.stuck : new Set([...state.stuck, ...kept]),
    residue: withResidue(
      state,
      flight,
      [...flight.sent].filter(([name]) => isOpen(name)),
    ),
    refused: withRefused(state.refused, convicted, message),
  }
  const group = new Map(doubtful.map(([name, held]): [string, string] => [name, held.version]))
  const groups = stillSuspect(next, alone ? [] : [group]).flatMap(open => split(open, message))
  return {state: {...next, suspects: [...stillSuspect(next, state.suspects), ...groups]}, flight, refused: convicted.map(([name]) => name)}
}

/** The state without its NACK once nothing is left of it: nothing in doubt, refused or unanswered. */
export function settle(state: TypeState): TypeState {
  const open = state.nack === undefined || state.flights.length > 0 || unsureNames(state).length > 0 || isBlocked(state)
  return open ? state : {...state, nack: undefined}
}

/** Which of the names a NACK text names, as whole words: a guess that orders the repair, never a verdict. */
export function namesIn(text: string, names: readonly string[]): readonly string[] {
  return names.filter(name => {
    for (let at = text.indexOf(name); at >= 0; at = text.indexOf(name, at + 1))
      if (!isNamePart(text[at - 1]) && !isNamePart(text[at + name.length])) return true
    return false
  })
}

/** Those that the text doesn't name together, those it names one by one; without a hint two halves. */
function split(group: ReadonlyMap<string, string>, message: string): TypeState['suspects'] {
  const entries = [...group]
  const named = new Set(namesIn(message, [...group.keys()]))
  const half = Math.ceil(entries.length / 2)
  const groups =
    named.size > 0 && named.size < entries.length
      ? [entries.filter(([name]) => !named.has(name)), ...entries.filter(([name]) => named.has(name)).map(entry => [entry])]
      : [entries.slice(0, half), entries.slice(half)]
  return groups.filter(part => part.length > 0).map(part => new Map(part))
}

/** What the client may keep unused now. A resource that is refused alone isn't kept. */
function withResidue(state: TypeState, flight: Flight, sent: ReadonlyArray<readonly [string, HeldVersion]>): TypeState['residue'] {
  const isAlone = flight.sent.size === 1 && flight.first === flight.last
  if (!leavesResidue(state.typeUrl) || isAlone) return state.residue
  return new Map([...state.residue, ...sent.map(([name, {version}]): [string, Residue] => [name, {version}])])
}

function withRefused(
  refused: TypeState['refused'],
  convicted: ReadonlyArray<readonly [string, HeldVersion]>,
  message: string,
): TypeState['refused'] {
  if (convicted.length === 0) return refused
  const next = new Map(refused)
  for (const [name, held] of convicted) {
    const versions = [...(next.get(name) ?? [])].filter(([version]) => version !== held.version)
    next.set(name, new Map([...versions, [held.version, message] as const].slice(-REFUSED_MAX)))
  }

  return next
}

/** A client that asked for what it had refused may take it the second time. */
function acquitted(refused: TypeState['refused'], flight: Flight): TypeState['refused'] {
  const taken = [...flight.sent].filter(([name, held]) => refused.get(name)?.has(held.version))
  if (taken.length === 0) return refused
  const next = new Map(refused)
  for (const [name, held] of taken) next.set(name, new Map([...(next.get(name) ?? [])].filter(([version]) => version !== held.version)))
  return next
}

/** With nothing under way, all that is known is acknowledged, but for what is in doubt. */
function ackedAfter(state: TypeState, flights: readonly Flight[], landed: readonly Flight[]): TypeState['acked'] {
  if (flights.length === 0)
    return record(
      state.known,
      unsureNames(state).map(name => [name, heldIn(state.acked, name)]),
    )
  return record(state.acked, landedEntries(state, landed))
}

/** What the client has by these responses, but for what it has dropped or been sent again since. */
function landedEntries(state: TypeState, landed: readonly Flight[]): ReadonlyArray<[string, HeldVersion | undefined]> {
  const isKnown = (name: string): boolean => heldIn(state.known, name) !== undefined
  return landed.flatMap(flight => [
    ...[...flight.sent].filter(([name]) => isKnown(name)),
    ...flight.removed.filter(name => !isKnown(name)).map((name): [string, undefined] => [name, undefined]),
  ])
}

/** A SotW client answers in order, and its answer speaks for the responses before it; a delta client answers each. */
function isOvertaken(state: TypeState, other: Flight, answered: Flight): boolean {
  return state.manner !== 'changes' && other.last < answered.first
}

function covers(flight: Flight, nonce: number): boolean {
  return flight.first <= nonce && nonce <= flight.last
}

function mergeOldest(flights: readonly Flight[]): readonly Flight[] {
  const [first, second, ...rest] = flights
  if (first === undefined || second === undefined) return flights
  const removed = [...new Set([...second.removed, ...first.removed.filter(name => !second.sent.has(name))])]
  const sent = new Map([...first.sent, ...second.sent])
  for (const name of second.removed) sent.delete(name)
  return [{first: first.first, last: second.last, sent, removed, isProbe: first.isProbe || second.isProbe}, ...rest]
}

function isNamePart(character: string | undefined): boolean {
  return character !== undefined && /[\w/-]/.test(character)
}
