/** Message -> bytes -> resource: equal content has equal bytes, and equal bytes an equal version, in every process and after every restart. */
import {createHash} from 'node:crypto'
import {clone, create, toBinary, type DescField, type DescMessage, type Message, type MessageShape} from '@bufbuild/protobuf'
import {type Any, AnySchema} from '@bufbuild/protobuf/wkt'
import type {Resource} from './snapshot.js'

/**
 * A resource of the message: its bytes, and as version their hash (xDS protocol: "versions belong to resources, not streams";
 * a counter would restart with the server and name other content).
 */
export function toResource<Desc extends DescMessage>(name: string, schema: Desc, message: MessageShape<Desc>): Resource {
  const body = encodeMessage(schema, message)
  return {name, typeUrl: typeUrlOf(schema), version: createHash('sha256').update(body).digest('base64url').slice(0, 16), body}
}

/** The message in an Any, with deterministic bytes. */
export function toAny<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): Any {
  return create(AnySchema, {typeUrl: typeUrlOf(schema), value: encodeMessage(schema, message)})
}

/** `type.googleapis.com/` + message name. */
export function typeUrlOf(schema: DescMessage): string {
  return `type.googleapis.com/${schema.typeName}`
}

/** Protobuf leaves the order of map entries open; here they go by key. What is inside an Any is bytes already: pack it with `toAny`. */
function encodeMessage<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): Uint8Array {
  if (!hasMap(schema, new Set())) return toBinary(schema, message)
  const copy = clone(schema, message)
  sortMaps(schema, copy)
  return toBinary(schema, copy)
}

function sortMaps(schema: DescMessage, message: Message): void {
  const values = message as unknown as Record<string, unknown>
  for (const field of schema.fields) {
    const holder = field.oneof === undefined ? values : (values[field.oneof.localName] as {case?: string; value?: unknown})
    const key = field.oneof === undefined ? field.localName : 'value'
    const value = (holder as Record<string, unknown>)[key]
    if (value === undefined || (field.oneof !== undefined && (holder as {case?: string}).case !== field.localName)) continue
    ;(holder as Record<string, unknown>)[key] = sorted(field, value)
  }
}

function sorted(field: DescField, value: unknown): unknown {
  if (field.fieldKind === 'map') {
    const entries = Object.entries(value as Record<string, unknown>).sort(byKey)
    for (const [, entry] of entries) if (field.mapKind === 'message') sortMaps(field.message, entry as Message)
    return Object.fromEntries(entries)
  }

  if (isStruct(field)) return sortedJson(value)
  if (field.fieldKind === 'message') sortMaps(field.message, value as Message)
  if (field.fieldKind === 'list' && field.listKind === 'message') for (const item of value as Message[]) sortMaps(field.message, item)
  return value
}

/** protobuf-es shows a google.protobuf.Struct field as plain JSON. */
function isStruct(field: DescField): boolean {
  return field.fieldKind === 'message' && field.message.typeName === 'google.protobuf.Struct'
}

function sortedJson(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(item => sortedJson(item))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .sort(byKey)
      .map(([key, entry]) => [key, sortedJson(entry)]),
  )
}

/** By code unit: the same in every locale. */
function byKey([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : a > b ? 1 : 0
}

const mapped = new WeakMap<DescMessage, boolean>()

/** Whether a message of this kind can hold a map, itself or below; most can't, and need no copy. */
function hasMap(schema: DescMessage, seen: Set<DescMessage>): boolean {
  const known = mapped.get(schema)
  if (known !== undefined) return known
  const asked = seen.size === 0
  seen.add(schema)
  const found = schema.fields.some(
    field =>
      field.fieldKind === 'map' ||
      isStruct(field) ||
      (field.message !== undefined && !seen.has(field.message) && hasMap(field.message, seen)),
  )
  if (found || asked) mapped.set(schema, found)
  return found
}
