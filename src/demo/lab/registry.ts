/** The list of a demo's processes, in its folder, and the clean-up that a later demo does after one that was killed with its guard. */
import {execFileSync} from 'node:child_process'
import {appendFileSync, readFileSync, readdirSync, rmSync} from 'node:fs'
import path from 'node:path'
import {startOf} from '../../lib/store/directory/process.js'

export interface Registry {
  add(pid: number): void
}

const FILE = 'processes'

/** The start of the name of each demo's temporary folder. */
export const FOLDER_PREFIX = 'atlas-demo-'

/** Opens the list in `folder`; its first line is this process. */
export function openRegistry(folder: string): Registry {
  const add = (pid: number): void => {
    appendFileSync(path.join(folder, FILE), `${pid} ${startNow(pid)}\n`, {mode: 0o600})
  }
  add(process.pid)
  return {add}
}

/**
 * Stops the processes and removes the folders of demos under `parent` that were killed together with their guard.
 * Pids are used again, so a process counts as a demo's only if it started at the time in the list.
 * @returns the folders removed
 */
export function endLeftovers(parent: string): readonly string[] {
  const folders = readdirSync(parent).filter(name => name.startsWith(FOLDER_PREFIX))
  return folders.map(name => path.join(parent, name)).filter(folder => sweepFolder(folder))
}

function sweepFolder(folder: string): boolean {
  const [owner, ...processes] = readList(folder)
  if (owner === undefined || isRunning(owner)) return false
  for (const entry of processes.filter(other => isRunning(other))) {
    try {
      process.kill(-entry.pid, 'SIGKILL')
    } catch {
      /* it has just ended, or belongs to another user */
    }
  }

  try {
    rmSync(folder, {recursive: true, force: true})
    return true
  } catch {
    return false
  }
}

interface RegistryEntry {
  readonly pid: number
  readonly start: string
}

function readList(folder: string): readonly RegistryEntry[] {
  try {
    const lines = readFileSync(path.join(folder, FILE), 'utf8').split('\n')
    return lines
      .map(line => /^(\d+) (.*)$/.exec(line))
      .filter(match => match !== null)
      .map(match => ({pid: Number(match[1]), start: match[2] ?? ''}))
  } catch {
    return []
  }
}

function isRunning({pid, start}: RegistryEntry): boolean {
  return start !== '' && startNow(pid) === start
}

/** When a process started, as the system prints it; '' for one that has ended. */
function startNow(pid: number): string {
  return process.platform === 'linux' ? startOf(pid) : startByPs(pid)
}

function startByPs(pid: number): string {
  try {
    return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], {encoding: 'utf8'}).trim()
  } catch {
    return ''
  }
}
