/** The subject alternative names, out of the one text in which node:crypto prints them. */
import {AtlasError} from '../model/errors.js'

export interface AlternativeNames {
  readonly uris: readonly string[]
  readonly dns: readonly string[]
  /** All other kinds, with their prefix. */
  readonly otherNames: readonly string[]
}

/**
 * Reads `X509Certificate.subjectAltName`: `URI:spiffe://a/b, DNS:"od\u0064"`. A value with a comma, a quote or a control character
 * stands there as a JSON string (Node's answer to CVE-2021-44532), so a comma outside quotes always ends an entry.
 * @throws AtlasError `invalid`
 */
export function readAlternativeNames(text: string | undefined, what: string): AlternativeNames {
  const entries = text === undefined || text === '' ? [] : splitEntries(text)
  const of = (prefix: string): readonly string[] =>
    entries.filter(entry => entry.startsWith(prefix)).map(entry => unquote(entry.slice(prefix.length), what))
  return {uris: of('URI:'), dns: of('DNS:'), otherNames: entries.filter(entry => !entry.startsWith('URI:') && !entry.startsWith('DNS:'))}
}

function splitEntries(text: string): readonly string[] {
  const entries: string[] = []
  let [start, isQuoted] = [0, false]
  for (let at = 0; at < text.length; at += 1) {
    if (text[at] === '\\') at += 1
    else if (text[at] === '"') isQuoted = !isQuoted
    else if (!isQuoted && text.startsWith(', ', at)) {
      entries.push(text.slice(start, at))
      start = at + 2
    }
  }

  return [...entries, text.slice(start)]
}

function unquote(value: string, what: string): string {
  if (!value.startsWith('"')) return value
  try {
    const parsed: unknown = JSON.parse(value)
    if (typeof parsed === 'string') return parsed
  } catch {
    // Falls through to the one message.
  }

  throw new AtlasError('invalid', `${what} must carry alternative names that decode; one does not`)
}
