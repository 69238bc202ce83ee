/**
 * What one stream knows of one resource type: what is asked for, wanted, sent, acknowledged, refused and on its way out.
 * Here it is aimed at a snapshot and told what is asked; what to send next is decided in delta.ts and sotw.ts, what an
 * answer means in verdict.ts, when removals may go in removal.ts.
 */
import {emptyLedger, type Held, heldIn, type Ledger, only, rebase, record, unsure} from './ledger.js'
import type {Resources, TypeUrl} from './snapshot.js'
import {isSubscribed, noSubscription, type Subscription, type SubscriptionChange} from './subscription.js'

/** What a response holds: `changes` (delta), `all` there is (SotW with wildcard types), or `some` (SotW by name, where absence says nothing). */
export type Manner = 'all' | 'changes' | 'some'

/** A response that is not answered yet. Nonces are numbers that grow; the oldest flights may have been merged into one range. */
export interface Flight {
  readonly first: number
  readonly last: number
  /** What a NACK puts in doubt: what the response brings. */
  readonly sent: ReadonlyMap<string, Held>
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
  readonly known: Ledger
  readonly acked: Ledger
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
  /** Versions that were refused in a response of their own, with the client's words: never sent again on this stream. */
  readonly refused: ReadonlyMap<string, ReadonlyMap<string, string>>
  readonly flights: readonly Flight[]
  /** The last NACK, until all that it concerned is repaired. */
  readonly nack: Nack | undefined
}

/** What an earlier stream of the node left open for a type, by name. */
export interface Leftover {
  /** What a refused or unanswered response brought. */
  readonly sent: readonly string[]
  readonly removed: readonly string[]
}

export const noNames: ReadonlySet<string> = new Set()
const noLeaving: ReadonlyMap<string, number> = new Map()
const noRefused: TypeState['refused'] = new Map()
const noSources: Resources = new Map()
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
    refused: noRefused,
    flights: noFlights,
    nack: undefined,
  }
}

/** What is wanted: the snapshot's resources that are subscribed to. */
export function wantedOf(state: TypeState): Resources {
  return state.aim === undefined ? noSources : state.known.base
}

/**
 * Takes in what a request asks for. `initial` are the versions that the client says it has (delta, first request of the type).
 * What is asked for by name is sent even if the client seems to have it (comment on `resource_names_subscribe`; Envoy's
 * clusters wait for it, envoy #22418). A name it lists but that doesn't exist isn't waited for: it leaves like any other.
 */
export function ask(state: TypeState, change: SubscriptionChange, initial: Readonly<Record<string, string>> = {}): TypeState {
  const {subscription, wildcardBegan, wildcardEnded} = change
  const listed = Object.entries(initial).filter(([name]) => isSubscribed(subscription, name))
  const before = record(
    wildcardEnded ? only(state.known, subscription.names) : state.known,
    listed.map(([name, version]) => [name, {version}]),
  )
  const dropped = change.dropped.map((name): [string, undefined] => [name, undefined])
  const sure = record(before, dropped)
  const known = record(
    sure,
    change.asked.filter(name => heldIn(sure, name) !== undefined).map(name => [name, unsure]),
  )
  const asked = change.asked.filter(name => !Object.hasOwn(initial, name))
  return {
    ...withKnown(state, known),
    subscription,
    acked: record(wildcardEnded ? only(state.acked, subscription.names) : state.acked, [
      ...listed.map(([name, version]): [string, Held] => [name, {version}]),
      ...dropped,
    ]),
    asked: union(without(state.asked, change.dropped), asked),
    answerDue: state.answerDue || wildcardBegan || (state.manner === 'all' && change.asked.length > 0),
    suspects: withoutNames(state.suspects, change.asked),
  }
}

/**
 * Takes in what an earlier stream left open: what it sent or removed without an ACK may be there or not, in whatever version,
 * and `initial_resource_versions` lists neither truly (measured on Envoy). So it is sent again, or named as removed.
 */
