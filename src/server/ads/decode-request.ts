/**
 * Decodes a request of either ADS method, within bounds: what it may cost is judged by a scan of its bytes, before a message with its lists
 * and maps is made of them. How often a cluster may send one is in cluster-limits.ts.
 */
import {type DescMessage, type MessageShape, fromBinary} from '@bufbuild/protobuf'
import {BinaryReader, WireType} from '@bufbuild/protobuf/wire'
import {DeltaDiscoveryRequestSchema, DiscoveryRequestSchema} from '../../gen/envoy/service/discovery/v3/discovery_pb.js'
import {NodeSchema} from '../../gen/envoy/config/core/v3/base_pb.js'
import {messageOf} from '../../lib/model/errors.js'
import {OBSERVABILITY, type Owner} from '../../lib/model/names.js'
import type {Variant} from '../../lib/xds/session.js'
import type {AdsRequest} from './call.js'

/** More than this in one request ends its stream. */
export interface RequestBounds {
  /** Bytes of a request. The first request of an Envoy 1.40 has 61,000, since it lists the extensions of that Envoy. */
  readonly bytes: number
  /** Bytes of the node's metadata. Atlas reads three keys of it. */
  readonly metadataBytes: number
  /** Resource names that are subscribed to and unsubscribed from. */
  readonly names: number
  /** `initial_resource_versions`: a downstream Envoy has a handful, the observability Envoy some for each cluster. */
  readonly versions: number
}

const downstream: RequestBounds = {bytes: 256 * 1024, metadataBytes: 16 * 1024, names: 1024, versions: 1000}
const observability: RequestBounds = {...downstream, bytes: 16 * 1024 * 1024, versions: 200_000}

/** What one request of an Envoy of this cluster may hold. */
export function requestBoundsOf(cluster: Owner): RequestBounds {
  return cluster === OBSERVABILITY ? observability : downstream
}

/** A request, or why its stream must end. */
export type DecodedRequest = {readonly kind: 'invalid'; readonly message: string} | {readonly kind: 'request'; readonly request: AdsRequest}

/** Bytes that are no message, or hold more than `bounds`, are invalid. */
export function decodeRequest(bytes: Uint8Array, variant: Variant, bounds: RequestBounds): DecodedRequest {
  const schema = variant === 'delta' ? DeltaDiscoveryRequestSchema : DiscoveryRequestSchema
  try {
    const excess =
      bytes.length > bounds.bytes ? `has ${bytes.length} bytes; at most ${bounds.bytes} are read` : excessOf(bytes, schema, bounds)
    if (excess !== undefined) return {kind: 'invalid', message: `The request ${excess}`}
    return {kind: 'request', request: decode(schema, bytes)}
  } catch (error) {
    return {kind: 'invalid', message: `The request can't be decoded: ${messageOf(error)}`}
  }
}

/** Fields that Atlas does not read, such as a node's extensions, are passed over. */
function decode<Desc extends DescMessage>(schema: Desc, bytes: Uint8Array): MessageShape<Desc> {
  return fromBinary(schema, bytes, {readUnknownFields: false})
}

/** What the request has too much of; the parts of a field that comes more than once count together, as they are merged. */
function excessOf(
  bytes: Uint8Array,
  schema: typeof DeltaDiscoveryRequestSchema | typeof DiscoveryRequestSchema,
  bounds: RequestBounds,
): string | undefined {
  const names = new Set(['resource_names', 'resource_names_subscribe', 'resource_names_unsubscribe'].map(name => numberOf(schema, name)))
  const [node, versions] = [numberOf(schema, 'node'), numberOf(schema, 'initial_resource_versions')]
  const metadata = numberOf(NodeSchema, 'metadata')
  const found = {names: 0, versions: 0, metadata: 0}
  eachField(bytes, (field, value) => {
    if (names.has(field)) found.names += 1
    else if (field === versions) found.versions += 1
    else if (field === node)
      eachField(value, (part, {length}) => {
        if (part === metadata) found.metadata += length
      })
  })
  if (found.names > bounds.names) return `names ${found.names} resources; at most ${bounds.names} are read`
  if (found.versions > bounds.versions) return `has ${found.versions} initial_resource_versions; at most ${bounds.versions} are read`
  if (found.metadata > bounds.metadataBytes) return `has ${found.metadata} bytes of node metadata; at most ${bounds.metadataBytes} are read`
  return undefined
}

function numberOf({fields}: DescMessage, name: string): number | undefined {
  return fields.find(field => field.name === name)?.number
}

/** Visits the length-delimited fields of a message. @throws Error where the bytes are no message */
function eachField(bytes: Uint8Array, visit: (field: number, value: Uint8Array) => void): void {
  const reader = new BinaryReader(bytes)
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag()
    if (wireType === WireType.LengthDelimited) visit(field, reader.bytes())
    else reader.skip(wireType, field)
  }
}
