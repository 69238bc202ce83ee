/** When to read a directory, and which of its files: a while after its last change, at regular intervals, and when it is back after it was gone. */
import {type FSWatcher, statSync, watch} from 'node:fs'
import path from 'node:path'
import {isObjectFile} from './files.js'
import type {DirectoryTimes} from './times.js'

export interface Observation {
  /** Calls `look` after so many milliseconds, once; all files are to be read then. */
  later(milliseconds: number): void
  /** The files that were changed since the last call; undefined: all may have been, until `reset`. */
  take(): ReadonlySet<string> | undefined
  /** All files are about to be read. */
  reset(): void
}

/**
 * After this many events all files are read: the kernel drops events of a process that does not read them in time, from 16,384 on
 * (inotify(7), max_queued_events), and Node does not pass that on.
 */
const EVENTS_MAX = 1000

/** Calls `look` whenever files in `directory` may have changed, until `signal` aborts: by `fs.watch`, and at intervals. */
export function observe(directory: string, times: DirectoryTimes, look: () => void, signal: AbortSignal): Observation {
  let quiet: NodeJS.Timeout | undefined
  let patience: NodeJS.Timeout | undefined
  let retry: NodeJS.Timeout | undefined
  let again: NodeJS.Timeout | undefined
  let watcher: FSWatcher | undefined
  /** Identifies the directory that is watched: another one may get its name. */
  let watched: string | undefined
  let names = new Set<string>()
  let events = 0
  /** `names` are not all files that may have changed. */
  let isAll = true

  const now = (): void => {
    clearTimeout(quiet)
    clearTimeout(patience)
    patience = undefined
    look()
  }

  const later = (): void => {
    clearTimeout(quiet)
    quiet = setTimeout(now, times.quietMs)
    patience ??= setTimeout(now, Math.max(times.patienceMs, times.quietMs))
  }

  const reset = (): void => {
    names = new Set()
    events = 0
    isAll = false
  }

  const allLater = (): void => {
    isAll = true
    later()
  }

  const start = (): void => {
    isAll = true
    try {
      watched = identityOf(directory)
      watcher = watch(directory, (event, name) => {
        events += 1
        // The directory itself was moved or removed.
        if (name === path.basename(directory) && event === 'rename') restart()
        // A name that is not in UTF-8 can't be used to read the file.
        else if (name === null || name.includes('\uFFFD')) allLater()
        else if (isObjectFile(name)) {
          names.add(name)
          later()
        }
      })
      watcher.on('error', restart)
      later()
    } catch {
      look()
      retry = setTimeout(start, times.retryMs)
    }
  }

  function restart(): void {
    watcher?.close()
    watcher = undefined
    allLater()
    clearTimeout(retry)
    retry = setTimeout(start, times.retryMs)
  }

  // `fs.watch` does not report that a folder further up was moved, or that a link has another target.
  const poll = setInterval(() => {
    if (watcher !== undefined && identityOf(directory) !== watched) restart()
    else allLater()
  }, times.pollMs)

  const stop = (): void => {
    watcher?.close()
    for (const timer of [quiet, patience, retry, again]) clearTimeout(timer)
    clearInterval(poll)
  }

  if (signal.aborted) clearInterval(poll)
  else {
    signal.addEventListener('abort', stop, {once: true})
    start()
  }

  return {
    later(milliseconds) {
      clearTimeout(again)
      if (signal.aborted) return
      again = setTimeout(() => {
        isAll = true
        now()
      }, milliseconds)
    },
    take() {
      if (isAll || events > EVENTS_MAX) return undefined
      const taken = names
      reset()
      return taken
    },
    reset,
  }
}

/** Undefined: it is not there. */
function identityOf(directory: string): string | undefined {
  const stat = statSync(directory, {throwIfNoEntry: false})
  return stat === undefined ? undefined : `${stat.dev}:${stat.ino}`
}
