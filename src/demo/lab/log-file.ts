/** Reads a program's log file: its last lines for messages, and the lines since a given length for the proofs. */
import {closeSync, fstatSync, openSync, readFileSync, readSync, statSync} from 'node:fs'

const TAIL_BYTES = 32_768

/** The last lines, indented, each cut at 400 characters; a sentence where there are none. */
export function lastLines(file: string, count: number): string {
  const lines = tailOf(file)
    .split('\n')
    .filter(line => line.trim() !== '')
    .slice(-count)
  if (lines.length === 0) return '  (it printed nothing)'
  return lines.map(line => `  ${line.length > 400 ? `${line.slice(0, 400)} …` : line}`).join('\n')
}

/** The length of the log in bytes; 0 where there is none. */
export function logLength(file: string): number {
  try {
    return statSync(file).size
  } catch {
    return 0
  }
}

/** The complete lines after the first `from` bytes. */
export function linesSince(file: string, from: number): readonly string[] {
  const bytes = readFileSync(file).subarray(from)
  const lines = bytes.toString('utf8').split('\n')
  return lines.slice(0, -1)
}

function tailOf(file: string): string {
  try {
    const handle = openSync(file, 'r')
    try {
      const {size} = fstatSync(handle)
      const length = Math.min(size, TAIL_BYTES)
      const buffer = Buffer.alloc(length)
      readSync(handle, buffer, 0, length, size - length)
      return buffer.toString('utf8')
    } finally {
      closeSync(handle)
    }
  } catch {
    return ''
  }
}
