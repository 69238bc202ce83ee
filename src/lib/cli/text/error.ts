/** The one place where an error becomes text, JSON and an exit code. */
import {AtlasError, type ErrorCode, accessHintIn, isWithoutRight, messageOf} from '../../model/errors.js'
import {unknownFlags} from './mistyped.js'

/** Exit codes; 0 is success. */
export const exitCodes: Readonly<Record<ErrorCode, number>> = {failed: 1, invalid: 2, 'not-found': 3, conflict: 4, unreachable: 5}

/** The exit code of `status` where the network runs and something needs a person. */
export const NEEDS_ATTENTION = 6

/** The shape of `error` in `--json` output. */
export interface ErrorReport {
  readonly code: ErrorCode
  readonly message: string
  readonly hint?: string
}

/** The report of anything that was thrown; oclif's own errors are wrong usage. */
export function errorReport(error: unknown): ErrorReport {
  if (error instanceof AtlasError) {
    // What this user may not read needs no repair.
    const hint = accessHintIn(error.message) ?? error.hint
    // What this user may not read or write has one exit code, whichever command it is.
    const code = isWithoutRight(error) ? 'failed' : error.code
    return {code, message: error.message, ...(hint !== undefined && {hint})}
  }

  if (isOclifError(error))
    return {
      code: 'invalid',
      message: usageMessage(error.message),
      hint: 'add --help to see arguments, flags and examples',
      ...unknownFlags(error),
    }
  if (isWithoutDirectory(error))
    return {
      code: 'failed',
      message: 'the current directory does not exist any more, and a relative path starts there',
      hint: 'change to a directory that exists, or give absolute paths',
    }
  return {code: 'failed', message: `internal error: ${messageOf(error)}`, hint: 'please report it, with the command that you ran'}
}

/** oclif's message in Atlas's form, without its advice. */
function usageMessage(text: string): string {
  return eachPairOnce(text)
    .replace(/^The following errors? occurred:\s*/, '')
    .replace(/\nSee more help with --help$/, '')
    .replace(/\n*Note: [^\n]*allow multiple values[^\n]*/s, '')
    .replace(/\n*Alternatively, you can use "--"[^\n]*/, '')
    .replace(
      /^Missing \d+ required args?:\n(\S+)\s+(.*)/,
      (_, name: string, description: string) => `missing argument ${name.toUpperCase()}: ${description}`,
    )
    .replace(/^Parsing (--\S+)\s+Expected (.*) but received: (.*)/, '$1 must be $2; got "$3"')
    .replace(/^Expected (--\S+)=(.*) to be one of: (.*)/, '$1 must be one of $3; got "$2"')
    .trim()
}

/** Of two flags that exclude each other oclif complains twice, and shows a switch as `--issuer=true`. */
function eachPairOnce(text: string): string {
  const pairs = [...text.matchAll(EXCLUSIVE)].map(([, given = '', other = '']) => [given, other].sort().join(' and '))
  return pairs.length === 0 ? text : `${[...new Set(pairs)].join(', ')} cannot be used together`
}

const EXCLUSIVE = /(--[a-z-]+)=.* cannot also be provided when using (--[a-z-]+)$/gm

/** For a terminal. */
export function renderError({message, hint}: ErrorReport): string {
  const lines = [`Error: ${message}`]
  if (hint !== undefined) lines.push(`  Hint: ${hint}`)
  return lines.join('\n')
}

/** Node's error where a relative path is resolved in a directory that was deleted. */
function isWithoutDirectory(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error && error.syscall === 'uv_cwd'
}

function isOclifError(error: unknown): error is Error {
  return error instanceof Error && 'oclif' in error
}
