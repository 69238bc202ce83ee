/** The cost of a restart: a real `atlas serve` on a directory is stopped and started again while simulated Envoys are connected. */
import {type ChildProcess, spawn} from 'node:child_process'
import {mkdtemp, readFile, rm} from 'node:fs/promises'
import {connect} from 'node:net'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {fileURLToPath} from 'node:url'
import {openDirectory} from '../src/lib/store/open.js'
import {Envoys, clock, sleep, sum, nodesOf} from './envoys.js'
import {fill} from './fleet.js'
import type {Event} from './simulated-envoys.js'

export interface RestartFigures {
  /** Seconds from the start of the process to its open port. */
  readonly startS: number
  /** Seconds from the open port until every node was configured, and until the last byte. */
  readonly reconnectReadyS: number
  readonly reconnectQuietS: number
  /** Of unchanged downstream nodes: clusters and listeners sent again, and bytes in all (largest of all nodes). */
  readonly reconnectResent: number
  readonly reconnectBytes: number
  /** Resident memory of the server with all nodes connected, MiB, and the longest delay of its event loop since its port was open, ms. */
  readonly residentMiB: number
  readonly reconnectBlockedMs: number
}

const bin = fileURLToPath(new URL('../bin/run.js', import.meta.url))
const [ads, admin] = ['127.0.0.1:16305', '127.0.0.1:16309'] as const

/** Measures a restart under `count` downstream nodes and the observability node. */
export async function measureRestart(count: number): Promise<RestartFigures> {
  const directory = await mkdtemp(path.join(tmpdir(), 'atlas-bench-'))
  const fleet = await fill(openDirectory({directory, create: true}), count)
  let server = start(directory)
  let envoys: Envoys | undefined
  try {
    await opened()
    envoys = Envoys.start(nodesOf(fleet, ads))
    await envoys.ready(count + 1)
    await envoys.quiet(1000)
    await stopped(server)
    envoys.forget()
    const startedAt = clock()
    server = start(directory)
    await opened()
    const openAt = clock()
    await lag(server)
    await envoys.ready(count + 1)
    await envoys.quiet(1500)
    const reconnectBlockedMs = await lag(server)
    return {
      startS: (openAt - startedAt) / 1000,
      ...reconnected(envoys.events, openAt),
      residentMiB: await residentMiB(server),
      reconnectBlockedMs,
    }
  } finally {
    envoys?.stop()
    await stopped(server)
    await rm(directory, {recursive: true, force: true})
  }
}

function start(directory: string): ChildProcess {
  const probe = ['--import', `data:text/javascript,${encodeURIComponent(LAG_PROBE)}`]
  return spawn(process.execPath, [...probe, bin, 'serve', '--store', directory, '--listen', ads, '--admin', admin, '--log-level', 'warn'], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
}

async function stopped(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null) return
  const exit = new Promise(resolve => server.once('exit', resolve))
  server.kill('SIGTERM')
  await exit
}

/** Resolves when the ADS port accepts a connection. */
async function opened(): Promise<void> {
  const port = Number(ads.slice(ads.lastIndexOf(':') + 1))
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
async function lag(server: ChildProcess): Promise<number> {
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

async function residentMiB(server: ChildProcess): Promise<number> {
  const status = await readFile(`/proc/${server.pid ?? 0}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? Number.NaN) / 1024
}

function reconnected(
  events: readonly Event[],
  openAt: number,
): Pick<RestartFigures, 'reconnectBytes' | 'reconnectQuietS' | 'reconnectReadyS' | 'reconnectResent'> {
  const received = events.filter(event => event.kind === 'received')
  const ready = events.filter(event => event.kind === 'ready')
  const downstream = received.filter(event => event.cluster !== 'atlas')
  const bytes = new Map<string, number>()
  for (const event of downstream) bytes.set(event.cluster, (bytes.get(event.cluster) ?? 0) + event.bytes)
  const resent = downstream.filter(event => event.type === 'Cluster' || event.type === 'Listener').map(event => event.resources)
  return {
    reconnectReadyS: (Math.max(...ready.map(event => event.at)) - openAt) / 1000,
    reconnectQuietS: (Math.max(...received.map(event => event.at)) - openAt) / 1000,
    reconnectResent: sum(resent),
    reconnectBytes: Math.max(...bytes.values()),
  }
}
