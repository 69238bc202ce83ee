/** The one place where an error becomes text, JSON and an exit code. */
import {AtlasError, type ErrorCode, messageOf} from '../../model/errors.js'

/** Exit codes; 0 is success. */
export const exitCodes: Readonly<Record<ErrorCode, number>> = {failed: 1, invalid: 2, 'not-found': 3, conflict: 4, unreachable: 5}

/** The shape of `error` in `--json` output. */
export interface ErrorReport {
  readonly code: ErrorCode
  readonly message: string
  readonly hint?: string
}

/** What to tell of anything that was thrown; oclif's own errors are wrong usage. */
export function reportOf(error: unknown): ErrorReport {
  if (error instanceof AtlasError)
    return {code: error.code, message: error.message, ...(error.hint === undefined ? {} : {hint: error.hint})}
  if (isOclifError(error)) return usageReport(error.message)
  return {code: 'failed', message: `this should not happen: ${messageOf(error)}`, hint: 'please report it, with the command that you ran'}
}

/** oclif's words, without its frame. */
function usageReport(text: string): ErrorReport {
  const message = text
    .replace(/^The following errors? occurred:\s*/, '')
    .replace(/\nSee more help with --help$/, '')
    .replace(/\n*Note: [^\n]*allow multiple values[^\n]*/s, '')
    .trim()
  return {code: 'invalid', message, hint: 'see --help'}
}

/** For a terminal. */
export function renderError({message, hint}: ErrorReport): string {
  const lines = [`Error: ${message}`]
  if (hint !== undefined) lines.push(`  Hint: ${hint}`)
  return lines.join('\n')
}

function isOclifError(error: unknown): error is Error {
  return error instanceof Error && 'oclif' in error
}
