/**
 * When removals may go (make before break). Additions and changes of all types are sent first; then a removal waits until what
 * could still use the resource is acknowledged on this stream: listeners, scopes and routes in their new form, and the removal
 * of what stood before it in removal order. Nobody waits for ever: after the delay it goes without these ACKs.
 */
import {type Snapshot, resourcesOf, type TypeUrl} from './snapshot.js'
import {allowsWildcard, removalOrder, routingTypes} from './type-url.js'
import {awaitsAnswer, isBlocked, type TypeState} from './type-state.js'

export type TypeStates = ReadonlyMap<TypeUrl, TypeState>

export interface Removal {
  readonly state: TypeState
  readonly names: readonly string[]
  /** The delay is over, but not everything that could use them is acknowledged. */
  readonly forced: boolean
}

export interface RemovalRules {
  readonly snapshot: Snapshot
  /** How long a removal waits for acknowledgements at most. */
  readonly delayMs: number
}

/** The next removal that may go; all that is to be added must have been sent. */
export function nextRemoval(types: TypeStates, rules: RemovalRules, now: Date): Removal | undefined {
  const routed = isRoutingSettled(types, rules.snapshot)
  let free = routed
  for (const typeUrl of removalOrder) {
    const state = types.get(typeUrl)
    if (state === undefined || !mayRemove(state)) continue
    const due = [...state.leaving].filter(([, since]) => since + rules.delayMs <= now.getTime()).map(([name]) => name)
    if (free && state.leaving.size > 0) return {state, names: [...state.leaving.keys()], forced: false}
    if (due.length > 0) return {state, names: due, forced: true}
    free &&= state.leaving.size === 0 && state.flights.every(flight => flight.removed.length === 0)
  }

  return undefined
}

/** When the next removal goes even without an ACK. */
export function nextDeadline(types: TypeStates, delayMs: number): Date | undefined {
  const since = [...types.values()].filter(mayRemove).flatMap(state => [...state.leaving.values()])
  return since.length === 0 ? undefined : new Date(since.reduce((a, b) => Math.min(a, b)) + delayMs)
}

/** A SotW removal is a response with all the rest, so it waits for an answer where additions do. */
function mayRemove(state: TypeState): boolean {
  return state.manner !== 'all' || !awaitsAnswer(state)
}

/**
 * Whether the client is known to route by the present snapshot. On a new stream that needs an ACK of this stream: what the
 * client lists as its versions says nothing of what it still uses.
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
  return state.everAcked && state.flights.length === 0 && !isBlocked(state)
}
