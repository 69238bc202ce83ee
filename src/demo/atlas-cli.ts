/** Runs the `atlas` command line as a process, as a user would. */
import path from 'node:path'
import {fileURLToPath} from 'node:url'
import {NEEDS_ATTENTION} from '../lib/cli/text/error.js'
import {shellWord} from '../lib/cli/text/shell.js'
import {AtlasError} from '../lib/model/errors.js'
import type {ProgramSpec, Supervisor} from './lab/processes.js'

export interface AtlasCli {
  /** Shows a command and runs it to its end. @returns its stdout @throws AtlasError `failed` with the command's output */
  run(...args: string[]): Promise<string>
  /** Runs a command with `--json`, without showing it. @returns the parsed value */
  json<T>(...args: string[]): Promise<T>
  /** A command that goes on running, such as `serve`. */
  spec(name: string, ...args: string[]): ProgramSpec
}

export interface AtlasCliOptions {
  /** The state store's directory. */
  readonly store: string
  readonly supervisor: Supervisor
  /** When it aborts, commands throw its reason and not their own errors, since every process is being stopped. */
  readonly signal: AbortSignal
  /** Called with each command line before it runs, as a user who has set ATLAS_STORE would type it. */
  readonly onCommand: (text: string) => void
}

/** The command line of the installation that runs the demo. */
export function openAtlasCli({store, supervisor, signal, onCommand}: AtlasCliOptions): AtlasCli {
  const spec = (name: string, args: readonly string[]): ProgramSpec => ({
    name,
    program: process.execPath,
    args: [RUN, ...args, '--store', store],
    env: environment(),
  })
  const execute = async (args: readonly string[]): Promise<string> => {
    const what = `atlas ${args.slice(0, 2).join(' ')}`
    const {code, stdout, stderr} = await supervisor.run(spec(what, args))
    signal.throwIfAborted()
    // `status` may find something to do for a person while the demo takes the network apart.
    if (code !== 0 && code !== NEEDS_ATTENTION) throw new AtlasError('failed', `${what} failed:\n${`${stderr}${stdout}`.trim()}`)
    return stdout
  }
  return {
    run: async (...args) => {
      onCommand(shown(args))
      return execute(args)
    },
    json: async <T>(...args: string[]) => JSON.parse(await execute([...args, '--json'])) as T,
    spec: (name, ...args) => {
      onCommand(shown(args))
      return spec(name, args)
    },
  }
}

const RUN = fileURLToPath(new URL('../../bin/run.js', import.meta.url))

/** How a user runs the command line: by name where it is installed, else by path. */
export const PROGRAM = programName(process.argv[1] ?? '')

function programName(invoked: string): string {
  const name = path.basename(invoked)
  if (name === 'atlas' || name === 'goatlas') return name
  const relative = path.relative(process.cwd(), RUN)
  return relative.startsWith('..') ? RUN : relative
}

/** A command line as a user would type it. */
function shown(args: readonly string[]): string {
  return [PROGRAM, ...args].map(word => shellWord(word)).join(' ')
}

/** The environment without the user's own Atlas settings, which name another store. */
function environment(): NodeJS.ProcessEnv {
  const {ATLAS_STORE: _store, ATLAS_CONTENT_TYPE: _type, ...env} = process.env
  return env
}
