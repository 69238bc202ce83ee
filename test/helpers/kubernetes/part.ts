/** One process of a test's cluster, which can be ended, killed, halted, and started again as it was. */
import type {ProgramSpec, Running, Supervisor} from '../../../src/demo/lab/processes.js'
import {waitFor} from '../../../src/demo/lab/wait.js'

export interface Part {
  readonly pid: number | undefined
  /** Starts it with the same ports and data, and waits until it is ready; nothing where it runs. */
  start(): Promise<void>
  /** Ends it in good order (2 s, then by force). */
  stop(): Promise<void>
  /** Ends it as a power cut would. */
  kill(): Promise<void>
  /** Halts it: connections stay, and nothing answers. */
  pause(): void
  resume(): void
}

export interface PartSpec extends ProgramSpec {
  /** True once it is ready; what it throws counts as not yet. */
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
