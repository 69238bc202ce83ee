/** What a request, an earlier stream or a snapshot makes of what is known of a type; what is to be sent then follows from the difference. */
import {type HeldVersion, heldIn, only, rebase, record, unsure} from './versions.js'
import type {Resources} from './snapshot.js'
import {isSubscribed, noSubscription, type Subscription, type SubscriptionChange} from './subscription.js'
import {keepSuspects, type Unanswered, noLeaving, noNames, type Residue, stillSuspect, type TypeState, withKnown} from './type-state.js'
import {leavesResidue} from './type-url.js'

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
  const anew = new Set(change.asked)
  return {
    ...withKnown(state, known),
    subscription,
    acked: record(wildcardEnded ? only(state.acked, subscription.names) : state.acked, [
      ...listed.map(([name, version]): [string, HeldVersion] => [name, {version}]),
      ...dropped,
    ]),
    asked: union(without(state.asked, change.dropped), asked),
    answerDue: state.answerDue || wildcardBegan || (state.manner === 'all' && change.asked.length > 0),
    suspects: keepSuspects(state.suspects, name => !anew.has(name)),
  }
}

/**
 * Takes in what an earlier stream left open: what it sent or removed without an ACK may be there or not, in whatever version,
 * and `initial_resource_versions` lists neither truly (measured on Envoy). So it is sent again, or named as removed.
 */
export function doubt(state: TypeState, leftover: Unanswered): TypeState {
  const names = [...leftover.sent, ...leftover.removed].filter(name => isSubscribed(state.subscription ?? noSubscription, name))
  if (names.length === 0) return state
  const residue = leavesResidue(state.typeUrl) ? new Map([...state.residue, ...names.map(name => residueOf(state, name))]) : state.residue
  // A SotW client lists nothing, and is sent everything.
  if (state.manner !== 'changes') return {...state, residue}
  return {
    ...withKnown(
      {...state, residue},
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

function residueOf(state: TypeState, name: string): [string, Residue] {
  return [name, {listed: heldIn(state.known, name)?.version}]
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

function union(names: ReadonlySet<string>, more: readonly string[]): ReadonlySet<string> {
  return more.length === 0 ? names : new Set([...names, ...more])
}

function without(names: ReadonlySet<string>, fewer: readonly string[]): ReadonlySet<string> {
  if (names.size === 0 || fewer.length === 0) return names
  const left = new Set(names)
  for (const name of fewer) left.delete(name)
  return left
}

function within(names: ReadonlySet<string>, wanted: Resources): ReadonlySet<string> {
  return names.size === 0 ? names : new Set([...names].filter(name => wanted.has(name)))
}
