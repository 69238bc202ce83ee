/**
 * The state-of-the-world variant: what to send next of a type, and as which message. A type with a wildcard is sent whole
 * and omission deletes, so what is on its way out is carried along until it may go; a type asked for by name is sent in parts
 * and absence says nothing.
 */
import {createHash} from 'node:crypto'
import {create} from '@bufbuild/protobuf'
import {AnySchema} from '@bufbuild/protobuf/wkt'
import {type DiscoveryResponse, DiscoveryResponseSchema} from '../../gen/envoy/service/discovery/v3/discovery_pb.js'
import {type HeldVersion, heldIn, record} from './versions.js'
import type {Resource} from './snapshot.js'
import {awaitsAnswer, type Offer, earlierOf, noNames, pendingOf, noResidue, residueAmong, type TypeState, withKnown} from './type-state.js'

/** What is to be added or answered next; undefined when there is nothing of the kind. */
export function offerSotw(state: TypeState): Offer | undefined {
  return state.manner === 'all' ? offerWhole(state) : offerPart(state)
}

/** The whole of a wildcard type without these names. */
export function removeSotw(state: TypeState, names: readonly string[]): Offer {
  return whole(state, {added: [], omitted: new Set(names)})
}

/** The offer as a message, with the nonce that its answer will bear; `version_info` is a hash of what it holds. */
export function toSotwResponse(offer: Offer, nonce: string): DiscoveryResponse {
  const resources = offer.resources.map(({typeUrl, body}) => create(AnySchema, {typeUrl, value: body}))
  return create(DiscoveryResponseSchema, {typeUrl: offer.state.typeUrl, nonce, versionInfo: versionOf(offer.resources), resources})
}

function offerWhole(state: TypeState): Offer | undefined {
  // Every response replaces the one before it: whoever wants to learn from its answer waits for it.
  if (awaitsAnswer(state) || state.flights.some(flight => flight.isProbe)) return undefined
  const added = pendingOf(state)
  const [group, ...suspects] = state.suspects
  const residue = residueAmong(state, [...added, ...state.suspects.flatMap(suspected => [...suspected.keys()])])
  if (residue.length > 0) return whole({...state, answerDue: false}, {added: [], omitted: noNames})
  if (group !== undefined) return {...whole({...state, suspects}, {added: [...group.keys()], omitted: noNames}), isProbe: true}

  return added.length > 0 || state.answerDue ? whole({...state, answerDue: false, asked: noNames}, {added, omitted: noNames}) : undefined
}

function offerPart(state: TypeState): Offer | undefined {
  const pending = pendingOf(state)
  if (pending.length > 0) return part({...state, answerDue: false, asked: noNames}, pending)
  const [group, ...suspects] = state.suspects
  // Never empty: by the rules a response without resources says nothing here, and Envoy takes one for an error.
  return group === undefined ? undefined : {...part({...state, suspects}, [...group.keys()]), isProbe: true}
}

function part(state: TypeState, names: readonly string[]): Offer {
  const resources = names.map(name => state.known.base.get(name)).filter(resource => resource !== undefined)
  const sent = new Map(resources.map((resource): [string, Resource] => [resource.name, resource]))
  return {state: withKnown(state, record(state.known, sent)), resources, removed: [], sent, isProbe: false}
}

/**
 * All that the client shall have now: what is wanted and was not refused, `added` included; of what was refused, or waits for
 * its turn, the version that the client had before; and what may not go yet.
 */
function whole(state: TypeState, {added, omitted}: {readonly added: readonly string[]; readonly omitted: ReadonlySet<string>}): Offer {
  const resources: Resource[] = []
  const settled: Array<[string, HeldVersion | undefined]> = []
  for (const [name, wanted] of state.known.base) if (!state.known.differing.has(name)) resources.push(wanted)
  const adding = new Set(added)
  for (const name of state.known.differing.keys()) {
    const wanted = adding.has(name) ? state.known.base.get(name) : undefined
    const resource = wanted ?? (omitted.has(name) ? undefined : earlierOf(state, name))
    if (resource !== undefined) resources.push(resource)
    settled.push([name, resource])
  }

  const removed = settled.filter(([name, held]) => held === undefined && heldIn(state.known, name) !== undefined).map(([name]) => name)
  const unacked = resources.filter(resource => heldIn(state.acked, resource.name)?.version !== resource.version)
  const sent = new Map(unacked.map((resource): [string, Resource] => [resource.name, resource]))
  // What is left out is gone even if the response is refused: no earlier version of it may come back.
  const acked = record(
    state.acked,
    removed.map(name => [name, undefined]),
  )
  // So is what the client may have kept unused of refused responses: it is left out now, or replaced by another version.
  return {state: withKnown({...state, acked, residue: noResidue}, record(state.known, settled)), resources, removed, sent, isProbe: false}
}

/** Equal content has an equal version, over restarts too. */
function versionOf(resources: readonly Resource[]): string {
  const hash = createHash('sha256')
  for (const line of resources.map(({name, version}) => `${name} ${version}\n`).sort()) hash.update(line)
  return hash.digest('base64url').slice(0, 16)
}
