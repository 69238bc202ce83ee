/** Handles a DiscoveryRequest or DeltaDiscoveryRequest: its node, its ACK or NACK of an earlier response, then its subscription. */
import type {DeltaDiscoveryRequest, DiscoveryRequest} from '../../gen/envoy/service/discovery/v3/discovery_pb.js'
import {applySnapshot, applySubscription, applyUnacknowledged, sendAgain} from './pending.js'
import {NACK_TEXT_MAX, type Note} from './note.js'
import type {Session, StreamError} from './session-state.js'
import {resourcesOf} from './snapshot.js'
import {subscribeDelta, subscribeSotw, type SubscriptionChange} from './subscription.js'
import {openType, type TypeState} from './type-state.js'
import {allowsWildcard, isServedType, typeUrls} from './type-url.js'
import {handleAck, handleNack, clearRepairedNack} from './ack.js'

/** A session after an input, and what happened. */
export interface SessionUpdate {
  readonly session: Session
  readonly notes: readonly Note[]
  readonly close?: StreamError
}

type EitherRequest = DeltaDiscoveryRequest | DiscoveryRequest

/** How many names one note holds; further names are not logged. */
const NOTED_NAMES_MAX = 100

/**
 * The session after a request.
 * @throws Error for a request of the other variant
 */
export function handleRequest(session: Session, request: EitherRequest, now: Date): SessionUpdate {
  const {typeUrl} = request
  // A later request may have an empty node (xDS protocol, "Node identification": only the first request must carry it).
  const node = request.node?.id === '' && request.node.cluster === '' ? undefined : request.node
  if (typeUrl === '') return closeWith(session, 'A request on an aggregated stream must have a type_url')
  if (node !== undefined && session.node !== undefined && (node.id !== session.node.id || node.cluster !== session.node.cluster)) {
    const note: Note = {kind: 'node-changed', was: `${session.node.cluster} ${session.node.id}`, is: `${node.cluster} ${node.id}`}
    return {...closeWith(session, 'The node of a stream may not change'), notes: [note]}
  }

  const named = session.node === undefined && node !== undefined ? {...session, node: {id: node.id, cluster: node.cluster}} : session
  return isServedType(typeUrl) ? handleServedType(named, request, now) : handleUnknownType(named, typeUrl)
}

/** A request for a type that isn't served is ignored, and its stream stays open: the client may request others. */
function handleUnknownType(session: Session, typeUrl: string): SessionUpdate {
  const type = typeUrl.slice(0, 200)
  if (session.unknownTypes.has(type)) return {session, notes: []}
  const {maxUnknownTypes} = session.options
  if (session.unknownTypes.size >= maxUnknownTypes)
    return closeWith(session, `A stream may request at most ${maxUnknownTypes} types that are not served here`)
  const unknownTypes = new Set([...session.unknownTypes, type])
  return {session: {...session, unknownTypes}, notes: [{kind: 'unknown-type', typeUrl: type}]}
}

function handleServedType(session: Session, request: EitherRequest, now: Date): SessionUpdate {
  const {typeUrl} = request
  const opened = session.types.get(typeUrl) ?? openType(typeUrl, responseModeOf(session, typeUrl))
  const answered = handleAnswer(opened, request, now)
  const change = subscriptionChangeOf(session, request, answered.state)
  const excess = excessOf(session, typeUrl, change)
  if (excess !== undefined) return closeWith(session, excess)

  const initial = answered.state.subscription === undefined ? initialVersionsOf(request) : {}
  const subscribed = applySubscription(answered.state, change, initial)
  const earlier = session.unacknowledged.get(typeUrl)
  const state = earlier === undefined ? subscribed : applyUnacknowledged(subscribed, earlier)
  const targeted = session.snapshot === undefined ? state : applySnapshot(state, resourcesOf(session.snapshot, typeUrl), now)
  const next = clearRepairedNack(targeted)
  const unacknowledged =
    earlier === undefined ? session.unacknowledged : new Map([...session.unacknowledged].filter(([type]) => type !== typeUrl))
  const repaired: readonly Note[] = next === targeted ? [] : [{kind: 'repaired', typeUrl}]
  const types = new Map(session.types).set(typeUrl, next)
  const scopes = types.get(typeUrls.scope)
  if (answered.isRecovered && typeUrl === typeUrls.listener && scopes !== undefined) types.set(typeUrls.scope, sendAgain(scopes))
  return {session: {...session, unacknowledged, types}, notes: [...answered.notes, ...subscriptionNotes(opened, change), ...repaired]}
}

