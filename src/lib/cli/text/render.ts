/** Tables and lists of changes as text for a terminal. */
import {type Change, describe} from '../../model/change.js'
import {printable} from '../../model/printable.js'

/** How a table is shown where it is wider than its terminal. */
export interface Fold {
  /** Columns of the terminal; undefined: the output goes elsewhere, and nothing is folded. */
  readonly width: number | undefined
  /** The column with which the next line of each row begins, though it may have room on the line before. */
  readonly before: number
}

/**
 * Columns two blanks apart; the last one takes the width that it needs. A cell is one line, whatever came from outside is in it. A table that
 * is wider than the terminal has rows of several lines, all but the first of them indented, and its title row is folded in the same way.
 */
export function renderTable(head: readonly string[], raw: readonly (readonly string[])[], fold?: Fold): string {
  const rows = [head, ...raw.map(cells => cells.map(printable))]
  const widths = head.map((_, column) => Math.max(...rows.map(row => (row[column] ?? '').length)))
  const lines = linesOf(widths, fold)
  const wrapAt = Math.max((fold?.width ?? Infinity) - INDENT.length, INDENT.length)
  return rows
    .flatMap(row =>
      lines.flatMap((columns, index) => {
        const text = joinCells(row, columns, widths)
        if (index === 0) return [text]
        // A long cell on a line of its own is a sentence.
        const parts = columns.length === 1 ? wrapWords(text, wrapAt).split('\n') : [text]
        return text === '' ? [] : parts.map(part => INDENT + part)
      }),
    )
    .join('\n')
}

const INDENT = '  '

/** The columns on each line of a row. A column comes on the first line that has room, so that one wide column does not part those around it. */
function linesOf(widths: readonly number[], fold: Fold | undefined): readonly (readonly number[])[] {
  const {width = Infinity, before = 0} = fold ?? {}
  const all = widths.map((_, column) => column)
  if (wide(all, widths) <= width) return [all]
  const pack = (columns: readonly number[], indent: number): readonly (readonly number[])[] => {
    const lines: number[][] = []
    for (const column of columns) {
      const line = lines.find((each, index) => (index === 0 ? indent : INDENT.length) + wide([...each, column], widths) <= width)
      if (line === undefined) lines.push([column])
      else line.push(column)
    }

    return lines
  }
  return [...pack(all.slice(0, before), 0), ...pack(all.slice(before), before === 0 ? 0 : INDENT.length)]
}

function wide(columns: readonly number[], widths: readonly number[]): number {
  return columns.reduce((sum, column) => sum + (widths[column] ?? 0) + 2, -2)
}

function joinCells(row: readonly string[], columns: readonly number[], widths: readonly number[]): string {
  return columns
    .map((column, index) => (index === columns.length - 1 ? (row[column] ?? '') : (row[column] ?? '').padEnd(widths[column] ?? 0)))
    .join('  ')
    .trimEnd()
}

/** A command in double quotes, or a path that is quoted for a shell: a line's end in it would be copied with it. */
const COPIED = /"(?:atlas|curl|docker|envoy|helm|kubectl|npm|openssl) [^"\n]*"|(?<=^|[ (])'[^'\n]*\/[^'\n]*'/g

/** Stands for a blank at which no line is broken; no text has it, because it has no meaning. */
const BLANK = '\uE000'

/**
 * The text on lines of at most `width` characters, broken at blanks; a word that is longer has a line of its own. What is to be copied is one
 * word.
 */
export function wrapWords(text: string, width = Infinity): string {
  return wrapParts(
    text.replaceAll(COPIED, part => part.replaceAll(' ', BLANK)),
    width,
  ).replaceAll(BLANK, ' ')
}

function wrapParts(text: string, width: number): string {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }

  return [...lines, line].join('\n')
}

/**
 * Each line of a text as `wrapWords`. The lines that a long one is continued on begin below the words of the first: after its blanks, its
 * number, or a first column that ends with two blanks.
 */
export function wrapText(text: string, width = Infinity): string {
  return text
    .split('\n')
    .map(line => (line.length <= width ? line : wrapLine(line, width)))
    .join('\n')
}

function wrapLine(line: string, width: number): string {
  const [blanks = ''] = /^ */.exec(line) ?? []
  const [start = ''] = /^ *(?:(?:\d+\.|[-*!●✔✘]) |\S+(?: \S+)* {2,})?/u.exec(line) ?? []
  const first = start.length > width / 2 ? blanks : start
  const rest = wrapWords(line.slice(first.length), Math.max(width - first.length, 1))
  return first + rest.replaceAll('\n', `\n${' '.repeat(first.length)}`)
}

/** What was changed, each thing once. */
export function described(changes: readonly Change[]): readonly string[] {
  return [...new Set(changes.map(change => describe(change)))]
}

/** What was changed, a line each; the same texts as in `--json`. */
export function renderChanges(changes: readonly Change[]): string {
  return described(changes)
    .map(line => `  ${printable(line)}`)
    .join('\n')
}

/** `  key  value`, a line each. */
export function renderFields(fields: Readonly<Record<string, string>>): string {
  return columns(Object.entries(fields))
    .map(line => `  ${line}`)
    .join('\n')
}

/** `key  value` each, the values below each other. */
export function columns(fields: readonly (readonly [key: string, value: string])[]): readonly string[] {
  const width = Math.max(12, ...fields.map(([key]) => key.length))
  return fields.map(([key, value]) => `${key.padEnd(width)}  ${printable(value)}`)
}

/** `  key: before -> after` for each value that differs. */
export function renderDifference(before: Readonly<Record<string, string>>, after: Readonly<Record<string, string>>): string {
  return Object.keys({...before, ...after})
    .filter(key => before[key] !== after[key])
    .map(key => printable(`  ${key}: ${before[key] ?? '(none)'} -> ${after[key] ?? '(none)'}`))
    .join('\n')
}
