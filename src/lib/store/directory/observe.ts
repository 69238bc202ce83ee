/** When to look at a directory: a while after its last change, sooner or later in any case, and again when it is back. */
import {type FSWatcher, statSync, watch} from 'node:fs'
import path from 'node:path'
import type {DirectoryTimes} from './times.js'

/**
 * Calls `look` whenever files in `directory` may have changed, until `signal` aborts: by `fs.watch` where it can be had, and slowly
 * without it.
 */
export function observe(directory: string, times: DirectoryTimes, look: () => void, signal: AbortSignal): void {
  let quiet: NodeJS.Timeout | undefined
  let patience: NodeJS.Timeout | undefined
  let retry: NodeJS.Timeout | undefined
  let watcher: FSWatcher | undefined
  /** The directory that is watched, should another one come to stand under its name. */
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
        // The directory itself was moved or removed: what is watched is not what stands there now.
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

  // A folder further up that is moved, or a link that is turned, is told by nobody.
  const poll = setInterval(() => {
    if (watcher !== undefined && identityOf(directory) !== watched) restart()
    else later()
  }, times.pollMs)

  const stop = (): void => {
    watcher?.close()
    for (const timer of [quiet, patience, retry]) clearTimeout(timer)
    clearInterval(poll)
  }

  if (signal.aborted) {
    clearInterval(poll)
    return
  }

  signal.addEventListener('abort', stop, {once: true})
  start()
}

/** Undefined: it is not there. */
function identityOf(directory: string): string | undefined {
  const stat = statSync(directory, {throwIfNoEntry: false})
  return stat === undefined ? undefined : `${stat.dev}:${stat.ino}`
}
