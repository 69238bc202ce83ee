/**
 * What one stream knows of one resource type: what is asked for, wanted, sent, acknowledged, refused and on its way out.
 * Requests and snapshots change it in pending.ts, answers in ack.ts; what to send next is decided in delta.ts and sotw.ts,
 * when removals may go in removal.ts.
 */
import {emptyLedger, type HeldVersion, heldIn, type Versions, unsure} from './versions.js'
import type {Resource, Resources, TypeUrl} from './snapshot.js'
import type {Subscription} from './subscription.js'
import {leavesResidue} from './type-url.js'

/** What a response holds: `changes` (delta), `all` there is (SotW with wildcard types), or `some` (SotW by name, where absence says nothing). */
export type Manner = 'all' | 'changes' | 'some'

/** A response that is not answered yet. Nonces are numbers that grow; the oldest flights may have been merged into one range. */
export interface Flight {
  readonly first: number
  readonly last: number
  /** What a NACK puts in doubt: what the response brings. */
  readonly sent: ReadonlyMap<string, HeldVersion>
  readonly removed: readonly string[]
  /** It brings a group of suspects, to learn which of them are good. */
  readonly isProbe: boolean
}

export interface Nack {
  /** The client's words. */
  readonly message: string
  /** What the refused response had brought. */
  readonly names: readonly string[]
}

export interface TypeState {
  readonly typeUrl: TypeUrl
  readonly manner: Manner
  /** Undefined before the first request. */
  readonly subscription: Subscription | undefined
  /** What `known` was aimed at last. */
  readonly aim: {readonly source: Resources; readonly subscription: Subscription} | undefined
  /** What the client has by what was sent to it; its base is what is wanted, so that `known.differing` is what is left to do. */
  readonly known: Versions
  readonly acked: Versions
  /** Whether anything of this type was acknowledged on this stream. */
  readonly everAcked: boolean
  /** Names that must be answered, as existing or as missing, even in a version that was refused. */
  readonly asked: ReadonlySet<string>
  /** A response must be sent even if it is empty. */
  readonly answerDue: boolean
  /** What the client has and shall not have, and since when (ms since 1970): removals wait (removal.ts). */
  readonly leaving: ReadonlyMap<string, number>
  /** Names whose removal was refused: not removed again, but sent when they are back. */
  readonly stuck: ReadonlySet<string>
  /** Names and versions out of refused responses, to be sent again group by group until the bad ones are found. */
  readonly suspects: ReadonlyArray<ReadonlyMap<string, string>>
  /** What the client may keep unused of refused responses, and where: it is cleared away before that is sent again (type-url.ts). */
  readonly residue: ReadonlyMap<string, Residue>
  /** Versions that were refused in a response of their own, with the client's words: never sent again on this stream. */
  readonly refused: ReadonlyMap<string, ReadonlyMap<string, string>>
  readonly flights: readonly Flight[]
  /** The last NACK, until all that it concerned is repaired. */
  readonly nack: Nack | undefined
}

/** The next response of a type before it has a nonce. Planned in delta.ts and sotw.ts, chosen in session.ts. */
export interface Offer {
  /** The type's state once this is sent. */
  readonly state: TypeState
  readonly resources: readonly Resource[]
  readonly removed: readonly string[]
  /** What of `resources` the client hasn't acknowledged: what a NACK would be about. */
  readonly sent: ReadonlyMap<string, HeldVersion>
  /** It brings a group of suspects. */
  readonly isProbe: boolean
}

/** In which versions a resource may lie unused at the client: in this one, or in any but what the client lists. */
export type Residue = {readonly listed: string | undefined} | {readonly version: string}

/** What an earlier stream of the node left open for a type, by name. */
export interface Unanswered {
  /** What a refused or unanswered response brought. */
  readonly sent: readonly string[]
  readonly removed: readonly string[]
}

export const noNames: ReadonlySet<string> = new Set()
export const noLeaving: ReadonlyMap<string, number> = new Map()
export const noResidue: TypeState['residue'] = new Map()
const noRefused: TypeState['refused'] = new Map()
const noSuspects: TypeState['suspects'] = []
const noFlights: readonly Flight[] = []

