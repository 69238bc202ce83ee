/**
 * The delta variant: what to send next of a type, and as which message. Additions, answers to missing names and removals each go
 * in responses of their own. Additions that take many bytes go in several.
 */
import {create} from '@bufbuild/protobuf'
import {
  type DeltaDiscoveryResponse,
  DeltaDiscoveryResponseSchema,
  ResourceSchema,
} from '../../gen/envoy/service/discovery/v3/discovery_pb.js'
import {removeVersions, setVersions} from './versions.js'
import {firstPart} from './response-size.js'
import type {Resource} from './snapshot.js'
import {
  awaitsAck,
  bodyFor,
  noNames,
  pendingNames,
  previousOf,
  type ResponsePlan,
  type TypeState,
  unappliedAmong,
  withKnown,
  withoutUnapplied,
} from './type-state.js'
import {allowsWildcard} from './type-url.js'

/** The next additions or answers; undefined when there are none. @param maxBytes additions that take more follow in further responses */
export function planDeltaResponse(state: TypeState, maxBytes: number): ResponsePlan | undefined {
  if (awaitsAck(state)) return undefined
  const pending = pendingNames(state)
  const unapplied = unappliedAmong(state, [...pending, ...state.suspects.flatMap(group => [...group.keys()])])
  if (unapplied.length > 0) return planClearing(state, unapplied, maxBytes)
  if (pending.length > 0 || state.responseDue) return planPending(state, pending, maxBytes)
  const names = missingNow(state)
  if (names.size > 0) return planDeltaRemoval(state, [...names])
  const [group, ...suspects] = state.suspects
  return group === undefined ? undefined : {...planResources({...state, suspects}, wantedAmong(state, group.keys())), isProbe: true}
}

/** The removal of these names, in a response of its own: a client that NACKs it drops additions, never removals. */
export function planDeltaRemoval(state: TypeState, names: readonly string[]): ResponsePlan {
  const requested = new Set(state.requested)
  for (const name of names) requested.delete(name)
  const cleared = withoutUnapplied({...state, requested}, names)
  return {state: withKnown(cleared, removeVersions(state.known, names)), resources: [], removed: names, sent: new Map(), isProbe: false}
}

/** The plan as a message with its nonce. @param mark another one for each response (`Resource.marked`) */
export function toDeltaResponse(plan: ResponsePlan, nonce: string, mark: string): DeltaDiscoveryResponse {
  const resources = plan.resources.map(resource => {
    const {name, version, typeUrl} = resource
    return create(ResourceSchema, {name, version, resource: {typeUrl, value: bodyFor(plan.state, resource, mark)}})
  })
  return create(DeltaDiscoveryResponseSchema, {typeUrl: plan.state.typeUrl, nonce, resources, removedResources: [...plan.removed]})
}

/**
 * Clears what the client keeps without applying it: by the version that it had before, so that nothing is missing meanwhile, or
 * else by removal. After either the wanted version is still to be sent.
 */
function planClearing(state: TypeState, names: readonly string[], maxBytes: number): ResponsePlan {
  const previous = names.map(name => previousOf(state, name)).filter(resource => resource !== undefined)
  const others = previous.filter(({name, version}) => version !== state.known.base.get(name)?.version)
  return others.length > 0 ? planResources(state, firstPart(others, maxBytes)) : planDeltaRemoval(state, names)
}

/** What doesn't fit stays pending, and what the client requested of it stays requested. */
function planPending(state: TypeState, names: readonly string[], maxBytes: number): ResponsePlan {
  const part = firstPart(wantedAmong(state, names), maxBytes)
  const left = names.slice(part.length).filter(name => state.requested.has(name))
  const requested = left.length === 0 ? missing(state) : new Set([...missing(state), ...left])
  return planResources({...state, responseDue: false, requested}, part)
}

function wantedAmong(state: TypeState, names: Iterable<string>): readonly Resource[] {
  return [...names].map(name => state.known.base.get(name)).filter(resource => resource !== undefined)
}

function planResources(state: TypeState, resources: readonly Resource[]): ResponsePlan {
  const sent = new Map(resources.map((resource): [string, Resource] => [resource.name, resource]))
  const next = withKnown(withoutUnapplied(state, sent.keys()), setVersions(state.known, sent))
  return {state: next, resources, removed: [], sent, isProbe: false}
}

/**
 * The names to answer as missing at once (xDS protocol, "Knowing When a Requested Resource Does Not Exist"). A cluster, listener
 * or scope that the client still has may be in use: its answer is its removal, which waits for its turn.
 */
function missingNow(state: TypeState): ReadonlySet<string> {
  const names = missing(state)
  return allowsWildcard(state.typeUrl) && names.size > 0 ? new Set([...names].filter(name => !state.toRemove.has(name))) : names
}

function missing(state: TypeState): ReadonlySet<string> {
  return state.requested.size === 0 ? noNames : new Set([...state.requested].filter(name => !state.known.base.has(name)))
}
