/** The cost of a restart: a real `atlas serve` on a directory is stopped and started again while simulated Envoys are connected. */
import {mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {openDirectory} from '../src/lib/store/open.js'
import {residentMiB} from './atlas-process.js'
import {ADS, lag, opened, start, stopped} from './directory-server.js'
import {Envoys, clock, sum, nodesOf} from './envoys.js'
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

/** Measures a restart under `count` downstream nodes and the observability node. */
export async function measureRestart(count: number): Promise<RestartFigures> {
  const directory = await mkdtemp(path.join(tmpdir(), 'atlas-bench-'))
  const fleet = await fill(openDirectory({directory, create: true}), count)
  let server = start(directory)
  let envoys: Envoys | undefined
  try {
    await opened()
    envoys = Envoys.start(nodesOf(fleet, ADS))
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
      residentMiB: residentMiB(server),
      reconnectBlockedMs,
    }
  } finally {
    envoys?.stop()
    await stopped(server)
    await rm(directory, {recursive: true, force: true})
  }
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
