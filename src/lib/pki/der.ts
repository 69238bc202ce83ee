/** Reads and wraps elements of DER (X.690), which node:crypto does not offer. */
import {AtlasError} from '../model/errors.js'

export interface DerElement {
  /** The identifier octet. */
  readonly tag: number
  readonly value: Uint8Array
  /** The element as a whole. */
  readonly raw: Uint8Array
}

/**
 * The elements that `bytes` consist of, without a byte left over; one-byte tags and definite lengths only.
 * @throws AtlasError `invalid`
 */
export function readDer(bytes: Uint8Array): readonly DerElement[] {
  const elements: DerElement[] = []
  let at = 0
  while (at < bytes.length) {
    const element = readElement(bytes, at)
    elements.push(element)
    at += element.raw.length
  }

  return elements
}

/** One element with `parts` as its value. */
export function wrapDer(tag: number, parts: readonly Uint8Array[]): Uint8Array {
  const value = Buffer.concat(parts)
  return Buffer.concat([Uint8Array.of(tag, ...lengthOctets(value.length)), value])
}

function readElement(bytes: Uint8Array, at: number): DerElement {
  const [tag, first] = [bytes[at], bytes[at + 1]]
  if (tag === undefined || first === undefined) throw broken()
  if ((tag & 0x1f) === 0x1f) throw broken()
  const extra = first < 0x80 ? 0 : first - 0x80
  const begin = at + 2 + extra
  if (extra > 4 || first === 0x80 || bytes.length < begin) throw broken()
  let length = extra === 0 ? first : 0
  for (let octet = at + 2; octet < begin; octet += 1) length = length * 256 + (bytes[octet] ?? 0)
  const end = begin + length
  if (bytes.length < end) throw broken()
  return {tag, value: bytes.subarray(begin, end), raw: bytes.subarray(at, end)}
}

function lengthOctets(length: number): readonly number[] {
  if (length < 0x80) return [length]
  const octets: number[] = []
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) octets.unshift(rest % 256)
  return [0x80 + octets.length, ...octets]
}

function broken(): AtlasError {
  return new AtlasError('invalid', 'a certificate must be DER throughout; one of its elements is cut off or malformed')
}
