/**
 * The one escaping of text that came from outside (an Envoy, another program's object, a server's answer) before it reaches a terminal, a
 * log or an Event. It could move the cursor, hide or reorder text, or begin a line of its own. Test: test/cli/text/hostile.test.ts.
 */

/** Control characters of both ranges, format characters (such as bidi controls), line and paragraph separators, half surrogate pairs. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu
const UNPRINTABLE_IN_LINES = /[\p{Cf}\p{Zl}\p{Zp}\p{Cs}]|(?![\n\t])\p{Cc}/gu

/** On one line: each such character becomes an escape as in JSON, such as `\u001b` or `\n`. */
export function printable(text: string): string {
  return text.replaceAll(UNPRINTABLE, escape)
}

/** As `printable` for text of several lines, also JSON: line breaks and tabs stay. */
export function printableLines(text: string): string {
  return text.replaceAll(UNPRINTABLE_IN_LINES, escape)
}

function escape(character: string): string {
  if (character === '\n') return String.raw`\n`
  return [...Array(character.length).keys()].map(index => `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`).join('')
}
