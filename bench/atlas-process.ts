/** `atlas serve` and single commands as processes: what they cost, by the accounts of the kernel (Linux). */
import {type ChildProcess, spawn, spawnSync} from 'node:child_process'
import {readFileSync} from 'node:fs'
import {fileURLToPath} from 'node:url'
import {readImage} from '../scripts/release/dockerfile.mjs'
import {sleep} from './envoys.js'

export const bin = fileURLToPath(new URL('../bin/run.js', import.meta.url))

/** `node` with its flags, as the entry point of the image starts the server. ATLAS_BENCH_NODE_FLAGS='--cpu-prof' profiles each server. */
export const serverCommand: readonly [string, ...string[]] = [
  process.execPath,
  ...readImage(readFileSync(new URL('../Dockerfile', import.meta.url), 'utf8')).entrypoint.slice(1, -1),
  ...(process.env.ATLAS_BENCH_NODE_FLAGS ?? '').split(' ').filter(flag => flag !== ''),
]

/** The kernel counts CPU time in hundredths of a second (USER_HZ). */
const TICKS_PER_S = 100

/** Seconds of CPU that a running process has used, user and system. */
export function cpuS({pid}: Pick<ChildProcess, 'pid'>): number {
  return sumOfTicks(readFileSync(`/proc/${pid ?? 0}/stat`, 'utf8'), 'own')
}

/** MiB of resident memory. */
export function residentMiB({pid}: Pick<ChildProcess, 'pid'>): number {
  return statusMiB(pid, 'VmRSS')
}

/** MiB of memory that were resident at most. */
export function peakMiB({pid}: Pick<ChildProcess, 'pid'>): number {
  return statusMiB(pid, 'VmHWM')
}

/** Ends with a signal, and waits until the process is gone. */
export async function ended(child: ChildProcess, signal: 'SIGKILL' | 'SIGTERM' = 'SIGTERM'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = new Promise(resolve => child.once('exit', resolve))
  child.kill(signal)
  await exited
}

/**
 * Wall time of a command in seconds.
 * @throws Error when the command fails
 */
export async function wallS(args: readonly string[]): Promise<number> {
  const began = performance.now()
  const child = spawn(process.execPath, [bin, ...args], {stdio: ['ignore', 'ignore', 'inherit']})
  const code = await new Promise<number | null>(resolve => child.once('exit', resolve))
  if (code !== 0) throw new Error(`atlas ${args.slice(0, 2).join(' ')} ended with ${code}`)
  return (performance.now() - began) / 1000
}

/** Milliseconds of CPU of a command, the mean of ten runs after one that fills the caches of files and of compiled code. */
export function commandCpuMs(args: readonly string[]): number {
  const run = (): void => {
    const {status} = spawnSync(process.execPath, [bin, ...args], {stdio: 'ignore'})
    if (status !== 0) throw new Error(`atlas ${args.slice(0, 2).join(' ')} ended with ${status}`)
  }

  run()
  const before = childrenCpuS()
  for (let runs = 0; runs < 10; runs += 1) run()
  return ((childrenCpuS() - before) / 10) * 1000
}

/** Median of 15 pairs of runs: `atlas --version` over a bare `node -e 0`, wall time. */
export function versionRatio(): number {
  const time = (args: readonly string[]): number => {
    const from = process.hrtime.bigint()
    spawnSync(process.execPath, args, {stdio: 'ignore'})
    return Number(process.hrtime.bigint() - from)
  }

  time([bin, '--version'])
  const ratios = Array.from({length: 15}, () => time([bin, '--version']) / time(['-e', '0'])).sort((a, b) => a - b)
  return ratios[7] ?? Number.NaN
}

/** @throws Error when `isSo` is not true within `limitMs` */
export async function until(isSo: () => Promise<boolean>, everyMs = 250, limitMs = 600_000): Promise<void> {
  const deadline = performance.now() + limitMs
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`not within ${limitMs / 1000} s: ${isSo.toString()}`)
    await sleep(everyMs)
  }
}

/** A size of `status` of /proc (proc_pid_status(5)). */
function statusMiB(pid: number | undefined, field: string): number {
  const match = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid ?? 0}/status`, 'utf8'))
  return Number(match?.[1]) / 1024
}

/** Of all children of this process that have ended. */
function childrenCpuS(): number {
  return sumOfTicks(readFileSync('/proc/self/stat', 'utf8'), 'children')
}

/** `stat` of /proc (proc_pid_stat(5)): the fields 14 to 17 are utime, stime, cutime and cstime; the second may contain spaces. */
function sumOfTicks(stat: string, whose: 'children' | 'own'): number {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const [user, system] = whose === 'own' ? [fields[11], fields[12]] : [fields[13], fields[14]]
  return (Number(user) + Number(system)) / TICKS_PER_S
}
