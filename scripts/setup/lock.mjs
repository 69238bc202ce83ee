/**
 * A lock file with its owner's pid and start time, so that a killed owner's lock is taken over. The guarded work is also correct without it.
 * src/lib/store/directory has a lock of its own, which guards the store: it is TypeScript, and this file runs on Node 18 before the first
 * compilation.
 */
import {linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync} from 'node:fs'
import {dirname} from 'node:path'
import {setTimeout as sleep} from 'node:timers/promises'

let takes = 0

/**
 * Does `work` while holding the lock `file`; waits for a living owner.
 * @template T
 * @param {string} file
 * @param {() => Promise<T>} work
 * @param {(owner: {pid: number}) => void} [onWait] called once, when another process has it
 * @returns {Promise<T>}
 */
export async function withLock(file, work, onWait = () => undefined) {
  mkdirSync(dirname(file), {recursive: true})
  const mine = JSON.stringify({pid: process.pid, started: startOf(process.pid)})
  let told = false
  while (!tryTake(file, mine)) {
    const owner = readOwner(file)
    if (owner === undefined) continue
    if (isAlive(owner)) {
      if (!told) onWait(owner)
      told = true
      await sleep(200)
    } else {
      takeAway(file, owner)
    }
  }
  const release = () => {
    if (read(file) === mine) rmSync(file, {force: true})
  }
  process.once('exit', release)
  try {
    return await work()
  } finally {
    process.off('exit', release)
    release()
  }
}

/**
 * Whether a process lives and, where there is a /proc, is the one that started then: pids are used again.
 * @param {{pid: number, started?: string | undefined}} owner
 */
export function isAlive({pid, started}) {
  if (!Number.isInteger(pid) || pid <= 0) return false
  try {
    process.kill(pid, 0)
  } catch (error) {
    if (error.code !== 'EPERM') return false
  }
  const actual = startOf(pid)
  return started === undefined || actual === undefined || started === actual
}

/**
 * When a process started, in the kernel's ticks; undefined where there is no /proc.
 * @param {number} pid
 * @returns {string | undefined}
 */
export function startOf(pid) {
  const stat = read(`/proc/${pid}/stat`)
  // the second field is the program's name in brackets and may hold spaces and brackets itself
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
}

/**
 * The owner of the lock; undefined when it is free.
 * @param {string} file
 * @returns {{content: string, pid: number, started?: string} | undefined}
 */
export function readOwner(file) {
  const content = read(file)
  if (content === undefined) return undefined
  try {
    return {content, ...JSON.parse(content)}
  } catch {
    // Not a lock file, or an incomplete one: no process has pid 0.
    return {content, pid: 0}
  }
}

/** Creates the file by a link, so that it never exists without its owner's name in it. */
function tryTake(file, content) {
  const aside = `${file}.new-${process.pid}-${takes++}`
  writeFileSync(aside, content)
  try {
    linkSync(aside, file)
    return true
  } catch (error) {
    if (error.code === 'EEXIST') return false
    throw error
  } finally {
    rmSync(aside, {force: true})
  }
}

function takeAway(file, owner) {
  const aside = `${file}.old-${process.pid}-${takes++}`
  try {
    renameSync(file, aside)
    // between reading and renaming another process may have taken it: then it goes back
    if (read(aside) !== owner.content) linkSync(aside, file)
  } catch (error) {
    if (error.code !== 'ENOENT' && error.code !== 'EEXIST') throw error
  }
  rmSync(aside, {force: true})
}

function read(file) {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    // ESRCH: a process that ends while /proc is read
    if (error.code === 'ENOENT' || error.code === 'ESRCH') return undefined
    throw error
  }
}
