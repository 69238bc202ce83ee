/** Takes a request of either variant into a session: who asks, the answer to an earlier response, then what is asked for. */
import type {DeltaDiscoveryRequest, DiscoveryRequest} from '../../gen/envoy/service/discovery/v3/discovery_pb.js'
import {aimAt, ask, doubt} from './pending.js'
import {NACK_TEXT_MAX, type Note} from './note.js'
import type {Session} from './session-state.js'
import {resourcesOf} from './snapshot.js'
import {subscribeDelta, subscribeSotw, type SubscriptionChange} from './subscription.js'
import {openType, type TypeState} from './type-state.js'
import {allowsWildcard, isKnownType} from './type-url.js'
import {acknowledge, refuse, settle} from './ack.js'

/** Why a stream must end. */
export interface InvalidRequest {
  readonly code: 'INVALID_ARGUMENT'
  readonly message: string
}

export interface HeardRequest {
  readonly session: Session
  readonly notes: readonly Note[]
  readonly close?: InvalidRequest
}

type EitherRequest = DeltaDiscoveryRequest | DiscoveryRequest

const NOTED_NAMES_MAX = 100

/**
 * The session after a request.
 * @throws Error for a request of the other variant
 */
export function hearRequest(session: Session, request: EitherRequest, now: Date): HeardRequest {
  const {typeUrl, node} = request
  if (typeUrl === '') return refusal(session, 'A request on an aggregated stream must have a type_url')
  if (node !== undefined && session.node !== undefined && (node.id !== session.node.id || node.cluster !== session.node.cluster)) {
    const note: Note = {kind: 'node-changed', was: `${session.node.cluster} ${session.node.id}`, is: `${node.cluster} ${node.id}`}
    return {...refusal(session, 'The node of a stream may not change'), notes: [note]}
  }

  const named = session.node === undefined && node !== undefined ? {...session, node: {id: node.id, cluster: node.cluster}} : session
  return isKnownType(typeUrl) ? hearKnown(named, request, now) : park(named, typeUrl)
}

/** A type that isn't served keeps its stream open: the client may ask for others. */
function park(session: Session, typeUrl: string): HeardRequest {
  const type = typeUrl.slice(0, 200)
  if (session.unknownTypes.has(type)) return {session, notes: []}
  const {maxUnknownTypes} = session.options
  if (session.unknownTypes.size >= maxUnknownTypes)
    return refusal(session, `A stream may ask for at most ${maxUnknownTypes} types that are not served here`)
  const unknownTypes = new Set([...session.unknownTypes, type])
  return {session: {...session, unknownTypes}, notes: [{kind: 'unknown-type', typeUrl: type}]}
}

function hearKnown(session: Session, request: EitherRequest, now: Date): HeardRequest {
  const {typeUrl} = request
  const opened = session.types.get(typeUrl) ?? openType(typeUrl, mannerOf(session, typeUrl))
  const answered = hearAnswer(opened, request)
  const change = changeOf(session, request, answered.state)
  const excess = excessOf(session, typeUrl, change)
  if (excess !== undefined) return refusal(session, excess)

  const asked = ask(answered.state, change, answered.state.subscription === undefined ? initialOf(request) : {})
  const leftover = session.before.get(typeUrl)
  const state = leftover === undefined ? asked : doubt(asked, leftover)
  const aimed = session.snapshot === undefined ? state : aimAt(state, resourcesOf(session.snapshot, typeUrl), now)
  const settled = settle(aimed)
  const before = leftover === undefined ? session.before : new Map([...session.before].filter(([type]) => type !== typeUrl))
  const repaired: readonly Note[] = settled === aimed ? [] : [{kind: 'repaired', typeUrl}]
  return {
    session: {...session, before, types: new Map(session.types).set(typeUrl, settled)},
    notes: [...answered.notes, ...subscriptionNotes(opened, change), ...repaired],
  }
}

/** A stream holds the names that it was asked for as long as it lives, so there is an end to their number and length. */
function excessOf(session: Session, typeUrl: string, {subscription, asked}: SubscriptionChange): string | undefined {
  const {maxNames, maxNameLength} = session.options
  if (subscription.names.size > maxNames)
    return `A stream may subscribe to at most ${maxNames} names of one type; ${typeUrl} has ${subscription.names.size}`
  const long = asked.find(name => name.length > maxNameLength)
  if (long === undefined) return undefined
  return `A resource name may have at most ${maxNameLength} characters; one of ${typeUrl} has ${long.length}`
}

/** ACK or NACK of an earlier response. A stale nonce has neither meaning, but the subscription in the same request counts. */
function hearAnswer(state: TypeState, request: EitherRequest): {readonly state: TypeState; readonly notes: readonly Note[]} {
  const {typeUrl, responseNonce: nonce, errorDetail} = request
  if (nonce === '' && errorDetail === undefined) return {state, notes: []}
  // NACK means error_detail, whatever the versions say (xDS protocol, "ACK and NACK semantics summary").
  const number = /^[1-9]\d*$/.test(nonce) ? Number(nonce) : 0
  const message = errorDetail?.message.slice(0, NACK_TEXT_MAX)
  const verdict = message === undefined ? acknowledge(state, number) : refuse(state, number, message)
  if (verdict === undefined) return {state, notes: [{kind: 'stale-nonce', typeUrl, nonce: nonce.slice(0, 100)}]}
  const {flight, refused} = verdict
  const note: Note =
    message === undefined
      ? {
          kind: 'acked',
          typeUrl,
          nonce,
          versions: new Map([...flight.sent].map(([name, held]) => [name, held.version])),
          removed: flight.removed,
        }
      : {kind: 'nacked', typeUrl, nonce, message, names: [...flight.sent.keys()], removed: flight.removed, refused}
  return {state: verdict.state, notes: [note]}
}

function changeOf(session: Session, request: EitherRequest, state: TypeState): SubscriptionChange {
  const rules = {allowsWildcard: allowsWildcard(request.typeUrl)}
  const isDelta = request.$typeName === 'envoy.service.discovery.v3.DeltaDiscoveryRequest'
  if (isDelta !== (session.variant === 'delta')) throw new Error(`A ${session.variant} session was given a ${request.$typeName}`)
  return isDelta
    ? subscribeDelta(state.subscription, {subscribe: request.resourceNamesSubscribe, unsubscribe: request.resourceNamesUnsubscribe}, rules)
    : subscribeSotw(state.subscription, request.resourceNames, rules)
}

function initialOf(request: EitherRequest): Readonly<Record<string, string>> {
  return request.$typeName === 'envoy.service.discovery.v3.DeltaDiscoveryRequest' ? request.initialResourceVersions : {}
}

function mannerOf(session: Session, typeUrl: string): TypeState['manner'] {
  if (session.variant === 'delta') return 'changes'
  return allowsWildcard(typeUrl) ? 'all' : 'some'
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

function refusal(session: Session, message: string): HeardRequest {
  return {session, notes: [], close: {code: 'INVALID_ARGUMENT', message}}
}
