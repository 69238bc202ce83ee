/** Lock files that name their owner, so that a killed owner's lock can be told from a living one's and taken over. */
import {createHash, randomBytes} from 'node:crypto'
import {link, readFile, unlink, writeFile} from 'node:fs/promises'
import path from 'node:path'
import {isAlive, startOf} from './process.js'
import {errnoOf} from './write.js'

export interface LockOwner {
  readonly pid: number
  /** When the process began, in the kernel's clock ticks, so that a reused pid is not taken for it; empty where that can't be told. */
  readonly start: string
  /** Tells apart two locks of one process. */
  readonly token: string
  /** What the owner wants others to know. */
  readonly note?: Readonly<Record<string, string>>
}

export interface Lock {
  release(): Promise<void>
}

/**
 * Takes the lock `file` if nobody alive has it.
 * @returns the lock, or its present owner
 */
export async function tryLock(file: string, note?: LockOwner['note']): Promise<Lock | {readonly owner: LockOwner}> {
  const owner: LockOwner = {pid: process.pid, start: startOf(process.pid), token: newToken(), ...(note !== undefined && {note})}
  for (;;) {
    // Asked first, so that waiting for a lock leaves the directory in peace.
    const present = await ownerOf(file)
    if (present === undefined) {
      if (await create(file, owner)) return {release: async () => release(file, owner)}
    } else if (isAlive(present.pid, present.start)) return {owner: present}
    else await takeAway(file, present)
  }
}

/** The living owner of a lock, if it has one. */
export async function livingOwner(file: string): Promise<LockOwner | undefined> {
  const owner = await ownerOf(file)
  return owner !== undefined && isAlive(owner.pid, owner.start) ? owner : undefined
}

/** A link to a finished file appears whole or not at all, and never over another (link(2)): as O_EXCL, with the content in it. */
async function create(file: string, owner: LockOwner): Promise<boolean> {
  const draft = path.join(path.dirname(file), `.lock-${owner.token}`)
  await writeFile(draft, JSON.stringify(owner), {mode: 0o600})
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
 * Removes a dead owner's lock. Whoever makes the gate file named after the dead lock's token may, alone: were all to remove what they
 * saw earlier, the second would remove the first one's new lock. A gate is a lock too, and its owner may die: then it has a gate of
 * its own. Tokens are never used again, so a gate made late finds another lock, or none, and removes nothing.
 */
async function takeAway(file: string, dead: LockOwner): Promise<void> {
  const gate = `${file}.${dead.token}`
  const taker: LockOwner = {pid: process.pid, start: startOf(process.pid), token: newToken()}
  if (await create(gate, taker)) {
    try {
      const present = await ownerOf(file)
      if (present?.token === dead.token) await unlink(file)
    } finally {
      await unlink(gate).catch(() => undefined)
    }

    return
  }

  const other = await ownerOf(gate)
  if (other !== undefined && !isAlive(other.pid, other.start)) await takeAway(gate, other)
  else await new Promise(resolve => setTimeout(resolve, 5))
}

async function release(file: string, owner: LockOwner): Promise<void> {
  const present = await ownerOf(file)
  if (present?.token === owner.token) await unlink(file).catch(() => undefined)
}

/** Undefined: there is no lock. What is no lock of ours is nobody's, with a token made of its text. */
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
