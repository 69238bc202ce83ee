/** Runs the command line as its users do: the compiled program, in a process beside the test's, without a terminal. */
import {spawn} from 'node:child_process'
import {mkdtemp, rm} from 'node:fs/promises'
import {availableParallelism, tmpdir} from 'node:os'
import path from 'node:path'
import {fileURLToPath} from 'node:url'
import {runKept} from './kept-process.js'
import {type Ran, ranOf} from './ran.js'

export const atlasBin = fileURLToPath(new URL('../../bin/run.js', import.meta.url))

/** Commands that go on until they are told to end. Each has a process of its own. */
const lasting = new Set(['demo', 'serve'])

/** Runs `atlas …args`, in a process that has run other commands before; rejects only when it can't be started. */
export async function atlas(...args: string[]): Promise<Ran> {
  return lasting.has(args[0] ?? '') ? runBin(atlasBin, args) : runKept(atlasBin, args, environment())
}

/** Runs any `bin/run.js`, such as an earlier release's, in a process of its own. */
export async function runBin(bin: string, args: readonly string[]): Promise<Ran> {
  const child = spawn(process.execPath, [bin, ...args], {env: environment(), stdio: ['ignore', 'pipe', 'pipe']})
  return ranOf(child)
}

function environment(): NodeJS.ProcessEnv {
  const {ATLAS_STORE: _, NODE_OPTIONS: __, ...env} = process.env
  return env
}

/** Runs `atlas …args --json`. @returns the parsed value */
export async function atlasJson<T = Record<string, unknown>>(...args: string[]): Promise<{code: number | null; value: T}> {
  const {code, stdout, stderr} = await atlas(...args, '--json')
  try {
    return {code, value: JSON.parse(stdout) as T}
  } catch {
    throw new Error(`no JSON on stdout: ${stdout}\nstderr: ${stderr}`)
  }
}

/** Calls `act` for every item, one per core at the same time: for commands that do not write what another one reads. */
export async function forAll<T>(items: readonly T[], act: (item: T) => Promise<void>): Promise<void> {
  const left = items.values()
  const worker = async (): Promise<void> => {
    for (const item of left) await act(item)
  }
  await Promise.all(Array.from({length: availableParallelism()}, worker))
}

/** Calls `use` with a temporary folder, and removes it afterwards. */
export async function inFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(path.join(tmpdir(), 'atlas-test-'))
  try {
    return await use(folder)
  } finally {
    await rm(folder, {recursive: true, force: true})
  }
}
