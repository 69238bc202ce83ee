/** The one error family, and the faults of what is stored. Text for people and exit codes are made in `cli/`; nothing here prints. */
import {printable} from './printable.js'

/** The kinds of error; each code has one exit code (cli/text/error.ts). */
export type ErrorCode = 'conflict' | 'failed' | 'invalid' | 'not-found' | 'unreachable'

export interface ErrorDetails {
  /** What the reader can do about it: a sentence or a command, without a trailing line break. */
  readonly hint?: string | undefined
  readonly cause?: unknown
}

/** An error for people: `message` is what failed and why, never key material; `hint` is what to do. */
export class AtlasError extends Error {
  readonly code: ErrorCode
  readonly hint: string | undefined

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : {cause: details.cause})
    this.name = 'AtlasError'
    this.code = code
    this.hint = details.hint
  }
}

/** An AtlasError for input that cannot be accepted. `wanted` completes "must be …". */
export function invalid(what: string, wanted: string, got: string, hint?: string): AtlasError {
  const message = `${what} must be ${wanted}; got ${quote(got)}`
  return new AtlasError('invalid', message, hint === undefined ? {} : {hint})
}

/** Something stored that could not be read: where it is, and what it must be (never key material). */
export interface Fault {
  /** Kind and name, such as `Service/paris`. */
  readonly object: string
  /** The file, where the store has files. */
  readonly source?: string
  /** Path inside the object, such as `metadata.annotations["goatlas.io/addresses"]`. */
  readonly key: string
  readonly message: string
}

export function sameFault(fault: Fault, other: Fault | undefined): boolean {
  return fault.object === other?.object && fault.key === other.key && fault.message === other.message && fault.source === other.source
}

/**
 * Quotes foreign text: on one line, printable, cut at `max` characters, so that it can't forge log lines. Text that may be
 * part of a private key in the wrong field is not shown.
 */
export function quote(text: string, max = 80): string {
  const shown = text.slice(0, 4096).replaceAll(/[A-Za-z0-9+/]{32,}/g, run => (isKeyLike(run) ? '(not shown: it may be a key)' : run))
  return printable(JSON.stringify(shown.length > max || text.length > 4096 ? `${shown.slice(0, max - 3)}...` : shown))
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/**
 * What to do where the system refuses to read or write a file to this user; undefined for any other error.
 * @param of what the file belongs to: a store that exists has no other place
 */
export function accessHint(error: unknown, of: 'output' | 'store' = 'output'): string | undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'EROFS') return of === 'store' ? READ_ONLY_STORE : 'it is on a file system that can only be read: name another place'
  return code === 'EACCES' || code === 'EPERM' ? NO_RIGHT : undefined
}

/** Whether an error, or one that it was caused by, is that this user may not read or write a file: of whatever kind the error is. */
export function isWithoutRight(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const isOfFile = 'code' in error && 'path' in error && (error.code === 'EACCES' || error.code === 'EPERM')
  return isOfFile || (error instanceof AtlasError && accessHintIn(error.message) !== undefined) || isWithoutRight(error.cause)
}

/** What to do where a directory store says in `message` that this user may not read a file. */
export function accessHintIn(message: string): string | undefined {
  return message.includes("it can't be read: EACCES") ? NO_RIGHT : undefined
}

const READ_ONLY_STORE =
  'the store is on a file system that can only be read: mount that writable, and run the command again; only a new store can be in another place'

const NO_RIGHT =
  'this user lacks the right: run the command as the owner of that file or directory, or change its owner or mode (chown, chmod)'

/** A long run of base64 has capitals, small letters and digits; names and addresses have not. */
function isKeyLike(run: string): boolean {
  return [/[A-Z]/, /[a-z]/, /[0-9]/].every(kind => kind.test(run))
}
