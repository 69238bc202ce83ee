/** Runs `atlas demo` as a process, in a temporary folder of its own, so that a test sees the files that it leaves behind. */
import {type ChildProcess, execFileSync, spawn} from 'node:child_process'
import {mkdir, mkdtemp, readdir, realpath, rename, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {programs} from '../../src/demo/lab/catalogue.js'
import {findProgram} from '../../src/demo/lab/programs.js'
import {waitFor} from '../../src/demo/lab/wait.js'
import {atlasBin} from '../helpers/atlas.js'

export interface DemoRun {
  readonly child: ChildProcess
  /** Its output so far. */
  stdout(): string
  stderr(): string
  /** Waits until stderr contains `text`. */
  prints(text: string, timeoutMs?: number): Promise<void>
  /** Waits until it has ended. */
  ends(timeoutMs?: number): Promise<{code: number | null}>
  /** Writes the status file of a program that is being downloaded, `name-version`, into the demo's cache, as scripts/programs would. */
  announce(program: string, status: object): Promise<void>
  /** Command lines of the processes that run below its folder. */
  processes(): readonly string[]
  /** The entries of the folder in which it makes its temporary one. */
  files(): Promise<readonly string[]>
}

export type Monitoring = 'with Thanos' | 'without Thanos'

const CACHE = 'cache'
const never = new AbortController().signal

/**
 * Calls `use` with a running demo, and removes its folder afterwards in any case.
 * @param announced what is said of programs before the demo looks for them, as `DemoRun.announce` takes it
 */
export async function withDemo<T>(
  args: readonly string[],
  monitoring: Monitoring,
  use: (run: DemoRun) => Promise<T>,
  announced: Readonly<Record<string, object>> = {},
): Promise<T> {
  const folder = await realpath(await mkdtemp(path.join(tmpdir(), 'atlas-test-demo-')))
  for (const [program, status] of Object.entries(announced)) await announce(folder, program, status)
  const child = spawn(process.execPath, [atlasBin, 'demo', ...args], {
    env: await environment(folder, monitoring),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  try {
    return await use(observe(child, folder))
  } finally {
    child.kill('SIGKILL')
    await waitFor('the guard to stop the programs', async () => (processesBelow(folder).length === 0 ? true : undefined), {
      signal: never,
      timeoutMs: 45_000,
    })
    await rm(folder, {recursive: true, force: true})
  }
}

function observe(child: ChildProcess, folder: string): DemoRun {
  let [stdout, stderr] = ['', '']
  child.stdout?.on('data', chunk => (stdout += String(chunk)))
  child.stderr?.on('data', chunk => (stderr += String(chunk)))
  const ended = new Promise<{code: number | null}>(resolve => child.once('close', code => resolve({code})))
  return {
    child,
    stdout: () => stdout,
    stderr: () => stderr,
    prints: async (text, timeoutMs = 120_000) => {
      const probe = async (): Promise<true | undefined> => {
        if (child.exitCode !== null && !stderr.includes(text)) throw new Error(`it has ended: ${stderr}`)
        return stderr.includes(text) ? true : undefined
      }
      await waitFor(`the demo to print "${text}"`, probe, {signal: never, timeoutMs})
    },
    ends: async (timeoutMs = 90_000) => {
      const late = new Promise<never>((_, reject) => {
        setTimeout(() => reject(new Error(`it did not end:\n${stdout}${stderr}`)), timeoutMs).unref()
      })
      return Promise.race([ended, late])
    },
    announce: async (program, status) => announce(folder, program, status),
    processes: () => processesBelow(folder),
    files: async () => (await readdir(folder)).filter(name => name !== CACHE),
  }
}

/** The demo finds the status whole, and for ten minutes as new as one that is renewed every second. */
async function announce(folder: string, program: string, status: object): Promise<void> {
  const file = path.join(folder, CACHE, 'programs', `${program}.json`)
  await mkdir(path.dirname(file), {recursive: true})
  const updated = new Date(Date.now() + 600_000).toISOString()
  await writeFile(`${file}.new`, JSON.stringify({pid: process.pid, updated, ...status}))
  await rename(`${file}.new`, file)
}

/** Every process of a demo has its folder in its command line or is the demo itself. */
function processesBelow(folder: string): readonly string[] {
  const lines = execFileSync('ps', ['-A', '-o', 'args='], {encoding: 'utf8'}).split('\n')
  return lines.filter(line => line.includes(folder))
}

async function environment(folder: string, monitoring: Monitoring): Promise<NodeJS.ProcessEnv> {
  const {NODE_OPTIONS: _, ...env} = process.env
  const named = async (name: 'envoy' | 'prometheus' | 'thanos'): Promise<string> => {
    const found = await findProgram(programs[name], process.env)
    if (found === undefined) throw new Error(`there is no ${name} here: "node scripts/programs/main.mjs ensure ${name}" downloads it`)
    return found
  }
  const alone = {...env, TMPDIR: folder, ATLAS_ENVOY: await named('envoy')}
  // No program by its variable, an empty cache, and a PATH with only the system's programs.
  const unnamed = Object.fromEntries(Object.values(programs).map(({variable}) => [variable, '']))
  if (monitoring === 'without Thanos')
    return {...alone, ...unnamed, ATLAS_ENVOY: alone.ATLAS_ENVOY, ATLAS_CACHE: path.join(folder, CACHE), PATH: '/usr/bin:/bin'}
  return {...alone, ATLAS_THANOS: await named('thanos'), ATLAS_PROMETHEUS: await named('prometheus')}
}
