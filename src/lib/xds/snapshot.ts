/** Snapshot: the resources that a node is to have, by type and name. Immutable; equal bytes have equal versions. */

import {PersistentMap} from '../model/persistent-map.js'

/** `type.googleapis.com/` + message name. */
export type TypeUrl = string

/** One resource as it goes on the wire. */
export interface Resource {
  readonly name: string
  readonly typeUrl: TypeUrl
  /** Content hash of `body`, so that a restarted server gives equal content an equal version (xDS protocol, "Resource versions"). */
  readonly version: string
  /** The serialized message, `value` of the Any. */
  readonly body: Uint8Array
  /**
   * The same content in other bytes for each mark; undefined where a client applies what it NACKed before when that is sent again. Envoy does not
   * with secrets: it ACKs the same bytes without looking at them (docs/explanation/envoy.md#nack).
   */
  readonly marked?: (mark: string) => Uint8Array
}

/** The resources of one type, by name. */
export type Resources = ReadonlyMap<string, Resource>

export type Snapshot = ReadonlyMap<TypeUrl, Resources>

const none: Resources = PersistentMap.of()

/** The resources of one type; none where the snapshot doesn't have the type. */
export function resourcesOf(snapshot: Snapshot, typeUrl: TypeUrl): Resources {
  return snapshot.get(typeUrl) ?? none
}

/**
 * A snapshot of these resources that shares equal parts with `previous`, so that a session sees by reference what changed: an
 * equal resource is the same object as in `previous`, and an unchanged type the same map.
 * @throws Error for two resources of one type and name with different content
 */
export function toSnapshot(resources: Iterable<Resource>, previous: Snapshot = new Map()): Snapshot {
  const types = new Map<TypeUrl, Map<string, Resource>>()
  for (const resource of resources) {
    const ofType = types.get(resource.typeUrl) ?? new Map<string, Resource>()
    const twin = ofType.get(resource.name)
    if (twin !== undefined && twin.version !== resource.version)
      throw new Error(`A snapshot must hold one resource of a name; ${resource.typeUrl} ${JSON.stringify(resource.name)} is there twice`)
    types.set(resource.typeUrl, ofType.set(resource.name, resource))
  }

  const shared = new Map([...types].map(([typeUrl, ofType]) => [typeUrl, shareMap(ofType, resourcesOf(previous, typeUrl))]))
  const isSame = shared.size === previous.size && [...shared].every(([typeUrl, ofType]) => previous.get(typeUrl) === ofType)
  return isSame ? previous : shared
}

/** Where a snapshot is to differ from the one before: undefined removes the name. */
export interface ResourceEdit {
  readonly typeUrl: TypeUrl
  readonly name: string
  readonly resource: Resource | undefined
}

export function editOf(resource: Resource): ResourceEdit {
  return {typeUrl: resource.typeUrl, name: resource.name, resource}
}

/** As `toSnapshot`, at the cost of the edits: all that they do not name stays as it is in `previous`. */
export function editSnapshot(previous: Snapshot, edits: Iterable<ResourceEdit>): Snapshot {
  const types = new Map<TypeUrl, [string, Resource | undefined][]>()
  for (const {typeUrl, name, resource} of edits) {
    const ofType = types.get(typeUrl) ?? []
    ofType.push([name, shareResource(resource, resourcesOf(previous, typeUrl).get(name))])
    types.set(typeUrl, ofType)
  }

  const changed = [...types].map(([typeUrl, ofType]) => [typeUrl, PersistentMap.of(resourcesOf(previous, typeUrl)).with(ofType)] as const)
  if (changed.every(([typeUrl, ofType]) => ofType === resourcesOf(previous, typeUrl))) return previous
  return new Map([...new Map([...previous, ...changed])].filter(([, ofType]) => ofType.size > 0))
}

function shareMap(resources: ReadonlyMap<string, Resource>, before: Resources): Resources {
  const edits = [...resources].map(([name, resource]): [string, Resource] => [name, shareResource(resource, before.get(name)) ?? resource])
  const gone = [...before.keys()].filter(name => !resources.has(name)).map((name): [string, undefined] => [name, undefined])
  return PersistentMap.of(before).with([...edits, ...gone])
}

function shareResource(resource: Resource | undefined, before: Resource | undefined): Resource | undefined {
  return before !== undefined && before.version === resource?.version ? before : resource
}
