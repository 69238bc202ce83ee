/** Starts real programs, each in its own process group with its output in a file, and stops them. */
import {type ChildProcess, type StdioOptions, spawn} from 'node:child_process'
import {closeSync, openSync} from 'node:fs'
import {mkdir} from 'node:fs/promises'
import path from 'node:path'
import {AtlasError} from '../../lib/model/errors.js'
import {type Guard, startGuard} from './guard.js'
import {lastLines} from './log-file.js'
import {type Registry, openRegistry} from './registry.js'

export interface ProgramSpec {
  /** Its name in messages, and the name of its log file. */
  readonly name: string
  readonly program: string
  readonly args: readonly string[]
  readonly env?: NodeJS.ProcessEnv
  readonly cwd?: string
}

export interface Running {
  readonly name: string
  readonly pid: number
  /** The file with its output. */
  readonly log: string
  /** Resolves when it has ended; never rejects. */
  readonly ended: Promise<void>
  /** Stops it: TERM, after `graceMs` KILL. This does not count as a crash. */
  stop(graceMs?: number): Promise<void>
  /** Kills it with SIGKILL. */
  kill(): Promise<void>
}

/** The result of a program that ran to its end. */
export interface Ran {
  /** The exit code; null where a signal ended it. */
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface Supervisor {
  /** Aborts, with an AtlasError as its reason, when a process ends that was not stopped. */
  readonly crashed: AbortSignal
  /** Starts a program that keeps running. @throws AtlasError `failed` when it can't be started */
  start(spec: ProgramSpec): Promise<Running>
  /** Runs a program to its end, at most for a minute. @throws AtlasError `failed` when it can't be started */
  run(spec: ProgramSpec): Promise<Ran>
  /** Stops every program and waits until none runs. */
  stopAll(graceMs?: number): Promise<void>
}

const GRACE_MS = 5000
const RUN_MS = 60_000

/**
 * @param folder holds `logs/` and the list of processes
 * @param options.removeFolder whether the guard removes `folder` when this process is killed
 */
export async function openSupervisor(folder: string, options: {readonly removeFolder: boolean}): Promise<Supervisor> {
  const logs = path.join(folder, 'logs')
  await mkdir(logs, {recursive: true, mode: 0o700})
  const guard = startGuard(options.removeFolder ? folder : undefined)
  const crash = new AbortController()
  const context: Context = {logs, guard, registry: openRegistry(folder), crash, living: new Set()}
  return {
    crashed: crash.signal,
    start: async spec => startProgram(spec, context),
    run: async spec => runProgram(spec, context),
    async stopAll(graceMs = GRACE_MS) {
      await Promise.all([...context.living].map(async launched => launched.end('SIGTERM', graceMs)))
      guard.dismiss()
    },
  }
}

interface Context {
  readonly logs: string
  readonly guard: Guard
  readonly registry: Registry
  readonly crash: AbortController
  readonly living: Set<Launched>
}

/** A child in its own process group. */
interface Launched {
  readonly child: ChildProcess
  readonly pid: number
  readonly ended: Promise<Ending>
  end(signal: NodeJS.Signals, graceMs: number): Promise<void>
}

interface Ending {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  /** Neither `stop` nor `kill` was called. */
  readonly isUnexpected: boolean
}

async function startProgram(spec: ProgramSpec, context: Context): Promise<Running> {
  const log = path.join(context.logs, `${spec.name.replaceAll(/[^\w.-]+/g, '-')}.log`)
  const output = openSync(log, 'a', 0o600)
  const launched = await launch(spec, ['ignore', output, output], context).finally(() => {
    closeSync(output)
  })
  const ended = launched.ended.then(ending => {
    if (ending.isUnexpected && !context.crash.signal.aborted) context.crash.abort(crashOf(spec, log, ending))
  })
  return {
    name: spec.name,
    pid: launched.pid,
    log,
    ended,
    stop: async (graceMs = GRACE_MS) => launched.end('SIGTERM', graceMs),
    kill: async () => launched.end('SIGKILL', GRACE_MS),
  }
}

async function runProgram(spec: ProgramSpec, context: Context): Promise<Ran> {
  const {child, ended, end} = await launch(spec, ['ignore', 'pipe', 'pipe'], context)
  const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)]
  const timer = setTimeout(() => void end('SIGTERM', GRACE_MS), RUN_MS)
  const closed = new Promise(resolve => child.once('close', resolve))
  const {code} = await ended
  await closed
  clearTimeout(timer)
  return {code, stdout: stdout(), stderr: stderr()}
}

/** Starts a program in its own process group: Ctrl-C in the terminal does not reach it, and its children are stopped with it. */
async function launch(spec: ProgramSpec, stdio: StdioOptions, context: Context): Promise<Launched> {
  const {guard, living, registry, logs} = context
  const child = spawn(spec.program, spec.args, {cwd: spec.cwd ?? logs, detached: true, env: spec.env ?? process.env, stdio})
  const pid = await pidOf(child, spec)
  guard.watch(pid)
  registry.add(pid)
  const state = {isStopping: false}
  const ended = new Promise<Ending>(resolve => {
    child.once('exit', (code, signal) => {
      endGroup(pid, 'SIGKILL')
      living.delete(launched)
      guard.forget(pid)
      resolve({code, signal, isUnexpected: !state.isStopping})
    })
  })
  const launched: Launched = {
    child,
    pid,
    ended,
    end: async (signal, graceMs) => {
      state.isStopping = true
      endGroup(pid, signal)
      const timer = setTimeout(() => {
        endGroup(pid, 'SIGKILL')
      }, graceMs)
      await ended
      clearTimeout(timer)
    },
  }
  living.add(launched)
  return launched
}

async function pidOf(child: ChildProcess, {name, program}: ProgramSpec): Promise<number> {
  if (child.pid !== undefined) return child.pid
  const error = await new Promise<Error>(resolve => child.once('error', resolve))
  throw new AtlasError('failed', `${name} could not be started from ${program}: ${error.message}`, {cause: error})
}

function collect(stream: NodeJS.ReadableStream | null): () => string {
  const chunks: Buffer[] = []
  stream?.on('data', (chunk: Buffer) => chunks.push(chunk))
  return () => Buffer.concat(chunks).toString('utf8')
}

function crashOf({name}: ProgramSpec, log: string, {code, signal}: Ending): AtlasError {
  const how = signal === null ? `exit code ${code ?? '?'}` : `signal ${signal}`
  return new AtlasError('failed', `${name} ended unexpectedly (${how}); its log ends with:\n${lastLines(log, 12)}`, {
    hint: 'run the demo with --keep DIR to keep the whole log',
  })
}

/** Signals a process group, which may have ended already. */
function endGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal)
  } catch {
    /* nothing is left of it */
  }
}
