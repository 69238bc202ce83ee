/**
 * One ADS stream as a value: `step(session, input, now)` returns what to send and what happened. It knows resources and
 * subscriptions, nothing of Atlas. The caller moves the bytes, keeps the clock and decides which client may open a stream.
 */
import type {
  DeltaDiscoveryRequest,
  DeltaDiscoveryResponse,
  DiscoveryRequest,
  DiscoveryResponse,
} from '../../gen/envoy/service/discovery/v3/discovery_pb.js'
import {planDeltaResponse, planDeltaRemoval, toDeltaResponse} from './delta.js'
import {applySnapshot, applyUnacknowledged} from './pending.js'
import type {Note} from './note.js'
import {nextRemovalDeadline, nextRemoval} from './removal.js'
import {handleRequest, type SessionUpdate} from './discovery-request.js'
import type {UnacknowledgedByType, Session, StreamError} from './session-state.js'
import {resourcesOf, type Snapshot, type TypeUrl} from './snapshot.js'
import {oversizeOf, planSotwResponse, planSotwRemoval, toSotwResponse} from './sotw.js'
import type {ResponsePlan, TypeState} from './type-state.js'
import {pushOrder} from './type-url.js'
import {clearRepairedNack, recordSent} from './ack.js'
import {nextRetry, releaseRetries} from './retry.js'

export {describeSession, acknowledgedVersion, unacknowledged} from './describe.js'
export type {Note} from './note.js'
export {openSession, type UnacknowledgedByType, type Session, type SessionOptions, type Variant} from './session-state.js'

export type Input =
  | {readonly kind: 'request'; readonly request: DeltaDiscoveryRequest | DiscoveryRequest}
  /** The newest replaces those before; until the first one nothing is answered. `before`: what the node's earlier streams left unacknowledged. */
  | {readonly kind: 'snapshot'; readonly snapshot: Snapshot; readonly before?: UnacknowledgedByType}
  /** The transport has written the last response and can take one more. */
  | {readonly kind: 'writable'}
  /** The time of an earlier `wakeAt` has come. */
  | {readonly kind: 'wake'}

export interface Step {
  readonly session: Session
  readonly send?: DeltaDiscoveryResponse | DiscoveryResponse
  readonly notes: readonly Note[]
  /** When to pass `wake`. Replaces the `wakeAt` of earlier steps, also where it is absent. */
  readonly wakeAt?: Date
  readonly close?: StreamError
}

/**
 * The session after an input. At most one response is unwritten: after `send` nothing more is sent until `writable`, and what is
 * sent then is computed from the newest snapshot. After `close` nothing happens any more.
 * @throws Error for a request of the other variant, which the transport never passes
 */
export function step(session: Session, input: Input, now: Date): Step {
  if (session.closed) return {session, notes: []}
  const {close, ...update} = handleInput(session, input, now)
  if (close === undefined) return sendNext(update.session, update.notes, now)
  const closed: Note = {kind: 'closed', message: close.message}
  return {session: {...update.session, closed: true}, notes: [...update.notes, closed], close}
}

function handleInput(session: Session, input: Input, now: Date): SessionUpdate {
  switch (input.kind) {
    case 'request': {
      return handleRequest(session, input.request, now)
    }

    case 'snapshot': {
      return handleSnapshot(session, input, now)
    }

    case 'writable': {
      return {session: {...session, awaitsWritable: false}, notes: []}
    }

    case 'wake': {
      return {session, notes: []}
    }
  }
}

function handleSnapshot(session: Session, {snapshot, before}: Extract<Input, {kind: 'snapshot'}>, now: Date): SessionUpdate {
  const notes: Note[] = []
  const types = new Map<TypeUrl, TypeState>()
  for (const [typeUrl, state] of session.types) {
    const earlier = before?.get(typeUrl)
    const doubted = earlier === undefined ? state : applyUnacknowledged(state, earlier)
    const targeted = applySnapshot(doubted, resourcesOf(snapshot, typeUrl), now)
    const next = clearRepairedNack(targeted)
    if (next !== targeted) notes.push({kind: 'repaired', typeUrl})
    types.set(typeUrl, next)
  }

  const unacknowledged =
    before === undefined
      ? session.unacknowledged
      : new Map([...session.unacknowledged, ...before].filter(([typeUrl]) => !types.has(typeUrl)))
  return {session: {...session, snapshot, types, unacknowledged}, notes}
}