/** A session keeps the names that its client subscribed to as long as the stream lives, so their number and length are bounded. */
function excessOf(session: Session, typeUrl: string, {subscription, asked}: SubscriptionChange): string | undefined {
  const {maxNames, maxNameLength} = session.options
  if (subscription.names.size > maxNames)
    return `A stream may subscribe to at most ${maxNames} names of one type; ${typeUrl} has ${subscription.names.size}`
  const long = asked.find(name => name.length > maxNameLength)
  if (long === undefined) return undefined
  return `A resource name may have at most ${maxNameLength} characters; one of ${typeUrl} has ${long.length}`
}

interface Answered {
  readonly state: TypeState
  readonly notes: readonly Note[]
  /** The client accepted what was in a NACKed response before. */
  readonly isRecovered?: boolean
}

/** ACK or NACK of an earlier response. A stale nonce has neither meaning, but the subscription in the same request counts. */
function handleAnswer(state: TypeState, request: EitherRequest, now: Date): Answered {
  const {typeUrl, responseNonce: nonce, errorDetail} = request
  if (nonce === '' && errorDetail === undefined) return {state, notes: []}
  // error_detail makes a NACK, whatever the versions are (xDS protocol, "ACK and NACK semantics summary").
  const number = /^[1-9]\d*$/.test(nonce) ? Number(nonce) : 0
  const message = errorDetail?.message.slice(0, NACK_TEXT_MAX)
  const result = message === undefined ? handleAck(state, number) : handleNack(state, number, message, now)
  if (result === undefined) return {state, notes: [{kind: 'stale-nonce', typeUrl, nonce: nonce.slice(0, 100)}]}
  const {response, rejected} = result
  const note: Note =
    message === undefined
      ? {
          kind: 'acked',
          typeUrl,
          nonce,
          versions: new Map([...response.sent].map(([name, held]) => [name, held.version])),
          removed: response.removed,
        }
      : {kind: 'nacked', typeUrl, nonce, message, names: [...response.sent.keys()], removed: response.removed, refused: rejected}
  return {state: result.state, notes: [note], isRecovered: message === undefined && response.isProbe}
}

function subscriptionChangeOf(session: Session, request: EitherRequest, state: TypeState): SubscriptionChange {
  const rules = {allowsWildcard: allowsWildcard(request.typeUrl)}
  const isDelta = request.$typeName === 'envoy.service.discovery.v3.DeltaDiscoveryRequest'
  if (isDelta !== (session.variant === 'delta')) throw new Error(`A ${session.variant} session was given a ${request.$typeName}`)
  return isDelta
    ? subscribeDelta(state.subscription, {subscribe: request.resourceNamesSubscribe, unsubscribe: request.resourceNamesUnsubscribe}, rules)
    : subscribeSotw(state.subscription, request.resourceNames, rules)
}

function initialVersionsOf(request: EitherRequest): Readonly<Record<string, string>> {
  return request.$typeName === 'envoy.service.discovery.v3.DeltaDiscoveryRequest' ? request.initialResourceVersions : {}
}

function responseModeOf(session: Session, typeUrl: string): TypeState['mode'] {
  if (session.variant === 'delta') return 'delta'
  return allowsWildcard(typeUrl) ? 'full' : 'partial'
}

function subscriptionNotes(before: TypeState, change: SubscriptionChange): readonly Note[] {
  const {typeUrl} = before
  const notes: Note[] = []
  const {subscription, duplicates, dropped, asked} = change
  if (before.subscription === undefined || change.wildcardBegan || change.wildcardEnded || asked.length > 0 || dropped.length > 0)
    notes.push({
      kind: 'subscribed',
      typeUrl,
      wildcard: subscription.wildcard !== 'none',
      names: asked.slice(0, NOTED_NAMES_MAX),
      dropped: dropped.slice(0, NOTED_NAMES_MAX),
    })
  if (duplicates.length > 0) notes.push({kind: 'duplicate-names', typeUrl, names: duplicates.slice(0, NOTED_NAMES_MAX)})
  if (change.wildcardRefused) notes.push({kind: 'wildcard-refused', typeUrl})
  return notes
}

function closeWith(session: Session, message: string): SessionUpdate {
  return {session, notes: [], close: {code: 'INVALID_ARGUMENT', message}}
}
