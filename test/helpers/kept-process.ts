/**
 * Processes that run many commands, one after the other (command-process.mjs): starting Node and loading Atlas costs most of the CPU time of
 * a command. As many are kept as commands run at the same time.
 */
import {type ChildProcessByStdio, spawn} from 'node:child_process'
import type {Socket} from 'node:net'
import {fileURLToPath} from 'node:url'
import type {Ran} from './ran.js'

const script = fileURLToPath(new URL('command-process.mjs', import.meta.url))
const END = '\0'
let idle: readonly Kept[] = []

/** A process has its environment from its start on: one that has another than the present is ended. */
interface Kept {
  readonly child: ChildProcessByStdio<null, Socket, Socket>
  readonly environment: string
}

/** Runs `program …args`, where `program` is the `bin/run.js` of this checkout; resolves when nothing of the command runs any more. */
export async function runKept(program: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<Ran> {
  const environment = JSON.stringify(env)
  for (const {child} of idle.filter(kept => kept.environment !== environment)) if (child.connected) child.disconnect()
  const [kept = {child: start(env), environment}, ...others] = idle.filter(
    ({child, ...its}) => child.connected && its.environment === environment,
  )
  idle = others
  const {child} = kept
  hold(child, 'ref')
  child.send({program, args})
  const ran = await outcomeOf(child)
  hold(child, 'unref')
  idle = [...idle, kept]
  return ran
}

function start(env: NodeJS.ProcessEnv): Kept['child'] {
  const child = spawn(process.execPath, [script], {env, stdio: ['ignore', 'pipe', 'pipe', 'ipc']}) as unknown as Kept['child']
  child.stdout.setEncoding('utf8')
  child.stderr.setEncoding('utf8')
  return child
}

/** An idle process, which ends when it loses this one, does not keep this one from ending. */
function hold(child: Kept['child'], how: 'ref' | 'unref'): void {
  for (const each of [child, child.channel, child.stdout, child.stderr]) each?.[how]()
}

async function outcomeOf(child: Kept['child']): Promise<Ran> {
  return new Promise((resolve, reject) => {
    let [stdout, stderr] = ['', '']
    const onStdout = (chunk: string): void => settle((stdout += chunk), stderr)
    const onStderr = (chunk: string): void => settle(stdout, (stderr += chunk))
    // A command that ends its process, as one that crashes does.
    const onClose = (code: number | null): void => finish({code, stdout, stderr})
    const settle = (out: string, err: string): void => {
      if (!out.endsWith(END) || !err.endsWith(END)) return
      const [, text = '', code] = /^([^]*?)(\d+)\0$/.exec(err) ?? []
      finish({code: Number(code), stdout: out.slice(0, -1), stderr: text})
    }
    const finish = (ran: Ran): void => {
      child.stdout.off('data', onStdout)
      child.stderr.off('data', onStderr)
      child.off('close', onClose).off('error', reject)
      resolve(ran)
    }

    child.stdout.on('data', onStdout)
    child.stderr.on('data', onStderr)
    child.once('close', onClose).once('error', reject)
  })
}
