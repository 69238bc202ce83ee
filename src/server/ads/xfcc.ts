/** Parses `x-forwarded-client-cert`, in which an Envoy passes on its client's certificate. Whether it is believed is decided in admission.ts. */
import {invalid} from '../../lib/model/errors.js'

/** One hop: its pairs in order, keys in lower case. */
export type XfccElement = readonly (readonly [key: string, value: string])[]

/** Longer headers are not parsed. */
export const XFCC_MAX = 16_384

const wanted = 'KEY=VALUE pairs, separated by ";", in elements separated by ","'

/**
 * The elements of a header (Envoy, "x-forwarded-client-cert": values that hold `,`, `;` or `=` are in double quotes, a quote in them is
 * behind a backslash). Stricter than that page: nothing is skipped, so that two parsers can't read two things.
 * @throws AtlasError `invalid`
 */
export function parseXfcc(text: string): readonly XfccElement[] {
  if (text.length > XFCC_MAX) throw invalid('x-forwarded-client-cert', `at most ${XFCC_MAX} characters long`, text)
  const elements: XfccElement[] = []
  let pairs: (readonly [string, string])[] = []
  let rest = text.trim()
  for (;;) {
    const pair = takePair(rest)
    if (pair === undefined) throw invalid('x-forwarded-client-cert', wanted, rest)
    pairs.push([pair.key, pair.value])
    if (pair.rest.startsWith(';')) {
      rest = pair.rest.slice(1)
      continue
    }

    elements.push(pairs)
    if (pair.rest === '') return elements
    if (!pair.rest.startsWith(',')) throw invalid('x-forwarded-client-cert', wanted, pair.rest)
    pairs = []
    rest = pair.rest.slice(1).trimStart()
  }
}

/** The values of a key in one element. @param key in lower case */
export function xfccValues(element: XfccElement, key: string): readonly string[] {
  return element.filter(([other]) => other === key).map(([, value]) => value)
}

function takePair(text: string): {readonly key: string; readonly value: string; readonly rest: string} | undefined {
  const match = /^([A-Za-z]{1,32})=(?:"((?:[^"\\]|\\[^])*)"|([^",;=\s]*))/.exec(text)
  const key = match?.[1]
  if (match === null || key === undefined) return undefined
  const value = match[3] ?? (match[2] ?? '').replaceAll('\\"', '"')
  return {key: key.toLowerCase(), value, rest: text.slice(match[0].length)}
}
