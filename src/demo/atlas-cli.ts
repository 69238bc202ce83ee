/** Runs Atlas's own command line as its users do: as a process. */
import {execFile} from 'node:child_process'
import {fileURLToPath} from 'node:url'
import {AtlasError} from '../lib/model/errors.js'
import type {ProgramSpec} from './processes.js'

export interface AtlasCli {
  /** Runs a command to its end. @returns its stdout @throws AtlasError `failed` with what it printed */
  run(...args: string[]): Promise<string>
  /** As `run` with `--json`: the parsed value. */
  json<T>(...args: string[]): Promise<T>
  /** A command that goes on running, such as `serve`. */
  spec(name: string, ...args: string[]): ProgramSpec
}

const RUN = fileURLToPath(new URL('../../bin/run.js', import.meta.url))
const TIMEOUT_MS = 60_000

/**
 * @param store the state store's directory, given to every command
 * @param onCommand told each command line before it runs, as a reader would type it
 */
export function openAtlasCli(store: string, onCommand: (text: string) => void): AtlasCli {
  const withStore = (args: readonly string[]): string[] => [...args, '--store', store]
  const execute = async (args: readonly string[]): Promise<string> => {
    onCommand(`atlas ${args.join(' ')}`)
    return runToEnd([RUN, ...withStore(args)])
  }
  return {
    run: (...args) => execute(args),
    json: async <T>(...args: string[]) => JSON.parse(await runToEnd([RUN, ...withStore(args), '--json'])) as T,
    spec: (name, ...args) => ({name, program: process.execPath, args: [RUN, ...withStore(args)], env: environment()}),
  }
}

/** The user's own settings of Atlas are no business of the demo's. */
function environment(): NodeJS.ProcessEnv {
  const {ATLAS_STORE: _store, ATLAS_CONTENT_TYPE: _type, ...env} = process.env
  return env
}

async function runToEnd(args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(process.execPath, args, {env: environment(), timeout: TIMEOUT_MS, maxBuffer: 64 * 1024 * 1024}, (error, stdout, stderr) => {
      if (error === null) resolve(stdout)
      else reject(new AtlasError('failed', `atlas ${args.slice(1, 3).join(' ')} failed:\n${`${stderr}${stdout}`.trim()}`, {cause: error}))
    })
  })
}
