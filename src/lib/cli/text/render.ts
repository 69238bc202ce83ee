/** Tables and lists of changes as text for a terminal. */
import {type Change, describe} from '../../model/change.js'
import {printable} from '../../model/printable.js'

/** How a table is shown where it is wider than its terminal. */
export interface Fold {
  /** Columns of the terminal; undefined: the output goes elsewhere, and nothing is folded. */
  readonly width: number | undefined
  /** The column with which the second line of each row begins, if what is before it fits. */
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
  if (lines.length === 1) return rows.map(row => joinCells(row, widths)).join('\n')
  const [last, wrapAt] = [head.length - 1, Math.max((fold?.width ?? 0) - INDENT.length, INDENT.length)]
  return rows
    .flatMap(row =>
      lines.flatMap(([from, to], index) => {
        const text = joinCells(row.slice(from, to), widths.slice(from, to))
        if (index === 0) return [text]
        // A long last cell is a sentence.
        const parts = from === last ? wrapWords(text, wrapAt).split('\n') : [text]
        return text === '' ? [] : parts.map(part => INDENT + part)
      }),
    )
    .join('\n')
}

const INDENT = '  '

/** Of each line of a row its first column and the one after its last. */
function linesOf(widths: readonly number[], fold: Fold | undefined): readonly (readonly [from: number, to: number])[] {
  const wide = (from: number, to: number): number => widths.slice(from, to).reduce((sum, width) => sum + width + 2, -2)
  const {width = Infinity, before = 0} = fold ?? {}
  if (wide(0, widths.length) <= width) return [[0, widths.length]]
  const lines: [number, number][] = []
  let from = 0
  for (let column = 1; column < widths.length; column += 1) {
    const indent = from === 0 ? 0 : INDENT.length
    if (column !== before && indent + wide(from, column + 1) <= width) continue
    lines.push([from, column])
    from = column
  }

  return [...lines, [from, widths.length]]
}

function joinCells(cells: readonly string[], widths: readonly number[]): string {
  return cells
    .map((cell, column) => (column === cells.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)))
    .join('  ')
    .trimEnd()
}

/** The text on lines of at most `width` characters, broken at blanks; a word that is longer has a line of its own. */
export function wrapWords(text: string, width = Infinity): string {
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
