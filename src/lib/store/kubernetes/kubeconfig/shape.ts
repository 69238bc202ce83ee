/** Readers of plain values, as strict as client-go's decoder: an absent or null value is empty, a value of another type is an error that names its place. */
import {AtlasError} from '../../../model/errors.js'

/** `at` is the place in the file, such as `users[0].user.token`. @throws AtlasError `invalid`; never with the value */
export type Reader<T> = (value: unknown, at: string) => T

export const text: Reader<string> = (value, at) => {
  if (isAbsent(value)) return ''
  if (typeof value === 'string') return value
  throw wrong(at, 'text', value, typeof value === 'object' ? undefined : 'put it in quotes')
}

export const flag: Reader<boolean> = (value, at) => {
  if (isAbsent(value)) return false
  if (typeof value === 'boolean') return value
  throw wrong(at, 'true or false', value, typeof value === 'string' ? 'take the quotes away' : undefined)
}

/** Decodes base64 as Go's standard encoding does: padded, with line breaks anywhere. */
export const data: Reader<string> = (value, at) => {
  const base64 = text(value, at).replaceAll(/[\r\n]/g, '')
  if (/^(?:[A-Za-z\d+/]{4})*(?:[A-Za-z\d+/]{2}==|[A-Za-z\d+/]{3}=)?$/.test(base64)) return Buffer.from(base64, 'base64').toString()
  throw new AtlasError('invalid', `${at} must be base64, and is not`, {hint: 'a file is named by the same key without -data'})
}

/** A value of any type. */
export const anything: Reader<unknown> = value => value ?? undefined

/** A list, empty where it is absent. */
export function listOf<T>(item: Reader<T>): Reader<readonly T[]> {
  return (value, at) => {
    if (isAbsent(value)) return []
    if (!Array.isArray(value)) throw wrong(at, 'a list', value)
    return value.map((each, index) => item(each, `${at}[${index}]`))
  }
}

/** An object with any keys, empty where it is absent. */
export function mapOf<T>(item: Reader<T>): Reader<ReadonlyMap<string, T>> {
  return (value, at) => new Map(Object.entries(objectAt(value, at)).map(([key, each]) => [key, item(each, `${at}.${key}`)]))
}

/** An object of these fields; unknown fields are ignored. */
export function record<T>(fields: {readonly [Name in keyof T]-?: readonly [key: string, reader: Reader<T[Name]>]}): Reader<T> {
  return (value, at) => {
    const found = objectAt(value, at)
    const entries = Object.entries<readonly [key: string, reader: Reader<unknown>]>(fields)
    return Object.fromEntries(entries.map(([name, [key, reader]]) => [name, reader(found[key], at === '' ? key : `${at}.${key}`)])) as T
  }
}

/** A list of entries, each with a `name`, and its content under `key`. @throws AtlasError `invalid` for two of one name */
export function named<T>(key: string, item: Reader<T>): Reader<ReadonlyMap<string, T>> {
  const list = listOf(record<{name: string; item: T}>({name: ['name', text], item: [key, item]}))
  return (value, at) => {
    const entries = new Map<string, T>()
    for (const {name, item: entry} of list(value, at)) {
      if (entries.has(name)) throw new AtlasError('invalid', `${at} has two entries named ${JSON.stringify(name.slice(0, 80))}`)
      entries.set(name, entry)
    }

    return entries
  }
}

function objectAt(value: unknown, at: string): Readonly<Record<string, unknown>> {
  if (isAbsent(value)) return {}
  if (typeof value === 'object' && !Array.isArray(value)) return value as Readonly<Record<string, unknown>>
  throw wrong(at === '' ? 'the file' : at, 'an object', value)
}

function isAbsent(value: unknown): value is null | undefined {
  return value === null || value === undefined
}

function wrong(at: string, wanted: string, value: unknown, hint?: string): AtlasError {
  const is = Array.isArray(value) ? 'a list' : typeof value === 'object' ? 'an object' : KINDS[typeof value]
  return new AtlasError('invalid', `${at} must be ${wanted}, and is ${is ?? 'something else'}`, hint === undefined ? {} : {hint})
}

const KINDS: Readonly<Record<string, string>> = {boolean: 'a boolean', number: 'a number', string: 'text'}
