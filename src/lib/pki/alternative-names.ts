/** Takes the subject alternative names apart, which node:crypto prints as one text. */
import {AtlasError} from '../model/errors.js'

export interface AlternativeNames {
  readonly uris: readonly string[]
  readonly dns: readonly string[]
  /** All other kinds, with their prefix. */
  readonly otherNames: readonly string[]
}

/**
 * Reads `X509Certificate.subjectAltName`, such as `URI:spiffe://a/b, DNS:"od\u0064"`. Node prints a value with a comma, a quote or a
 * control character as a JSON string (since CVE-2021-44532), so a comma outside quotes always ends an entry.
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
