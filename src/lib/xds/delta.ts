/** The delta variant: what to send next of a type, and as which message. Additions, answers to missing names and removals each go in responses of their own. */
import {create} from '@bufbuild/protobuf'
import {
  type DeltaDiscoveryResponse,
  DeltaDiscoveryResponseSchema,
  ResourceSchema,
} from '../../gen/envoy/service/discovery/v3/discovery_pb.js'
import {record} from './ledger.js'
import type {Offer} from './offer.js'
import type {Resource} from './snapshot.js'
import {noNames, pendingOf, type TypeState, withKnown} from './type-state.js'
import {allowsWildcard} from './type-url.js'

/** What is to be added or answered next; undefined when there is nothing of the kind. */
export function offerDelta(state: TypeState): Offer | undefined {
  const pending = pendingOf(state)
  if (pending.length > 0 || state.answerDue) return bring({...state, answerDue: false, asked: absent(state)}, pending)
  const names = missing(state)
  if (names.size > 0) return removeDelta(state, [...names])
  const [group, ...suspects] = state.suspects
  return group === undefined ? undefined : {...bring({...state, suspects}, [...group.keys()]), isProbe: true}
}

/** The removal of these names, in a response of its own: nothing in it can be refused (a NACK drops additions, never removals). */
export function removeDelta(state: TypeState, names: readonly string[]): Offer {
  const known = record(
    state.known,
    names.map(name => [name, undefined]),
  )
  const asked = new Set(state.asked)
  for (const name of names) asked.delete(name)
  return {state: withKnown({...state, asked}, known), resources: [], removed: names, sent: new Map(), isProbe: false}
}

/** The offer as a message, with the nonce that its answer will bear. */
export function toDeltaResponse(offer: Offer, nonce: string): DeltaDiscoveryResponse {
  const resources = offer.resources.map(({name, version, typeUrl, body}) =>
    create(ResourceSchema, {name, version, resource: {typeUrl, value: body}}),
  )
  return create(DeltaDiscoveryResponseSchema, {typeUrl: offer.state.typeUrl, nonce, resources, removedResources: [...offer.removed]})
}

function bring(state: TypeState, names: readonly string[]): Offer {
  const resources = names.map(name => state.known.base.get(name)).filter(resource => resource !== undefined)
  const sent = new Map(resources.map((resource): [string, Resource] => [resource.name, resource]))
  return {state: withKnown(state, record(state.known, sent)), resources, removed: [], sent, isProbe: false}
}

/**
 * The names to be answered as missing at once (xDS protocol, "Knowing When a Requested Resource Does Not Exist"). A cluster,
 * listener or scope that the client still has may be in use: its answer is its removal, which waits for its turn.
 */
function missing(state: TypeState): ReadonlySet<string> {
  const names = absent(state)
  return allowsWildcard(state.typeUrl) && names.size > 0 ? new Set([...names].filter(name => !state.leaving.has(name))) : names
}

function absent(state: TypeState): ReadonlySet<string> {
  return state.asked.size === 0 ? noNames : new Set([...state.asked].filter(name => !state.known.base.has(name)))
}