export function doubt(state: TypeState, leftover: Leftover): TypeState {
  if (state.manner !== 'changes') return state
  const names = [...leftover.sent, ...leftover.removed].filter(name => isSubscribed(state.subscription ?? noSubscription, name))
  if (names.length === 0) return state
  return {
    ...withKnown(
      state,
      record(
        state.known,
        names.map(name => [name, unsure]),
      ),
    ),
    acked: record(
      state.acked,
      names.map(name => [name, undefined]),
    ),
  }
}

/** Aims at the snapshot's resources: what differs from them is what is left to do. Costs next to nothing when neither they nor the subscription changed. */
export function aimAt(state: TypeState, source: Resources, now: Date): TypeState {
  const {subscription} = state
  if (subscription === undefined) return state
  const same = state.aim?.source === source && state.aim.subscription === subscription
  const known = rebase(state.known, same ? state.known.base : wantedFrom(source, subscription))
  const aimed = {...state, aim: {source, subscription}, known}
  const next = {...aimed, suspects: stillSuspect(aimed, state.suspects)}
  const stuck = state.stuck.size === 0 ? noNames : new Set([...state.stuck].filter(name => !known.base.has(name)))
  return depart({...next, stuck, asked: state.manner === 'changes' ? state.asked : within(state.asked, known.base)}, now)
}

/** The state with other knowledge of what the client has; what it no longer has needn't leave. */
export function withKnown(state: TypeState, known: Ledger): TypeState {
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
  return prune(
    suspects,
    (name, version) => state.known.base.get(name)?.version === version && state.refused.get(name)?.has(version) !== true,
  )
}

function depart(state: TypeState, now: Date): TypeState {
  const leaving = new Map<string, number>()
  // A SotW client that asked by name is never told of a removal: it keeps what it has. Of what it refused nothing is left to do.
  const forgotten: string[] = []
  for (const [name, held] of state.known.differing) {
    if (held === undefined || state.known.base.has(name) || state.stuck.has(name)) continue
    if (state.manner !== 'some') leaving.set(name, state.leaving.get(name) ?? now.getTime())
    else if (held.version === unsure.version) forgotten.push(name)
  }

  const known =
    forgotten.length === 0
      ? state.known
      : record(
          state.known,
          forgotten.map(name => [name, undefined]),
        )
  return {...state, known, leaving: leaving.size === 0 ? noLeaving : leaving}
}

function wantedFrom(source: Resources, subscription: Subscription): Resources {
  if (subscription.wildcard !== 'none') return source
  const wanted = new Map<string, NonNullable<ReturnType<Resources['get']>>>()
  for (const name of subscription.names) {
    const resource = source.get(name)
    if (resource !== undefined) wanted.set(name, resource)
  }

  return wanted
}

function withoutNames(suspects: TypeState['suspects'], names: readonly string[]): TypeState['suspects'] {
  const cleared = new Set(names)
  return prune(suspects, name => !cleared.has(name))
}

function prune(suspects: TypeState['suspects'], keep: (name: string, version: string) => boolean): TypeState['suspects'] {
  if (suspects.length === 0) return suspects
  return suspects.map(group => new Map([...group].filter(([name, version]) => keep(name, version)))).filter(group => group.size > 0)
}

function union(names: ReadonlySet<string>, more: readonly string[]): ReadonlySet<string> {
  return more.length === 0 ? names : new Set([...names, ...more])
}

function without(names: ReadonlySet<string>, fewer: readonly string[]): ReadonlySet<string> {
  return fewer.some(name => names.has(name)) ? new Set([...names].filter(name => !fewer.includes(name))) : names
}

function within(names: ReadonlySet<string>, wanted: Resources): ReadonlySet<string> {
  return names.size === 0 ? names : new Set([...names].filter(name => wanted.has(name)))
}
