/** When to read a directory: a while after its last change, at regular intervals, and when it is back after it was gone. */
import {type FSWatcher, statSync, watch} from 'node:fs'
import path from 'node:path'
import type {DirectoryTimes} from './times.js'

/**
 * Calls `look` whenever files in `directory` may have changed, until `signal` aborts: by `fs.watch`, and at intervals.
 * @returns calls `look` after so many milliseconds, once
 */
export function observe(directory: string, times: DirectoryTimes, look: () => void, signal: AbortSignal): (milliseconds: number) => void {
  let quiet: NodeJS.Timeout | undefined
  let patience: NodeJS.Timeout | undefined
  let retry: NodeJS.Timeout | undefined
  let again: NodeJS.Timeout | undefined
  let watcher: FSWatcher | undefined
  /** Identifies the directory that is watched: another one may get its name. */
  let watched: string | undefined

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

  const start = (): void => {
    try {
      watched = identityOf(directory)
      watcher = watch(directory, (event, name) => {
        // The directory itself was moved or removed.
        if (name === path.basename(directory) && event === 'rename') restart()
        else if (name === null || (name.endsWith('.yaml') && !name.startsWith('.'))) later()
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
    later()
    clearTimeout(retry)
    retry = setTimeout(start, times.retryMs)
  }

  // `fs.watch` does not report that a folder further up was moved, or that a link has another target.
  const poll = setInterval(() => {
    if (watcher !== undefined && identityOf(directory) !== watched) restart()
    else later()
  }, times.pollMs)

  const stop = (): void => {
    watcher?.close()
    for (const timer of [quiet, patience, retry, again]) clearTimeout(timer)
    clearInterval(poll)
  }

  if (signal.aborted) {
    clearInterval(poll)
    return () => undefined
  }

  signal.addEventListener('abort', stop, {once: true})
  start()
  return milliseconds => {
    clearTimeout(again)
    if (!signal.aborted) again = setTimeout(now, milliseconds)
  }
}

/** Undefined: it is not there. */
function identityOf(directory: string): string | undefined {
  const stat = statSync(directory, {throwIfNoEntry: false})
  return stat === undefined ? undefined : `${stat.dev}:${stat.ino}`
}
