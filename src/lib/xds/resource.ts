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
  if (!isUnordered(schema, message)) return toBinary(schema, message)
  const copy = clone(schema, message)
  sortMaps(schema, copy)
  return toBinary(schema, copy)
}

/** Whether a map in it, at any depth, could be in another order: seldom, and then only is it worth a copy. */
function isUnordered(schema: DescMessage, message: Message): boolean {
  return mapFieldsOf(schema).some(field => {
    const {value} = slotOf(field, message)
    if (value === undefined) return false
    if (isStruct(field)) return true
    if (field.fieldKind === 'map' && Object.keys(value).length > 1) return true
    return messagesIn(field, value).some(([below, item]) => isUnordered(below, item))
  })
}

function sortMaps(schema: DescMessage, message: Message): void {
  for (const field of mapFieldsOf(schema)) {
    const {value, holder, key} = slotOf(field, message)
    if (value === undefined) continue
    if (isStruct(field)) holder[key] = sortedJson(value)
    if (field.fieldKind === 'map') holder[key] = Object.fromEntries(Object.entries(value).sort(byKey))
    if (!isStruct(field)) for (const [below, item] of messagesIn(field, value)) sortMaps(below, item)
  }
}

/** Where protobuf-es keeps a field: beside the others, or as the chosen one of its oneof. */
function slotOf(field: DescField, message: Message): {value: object | undefined; holder: Record<string, unknown>; key: string} {
  const values = message as unknown as Record<string, unknown>
  if (field.oneof === undefined) return {value: values[field.localName] as object | undefined, holder: values, key: field.localName}
  const chosen = values[field.oneof.localName] as Record<string, unknown>
  return {value: chosen['case'] === field.localName ? (chosen['value'] as object) : undefined, holder: chosen, key: 'value'}
}

function messagesIn(field: DescField, value: object): readonly [DescMessage, Message][] {
  if (field.message === undefined) return []
  const {message} = field
  const items = field.fieldKind === 'message' ? [value] : Object.values(value)
  return items.map((item): [DescMessage, Message] => [message, item as Message])
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

const mapFields = new WeakMap<DescMessage, readonly DescField[]>()

/** The fields in which a map can be, themselves or below. */
function mapFieldsOf(schema: DescMessage): readonly DescField[] {
  const known = mapFields.get(schema)
  if (known !== undefined) return known
  const found = schema.fields.filter(
    field => field.fieldKind === 'map' || isStruct(field) || (field.message !== undefined && hasMap(field.message, new Set())),
  )
  mapFields.set(schema, found)
  return found
}

function hasMap(schema: DescMessage, seen: Set<DescMessage>): boolean {
  seen.add(schema)
  return schema.fields.some(
    field =>
      field.fieldKind === 'map' ||
      isStruct(field) ||
      (field.message !== undefined && !seen.has(field.message) && hasMap(field.message, seen)),
  )
}