/** A type that nothing was asked for yet. */
export function openType(typeUrl: TypeUrl, manner: Manner): TypeState {
  return {
    typeUrl,
    manner,
    subscription: undefined,
    aim: undefined,
    known: emptyLedger,
    acked: emptyLedger,
    everAcked: false,
    asked: noNames,
    answerDue: false,
    leaving: noLeaving,
    stuck: noNames,
    suspects: noSuspects,
    residue: noResidue,
    refused: noRefused,
    flights: noFlights,
    nack: undefined,
  }
}

/** The state with other knowledge of what the client has; what it no longer has needn't leave. */
export function withKnown(state: TypeState, known: Versions): TypeState {
  const leaving = [...state.leaving].filter(([name]) => known.differing.get(name) !== undefined)
  return {...state, known, leaving: leaving.length === state.leaving.size ? state.leaving : new Map(leaving)}
}

/** What is to be sent and may be: not refused in this version, unless it is asked for, nor among the suspects, which go group by group. */
export function pendingOf(state: TypeState): readonly string[] {
  if (state.known.differing.size === 0) return []
  const suspected = new Set(state.suspects.flatMap(group => [...group.keys()]))
  return [...state.known.differing.keys()].filter(name => {
    const wanted = state.known.base.get(name)
    if (wanted === undefined || suspected.has(name)) return false
    return state.asked.has(name) || state.refused.get(name)?.has(wanted.version) !== true
  })
}

/**
 * Whether additions wait for the answer to the last: where a refused response leaves residue, nobody knows what the next one
 * would do before that.
 */
export function awaitsAnswer(state: TypeState): boolean {
  return leavesResidue(state.typeUrl) && state.flights.some(flight => flight.sent.size > 0)
}

/** Which of the names the client may hold unused in the very version that is wanted. */
export function residueAmong(state: TypeState, names: Iterable<string>): readonly string[] {
  if (state.residue.size === 0) return []
  return [...names].filter(name => {
    const residue = state.residue.get(name)
    const wanted = state.known.base.get(name)?.version
    return residue !== undefined && ('version' in residue ? residue.version === wanted : residue.listed !== wanted)
  })
}

/** The state once these names were sent or removed: what was left of them is replaced. */
export function withoutResidue(state: TypeState, names: Iterable<string>): TypeState {
  if (state.residue.size === 0) return state
  const residue = new Map(state.residue)
  for (const name of names) residue.delete(name)
  return {...state, residue}
}

/** What the client had of a name before what it shall have, or shall not, as far as its bytes are still known. */
export function earlierOf(state: TypeState, name: string): Resource | undefined {
  for (const held of [heldIn(state.known, name), heldIn(state.acked, name)])
    if (held?.body !== undefined) return {name, typeUrl: state.typeUrl, version: held.version, body: held.body}
  return undefined
}

/** Whether the client has something other than what is wanted: not sent yet, refused, or among the suspects. */
export function isBlocked(state: TypeState): boolean {
  return [...state.known.differing.keys()].some(name => state.known.base.has(name))
}

/** Names that the client has in nobody knows which version: it refused a response that held them, or asked for them again. */
export function unsureNames(state: TypeState): readonly string[] {
  return [...state.known.differing].filter(([, held]) => held?.version === unsure.version).map(([name]) => name)
}

/** Of these groups what is still wanted in that version and not refused alone since. */
export function stillSuspect(state: TypeState, suspects: TypeState['suspects']): TypeState['suspects'] {
  return keepSuspects(
    suspects,
    (name, version) => state.known.base.get(name)?.version === version && state.refused.get(name)?.has(version) !== true,
  )
}

/** The groups with those suspects alone that are to be kept; a group without any is gone. */
export function keepSuspects(suspects: TypeState['suspects'], keep: (name: string, version: string) => boolean): TypeState['suspects'] {
  if (suspects.length === 0) return suspects
  return suspects.map(group => new Map([...group].filter(([name, version]) => keep(name, version)))).filter(group => group.size > 0)
}
