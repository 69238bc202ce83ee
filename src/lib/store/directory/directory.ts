/** A directory of manifests as a place that keeps objects; editors, git and other processes may write there too. */
import {readFile, stat} from 'node:fs/promises'
import path from 'node:path'
import {setTimeout as sleep} from 'node:timers/promises'
import {AtlasError, messageOf} from '../../model/errors.js'
import type {ObjectStore} from '../objects.js'
import {stateStoreOver} from '../state-store.js'
import type {ServerAddress, StateStore} from '../store.js'
import {openFiles} from './files.js'
import {type Lock, livingOwner, tryLock} from './lock.js'
import {observe} from './observe.js'
import type {DirectoryTimes} from './times.js'
import {makeFolder, replace, removeTemporaryFiles} from './write.js'

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
  const files = openFiles(directory, {create})
  const description = `directory ${directory}`
  const objects: ObjectStore = {
    description,
    namespace: undefined,
    signedBy: 'caller',
    keepsDerived: false,
    isShared: false,
    isRemote: false,
    writesAtOnce: 1,
    list: async () => betweenCommits(directory, times.patienceMs, async () => files.scan()),
    read: async key => files.read(key),
    async write(key, manifest) {
      const revision = await files.write(key, manifest)
      return manifest === undefined || revision === undefined ? undefined : {key, revision, manifest}
    },

    async exclusively(work) {
      if (create) await prepare(directory)
      const lock = await waitForLock(path.join(directory, '.commit.lock'), times.lockMs, description)
      try {
        await removeTemporaryFiles(directory)
        // All files are read, so that each object is found under any file name.
        await files.scan()
        return await work()
      } finally {
        await lock.release()
      }
    },

    async observe({look}, signal) {
      observe(directory, times, look, signal)
      return {all: async () => objects.list(), one: () => undefined}
    },

    async hold(server, events) {
      const lock = await locked(directory, tryLock(path.join(directory, '.serve.lock'), {admin: server.admin}))
      if ('release' in lock) {
        events.leading(true)
        events.living([server.replica])
        return {resign: async () => undefined, release: lock.release}
      }

      const {pid, note} = lock.owner
      const admin = note?.['admin'] === undefined ? '' : `, admin port ${note['admin']}`
      throw new AtlasError('conflict', `a server is running on ${description} already: process ${pid}${admin}`, {
        hint: 'stop it first, or use another --store',
      })
    },

    async holder(): Promise<ServerAddress | undefined> {
      const owner = await livingOwner(path.join(directory, '.serve.lock')).catch(() => undefined)
      const admin = owner?.note?.['admin']
      return admin === undefined ? undefined : {admin}
    },

    heartbeats: async () => [],
    mayRead: async () => true,
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

/**
 * Reads while no process commits: a read in the middle of a commit could see its end and not its beginning, such as a credential
 * without its record. After `patienceMs` the directory is read all the same; a commit that is planned on that ends in a conflict.
 */
async function betweenCommits<T>(directory: string, patienceMs: number, look: () => Promise<T>): Promise<T> {
  const lock = path.join(directory, '.commit.lock')
  const isBusy = async (): Promise<boolean> => (await livingOwner(lock).catch(() => undefined)) !== undefined
  const deadline = Date.now() + patienceMs
  for (;;) {
    while ((await isBusy()) && Date.now() < deadline) await sleep(2 + Math.random() * 5)
    const before = await changeTime(directory)
    const found = await look()
    if (Date.now() >= deadline || (!(await isBusy()) && (await changeTime(directory)) === before)) return found
  }
}

/** Files are created and renamed, which changes the time of their directory. */
async function changeTime(directory: string): Promise<bigint | undefined> {
  const found = await stat(directory, {bigint: true}).catch(() => undefined)
  return found?.mtimeNs
}

/** Creates the directory, closed to other users, with a `.gitignore`. */
async function prepare(directory: string): Promise<void> {
  try {
    await makeFolder(directory)
  } catch (error) {
    throw new AtlasError('unreachable', `cannot create the directory ${directory}: ${messageOf(error)}`, {cause: error})
  }

  const file = path.join(directory, '.gitignore')
  const present = await readFile(file, 'utf8').catch(() => '')
  if (!present.includes(GITIGNORE))
    await replace(file, present === '' || present.endsWith('\n') ? present + GITIGNORE : `${present}\n${GITIGNORE}`, 0o644)
}

/**
 * Lists what git may take, not what it must not: a Secret may be in a file of any name, and its keys in another program's copy of it.
 * Records hold what is revoked: checking out an older commit must not make a stolen credential valid again.
 */
const GITIGNORE = `# written by atlas: Secrets hold private keys, so git takes nothing but these
*
!.gitignore
!service-*.yaml
!configmap-*.yaml
configmap-atlas-records-*.yaml
`

/** A lock's errors, as errors of the store. */
async function locked<T>(directory: string, attempt: Promise<T>): Promise<T> {
  try {
    return await attempt
  } catch (error) {
    throw new AtlasError('unreachable', `cannot lock the store ${directory}: ${messageOf(error)}`, {
      hint: 'the directory must exist and be writable',
      cause: error,
    })
  }
}

async function waitForLock(file: string, limitMs: number, description: string): Promise<Lock> {
  const deadline = Date.now() + limitMs
  for (;;) {
    const lock = await locked(path.dirname(file), tryLock(file))
    if ('release' in lock) return lock
    if (Date.now() > deadline)
      throw new AtlasError('conflict', `process ${lock.owner.pid} has been writing to ${description} for over ${limitMs / 1000} s`, {
        hint: 'run the command again when it is done',
      })
    await sleep(2 + Math.random() * 10)
  }
}
