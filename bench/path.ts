/**
 * The data path: `npm run bench -- --path [--rounds 10]`. Calls of Thanos, one long stream, and pages, by each way of path-network.ts. The ways
 * take turns of a second each, so that what else runs on the machine meets all of them; ratios are those of one turn, and of them the median.
 */
import {cpuS} from './atlas-process.js'
import type {Order, Result} from './load.js'
import {type PathNetwork, type Way, authorities, openPathNetwork, ways} from './path-network.js'

const SERIES_BYTES = 200_000_000
const PAGE_BYTES = 8192
const SCRIPT_BYTES = 2_000_000

const call = {kind: 'calls', authority: authorities.grpc, path: '/thanos.Store/LabelNames', bytes: 200, seconds: 1} as const
const page = {kind: 'pages', authority: authorities.page, path: `/bytes/${PAGE_BYTES}`, seconds: 1} as const

/** What is measured; `unit` is what its CPU time is counted by. */
export const loads = {
  'calls, one connection': {order: {...call, connections: 1, streams: 32}, unit: 'calls'},
  'calls, 100 connections': {order: {...call, connections: 100, streams: 1}, unit: 'calls'},
  'calls, one at a time': {order: {...call, connections: 1, streams: 1}, unit: 'calls'},
  'Series, 200 MB': {
    order: {...call, kind: 'stream', path: '/thanos.Store/Series', bytes: SERIES_BYTES, connections: 1, streams: 1},
    unit: 'GB',
  },
  'pages, 16 connections': {order: {...page, connections: 16}, unit: 'calls'},
  'pages, one at a time': {order: {...page, connections: 1}, unit: 'calls'},
  'scripts of 2 MB': {order: {...page, path: `/bytes/${SCRIPT_BYTES}`, connections: 2}, unit: 'GB'},
} as const satisfies Readonly<Record<string, {readonly order: Omit<Order, 'at'>; readonly unit: 'GB' | 'calls'}>>

export type Load = keyof typeof loads

/** Of one load by one way, all rounds. */
export interface WayFigures {
  /** Calls, or GB, a second: medians of the rounds. */
  readonly perS: number
  /** Against the lean pair in the same round. */
  readonly rateRatio: number
  readonly medianUs: number
  readonly p99Us: number
  /** CPU seconds of both Envoys for 1,000 calls, or for 1 GB. */
  readonly cpuS: number
}

export type PathFigures = Readonly<Record<Load, Readonly<Record<Way, WayFigures>>>>

/** @throws Error where a request fails */
export async function measurePath(rounds: number): Promise<PathFigures> {
  const network = await openPathNetwork()
  try {
    const figures: [string, Readonly<Record<Way, WayFigures>>][] = []
    for (const load of Object.keys(loads) as Load[]) {
      process.stderr.write(`  ${load} …\n`)
      figures.push([load, await measureLoad(network, load, rounds)])
    }

    return Object.fromEntries(figures) as PathFigures
  } finally {
    await network.close()
  }
}

interface Turn {
  readonly amount: number
  readonly perS: number
  readonly cpuS: number
  readonly medianUs: number
  readonly p99Us: number
}

async function measureLoad(network: PathNetwork, load: Load, rounds: number): Promise<Readonly<Record<Way, WayFigures>>> {
  const turns: Record<Way, Turn[]> = {atlas: [], lean: [], direct: []}
  for (const way of ways) await turn(network, load, way) // warms up
  for (let round = 0; round < rounds; round += 1)
    for (let step = 0; step < ways.length; step += 1) {
      const way = ways[(round + step) % ways.length] ?? 'atlas'
      turns[way].push(await turn(network, load, way))
    }

  const figures = ways.map(way => {
    const all = turns[way]
    const amount = sum(all.map(one => one.amount))
    return [
      way,
      {
        perS: median(all.map(one => one.perS)),
        rateRatio: median(all.map((one, round) => one.perS / (turns.lean[round]?.perS ?? Number.NaN))),
        medianUs: median(all.map(one => one.medianUs)),
        p99Us: median(all.map(one => one.p99Us)),
        cpuS: sum(all.map(one => one.cpuS)) / amount,
      },
    ]
  })
  return Object.fromEntries(figures) as Readonly<Record<Way, WayFigures>>
}

async function turn({clients, at, envoys}: PathNetwork, load: Load, way: Way): Promise<Turn> {
  const {order, unit} = loads[load]
  const cpu = (): number => sum(envoys[way].map(pid => cpuS({pid})))
  const before = cpu()
  const result = await clients.run({...order, at: at[way][order.kind === 'pages' ? 'page' : 'grpc']})
  const took = cpu() - before
  failures(result, `${load} by ${way}`)
  const amount = unit === 'GB' ? result.bytes / 1e9 : result.done / 1000
  return {amount, perS: (unit === 'GB' ? amount : result.done) / result.seconds, cpuS: took, medianUs: result.medianUs, p99Us: result.p99Us}
}

function failures({statuses, error}: Result, what: string): void {
  const failed = Object.keys(statuses).filter(status => status !== '0' && status !== '200')
  if (error !== undefined || failed.length > 0) throw new Error(`${what}: ${error ?? JSON.stringify(statuses)}`)
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}
