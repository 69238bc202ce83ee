/** The intervals and time limits of a directory store. */

/** Milliseconds. */
export interface DirectoryTimes {
  /** A change by another process is read after this time without a further one, so that half-written files are not read. */
  readonly quietMs: number
  /** A directory in which changes never pause is read this long after the first one all the same. */
  readonly patienceMs: number
  /** The directory is read this often even when no change is reported. */
  readonly pollMs: number
  /** A directory, or a file in it, that can't be read is tried again this often. */
  readonly retryMs: number
  /** A commit that waits longer for another writer fails. */
  readonly lockMs: number
}

export const defaultDirectoryTimes: DirectoryTimes = {quietMs: 200, patienceMs: 5000, pollMs: 30_000, retryMs: 1000, lockMs: 30_000}
