/** What the streams of a fleet cost a server that decides nothing (bare-server.ts): a bound for a restart, and for memory. */
import {fork} from 'node:child_process'
import {fileURLToPath} from 'node:url'
import {materialOf} from '../src/server/mtls/context.js'
import {memoryStore} from '../test/helpers/memory-store.js'
import {cpuS, ended, residentMiB, serverCommand} from './atlas-process.js'
import type {BareMaterial} from './bare-server.js'
import {Envoys, clock, nodesOf, sleep} from './envoys.js'
import {fill} from './fleet.js'

export interface BareFigures {
  readonly nodes: number
  /** Seconds from the open port until every node was configured; CPU time of the server meanwhile. */
  readonly readyS: number
  readonly readyCpuS: number
  /** MiB before the first and after the last connection. */
  readonly emptyMiB: number
  readonly residentMiB: number
  /** The longest delay of the event loop, ms. */
  readonly blockedMs: number
  /** Seconds of CPU in a minute in which nothing but the pings of the connections comes. */
  readonly idleCpuS: number
}

const PORT = 16_307
/** As many as a downstream node of a fleet with pages is sent of each type, on average. */
const RESPONSE_BYTES = 6000

/** Measures `count` direct connections and the observability node's. */
export async function measureBare(count: number): Promise<BareFigures> {
  const fleet = await fill(memoryStore(), count)
  const material = materialOf(fleet)
  if (material === undefined) throw new Error('the fleet has no server certificate')
  const [, ...nodeFlags] = serverCommand
  const server = fork(fileURLToPath(new URL('bare-server.ts', import.meta.url)), {
    execArgv: [...process.execArgv, ...nodeFlags.filter(flag => flag.startsWith('--'))],
  })
  const said = async <T>(): Promise<T> => new Promise(resolve => server.once('message', message => resolve(message as T)))
  const {certificate, key, anchors} = material
  const opened = said()
  server.send({certificate, key: key.reveal(), anchors, port: PORT, bytes: RESPONSE_BYTES} satisfies BareMaterial)
  await opened
  const [emptyMiB, cpu, openAt] = [residentMiB(server), cpuS(server), clock()]
  const envoys = Envoys.start(nodesOf(fleet, `127.0.0.1:${PORT}`))
  try {
    await envoys.ready(count + 1)
    const readyAt = envoys.events.filter(event => event.kind === 'ready').map(({at}) => at)
    const readyCpuS = cpuS(server) - cpu
    await envoys.quiet(3000)
    const blocked = said<number>()
    server.send('lag')
    const blockedMs = await blocked
    const resident = residentMiB(server)
    const beforeIdle = cpuS(server)
    await sleep(60_000)
    return {
      nodes: count,
      readyS: (Math.max(...readyAt) - openAt) / 1000,
      readyCpuS,
      emptyMiB,
      residentMiB: resident,
      blockedMs,
      idleCpuS: cpuS(server) - beforeIdle,
    }
  } finally {
    envoys.stop()
    await ended(server, 'SIGKILL')
  }
}
