/** A directory of manifests as a place that keeps objects; editors, git and other processes may write there too. */
import {type FSWatcher, watch} from 'node:fs'
import {mkdir, readFile, writeFile} from 'node:fs/promises'
import path from 'node:path'
import {AtlasError, messageOf} from '../../model/errors.js'
import type {ObjectStore} from '../objects.js'
import {stateStoreOver} from '../state-store.js'
import type {ServerAddress, StateStore} from '../store.js'
import {openFiles} from './files.js'
import {type Lock, livingOwner, tryLock} from './lock.js'

/** Milliseconds. */
export interface DirectoryTimes {
  /** A foreign change is looked at when nothing has happened for this long, so that a half-written file is not. */
  readonly quietMs: number
  /** The directory is looked at this often even when nothing is reported. */
  readonly pollMs: number
  /** A directory that can't be read is tried again this often. */
  readonly retryMs: number
  /** How long to wait for another writer. */
  readonly lockMs: number
}

export const defaultDirectoryTimes: DirectoryTimes = {quietMs: 200, pollMs: 30_000, retryMs: 1000, lockMs: 30_000}

export interface DirectoryOptions {
  /** Whether a directory that is not there is an empty store; it is then made, with mode 0700, at the first commit. */
  readonly create: boolean
  readonly times: DirectoryTimes
}

/** The directory `directory` as a state store. */
export function directoryStore(directory: string, options: DirectoryOptions): StateStore {
  return stateStoreOver(directoryObjects(path.resolve(directory), options))
}

function directoryObjects(directory: string, {create, times}: DirectoryOptions): ObjectStore {
  const files = openFiles(directory, {create})
  const description = `directory ${directory}`
  return {
    description,
    list: async () => files.scan(),
    read: async key => files.read(key),
    write: async (key, manifest) => files.write(key, manifest),

    async exclusively(work) {
      if (create) await prepare(directory)
      const lock = await waitForLock(path.join(directory, '.commit.lock'), times.lockMs, description)
      try {
        // One look at all files, so that each object is found under whatever name it stands.
        await files.scan()
        return await work()
      } finally {
        await lock.release()
      }
    },

    async observe(look, signal) {
      observe(directory, times, look, signal)
    },

    async hold(server) {
      const lock = await tryLock(path.join(directory, '.serve.lock'), {admin: server.admin})
      if ('release' in lock) return lock
      throw new AtlasError(
        'conflict',
        `a server runs on ${description} already: process ${lock.owner.pid}${lock.owner.note === undefined ? '' : `, admin port ${lock.owner.note['admin'] ?? ''}`}`,
        {hint: 'stop it first, or use another --store'},
      )
    },

    async holder(): Promise<ServerAddress | undefined> {
      const owner = await livingOwner(path.join(directory, '.serve.lock')).catch(() => undefined)
      const admin = owner?.note?.['admin']
      return admin === undefined ? undefined : {admin}
    },
  }
}

/** The directory, closed to others, with a list of what git must never take. */
async function prepare(directory: string): Promise<void> {
  try {
    await mkdir(directory, {recursive: true, mode: 0o700})
  } catch (error) {
    throw new AtlasError('unreachable', `the directory ${directory} can't be made: ${messageOf(error)}`, {cause: error})
  }

  const file = path.join(directory, '.gitignore')
  const present = await readFile(file, 'utf8').catch(() => undefined)
  if (present === undefined) await writeFile(file, GITIGNORE, {flag: 'wx'}).catch(() => undefined)
}

const GITIGNORE = `# written by atlas: Secrets hold private keys and are not for git
secret-*.yaml
.*.lock*
.lock-*
.*.yaml.*
`

async function waitForLock(file: string, limitMs: number, description: string): Promise<Lock> {
  const deadline = Date.now() + limitMs
  for (;;) {
    const lock = await tryLock(file)
    if ('release' in lock) return lock
    if (Date.now() > deadline)
      throw new AtlasError('conflict', `process ${lock.owner.pid} has been writing to ${description} for over ${limitMs / 1000} s`, {
        hint: 'run the command again when it is done',
      })
    await new Promise(resolve => setTimeout(resolve, 2 + Math.random() * 10))
  }
}

/** `fs.watch` where it can be had, and a slow look in any case. A directory that is gone is watched again when it is back. */
function observe(directory: string, times: DirectoryTimes, look: () => void, signal: AbortSignal): void {
  let quiet: NodeJS.Timeout | undefined
  let watcher: FSWatcher | undefined
  let retry: NodeJS.Timeout | undefined

  const later = (): void => {
    clearTimeout(quiet)
    quiet = setTimeout(look, times.quietMs)
  }

  const start = (): void => {
    try {
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

  const poll = setInterval(look, times.pollMs)
  signal.addEventListener(
    'abort',
    () => {
      watcher?.close()
      for (const timer of [quiet, retry]) clearTimeout(timer)
      clearInterval(poll)
    },
    {once: true},
  )
  start()
}
