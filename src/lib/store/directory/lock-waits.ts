/** Waiting for the process that writes to a directory: for how long, and what is said about it meanwhile. The lock itself: lock.ts. */
import {stat} from 'node:fs/promises'
import path from 'node:path'
import {setTimeout as sleep} from 'node:timers/promises'
import {AtlasError, accessHint, messageOf} from '../../model/errors.js'
import {type Lock, type LockOwner, livingOwner, takenAt, tryLock} from './lock.js'
import {isStopped} from './process.js'
import type {DirectoryTimes} from './times.js'

export interface LockWaits {
  /** The lock for a commit. @throws AtlasError `unreachable` where another process holds it for longer than `times.lockMs` */
  commitLock(): Promise<Lock>
  /**
   * Reads while no process commits: a read in the middle of a commit could see its end and not its beginning, such as a credential
   * without its record. After `times.patienceMs` the directory is read all the same; a commit that is planned on that ends in a conflict.
   */
  betweenCommits<T>(look: () => Promise<T>): Promise<T>
  /** Which process is being waited for, and since when it writes. */
  warnings(): readonly string[]
}

/** A commit takes milliseconds: a process that writes for longer than this is named, milliseconds. */
const NAMED_AFTER = 1000
/** The shortest and the longest time between two looks at the lock, milliseconds. */
const LOOK_MIN = 2
const LOOK_MAX = 100

/** Waits for the locks of `directory`. */
export function openLockWaits(directory: string, times: DirectoryTimes): LockWaits {
  const file = path.join(directory, '.commit.lock')
  const description = `directory ${directory}`
  /** The process that is waited for, in words, and since when. */
  let waiting: {readonly holder: string; readonly since: number} | undefined
  /** Who it was when a wait ended without the lock: until a later one succeeds. */
  let isGivenUp = false
  /** A commit of this process has the lock. Reads take turns with it (state-store.ts), and do not wait for it here. */
  let isHeld = false

  async function waitFor(owner: LockOwner, began: number): Promise<void> {
    waiting = {holder: await describe(owner), since: began}
    await sleep(Math.min(LOOK_MAX, LOOK_MIN + (performance.now() - began) / 50) * (0.5 + Math.random()))
  }

  async function describe({pid}: LockOwner): Promise<string> {
    const since = await takenAt(file)
    const stopped = isStopped(pid) ? `; it is stopped: continue it (kill -CONT ${pid}) or end it (kill -KILL ${pid})` : ''
    return `process ${pid} has been writing to the ${description}${since === undefined ? '' : ` since ${since.toISOString()}`}${stopped}`
  }

  async function commitLock(): Promise<Lock> {
    const began = performance.now()
    for (;;) {
      const lock = await lockErrors(directory, tryLock(file))
      if ('release' in lock) {
        waiting = undefined
        isGivenUp = false
        isHeld = true
        return {
          async release() {
            isHeld = false
            await lock.release()
          },
        }
      }

      await waitFor(lock.owner, began)
      if (performance.now() - began <= times.lockMs) continue
      isGivenUp = true
      throw new AtlasError('unreachable', `nothing was written within ${times.lockMs / 1000} s: ${await describe(lock.owner)}`, {
        hint: 'run the command again when that process is done; --timeout sets how long to wait',
      })
    }
  }

  async function betweenCommits<T>(look: () => Promise<T>): Promise<T> {
    const writer = async (): Promise<LockOwner | undefined> => (isHeld ? undefined : livingOwner(file).catch(() => undefined))
    const began = performance.now()
    const isOver = (): boolean => performance.now() - began >= times.patienceMs
    for (;;) {
      for (let owner = await writer(); owner !== undefined && !isOver(); owner = await writer()) await waitFor(owner, began)
      const before = await changeTime(directory)
      const found = await look()
      const isQuiet = (await writer()) === undefined && (await changeTime(directory)) === before
      if (isQuiet) {
        waiting = undefined
        isGivenUp = false
      }

      if (isQuiet || isOver()) return found
    }
  }

  return {
    commitLock,
    betweenCommits,
    warnings() {
      if (waiting === undefined || (!isGivenUp && performance.now() - waiting.since < NAMED_AFTER)) return []
      return [`nothing can be written: ${waiting.holder}`]
    },
  }
}

/** A lock's errors, as errors of the store. */
export async function lockErrors<T>(directory: string, attempt: Promise<T>): Promise<T> {
  try {
    return await attempt
  } catch (error) {
    throw new AtlasError('unreachable', `cannot lock the store ${directory}: ${messageOf(error)}`, {
      hint: accessHint(error, 'store') ?? 'the directory must exist and be writable',
      cause: error,
    })
  }
}

/** Files are created and renamed, which changes the time of their directory. */
async function changeTime(directory: string): Promise<bigint | undefined> {
  const found = await stat(directory, {bigint: true}).catch(() => undefined)
  return found?.mtimeNs
}
