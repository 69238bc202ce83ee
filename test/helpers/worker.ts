/** Runs a script of a test as a process: reads its output line by line, sends signals, kills it. */
import {type ChildProcess, spawn} from 'node:child_process'
import {fileURLToPath} from 'node:url'

export interface Worker {
  readonly pid: number
  /** Lines so far. */
  readonly said: readonly string[]
  /** Its stderr. */
  readonly errors: string
  /** Its exit code; null where it was killed. */
  readonly ended: Promise<number | null>
  /** Resolves with the first line that fits; fails when the process ends without one. */
  line(fits: (line: string) => boolean): Promise<string>
  kill(): Promise<void>
  signal(name: NodeJS.Signals): void
}

/** Runs `script` with `args`; `flags` are Node's. */
export function startWorker(script: URL, args: readonly string[], flags: readonly string[] = []): Worker {
  const command = [...flags, '--import', 'tsx', fileURLToPath(script), ...args]
  const child: ChildProcess = spawn(process.execPath, command, {stdio: ['ignore', 'pipe', 'pipe']})
  const said: string[] = []
  const waiting = new Set<() => void>()
  let [rest, errors] = ['', '']
  child.stdout?.on('data', chunk => {
    const lines = (rest + String(chunk)).split('\n')
    rest = lines.pop() ?? ''
    said.push(...lines)
    for (const look of waiting) look()
  })
  child.stderr?.on('data', chunk => (errors += String(chunk)))
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  return {
    pid: child.pid ?? 0,
    said,
    get errors() {
      return errors
    },
    ended,
    line: fits =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          const found = said.find(line => fits(line))
          if (found === undefined) return
          waiting.delete(look)
          resolve(found)
        }

        waiting.add(look)
        look()
        void ended.then(code => reject(new Error(`it ended with ${code} before it said that: ${said.join(' ')} ${errors}`)))
      }),
    signal: name => child.kill(name),
    async kill() {
      child.kill('SIGKILL')
      await ended
    },
  }
}
