/** Finds real programs and waits for those that are being downloaded or built, which scripts/programs does (README there). */
import {execFile} from 'node:child_process'
import {access, constants, readFile, stat} from 'node:fs/promises'
import {homedir} from 'node:os'
import path from 'node:path'
import {promisify} from 'node:util'
import {AtlasError} from '../../lib/model/errors.js'
import {isAlive} from '../../lib/store/directory/process.js'
import type {Program} from './catalogue.js'
import {pause} from './wait.js'

/** The environment as far as finding programs reads it. */
export type Environment = Readonly<Record<string, string | undefined>>

/**
 * The path of the program: from ATLAS_<NAME>, on PATH when its version fits, in the cache.
 * @returns undefined when this machine has none that fits
 * @throws AtlasError `invalid` when ATLAS_<NAME> is not an executable file
 */
export async function findProgram(program: Program, env: Environment): Promise<string | undefined> {
  const named = env[program.variable]
  if (named !== undefined && named !== '') {
    if (!(await isExecutable(named)))
      throw new AtlasError('invalid', `${program.variable} must name a program that can be run; got ${JSON.stringify(named)}`)
    return named
  }

  const onPath = await findOnPath(program, env)
  if (onPath !== undefined) return onPath
  const cached = path.join(cacheHome(program, env), program.name)
  return (await isExecutable(cached)) ? cached : undefined
}

/** The progress of a program that is being downloaded or built, which scripts/programs writes beside its directory in the cache. */
export interface Pending {
  readonly state: 'building' | 'failed' | 'fetching' | 'waiting'
  readonly doing?: string
  readonly done?: number
  readonly total?: number
  readonly secondsLeft?: number
  /** Why it failed. */
  readonly message?: string
}

/** Whether a program is found, is being downloaded or built, or is missing. */
export type Availability =
  | {readonly kind: 'pending'; readonly pending: Pending}
  | {readonly kind: 'found'; readonly path: string}
  | {readonly kind: 'missing'; readonly why: string}

/** @throws AtlasError as `findProgram` */
export async function availability(program: Program, env: Environment): Promise<Availability> {
  const found = await findProgram(program, env)
  if (found !== undefined) return {kind: 'found', path: found}
  const status = await readStatus(`${cacheHome(program, env)}.json`)
  if (status?.state === 'failed') return {kind: 'missing', why: status.message ?? `downloading ${program.title} failed`}
  if (status !== undefined) return {kind: 'pending', pending: status}
  // It may have been put into the cache between the first look and the read of its status.
  const late = await findProgram(program, env)
  return late === undefined ? {kind: 'missing', why: `${program.title} is not on this machine`} : {kind: 'found', path: late}
}

/**
 * Waits while the program is being downloaded or built.
 * @param onProgress called once a second with its progress
 * @throws AtlasError as `findProgram`; the signal's reason when it aborts
 */
export async function awaitProgram(
  program: Program,
  env: Environment,
  options: {readonly signal: AbortSignal; readonly onProgress: (pending: Pending) => void},
): Promise<Exclude<Availability, {kind: 'pending'}>> {
  for (;;) {
    const state = await availability(program, env)
    if (state.kind !== 'pending') return state
    options.onProgress(state.pending)
    await pause(1000, options.signal)
  }
}

/** `compiling packages, 412 of 1578, about 3 min left`. */
export function renderPending({state, doing, done, total, secondsLeft}: Pending): string {
  const parts = [doing === undefined || doing === '' ? (state === 'waiting' ? 'other programs come before it' : state) : doing]
  if (done !== undefined && total !== undefined) parts.push(`${done} of ${total}`)
  if (secondsLeft !== undefined)
    parts.push(secondsLeft < 90 ? `about ${Math.ceil(secondsLeft)} s left` : `about ${Math.round(secondsLeft / 60)} min left`)
  return parts.join(', ')
}

/** A status that was not renewed for this long is ignored: its writer is gone. */
const STALE_MS = 60_000

/** Where `npm run` keeps what it fetches. */
export function cacheFolder(env: Environment): string {
  return given(env['ATLAS_CACHE']) ?? path.join(given(env['XDG_CACHE_HOME']) ?? path.join(homedir(), '.cache'), 'atlas')
}

function cacheHome({name, version}: Program, env: Environment): string {
  const base = cacheFolder(env)
  return path.join(path.resolve(base), 'programs', `${name}-${version}`)
}

function given(text: string | undefined): string | undefined {
  return text === '' ? undefined : text
}

async function findOnPath(program: Program, env: Environment): Promise<string | undefined> {
  const folders = (env['PATH'] ?? '').split(path.delimiter).filter(folder => folder !== '')
  for (const folder of folders) {
    const candidate = path.join(folder, program.name)
    if ((await isExecutable(candidate)) && program.fits(await versionOutput(candidate))) return candidate
  }

  return undefined
}

/** Some programs print their version to stderr. */
async function versionOutput(program: string): Promise<string> {
  const {stdout, stderr} = await promisify(execFile)(program, ['--version'], {timeout: 10_000}).catch(() => ({stdout: '', stderr: ''}))
  return stdout + stderr
}

async function isExecutable(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK)
    return (await stat(file)).isFile()
  } catch {
    return false
  }
}

/** The status that a living process wrote, or a failure; undefined where no process is at work. */
async function readStatus(file: string): Promise<Pending | undefined> {
  const text = await readFile(file, 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  const status = parseStatus(text)
  if (status === undefined || status.state === 'failed') return status
  const isFresh = Date.now() - Date.parse(status.updated) < STALE_MS
  return isFresh && isAlive(status.pid, status.startTicks ?? '') ? status : undefined
}

interface ProgramStatus extends Pending {
  readonly pid: number
  readonly startTicks?: string
  readonly updated: string
}

function parseStatus(text: string): ProgramStatus | undefined {
  try {
    const value = JSON.parse(text) as ProgramStatus
    return ['building', 'failed', 'fetching', 'waiting'].includes(value.state) ? value : undefined
  } catch {
    return undefined
  }
}
