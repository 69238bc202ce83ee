/** HTML that cannot be got wrong: everything that is put into a template is escaped, but what is markup already. Pure. */
import {printable} from '../../lib/model/printable.js'

/** HTML, as it is. */
export class Markup {
  constructor(readonly text: string) {}
}

/** What may stand in a template: text, numbers, and markup; an array is its parts one after the other. */
export type Part = Markup | number | string | readonly Part[]

/** A template whose values are escaped for text and for quoted attributes; control and bidi characters become visible escapes. */
export function markup(strings: TemplateStringsArray, ...values: readonly Part[]): Markup {
  return new Markup(strings.map((text, index) => `${text}${textOf(values[index] ?? '')}`).join(''))
}

/** The HTML of a part. */
export function textOf(part: Part): string {
  if (part instanceof Markup) return part.text
  return typeof part === 'object' ? part.map(each => textOf(each)).join('') : escapeText(String(part))
}

const ESCAPES: Readonly<Record<string, string>> = {'&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;'}

function escapeText(text: string): string {
  return printable(text).replaceAll(/[&<>"']/g, character => ESCAPES[character] ?? '')
}
