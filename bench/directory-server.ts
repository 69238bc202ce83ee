/** A real `atlas serve` on a directory as a process of its own, which says how long its event loop was blocked. */
import {type ChildProcess, spawn} from 'node:child_process'
import {connect} from 'node:net'
import {bin, serverCommand} from './atlas-process.js'
import {sleep} from './envoys.js'

export const ADS = '127.0.0.1:16305'
const ADMIN = '127.0.0.1:16309'
export const ADMIN_URL = `http://${ADMIN}`

/** @param flags of `atlas serve`, beside those of every bench */
export function start(directory: string, flags: readonly string[] = []): ChildProcess {
  const probe = ['--import', `data:text/javascript,${encodeURIComponent(LAG_PROBE)}`]
  const [node, ...nodeFlags] = serverCommand
  return spawn(
    node,
    [...nodeFlags, ...probe, bin, 'serve', '--store', directory, '--listen', ADS, '--admin', ADMIN, '--log-level', 'warn', ...flags],
    {stdio: ['ignore', 'inherit', 'inherit', 'ipc']},
  )
}

export async function stopped(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null) return
  const exit = new Promise(resolve => server.once('exit', resolve))
  server.kill('SIGTERM')
  await exit
}

/** Resolves when the ADS port accepts a connection. */
export async function opened(): Promise<void> {
  const port = Number(ADS.slice(ADS.lastIndexOf(':') + 1))
  for (let tries = 0; tries < 12_000; tries += 1) {
    const isOpen = await new Promise<boolean>(resolve => {
      const socket = connect(port, '127.0.0.1')
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
      socket.once('connect', () => socket.destroy())
    })
    if (isOpen) return
    await sleep(5)
  }

  throw new Error('the server did not open its port within 60 s')
}

/** The longest delay of the server's event loop since the last call, ms. */
export async function lag(server: ChildProcess): Promise<number> {
  const answer = new Promise<number>(resolve => server.once('message', resolve))
  server.send('lag')
  return answer
}

/** Runs in the server: its own metric looks every 100 ms only, and misses most of what is shorter. */
const LAG_PROBE = `
import {monitorEventLoopDelay} from 'node:perf_hooks'
const delay = monitorEventLoopDelay({resolution: 5})
delay.enable()
process.on('message', () => {
  process.send(delay.max / 1e6 - 5)
  delay.reset()
})
process.channel.unref()
`
