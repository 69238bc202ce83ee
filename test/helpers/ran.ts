/** How a program that a test has started ended, with all that it wrote. */
import type {ChildProcessByStdio} from 'node:child_process'
import type {Readable, Writable} from 'node:stream'

export interface Ran {
  /** Null: killed by a signal. */
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Waits until the program has ended and its output is closed; rejects only when it can't be started. */
export async function ranOf(child: ChildProcessByStdio<Writable | null, Readable, Readable>): Promise<Ran> {
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', chunk => (stdout += String(chunk)))
  child.stderr.setEncoding('utf8').on('data', chunk => (stderr += String(chunk)))
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  return {code, stdout, stderr}
}
