/** Reads JSON of other processes and of people. Each function returns a value of its type, or throws what it must be and what was found. */
import {AtlasError, quote} from '../model/errors.js'

export type Fields = Readonly<Record<string, unknown>>

/** The JSON object in a text. @throws AtlasError `invalid`; never with a part of the text */
export function parseJson(text: string, what: string): Fields {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new AtlasError('invalid', `${what} must be JSON; it does not parse`)
  }

  return fieldsIn(value, what)
}

/** @throws AtlasError `invalid` where it is no JSON object */
export function fieldsIn(value: unknown, what: string): Fields {
  if (!isFields(value)) throw new AtlasError('invalid', `${what} must be a JSON object`)
  return value
}

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** @param read one entry @param max a longer list is refused @throws AtlasError `invalid` */
export function listIn<T>(value: unknown, what: string, read: (entry: unknown, what: string) => T, max = Infinity): readonly T[] {
  if (!Array.isArray(value)) throw new AtlasError('invalid', `${what} must be a list`)
  if (value.length > max) throw new AtlasError('invalid', `${what} must have at most ${max} entries; it has ${value.length}`)
  return value.map(entry => read(entry, `${what}[]`))
}

/** @param max a longer text is refused @throws AtlasError `invalid` */
export function textIn(value: unknown, what: string, max = Infinity): string {
  if (typeof value !== 'string') throw wrong(what, 'text', value)
  if (value.length > max) throw new AtlasError('invalid', `${what} must have at most ${max} characters; it has ${value.length}`)
  return value
}

/** @throws AtlasError `invalid` */
export function wholeIn(value: unknown, what: string, [min, max]: readonly [number, number] = [0, Number.MAX_SAFE_INTEGER]): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value
  throw wrong(what, `a whole number from ${min} to ${max}`, value)
}

/** @throws AtlasError `invalid` */
export function choiceIn<T extends string>(value: unknown, what: string, choices: readonly T[]): T {
  const choice = choices.find(each => each === value)
  if (choice === undefined) throw wrong(what, `${choices.slice(0, -1).join(', ')} or ${choices.at(-1) ?? ''}`, value)
  return choice
}

const TIME = /^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?Z$/

/** A time of ISO 8601 in UTC, to milliseconds. @throws AtlasError `invalid` */
export function timeIn(value: unknown, what: string): string {
  const parsed = typeof value === 'string' && TIME.test(value) ? new Date(value) : undefined
  // Null for no time.
  const text = parsed?.toJSON() as string | null | undefined
  // JavaScript takes a day that its month does not have for one of the next month.
  if (typeof text !== 'string' || text.slice(0, 10) !== String(value).slice(0, 10))
    throw wrong(what, 'a time such as 2026-11-24T00:00:00.000Z', value)
  return text
}

/** The field `key` where it is there, and nothing where it is not. */
export function optional<K extends string, T>(fields: Fields, key: K, read: (value: unknown, what: string) => T): Partial<Record<K, T>> {
  return fields[key] === undefined ? {} : ({[key]: read(fields[key], key)} as Partial<Record<K, T>>)
}

/** The error for a value that is not `wanted`; a value that may be a key is not shown. */
export function wrong(what: string, wanted: string, value: unknown): AtlasError {
  const got = typeof value === 'string' || typeof value === 'number' ? quote(String(value)) : 'something else'
  return new AtlasError('invalid', `${what} must be ${wanted}; got ${got}`)
}

/** A SHA-256. @throws AtlasError `invalid` */
export function fingerprintIn(value: unknown, what: string): string {
  const text = textIn(value, what)
  if (!/^[0-9a-f]{64}$/.test(text)) throw wrong(what, 'a SHA-256 in lower-case hex', value)
  return text
}
