/**
 * One cluster floods port 10903 with alerts: `npm run bench -- --flood [--rounds 10]`. How long the alerts of another cluster take meanwhile, beside
 * turns without the flood. The flooding clients and their cluster's Envoy have a core of their own, as they have a machine of their own elsewhere.
 */
import {spawnSync} from 'node:child_process'
import {availableParallelism} from 'node:os'
import {dependencies} from '../src/lib/cli/base-command.js'
import {init} from '../src/lib/ops/init.js'
import {until} from '../test/e2e/look.js'
import {type Network, openNetwork} from '../test/e2e/network.js'
import {type Row, round} from './kubernetes-limits.js'
import {Clients, type Order, type Result, buildLoad, serveArguments} from './load.js'

export interface FloodFigures {
  /** Medians over the turns, of one alert from the other cluster's Prometheus to the answer of the Alertmanager. */
  readonly quietUs: number
  readonly floodedUs: number
  /** Of each flooded turn against the quiet one before it, the median. */
  readonly ratio: number
  readonly p99Ratio: number
  /** Requests of the flood a second, and those of them that reached the Alertmanager. */
  readonly floodPerS: number
  readonly passedPerS: number
}

const [FLOODING, OTHER] = ['paris', 'lyon'] as const
const [FLOOD_CORE, OTHER_CORE] = ['1', '0'] as const
const SECONDS = 3
const body = JSON.stringify([{labels: {alertname: 'x', note: 'x'.repeat(1000)}}])
const alerts = {kind: 'pages', authority: 'atlas', path: '/am/alertmanager0/api/v2/alerts', body} as const

/** @throws Error without two cores and taskset, or where an alert of the other cluster fails */
export async function measureFlood(rounds: number): Promise<FloodFigures> {
  if (availableParallelism() < 2) throw new Error('this bench needs two cores')
  const network = await openNetwork({clusters: [FLOODING, OTHER]})
  try {
    return await measure(network, rounds)
  } finally {
    await network.close()
  }
}

async function measure(network: Network, rounds: number): Promise<FloodFigures> {
  const load = await buildLoad(network.folder)
  const host = network.spareAddress(0)
  const server = await network.startProcess({name: 'load', program: load, args: serveArguments({host, port: 10_999}, {host, port: 9093})})
  await init(network.store, {alertmanagers: [{host, port: 9093}]}, dependencies)
  const [flooding, other] = [Clients.start(load), Clients.start(load)]
  network.onClose(async () => flooding.stop())
  network.onClose(async () => other.stop())
  pin(FLOOD_CORE, [flooding.child.pid, network.member(FLOODING).envoy.pid()])
  pin(OTHER_CORE, [other.child.pid, network.member(OTHER).envoy.pid(), network.observability.pid(), server.pid])

  /** Below the limit of 20 requests a second. */
  const honest: Order = {...alerts, at: `${network.member(OTHER).address}:10903`, connections: 1, everyMs: 60, seconds: SECONDS}
  const flood: Order = {...alerts, at: `${network.member(FLOODING).address}:10903`, connections: 64, seconds: SECONDS + 1}
  for (const order of [honest, flood])
    await until(network, 'the way of alerts', async () => isDelivered(await other.run({...order, connections: 1, seconds: 0.01})))

  const [quiet, flooded, floods]: [Result[], Result[], Result[]] = [[], [], []]
  for (let turn = 0; turn < rounds; turn += 1) {
    quiet.push(checked(await other.run(honest)))
    const running = flooding.run(flood)
    await new Promise(resolve => setTimeout(resolve, 500))
    flooded.push(checked(await other.run(honest)))
    floods.push(await running)
  }

  const ratios = (of: (result: Result) => number): number[] => flooded.map((one, turn) => of(one) / of(quiet[turn] ?? one))
  const perS = (of: (result: Result) => number): number => median(floods.map(one => of(one) / one.seconds))
  return {
    quietUs: median(quiet.map(({medianUs}) => medianUs)),
    floodedUs: median(flooded.map(({medianUs}) => medianUs)),
    ratio: median(ratios(({medianUs}) => medianUs)),
    p99Ratio: median(ratios(({p99Us}) => p99Us)),
    floodPerS: perS(({done}) => done),
    passedPerS: perS(({statuses}) => statuses['200'] ?? 0),
  }
}

/** Which figures keep to their limits. */
export function judgeFlood({ratio}: FloodFigures): readonly Row[] {
  return [{what: 'an alert while another cluster floods, against a quiet time', limit: '2 x', got: `${round(ratio)} x`, ok: ratio <= 2}]
}

function isDelivered({statuses, error}: Result): boolean {
  return error === undefined && Object.keys(statuses).join() === '200'
}

function checked(result: Result): Result {
  if (!isDelivered(result)) throw new Error(`alerts of ${OTHER} failed: ${result.error ?? JSON.stringify(result.statuses)}`)
  return result
}

function pin(core: string, pids: readonly (number | undefined)[]): void {
  for (const pid of pids)
    if (spawnSync('taskset', ['-acp', core, String(pid)]).status !== 0) throw new Error('this bench needs the program taskset')
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}
