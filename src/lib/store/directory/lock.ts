/** Lock files that name their owner, so that the lock of a process that was killed can be taken over. */
import {createHash, randomBytes} from 'node:crypto'
import {link, open, readFile, stat, unlink} from 'node:fs/promises'
import path from 'node:path'
import {isAlive, startOf} from './process.js'
import {errnoOf, giveToOwner} from './write.js'

export interface LockOwner {
  readonly pid: number
  /** When the process began, in the kernel's clock ticks, so that a reused pid is not taken for it; empty where that is unknown. */
  readonly start: string
  /** Differs between two locks of one process. */
  readonly token: string
  /** What other processes may know about the owner. */
  readonly note?: Readonly<Record<string, string>>
}

export interface Lock {
  release(): Promise<void>
}

/**
 * Takes the lock `file` unless a living process has it.
 * @returns the lock, or its present owner
 */
export async function tryLock(file: string, note?: LockOwner['note']): Promise<Lock | {readonly owner: LockOwner}> {
  const owner: LockOwner = {pid: process.pid, start: startOf(process.pid), token: newToken(), ...(note !== undefined && {note})}
  for (let round = 0; ; round += 1) {
    // Read first, so that waiting for a lock does not change the directory.
    const present = await ownerOf(file)
    if (present === undefined) {
      if (await create(file, owner)) return {release: async () => release(file, owner)}
    } else if (isAlive(present.pid, present.start)) return {owner: present}
    else {
      const taker = await takeAway(file, present)
      // A taker that was stopped half-way would be waited for without end.
      if (taker !== undefined && round > TAKER_ROUNDS) return {owner: taker}
    }
  }
}

/** Another process that takes the lock over is waited for so often, 5 ms each. */
const TAKER_ROUNDS = 100

/** When a lock was taken; undefined: it is not there any more. */
export async function takenAt(file: string): Promise<Date | undefined> {
  return (await stat(file).catch(() => undefined))?.mtime
}

/** The living owner of a lock, if it has one. */
export async function livingOwner(file: string): Promise<LockOwner | undefined> {
  const owner = await ownerOf(file)
  return owner !== undefined && isAlive(owner.pid, owner.start) ? owner : undefined
}

/** A link to a finished file appears whole or not at all, and never over another (link(2)): as O_EXCL, with the content in it. */
async function create(file: string, owner: LockOwner): Promise<boolean> {
  const draft = path.join(path.dirname(file), `.lock-${owner.token}`)
  const handle = await open(draft, 'wx', 0o600)
  try {
    await giveToOwner(handle, path.dirname(file))
    await handle.writeFile(JSON.stringify(owner))
  } finally {
    await handle.close()
  }

  try {
    await link(draft, file)
    return true
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false
    throw error
  } finally {
    await unlink(draft).catch(() => undefined)
  }
}

/**
 * Removes a dead owner's lock. Only the process that creates the gate file named after the dead lock's token may do that: if every
 * process removed the lock that it saw earlier, the second would remove the first one's new lock. A gate is a lock, too, and its owner
 * may die: it is then removed in the same way. Tokens are never reused, so a late gate finds another lock, or none, and removes nothing.
 * @returns the living process that takes the lock away at this moment, if it is another one
 */
async function takeAway(file: string, dead: LockOwner): Promise<LockOwner | undefined> {
  const gate = `${file}.${dead.token}`
  const taker: LockOwner = {pid: process.pid, start: startOf(process.pid), token: newToken()}
  if (await create(gate, taker)) {
    try {
      const present = await ownerOf(file)
      if (present?.token === dead.token) await unlink(file)
    } finally {
      await release(gate, taker)
    }

    return undefined
  }

  const other = await ownerOf(gate)
  if (other !== undefined && !isAlive(other.pid, other.start)) return takeAway(gate, other)
  await new Promise(resolve => setTimeout(resolve, 5))
  return other
}

/** A release that failed, such as in a directory that may not be written to, is tried again after this time, milliseconds. */
const RELEASE_AGAIN = 250

/** As long as this process lives no other one takes the lock away: a lock that stayed would be waited for without end. */
async function release(file: string, owner: LockOwner): Promise<void> {
  if (!(await isReleased(file, owner))) setTimeout(() => void release(file, owner), RELEASE_AGAIN).unref()
}

async function isReleased(file: string, owner: LockOwner): Promise<boolean> {
  try {
    const present = await ownerOf(file)
    if (present?.token === owner.token) await unlink(file)
    return true
  } catch (error) {
    return errnoOf(error) === 'ENOENT'
  }
}

/** Undefined: there is no lock. A file that Atlas hasn't written is a lock without a living owner, with a token made of its text. */
async function ownerOf(file: string): Promise<LockOwner | undefined> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }

  return parseOwner(text) ?? {pid: 0, start: '', token: createHash('sha256').update(text).digest('hex').slice(0, 16)}
}

function parseOwner(text: string): LockOwner | undefined {
  try {
    const value = JSON.parse(text) as LockOwner
    const isOwner = Number.isInteger(value.pid) && typeof value.start === 'string' && /^[0-9a-f]{16}$/.test(value.token)
    return isOwner ? value : undefined
  } catch {
    return undefined
  }
}

function newToken(): string {
  return randomBytes(8).toString('hex')
}
