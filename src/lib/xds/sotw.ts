/**
 * The state-of-the-world variant: what to send next of a type, and as which message. A wildcard type is sent whole and omission
 * deletes, so what is to be removed is sent along until it may go. A type that is subscribed by name is sent in parts, and absence
 * means nothing. A response that takes too many bytes is not sent: a wildcard type can't be split, and the delta variant is the way on.
 */
import {createHash} from 'node:crypto'
import {create} from '@bufbuild/protobuf'
import {AnySchema} from '@bufbuild/protobuf/wkt'
import {type DiscoveryResponse, DiscoveryResponseSchema} from '../../gen/envoy/service/discovery/v3/discovery_pb.js'
import type {StreamError} from './session-state.js'
import type {Note} from './note.js'
import {responseBytes} from './response-size.js'
import {shortType} from './type-url.js'
import {type HeldVersion, heldVersion, removeVersions, setVersions} from './versions.js'
import type {Resource} from './snapshot.js'
import {
  awaitsAck,
  bodyFor,
  noNames,
  nothingUnapplied,
  pendingNames,
  previousOf,
  type ResponsePlan,
  type TypeState,
  unappliedAmong,
  withKnown,
} from './type-state.js'

/** The next additions or answers; undefined when there are none. */
export function planSotwResponse(state: TypeState): ResponsePlan | undefined {
  return state.mode === 'full' ? planWildcardType(state) : planNamedType(state)
}

/** The whole of a wildcard type without these names. */
export function planSotwRemoval(state: TypeState, names: readonly string[]): ResponsePlan {
  return planWhole(state, {added: [], omitted: new Set(names)})
}

/** Why the response can't be sent; undefined where it takes at most `max` bytes. */
export function oversizeOf({state, resources}: ResponsePlan, max: number): {readonly note: Note; readonly close: StreamError} | undefined {
  const bytes = responseBytes(resources)
  if (bytes <= max) return undefined
  const message = `A state-of-the-world response with all ${resources.length} resources of type ${shortType(state.typeUrl)} would have up to ${mib(bytes)} MiB, and at most ${mib(max)} MiB are sent; set "api_type: DELTA_GRPC" in the Envoy's bootstrap`
  return {note: {kind: 'too-large', typeUrl: state.typeUrl, message}, close: {code: 'RESOURCE_EXHAUSTED', message}}
}

/** The plan as a message with its nonce; `version_info` is a hash of its resources. @param mark another one for each response (`Resource.marked`) */
export function toSotwResponse(plan: ResponsePlan, nonce: string, mark: string): DiscoveryResponse {
  const resources = plan.resources.map(resource =>
    create(AnySchema, {typeUrl: resource.typeUrl, value: bodyFor(plan.state, resource, mark)}),
  )
  return create(DiscoveryResponseSchema, {typeUrl: plan.state.typeUrl, nonce, versionInfo: versionInfoOf(plan.resources), resources})
}

function planWildcardType(state: TypeState): ResponsePlan | undefined {
  // Every response replaces the one before it, so the next one waits for the answer to a probe.
  if (awaitsAck(state) || state.inFlight.some(response => response.isProbe)) return undefined
  const added = pendingNames(state)
  const [group, ...suspects] = state.suspects
  const unapplied = unappliedAmong(state, [...added, ...state.suspects.flatMap(suspected => [...suspected.keys()])])
  if (unapplied.length > 0) return planWhole({...state, responseDue: false}, {added: [], omitted: noNames})
  if (group !== undefined) return {...planWhole({...state, suspects}, {added: [...group.keys()], omitted: noNames}), isProbe: true}
  if (added.length === 0 && !state.responseDue) return undefined
  return planWhole({...state, responseDue: false, requested: noNames}, {added, omitted: noNames})
}

function planNamedType(state: TypeState): ResponsePlan | undefined {
  const pending = pendingNames(state)
  if (pending.length > 0) return planPart({...state, responseDue: false, requested: noNames}, pending)
  const [group, ...suspects] = state.suspects
  // Never empty: by the protocol a response without resources means nothing here, and Envoy takes it for an error.
  return group === undefined ? undefined : {...planPart({...state, suspects}, [...group.keys()]), isProbe: true}
}

function planPart(state: TypeState, names: readonly string[]): ResponsePlan {
  const resources = names.map(name => state.known.base.get(name)).filter(resource => resource !== undefined)
  const sent = new Map(resources.map((resource): [string, Resource] => [resource.name, resource]))
  return {state: withKnown(state, setVersions(state.known, sent)), resources, removed: [], sent, isProbe: false}
}

/**
 * All that the client is to have now: what it already has in the wanted version, and `added`; of other wanted resources (NACKed, or
 * waiting for their turn) the version that the client had before; and what may not be removed yet, without `omitted`.
 */
function planWhole(state: TypeState, {added, omitted}: {added: readonly string[]; omitted: ReadonlySet<string>}): ResponsePlan {
  const resources: Resource[] = []
  const versions: Array<[string, HeldVersion | undefined]> = []
  for (const [name, wanted] of state.known.base) if (!state.known.differing.has(name)) resources.push(wanted)
  const adding = new Set(added)
  for (const name of state.known.differing.keys()) {
    const wanted = adding.has(name) ? state.known.base.get(name) : undefined
    const resource = wanted ?? (omitted.has(name) ? undefined : previousOf(state, name))
    if (resource !== undefined) resources.push(resource)
    versions.push([name, resource])
  }

  const isRemoved = (name: string, held: HeldVersion | undefined): boolean =>
    held === undefined && heldVersion(state.known, name) !== undefined
  const removed = versions.filter(([name, held]) => isRemoved(name, held)).map(([name]) => name)
  const unacked = resources.filter(resource => heldVersion(state.acked, resource.name)?.version !== resource.version)
  const sent = new Map(unacked.map((resource): [string, Resource] => [resource.name, resource]))
  // What is left out is gone even if the response is NACKed: no earlier version of it may be sent again.
  const acked = removeVersions(state.acked, removed)
  // What the client kept without applying it is gone too: it is left out now, or replaced by another version.
  const next = withKnown({...state, acked, unapplied: nothingUnapplied}, setVersions(state.known, versions))
  return {state: next, resources, removed, sent, isProbe: false}
}

/** Equal resources have an equal version, over restarts too. */
function versionInfoOf(resources: readonly Resource[]): string {
  const hash = createHash('sha256')
  for (const line of resources.map(({name, version}) => `${name} ${version}\n`).sort()) hash.update(line)
  return hash.digest('base64url').slice(0, 16)
}

function mib(bytes: number): string {
  return (bytes / 1024 ** 2).toFixed(1)
}
