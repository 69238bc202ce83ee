/**
 * One ADS stream as a value: `step(session, input, now)` says what to send and what happened. It knows resources and
 * subscriptions, nothing of Atlas; the caller moves the bytes, keeps the clock and decides who may open a stream.
 */
import type {
  DeltaDiscoveryRequest,
  DeltaDiscoveryResponse,
  DiscoveryRequest,
  DiscoveryResponse,
} from '../../gen/envoy/service/discovery/v3/discovery_pb.js'
import {offerDelta, removeDelta, toDeltaResponse} from './delta.js'
import {aimAt, doubt} from './pending.js'
import type {Note} from './note.js'
import {nextDeadline, nextRemoval} from './removal.js'
import {hearRequest, type InvalidRequest} from './discovery-request.js'
import type {Reported, Session} from './session-state.js'
import {resourcesOf, type Snapshot, type TypeUrl} from './snapshot.js'
import {offerSotw, removeSotw, toSotwResponse} from './sotw.js'
import type {Offer, TypeState} from './type-state.js'
import {pushOrder} from './type-url.js'
import {settle, takeOff} from './ack.js'

export {describeSession, acknowledgedVersion, unrepaired} from './describe.js'
export type {Note} from './note.js'
export {openSession, type Reported, type Session, type SessionOptions, type Variant} from './session-state.js'

export type Input =
  | {readonly kind: 'request'; readonly request: DeltaDiscoveryRequest | DiscoveryRequest}
  /** Newest wins; before the first one nothing is answered. `before`: what the node's earlier streams left open, with the first snapshot. */
  | {readonly kind: 'snapshot'; readonly snapshot: Snapshot; readonly before?: Reported}
  /** The transport has written the last response and can take one more. */
  | {readonly kind: 'writable'}
  /** A time asked for with `wakeAt` has come. */
  | {readonly kind: 'wake'}

export interface Step {
  readonly session: Session
  readonly send?: DeltaDiscoveryResponse | DiscoveryResponse
  readonly notes: readonly Note[]
  /** When to come back with `wake`; replaces what any earlier step said, also when absent. */
  readonly wakeAt?: Date
  readonly close?: InvalidRequest
}

/**
 * What an input makes of a session. At most one response is unwritten: after `send` nothing more is sent until `writable`,
 * and what is sent then is computed from the newest snapshot. After `close` nothing happens any more.
 * @throws Error for a request of the other variant, which the transport can't hand over
 */
export function step(session: Session, input: Input, now: Date): Step {
  if (session.closed) return {session, notes: []}
  const heard = hear(session, input, now)
  if (heard.close !== undefined) {
    const closed: Note = {kind: 'closed', message: heard.close.message}
    return {session: {...heard.session, closed: true}, notes: [...heard.notes, closed], close: heard.close}
  }

  return speak(heard.session, heard.notes, now)
}

interface Heard {
  readonly session: Session
  readonly notes: readonly Note[]
  readonly close?: InvalidRequest
}

function hear(session: Session, input: Input, now: Date): Heard {
  switch (input.kind) {
    case 'request': {
      return hearRequest(session, input.request, now)
    }

    case 'snapshot': {
      return hearSnapshot(session, input, now)
    }

    case 'writable': {
      return {session: {...session, busy: false}, notes: []}
    }

    case 'wake': {
      return {session, notes: []}
    }
  }
}

function hearSnapshot(session: Session, {snapshot, before}: Extract<Input, {kind: 'snapshot'}>, now: Date): Heard {
  const notes: Note[] = []
  const types = new Map<TypeUrl, TypeState>()
  for (const [typeUrl, state] of session.types) {
    const leftover = before?.get(typeUrl)
    const aimed = aimAt(leftover === undefined ? state : doubt(state, leftover), resourcesOf(snapshot, typeUrl), now)
    const settled = settle(aimed)
    if (settled !== aimed) notes.push({kind: 'repaired', typeUrl})
    types.set(typeUrl, settled)
  }

  const rest = before === undefined ? session.before : new Map([...session.before, ...before].filter(([typeUrl]) => !types.has(typeUrl)))
  return {session: {...session, snapshot, types, before: rest}, notes}
}

/** Sends the next response, if there is one and the transport takes it. */
function speak(session: Session, notes: readonly Note[], now: Date): Step {
  if (session.busy || session.snapshot === undefined) return {session, notes}
  const next = nextOffer(session, session.snapshot, now)
  if (next === undefined) {
    const wakeAt = nextDeadline(session.types, session.options.removalDelayMs)
    return wakeAt === undefined ? {session, notes} : {session, notes, wakeAt}
  }

  const number = session.lastNonce + 1
  const nonce = String(number)
  const {offer} = next
  const {typeUrl} = offer.state
  const state = takeOff(offer.state, {first: number, last: number, sent: offer.sent, removed: offer.removed, isProbe: offer.isProbe})
  const sent: Note = {kind: 'sent', typeUrl, nonce, resources: offer.resources.length, removed: offer.removed.length}
  return {
    session: {...session, types: new Map(session.types).set(typeUrl, state), lastNonce: number, busy: true},
    send: session.variant === 'delta' ? toDeltaResponse(offer, nonce) : toSotwResponse(offer, nonce),
    notes: [...notes, ...next.notes, sent],
  }
}

/** Additions in push order; when none is left to send, the removals that may go. */
function nextOffer(session: Session, snapshot: Snapshot, now: Date): {readonly offer: Offer; readonly notes: readonly Note[]} | undefined {
  const delta = session.variant === 'delta'
  for (const typeUrl of pushOrder) {
    const state = session.types.get(typeUrl)
    const offer = state && (delta ? offerDelta(state) : offerSotw(state))
    if (offer !== undefined) return {offer, notes: []}
  }

  const removal = nextRemoval(session.types, {snapshot, delayMs: session.options.removalDelayMs}, now)
  if (removal === undefined) return undefined
  const {state, names, forced} = removal
  const notes: readonly Note[] = forced ? [{kind: 'removal-forced', typeUrl: state.typeUrl, names}] : []
  return {offer: delta ? removeDelta(state, names) : removeSotw(state, names), notes}
}
