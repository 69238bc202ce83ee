/** Tables and lists of changes as text for a terminal. */
import {type Change, describe} from '../../model/change.js'
import {printable} from '../../model/printable.js'

/** Columns two blanks apart; the last one takes the width that it needs. A cell is one line, whatever came from outside is in it. */
export function renderTable(head: readonly string[], raw: readonly (readonly string[])[]): string {
  const rows = raw.map(cells => cells.map(printable))
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map(row => (row[column] ?? '').length)))
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => (column === cells.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)))
      .join('  ')
      .trimEnd()
  return [head, ...rows].map(cells => line(cells)).join('\n')
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
