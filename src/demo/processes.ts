/** Starts real programs, each in a process group of its own with its output in a file, and ends them. Which ones is network.ts's business. */
import {type ChildProcess, spawn} from 'node:child_process'
import {closeSync, openSync} from 'node:fs'
import {mkdir} from 'node:fs/promises'
import path from 'node:path'
import {AtlasError} from '../lib/model/errors.js'
import {type Guard, startGuard} from './guard.js'
import {lastLines} from './log-file.js'
import {type Registry, openRegistry} from './registry.js'

export interface ProgramSpec {
  /** What to call it in messages; also its log's file name. */
  readonly name: string
  readonly program: string
  readonly args: readonly string[]
  readonly env?: NodeJS.ProcessEnv
  readonly cwd?: string
}

export interface Running {
  readonly name: string
  readonly pid: number
  /** The file with all that it printed. */
  readonly log: string
  /** Settles when it is gone, and never rejects. */
  readonly ended: Promise<void>
  /** Ends it: TERM, after `graceMs` KILL. Ending it is no crash. */
  stop(graceMs?: number): Promise<void>
  /** Ends it as a power cut would. */
  kill(): Promise<void>
}

export interface Supervisor {
  /** Aborts, with an AtlasError as its reason, when a process ends that nobody stopped. */
  readonly crashed: AbortSignal
  /** @throws AtlasError `failed` when the program can't be started at all */
  start(spec: ProgramSpec): Promise<Running>
  /** Ends everything, whatever state it is in; afterwards nothing of ours runs. */
  stopAll(graceMs?: number): Promise<void>
}

const GRACE_MS = 5000

/**
 * @param folder holds `logs/` and the list of processes
 * @param options.removeFolder whether the guard removes `folder` when this process is killed
 */
export async function openSupervisor(folder: string, options: {readonly removeFolder: boolean}): Promise<Supervisor> {
  const logs = path.join(folder, 'logs')
  await mkdir(logs, {recursive: true, mode: 0o700})
  const guard = startGuard(options.removeFolder ? folder : undefined)
  const crash = new AbortController()
  const living = new Set<Running>()
  const context = {logs, guard, registry: openRegistry(folder), crash, living}
  return {
    crashed: crash.signal,
    start: spec => startProcess(spec, context),
    async stopAll(graceMs = GRACE_MS) {
      await Promise.all([...living].map(running => running.stop(graceMs)))
      guard.dismiss()
    },
  }
}

interface Context {
  readonly logs: string
  readonly guard: Guard
  readonly registry: Registry
  readonly crash: AbortController
  readonly living: Set<Running>
}

async function startProcess(spec: ProgramSpec, context: Context): Promise<Running> {
  const log = path.join(context.logs, `${spec.name.replaceAll(/[^\w.-]+/g, '-')}.log`)
  const output = openSync(log, 'a', 0o600)
  const child = spawn(spec.program, spec.args, {
    cwd: spec.cwd ?? context.logs,
    detached: true,
    env: spec.env ?? process.env,
    stdio: ['ignore', output, output],
  })
  closeSync(output)
  const pid = await pidOf(child, spec)
  context.guard.watch(pid)
  context.registry.add(pid)
  const state = {stopping: false}
  const ended = new Promise<void>(resolve => {
    child.once('exit', (code, signal) => {
      endGroup(pid, 'SIGKILL')
      context.living.delete(running)
      context.guard.forget(pid)
      if (!state.stopping && !context.crash.signal.aborted) context.crash.abort(crashOf(spec, log, {code, signal}))
      resolve()
    })
  })
  const end = async (signal: NodeJS.Signals, graceMs: number): Promise<void> => {
    state.stopping = true
    endGroup(pid, signal)
    const timer = setTimeout(() => {
      endGroup(pid, 'SIGKILL')
    }, graceMs)
    await ended
    clearTimeout(timer)
  }
  const running: Running = {
    name: spec.name,
    pid,
    log,
    ended,
    stop: (graceMs = GRACE_MS) => end('SIGTERM', graceMs),
    kill: () => end('SIGKILL', GRACE_MS),
  }
  context.living.add(running)
  return running
}

async function pidOf(child: ChildProcess, {name, program}: ProgramSpec): Promise<number> {
  if (child.pid !== undefined) return child.pid
  const error = await new Promise<Error>(resolve => child.once('error', resolve))
  throw new AtlasError('failed', `${name} could not be started from ${program}: ${error.message}`, {cause: error})
}

function crashOf({name}: ProgramSpec, log: string, {code, signal}: {code: number | null; signal: NodeJS.Signals | null}): AtlasError {
  const how = signal === null ? `exit code ${code ?? '?'}` : `signal ${signal}`
  return new AtlasError('failed', `${name} ended by itself (${how}); its log ends with:\n${lastLines(log, 12)}`, {
    hint: 'run the demo with --keep DIR to have the whole log',
  })
}

/** A group that is gone already is what was wanted. */
function endGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal)
  } catch {
    /* nothing is left of it */
  }
}
