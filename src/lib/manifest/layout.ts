/**
 * The two ways to keep a kind of change in objects: each entry in an object of its own, or many entries in one object. kinds.ts has the
 * way of each kind; decode.ts and encode.ts go through its table.
 */
import {hash} from 'node:crypto'
import {AtlasError} from '../model/errors.js'
import type {Fleet, ObjectKey, Subject} from '../model/fleet.js'
import {type Change, type EntryKind, type ValueOf, changeOf, subjectOf} from '../model/kinds.js'
import {byKey} from '../model/listing.js'
import {type DerivedName, SHARDS, objectKey, parseObjectKey} from '../model/names.js'
import {type Manifest, decodeBase64, encodeBase64, frameOf, keyOf, secretData} from './manifest.js'
import {at} from './path.js'

/** One entry that an object holds. */
export interface Entry {
  readonly subject: Subject
  /** Made of everything that the entry depends on: equal text, equal entry. */
  readonly text: string
  /** @throws AtlasError `invalid` */
  decode(): Change
  /** The change when the entry is gone. */
  readonly removal: Change
}

/** Where the entries of one kind are kept. */
export interface Layout<K extends EntryKind> {
  /** The object that holds the entry `name`. */
  object(name: string): ObjectKey
  /** What an object holds of this kind; undefined where it holds nothing of this kind. */
  entries(manifest: Manifest): readonly Entry[] | undefined
  /** The names of the entries that an unreadable object may hold; undefined where it can't hold any of this kind. */
  suspects(key: ObjectKey, fleet: Fleet): readonly string[] | undefined
  /** The object after the change; undefined: it is to be deleted. What is in it and isn't Atlas's, or is another entry's, stays. */
  encode(
    existing: Manifest | undefined,
    entry: {readonly name: string; readonly value: ValueOf<K> | undefined},
    namespace: string,
  ): Manifest | undefined
  /** Whether the object holds other entries, too, which are lost with it. */
  readonly isShared: boolean
}

/** An object to be written: as it is now, its name, and the namespace where it is new. */
export interface Target {
  readonly existing: Manifest | undefined
  readonly name: string
  readonly namespace: string
}

/** How one kind is written as a whole object, and read from it. */
export interface Codec<K extends EntryKind> {
  /** @throws AtlasError `invalid` */
  decode(manifest: Manifest): ValueOf<K> | undefined
  encode(value: ValueOf<K>, target: Target): Manifest
}

/** The objects of one kind: one of a fixed name, or one for each name. */
export interface Objects {
  object(name: string): ObjectKey
  /** The entry that the object `key` holds, empty where there is one of a fixed name; undefined for any other object. */
  nameIn(key: ObjectKey): string | undefined
}

/** @param name the object's name, or how it follows from the entry's */
export function objectsNamed<T extends string>(kind: string, name: DerivedName<T> | string): Objects {
  if (typeof name === 'string') {
    const only = objectKey(kind, name)
    return {object: () => only, nameIn: key => (key === only ? '' : undefined)}
  }

  return {
    object: entry => objectKey(kind, name(entry as T)),
    nameIn(key) {
      const parsed = parseObjectKey(key)
      return parsed.kind === kind ? name.parse(parsed.name) : undefined
    },
  }
}

/** An object of its own for each entry. */
export function alone<K extends EntryKind>(kind: K, {object, nameIn: nameOf}: Objects, {decode, encode}: Codec<K>): Layout<K> {
  return {
    object,
    isShared: false,
    entries(manifest) {
      const name = nameOf(keyOf(manifest))
      return name === undefined ? undefined : [entryOf(kind, name, textOf(manifest), () => decode(manifest))]
    },
    suspects(key) {
      const name = nameOf(key)
      return name === undefined ? undefined : [name]
    },
    encode: (existing, {name, value}, namespace) =>
      value === undefined ? undefined : encode(value, {existing, name: parseObjectKey(object(name)).name, namespace}),
  }
}

/** How one kind is written as an entry of an object's `data`, by its name. */
export interface EntryCodec<K extends EntryKind> {
  readonly objects: readonly ObjectKey[]
  object(name: string): ObjectKey
  /** Whether a key of `data` can be an entry's name; other keys are passed over. */
  isName(key: string): boolean
  /** @throws AtlasError `invalid` */
  parse(name: string, text: string): ValueOf<K> | undefined
  render(value: ValueOf<K>): string
  /** The names of which such an object may hold an entry, by all that the fleet knows. */
  known(fleet: Fleet): Iterable<string>
}

