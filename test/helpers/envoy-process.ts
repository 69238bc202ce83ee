/** Real Envoys in tests: started with a configuration, waited for until they serve, and always stopped. */
import {type ChildProcess, spawn} from 'node:child_process'
import {mkdtemp, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {type HostPort, renderHostPort} from '../../src/lib/model/address.js'
import {type EnvoyVersion, envoyProgram} from './envoy-program.js'

export interface RunningEnvoy {
  readonly admin: HostPort
  /** Its output so far: its own log, and the access logs as JSON lines. */
  output(): string
  /** The access log's lines that have this `log` value: `connection` or `request`. */
  logged(log: string): readonly Record<string, unknown>[]
  stop(signal?: NodeJS.Signals): Promise<void>
}

/**
 * Starts an Envoy and waits until its admin page reports LIVE; the admin address in `config` must be `admin`.
 * @param isIncomplete its first configuration is not complete yet, and that is not waited for
 */
export async function startEnvoy(
  config: object,
  admin: HostPort,
  {version, isIncomplete = false}: {version?: EnvoyVersion; isIncomplete?: boolean} = {},
): Promise<RunningEnvoy> {
  const folder = await mkdtemp(path.join(tmpdir(), 'atlas-envoy-'))
  const file = path.join(folder, 'envoy.json')
  await writeFile(file, JSON.stringify(config))
  const flags = ['--disable-hot-restart', '--concurrency', '1', '--file-flush-interval-msec', '100', '--drain-time-s', '2', '-l', 'warning']
  const child = spawn(await envoyProgram(version), ['-c', file, ...flags], {stdio: ['ignore', 'pipe', 'pipe']})
  let output = ''
  child.stdout.on('data', chunk => (output += String(chunk)))
  child.stderr.on('data', chunk => (output += String(chunk)))
  const ended = new Promise<void>(resolve => child.once('close', () => resolve()))
  const running: RunningEnvoy = {
    admin,
    output: () => output,
    logged: log => linesOf(output).filter(line => line['log'] === log),
    async stop(signal = 'SIGKILL') {
      child.kill(signal)
      await ended
      await rm(folder, {recursive: true, force: true})
    },
  }
  try {
    await untilAnswers(admin, child, {seconds: 45, isIncomplete})
  } catch (error) {
    await running.stop()
    throw new Error(`${String(error)}\n${output.slice(-3000)}`, {cause: error})
  }

  return running
}

async function untilAnswers(
  {host, port}: HostPort,
  child: ChildProcess,
  {seconds, isIncomplete}: {readonly seconds: number; readonly isIncomplete: boolean},
): Promise<void> {
  const end = Date.now() + seconds * 1000
  while (Date.now() < end) {
    if (child.exitCode !== null) throw new Error(`Envoy ended with ${String(child.exitCode)}`)
    const answer = await fetch(`http://${renderHostPort({host, port})}/ready`).catch(() => undefined)
    if (answer?.ok === true || (isIncomplete && answer !== undefined)) return
    await new Promise(resolve => setTimeout(resolve, 50))
  }

  throw new Error(`Envoy was not ready within ${String(seconds)} s`)
}

/** Of the complete lines: the end of the last one may still be on its way. */
function linesOf(output: string): readonly Record<string, unknown>[] {
  return output
    .split('\n')
    .slice(0, -1)
    .filter(line => line.startsWith('{'))
    .map(line => JSON.parse(line) as Record<string, unknown>)
}
