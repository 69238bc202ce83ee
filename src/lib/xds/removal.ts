/**
 * When removals may go (make before break). Additions and changes of all types are sent first; then a removal waits until what
 * could still use the resource is acknowledged on this stream: listeners, scopes and routes in their new form, and the removal
 * of what comes before it in removal order. No removal waits for ever: after the delay it goes without these ACKs.
 */
import {type Snapshot, resourcesOf, type TypeUrl} from './snapshot.js'
import {allowsWildcard, removalOrder, routingTypes} from './type-url.js'
import {awaitsAck, isOutOfDate, type TypeState} from './type-state.js'

export type TypeStates = ReadonlyMap<TypeUrl, TypeState>

export interface Removal {
  readonly state: TypeState
  readonly names: readonly string[]
  /** The delay is over before everything that could use the resources is acknowledged. */
  readonly forced: boolean
}

export interface RemovalRules {
  readonly snapshot: Snapshot
  /** How long a removal waits for ACKs; then it goes without them. */
  readonly delayMs: number
}

/** The next removal that may go, once all additions were sent. */
export function nextRemoval(types: TypeStates, rules: RemovalRules, now: Date): Removal | undefined {
  let isFree = isRoutingSettled(types, rules.snapshot)
  for (const typeUrl of removalOrder) {
    const state = types.get(typeUrl)
    if (state === undefined || !mayRemove(state)) continue
    const due = [...state.toRemove].filter(([, since]) => since + rules.delayMs <= now.getTime()).map(([name]) => name)
    if (isFree && state.toRemove.size > 0) return {state, names: [...state.toRemove.keys()], forced: false}
    if (due.length > 0) return {state, names: due, forced: true}
    isFree &&= state.toRemove.size === 0 && state.inFlight.every(flight => flight.removed.length === 0)
  }

  return undefined
}

/** When the next removal goes even without the ACKs. */
export function nextRemovalDeadline(types: TypeStates, delayMs: number): Date | undefined {
  const since = [...types.values()].filter(mayRemove).flatMap(state => [...state.toRemove.values()])
  return since.length === 0 ? undefined : new Date(since.reduce((a, b) => Math.min(a, b)) + delayMs)
}

/** A SotW removal is a response that holds all other resources, so it waits for an ACK where additions do. */
function mayRemove(state: TypeState): boolean {
  return state.mode !== 'full' || !awaitsAck(state)
}

/**
 * Whether the client is known to route by the present snapshot. On a new stream that takes an ACK on this stream: the versions that
 * the client lists don't show what it still uses.
 */
function isRoutingSettled(types: TypeStates, snapshot: Snapshot): boolean {
  const asked = routingTypes
    .map(typeUrl => types.get(typeUrl))
    .filter(state => state !== undefined)
    .filter(isAsked)
  const awaited = routingTypes.filter(typeUrl => allowsWildcard(typeUrl) && resourcesOf(snapshot, typeUrl).size > 0)
  return asked.length > 0 && awaited.every(typeUrl => types.has(typeUrl)) && asked.every(state => isSettled(state))
}

function isAsked({subscription}: TypeState): boolean {
  return subscription !== undefined && (subscription.wildcard !== 'none' || subscription.names.size > 0)
}

function isSettled(state: TypeState): boolean {
  return state.everAcked && state.inFlight.length === 0 && !isOutOfDate(state)
}