/** One entry among others in the `data` of an object. */
export function among<K extends EntryKind>(kind: K, {objects, object, isName, parse, render, known}: EntryCodec<K>): Layout<K> {
  const keys = new Set(objects)
  return {
    object,
    isShared: true,
    entries(manifest) {
      const key = keyOf(manifest)
      if (!keys.has(key)) return undefined
      const isSecret = manifest.kind === 'Secret'
      return Object.entries(isSecret ? secretData(manifest) : (manifest.data ?? {})).flatMap(([name, text]) => {
        if (!isName(name)) return []
        if (object(name) !== key) return [misplaced(key, name)]
        const plain = (): string => (isSecret ? decodeBase64(name, text) : text)
        return [entryOf(kind, name, text, () => at(`data.${name}`, () => parse(name, plain())))]
      })
    },
    suspects: (key, fleet) => (keys.has(key) ? [...known(fleet)].filter(name => object(name) === key) : undefined),
    encode: (existing, {name, value}, namespace) =>
      encodeEntry({...parseObjectKey(object(name)), existing, namespace}, name, value === undefined ? undefined : render(value)),
  }
}

/** Names whose shard is remembered: beyond it all are forgotten, so that names that come and go take no memory. */
const SHARDS_KEPT = 20_000

/** The shards of names that were asked for: each object of many entries that is read again asks for all of its names. */
const shards = new Map<string, number>()

/** Which of `SHARDS` objects holds an owner's entry: the first byte of SHA-256(name) mod 32. */
export function shardOf(owner: string): number {
  const known = shards.get(owner)
  if (known !== undefined) return known
  const shard = (hash('sha256', owner, 'buffer')[0] ?? 0) % SHARDS
  if (shards.size >= SHARDS_KEPT) shards.clear()
  shards.set(owner, shard)
  return shard
}

/** @param text everything that the entry depends on @param decode its value; throws AtlasError `invalid` */
export function entryOf<K extends EntryKind>(kind: K, name: string, text: string, decode: () => ValueOf<K> | undefined): Entry {
  return {
    subject: subjectOf(kind, name),
    text: short(text),
    decode: () => changeOf(kind, name, decode()),
    removal: changeOf(kind, name, undefined),
  }
}

/** What is in an object that should not be there: a fault of its own. @param decode throws what is wrong with it */
export function strayEntry(object: string, text: string, decode: () => Change): Entry {
  const subject = subjectOf('object', object)
  return {subject, text, decode, removal: {kind: 'fault', subject, value: undefined}}
}

/** All of an object that its meaning depends on: `resourceVersion` and the like change without it. */
export function textOf({metadata: {name, namespace, labels, annotations}, data, stringData, spec, binaryData}: Manifest): string {
  return JSON.stringify([name, namespace, labels, annotations, data, stringData, spec, binaryData])
}

/** The ConfigMap with `data` in place of what it held of that; keys that aren't Atlas's stay. */
export function encodeConfigMap({existing, name, namespace}: Target, data: Readonly<Record<string, string>>): Manifest {
  return {...frameOf(existing, ['ConfigMap', name], namespace), data: {...existing?.data, ...data}}
}

/** The object in the namespace in which it is to be, wherever it was before. */
export function inNamespace(manifest: Manifest, {namespace}: Target): Manifest {
  return {...manifest, metadata: {...manifest.metadata, namespace}}
}

/** Each owner has one shard: an account that may write another shard must not decide anything about the owner there. */
function misplaced(key: ObjectKey, name: string): Entry {
  return strayEntry(`${key}/${name}`, name, () =>
    at(`data.${name}`, () => {
      throw new AtlasError('invalid', 'this entry belongs into another object and has no effect here; remove it')
    }),
  )
}

/** Entries in order of name; the object stays when its last entry goes: its next writer needs a revision to write on. */
function encodeEntry(
  {kind, name, existing, namespace}: Target & {readonly kind: string},
  entry: string,
  text: string | undefined,
): Manifest {
  const isSecret = kind === 'Secret'
  const {[entry]: _, ...others} = isSecret ? secretData(existing) : (existing?.data ?? {})
  const all = {...others, ...(text !== undefined && {[entry]: isSecret ? encodeBase64(text) : text})}
  const data = Object.fromEntries(Object.entries(all).sort(byKey))
  const {stringData: _plain, ...frame} = frameOf(existing, [kind, name], namespace)
  return isSecret ? {...frame, type: 'Opaque', data} : {...frame, data}
}

/** Kept for each of thousands of entries: a long text is replaced by its digest. */
function short(text: string): string {
  return text.length <= 64 ? text : hash('sha256', text, 'base64')
}
