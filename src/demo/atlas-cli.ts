/** Runs Atlas's own command line as its users do: as a process. */
import path from 'node:path'
import {fileURLToPath} from 'node:url'
import {AtlasError} from '../lib/model/errors.js'
import type {ProgramSpec, Supervisor} from './lab/processes.js'

export interface AtlasCli {
  /** Runs a command to its end, having shown it. @returns its stdout @throws AtlasError `failed` with what it printed */
  run(...args: string[]): Promise<string>
  /** As `run` with `--json`, unshown: the parsed value. */
  json<T>(...args: string[]): Promise<T>
  /** A command that goes on running, such as `serve`. */
  spec(name: string, ...args: string[]): ProgramSpec
}

export interface AtlasCliOptions {
  /** The state store's directory. */
  readonly store: string
  readonly supervisor: Supervisor
  /** When it aborts, its reason counts, not what a command said that was ended with all else. */
  readonly signal: AbortSignal
  /** Told each command line before it runs, as a reader who has set ATLAS_STORE would type it. */
  readonly onCommand: (text: string) => void
}

/** The command line of this very installation. */
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
    if (code !== 0) throw new AtlasError('failed', `${what} failed:\n${`${stderr}${stdout}`.trim()}`)
    return stdout
  }
  return {
    run: async (...args) => {
      onCommand(`${PROGRAM} ${args.join(' ')}`)
      return execute(args)
    },
    json: async <T>(...args: string[]) => JSON.parse(await execute([...args, '--json'])) as T,
    spec: (name, ...args) => {
      onCommand(`${PROGRAM} ${args.join(' ')}`)
      return spec(name, args)
    },
  }
}

const RUN = fileURLToPath(new URL('../../bin/run.js', import.meta.url))

/** How a reader runs the command line: by name where it is installed, else by path. */
export const PROGRAM = programName(process.argv[1] ?? '')

function programName(invoked: string): string {
  const name = path.basename(invoked)
  if (name === 'atlas' || name === 'goatlas') return name
  const relative = path.relative(process.cwd(), RUN)
  return relative.startsWith('..') ? RUN : relative
}

/** The user's own settings of Atlas are no business of the demo's. */
function environment(): NodeJS.ProcessEnv {
  const {ATLAS_STORE: _store, ATLAS_CONTENT_TYPE: _type, ...env} = process.env
  return env
}
