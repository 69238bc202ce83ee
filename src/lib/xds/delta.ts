/** The delta variant: what to send next of a type, and as which message. Additions, answers to missing names and removals each go in responses of their own. */
import {create} from '@bufbuild/protobuf'
import {
  type DeltaDiscoveryResponse,
  DeltaDiscoveryResponseSchema,
  ResourceSchema,
} from '../../gen/envoy/service/discovery/v3/discovery_pb.js'
import {record} from './versions.js'
import type {Resource} from './snapshot.js'
import {
  awaitsAnswer,
  type Offer,
  earlierOf,
  noNames,
  pendingOf,
  residueAmong,
  type TypeState,
  withKnown,
  withoutResidue,
} from './type-state.js'
import {allowsWildcard} from './type-url.js'

/** What is to be added or answered next; undefined when there is nothing of the kind. */
export function offerDelta(state: TypeState): Offer | undefined {
  if (awaitsAnswer(state)) return undefined
  const pending = pendingOf(state)
  const residue = residueAmong(state, [...pending, ...state.suspects.flatMap(group => [...group.keys()])])
  if (residue.length > 0) return clear(state, residue)
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
  return {state: withKnown(withoutResidue({...state, asked}, names), known), resources: [], removed: names, sent: new Map(), isProbe: false}
}

/** The offer as a message, with the nonce that its answer will bear. */
export function toDeltaResponse(offer: Offer, nonce: string): DeltaDiscoveryResponse {
  const resources = offer.resources.map(({name, version, typeUrl, body}) =>
    create(ResourceSchema, {name, version, resource: {typeUrl, value: body}}),
  )
  return create(DeltaDiscoveryResponseSchema, {typeUrl: offer.state.typeUrl, nonce, resources, removedResources: [...offer.removed]})
}

/**
 * Clears away what the client keeps unused: by what it had before, so that nothing is missing meanwhile, or else by removal.
 * Both leave the names to be sent.
 */
function clear(state: TypeState, names: readonly string[]): Offer {
  const earlier = names.map(name => earlierOf(state, name)).filter(resource => resource !== undefined)
  const others = earlier.filter(({name, version}) => version !== state.known.base.get(name)?.version)
  return others.length > 0 ? deliver(state, others) : removeDelta(state, names)
}

function bring(state: TypeState, names: readonly string[]): Offer {
  return deliver(
    state,
    names.map(name => state.known.base.get(name)).filter(resource => resource !== undefined),
  )
}

function deliver(state: TypeState, resources: readonly Resource[]): Offer {
  const sent = new Map(resources.map((resource): [string, Resource] => [resource.name, resource]))
  return {state: withKnown(withoutResidue(state, sent.keys()), record(state.known, sent)), resources, removed: [], sent, isProbe: false}
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
