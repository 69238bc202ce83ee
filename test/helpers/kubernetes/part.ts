/** One process of a test's cluster, which can be stopped, killed, paused, and started again. */
import type {ProgramSpec, Running, Supervisor} from '../../../src/demo/lab/processes.js'
import {waitFor} from '../../../src/demo/lab/wait.js'

export interface Part {
  readonly pid: number | undefined
  /** Starts it with the same ports and data, and waits until it is ready; does nothing where it runs. */
  start(): Promise<void>
  /** Stops it: TERM, after 2 s KILL. */
  stop(): Promise<void>
  /** Kills it with SIGKILL. */
  kill(): Promise<void>
  /** Pauses it with SIGSTOP: connections stay open, and nothing answers. */
  pause(): void
  resume(): void
}

export interface PartSpec extends ProgramSpec {
  /** Whether it is ready; an error counts as not yet. */
  isReady(): Promise<boolean>
}

export function makePart(supervisor: Supervisor, {isReady, ...spec}: PartSpec): Part {
  let running: Promise<Running> | undefined
  let pid: number | undefined
  const signal = (name: NodeJS.Signals): void => {
    if (pid === undefined) throw new Error(`${spec.name} does not run`)
    process.kill(pid, name)
  }
  const end = async (how: (ending: Running) => Promise<void>): Promise<void> => {
    const ending = running
    running = undefined
    pid = undefined
    if (ending !== undefined) await how(await ending)
  }
  return {
    get pid() {
      return pid
    },
    async start() {
      running ??= supervisor.start(spec)
      ;({pid} = await running)
      const probe = async (): Promise<true | undefined> => ((await isReady()) ? true : undefined)
      await waitFor(`${spec.name} to be ready`, probe, {signal: supervisor.crashed, timeoutMs: 90_000, everyMs: 50})
    },
    stop: async () => end(async ending => ending.stop(2000)),
    kill: async () => end(async ending => ending.kill()),
    pause: () => {
      signal('SIGSTOP')
    },
    resume: () => {
      signal('SIGCONT')
    },
  }
}
