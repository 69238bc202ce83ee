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
    const element = readElement(bytes.subarray(at))
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

function readElement(bytes: Uint8Array): DerElement {
  const [tag, first] = bytes
  if (tag === undefined || first === undefined) throw broken()
  if ((tag & 0x1f) === 0x1f) throw broken()
  const extra = first < 0x80 ? 0 : first - 0x80
  if (extra > 4 || first === 0x80 || bytes.length < 2 + extra) throw broken()
  const length = extra === 0 ? first : bytes.subarray(2, 2 + extra).reduce((sum, octet) => sum * 256 + octet, 0)
  const end = 2 + extra + length
  if (bytes.length < end) throw broken()
  return {tag, value: bytes.subarray(2 + extra, end), raw: bytes.subarray(0, end)}
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
