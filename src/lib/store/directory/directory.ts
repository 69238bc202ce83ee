/** A directory of manifests as a place that keeps objects; editors, git and other processes may write there too. */
import {stat} from 'node:fs/promises'
import path from 'node:path'
import {setImmediate} from 'node:timers/promises'
import {AtlasError, accessHint, messageOf} from '../../model/errors.js'
import type {ObjectStore, Sighting, StoredObject} from '../objects.js'
import {stateStoreOver} from '../state-store.js'
import type {ServerAddress, StateStore} from '../store.js'
import {openExposures} from './exposed.js'
import {openFiles} from './files.js'
import {writeGitignore} from './gitignore.js'
import {type LockOwner, livingOwner, tryLock} from './lock.js'
import {lockErrors, openLockWaits} from './lock-waits.js'
import {observe} from './observe.js'
import type {DirectoryTimes} from './times.js'
import {errnoOf, makeFolder, missing, removeTemporaryFiles, unreachable} from './write.js'

export interface DirectoryOptions {
  /** Whether a directory that does not exist is an empty store; it is then created, with mode 0700, at the first commit. */
  readonly create: boolean
  readonly times: DirectoryTimes
}

/** The directory `directory` as a state store. */
export function directoryStore(directory: string, options: DirectoryOptions): StateStore {
  return stateStoreOver(directoryObjects(path.resolve(directory), options))
}

function directoryObjects(directory: string, {create, times}: DirectoryOptions): ObjectStore {
  const exposures = openExposures(directory)
  const files = openFiles(directory, {create, exposures})
  const description = `directory ${directory}`
  const waits = openLockWaits(directory, times)
  /** Whether every user of this machine may write there. */
  let isOpenToAll = false
  const otherFiles: string[] = []

  /** The server that holds the directory. @throws AtlasError `unreachable` where this user may not read which one it is */
  async function serving(): Promise<LockOwner | undefined> {
    const lock = path.join(directory, '.serve.lock')
    return livingOwner(lock).catch((error: unknown) => {
      const hint = accessHint(error)
      if (hint === undefined) return undefined
      const message = `cannot read ${lock}, which says whether a server runs on ${description}: ${messageOf(error)}`
      throw new AtlasError('unreachable', message, {hint, cause: error})
    })
  }

  function held({pid, note}: LockOwner): AtlasError {
    const admin = note?.['admin'] === undefined ? '' : `, admin port ${note['admin']}`
    return new AtlasError('conflict', `a server is running on ${description} already: process ${pid}${admin}`, {
      hint: 'stop it first, or use another --store',
    })
  }

  async function list(): Promise<readonly StoredObject[]> {
    const found = await waits.betweenCommits(async () => files.scan())
    // What is no installation, such as /tmp, may be meant to be written by all.
    isOpenToAll = found.length > 0 && (await isWorldWritable(directory))
    return found
  }

  const objects: ObjectStore = {
    description,
    namespace: undefined,
    signedBy: 'caller',
    keepsDerived: false,
    isShared: false,
    isRemote: false,
    writesAtOnce: 1,
    list,
    read: async key => files.read(key),
    async write(key, manifest) {
      const revision = await files.write(key, manifest)
      return manifest === undefined || revision === undefined ? undefined : {key, revision, manifest}
    },

    async exclusively(work, inTurn) {
      if (create) {
        const written = await prepare(directory)
        if (written !== undefined) otherFiles.push(written)
      }

      const lock = await waits.commitLock()
      try {
        return await inTurn(async () => {
          // Not all files are read again: that an editor has put one of these objects into another object's file shows at the next scan.
          await removeTemporaryFiles(directory, await files.catchUp(times.pollMs))
          return work()
        })
      } finally {
        await lock.release()
      }
    },

    async observe({look, warned}, signal) {
      exposures.follow(warned, signal)
      const follower = files.follow()
      signal.addEventListener('abort', follower.stop, {once: true})
      const observation = observe(directory, times, look, signal)
      // What can not be read may be readable a moment later, and no change tells: it is read again soon.
      const all = async (): Promise<readonly StoredObject[]> => {
        let isRead = false
        observation.reset()
        try {
          const found = await list()
          follower.clear()
          isRead = !files.hasUnread()
          return found
        } finally {
          if (!isRead) observation.later(times.retryMs)
        }
      }

      const readChanged = async (): Promise<boolean> => {
        // The events of all that was written before this have then been received.
        await setImmediate()
        const names = observation.take()
        if (names !== undefined) await files.refresh(names)
        return names !== undefined
      }

      // An error shows again when all files are read, which is tried again later.
      const since = async (): Promise<readonly Sighting[] | undefined> =>
        (await waits.betweenCommits(readChanged).catch(() => false)) ? follower.take() : undefined

      return {all, since, one: () => undefined}
    },

    warnings: () => [
      ...waits.warnings(),
      ...exposures.warnings(),
      ...(isOpenToAll ? [`every user of this machine may write into the ${description}, and make Atlas sign for them: chmod o-w it`] : []),
    ],

    otherFiles: () => otherFiles,

    async hold(server, events) {
      await requireDirectory(directory)
      const lock = await lockErrors(directory, tryLock(path.join(directory, '.serve.lock'), {admin: server.admin}))
      if ('release' in lock) {
        events.leading(true)
        events.living([server.replica])
        return {resign: async () => undefined, release: lock.release}
      }

      throw held(lock.owner)
    },

    async requireFree() {
      await requireDirectory(directory)
      const owner = await serving()
      if (owner !== undefined) throw held(owner)
    },

    async holder(): Promise<ServerAddress | undefined> {
      const admin = (await serving())?.note?.['admin']
      return admin === undefined ? undefined : {admin}
    },

    heartbeats: async () => [],
    mayRead: async () => true,
    endpointsIn: async () => undefined,
    heardAt: () => undefined,
    serverTime: () => undefined,

    close() {
      // Nothing is open.
    },

    async recordEvent() {
      // There is no place for Events: a file would be taken for an object. The log has the same messages.
    },
  }
  return objects
}

/** @throws AtlasError `not-found` where it does not exist, `unreachable` where that cannot be seen */
async function requireDirectory(directory: string): Promise<void> {
  await stat(directory).catch((error: unknown) => {
    throw errnoOf(error) === 'ENOENT' ? missing(directory, error) : unreachable(directory, error)
  })
}

/** The sticky bit keeps others' files from being replaced, and not new ones from being made. */
async function isWorldWritable(directory: string): Promise<boolean> {
  const found = await stat(directory).catch(() => undefined)
  return found !== undefined && (found.mode & 0o002) !== 0
}

/** Creates the directory, closed to other users, with a `.gitignore`. @returns what was written into that */
async function prepare(directory: string): Promise<string | undefined> {
  try {
    await makeFolder(directory)
  } catch (error) {
    if (error instanceof AtlasError) throw error
    throw new AtlasError('unreachable', `cannot create the directory ${directory}: ${messageOf(error)}`, {
      hint: accessHint(error),
      cause: error,
    })
  }

  return writeGitignore(directory)
}
