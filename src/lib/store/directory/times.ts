/** How long a directory store waits, for what. */

/** Milliseconds. */
export interface DirectoryTimes {
  /** A foreign change is looked at when nothing has happened for this long, so that a half-written file is not. */
  readonly quietMs: number
  /** A directory that never gets quiet is looked at this long after its first change all the same. */
  readonly patienceMs: number
  /** The directory is looked at this often even when nothing is reported. */
  readonly pollMs: number
  /** A directory that can't be read is tried again this often. */
  readonly retryMs: number
  /** How long to wait for another writer. */
  readonly lockMs: number
}

export const defaultDirectoryTimes: DirectoryTimes = {quietMs: 200, patienceMs: 5000, pollMs: 30_000, retryMs: 1000, lockMs: 30_000}
