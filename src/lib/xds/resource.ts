/** Message -> bytes -> resource: equal content has equal bytes and an equal version, in every process and after every restart. */
import {createHash} from 'node:crypto'
import {clone, create, toBinary, type DescField, type DescMessage, type Message, type MessageShape} from '@bufbuild/protobuf'
import {type Any, AnySchema} from '@bufbuild/protobuf/wkt'
import {byKey} from '../model/listing.js'
import {remember} from '../model/remember.js'
import type {Resource} from './snapshot.js'

/**
 * A resource of the message: its bytes, and their hash as version (xDS protocol: "versions belong to resources, not streams"; a
 * counter would start again with the server and give other content the same version).
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

/** Bytes with map entries in the order of their keys, which protobuf leaves open. The content of an Any is bytes already: pack it with `toAny`. */
function encodeMessage<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): Uint8Array {
  if (!isUnordered(schema, message)) return toBinary(schema, message)
  const copy = clone(schema, message)
  sortMaps(schema, copy)
  return toBinary(schema, copy)
}

/** Whether a map in the message, at any depth, could have another order. That is rare, and only then a sorted copy is made. */
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

/** Where protobuf-es keeps a field: as a property of the message, or as the chosen case of its oneof. */
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

/** The fields that are maps, or can contain one at any depth. */
const mapFieldsOf = remember((schema: DescMessage): readonly DescField[] => schema.fields.filter(field => hasMap(field, new Set())))

function hasMap(field: DescField, seen: Set<DescMessage>): boolean {
  if (field.fieldKind === 'map' || isStruct(field)) return true
  const {message} = field
  if (message === undefined || seen.has(message)) return false
  seen.add(message)
  return message.fields.some(below => hasMap(below, seen))
}
