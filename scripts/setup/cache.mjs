/** The cache of downloaded and built files. An entry is either complete or missing. */
import {existsSync, mkdirSync, readdirSync, readlinkSync, renameSync, rmSync} from 'node:fs'
import {homedir} from 'node:os'
import {join, resolve, sep} from 'node:path'
import {isAlive, readOwner} from './lock.mjs'

/** The folders of the cache; `emptyCache` removes these and nothing else. */
const rooms = ['node', 'programs', 'bench', 'compiled', 'releases', 'locks', 'tmp']

/**
 * `ATLAS_CACHE`, else `atlas` under `XDG_CACHE_HOME`, else `~/.cache/atlas`.
 * @param {...string} path below the cache
 * @returns {string}
 */
export function cachePath(...path) {
  const base = process.env.ATLAS_CACHE || join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'atlas')
  return join(resolve(base), ...path)
}

/**
 * Makes the directory `target`: `fill` gets a temporary one on the same file system, which is then renamed,
 * so that an interruption leaves no incomplete directory. If another process has made it meanwhile, that one stays.
 * @param {string} target
 * @param {(directory: string) => Promise<void>} fill
 */
export async function makeWhole(target, fill) {
  sweep()
  const directory = cachePath('tmp', `${process.pid}-${Date.now()}`)
  mkdirSync(directory, {recursive: true})
  const discard = () => rmSync(directory, {recursive: true, force: true})
  process.once('exit', discard)
  try {
    await fill(directory)
    mkdirSync(join(target, '..'), {recursive: true})
    try {
      renameSync(directory, target)
    } catch (error) {
      if (!existsSync(target)) throw error
    }
  } finally {
    process.off('exit', discard)
    discard()
  }
}

/** Removes the content of the cache. @throws {Error} while another process uses it */
export function emptyCache() {
  const holder = livingHolder() ?? runningProgram()
  if (holder !== undefined) throw new Error(`the cache is in use by process ${holder}: wait for it or stop it, then run again`)
  for (const room of rooms) rmSync(cachePath(room), {recursive: true, force: true})
}

/** Removes temporary directories of processes that were killed. */
function sweep() {
  for (const name of list(cachePath('tmp'))) {
    if (!isAlive({pid: Number(name.split('-')[0])})) rmSync(cachePath('tmp', name), {recursive: true, force: true})
  }
}

function livingHolder() {
  const makers = list(cachePath('tmp')).map(name => ({pid: Number(name.split('-')[0])}))
  const owners = list(cachePath('locks')).map(name => readOwner(cachePath('locks', name)) ?? {pid: 0})
  return [...makers, ...owners].find(owner => owner.pid !== process.pid && isAlive(owner))?.pid
}

/** A process of a program in the cache, such as an Envoy of a demo that runs. Only Linux tells. */
function runningProgram() {
  const programs = `${cachePath('programs')}${sep}`
  const pids = list('/proc').filter(name => /^[0-9]+$/.test(name))
  return pids.find(pid => {
    try {
      return readlinkSync(`/proc/${pid}/exe`).startsWith(programs)
    } catch {
      // It has ended, or is another user's.
      return false
    }
  })
}

function list(directory) {
  return existsSync(directory) ? readdirSync(directory) : []
}
