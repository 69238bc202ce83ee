/** What a node is to have: resources by type and name, immutable; equal bytes have equal versions. */

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

export type Snapshot = ReadonlyMap<TypeUrl, ReadonlyMap<string, Resource>>