/**
 * Sends the next response, if there is one and the transport takes it. A client that leaves many responses unanswered is busy: the
 * next response waits for an answer, and is computed then. A type of which nothing is unanswered does not wait: Envoy withholds the
 * answers about its clusters while they warm, and a denial or a certificate must not wait for these.
 */
function sendNext(before: Session, notes: readonly Note[], now: Date): Step {
  if (before.awaitsWritable || before.snapshot === undefined) return {session: before, notes}
  const session = {...before, types: releaseRetries(before.types, now)}
  const isClientBusy = isBusy(before)
  const mayGo = ({inFlight}: TypeState): boolean => !isClientBusy || inFlight.length === 0
  const next = nextResponse(session, before.snapshot, mayGo, now)
  // What waits for an answer needs no wake: its deadlines may have passed already.
  if (next === undefined && isClientBusy) return {session: before, notes}
  if (next === undefined) {
    const wakeAt = earliest(nextRemovalDeadline(session.types, session.options.removalDelayMs), nextRetry(session.types))
    return wakeAt === undefined ? {session, notes} : {session, notes, wakeAt}
  }

  const lastNonce = session.lastNonce + 1
  const nonce = String(lastNonce)
  const mark = `${session.options.mark} ${nonce}`
  const {plan} = next
  const excess = session.variant === 'sotw' ? oversizeOf(plan, session.options.maxResponseBytes) : undefined
  if (excess !== undefined) return {session: {...before, closed: true}, notes: [...notes, excess.note], close: excess.close}
  const {sent, removed, isProbe} = plan
  const {typeUrl} = plan.state
  const state = recordSent(plan.state, {nonce: lastNonce, sent, removed, isProbe})
  return {
    session: {...session, types: new Map(session.types).set(typeUrl, state), lastNonce, awaitsWritable: true},
    send: session.variant === 'delta' ? toDeltaResponse(plan, nonce, mark) : toSotwResponse(plan, nonce, mark),
    notes: [...notes, ...next.notes, {kind: 'sent', typeUrl, nonce, resources: plan.resources.length, removed: removed.length}],
  }
}

function isBusy({types, options}: Session): boolean {
  let unanswered = 0
  for (const {inFlight} of types.values()) unanswered += inFlight.length
  return unanswered >= options.maxInFlight
}

function earliest(a: Date | undefined, b: Date | undefined): Date | undefined {
  return a === undefined || (b !== undefined && b < a) ? b : a
}

/** Additions in push order; when none is left to send, the removals that may go. */
function nextResponse(
  session: Session,
  snapshot: Snapshot,
  mayGo: (state: TypeState) => boolean,
  now: Date,
): {readonly plan: ResponsePlan; readonly notes: readonly Note[]} | undefined {
  const isDelta = session.variant === 'delta'
  const {maxPartBytes} = session.options
  for (const typeUrl of pushOrder) {
    const state = session.types.get(typeUrl)
    const plan =
      state === undefined || !mayGo(state) ? undefined : isDelta ? planDeltaResponse(state, maxPartBytes) : planSotwResponse(state)
    if (plan !== undefined) return {plan, notes: []}
  }

  const removal = nextRemoval(session.types, {snapshot, delayMs: session.options.removalDelayMs}, now)
  if (removal === undefined || !mayGo(removal.state)) return undefined
  const {state, names, forced} = removal
  const notes: readonly Note[] = forced ? [{kind: 'removal-forced', typeUrl: state.typeUrl, names}] : []
  return {plan: isDelta ? planDeltaRemoval(state, names) : planSotwRemoval(state, names), notes}
}
