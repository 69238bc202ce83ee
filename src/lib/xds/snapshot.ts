/** Snapshot: the resources that a node is to have, by type and name. Immutable; equal bytes have equal versions. */

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
}

/** The resources of one type, by name. */
export type Resources = ReadonlyMap<string, Resource>

export type Snapshot = ReadonlyMap<TypeUrl, Resources>

const none: Resources = new Map()

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
    types.set(resource.typeUrl, ofType.set(resource.name, shareResource(resource, previous)))
  }

  return new Map([...types].map(([typeUrl, ofType]) => [typeUrl, shareMap(ofType, resourcesOf(previous, typeUrl))]))
}

function shareResource(resource: Resource, previous: Snapshot): Resource {
  const before = resourcesOf(previous, resource.typeUrl).get(resource.name)
  return before?.version === resource.version ? before : resource
}

function shareMap(resources: Resources, before: Resources): Resources {
  if (resources.size !== before.size) return resources
  for (const [name, resource] of resources) if (before.get(name) !== resource) return resources
  return before
}
