/** The cost of a change: a server in this process with a store in memory, its simulated Envoys in another process. */
import {monitorEventLoopDelay} from 'node:perf_hooks'
import {setFlagsFromString} from 'node:v8'
import {runInNewContext} from 'node:vm'
import {parseClusterName} from '../src/lib/model/names.js'
import {memoryStore} from '../test/helpers/memory-store.js'
import {serve} from '../src/server/serve.js'
import {Envoys, type Received, clock, sum, nodesOf} from './envoys.js'
import {type Writer, fill, openWriter, registration, dependencies} from './fleet.js'

export interface ChangeFigures {
  /** Milliseconds from `commit` to the observability node, one changed address: median and maximum of the rounds. */
  readonly changeMs: number
  readonly changeMaxMs: number
  /** For one changed address: nodes that received anything, and bytes in all. */
  readonly changeNodes: number
  readonly changeBytes: number
  /** For one added, one removed cluster: bytes to the observability node. */
  readonly addBytes: number
  readonly removeBytes: number
  /** 20 changes at once: responses to the observability node, and milliseconds until it was quiet. */
  readonly burstPushes: number
  readonly burstMs: number
  /** The longest delay of the event loop meanwhile, ms. */
  readonly changeBlockedMs: number
}

/** Measures changes in a fleet of `count` downstream nodes and the observability node. */
export async function measureChanges(count: number): Promise<ChangeFigures> {
  const store = memoryStore()
  const fleet = await fill(store, count)
  const server = await serve({
    store,
    dependencies,
    listen: {host: '127.0.0.1', port: 0},
    admin: {host: '127.0.0.1', port: 0},
    log: 'silent',
  })
  const envoys = Envoys.start(nodesOf(fleet, server.address))
  await envoys.ready(count + 1)
  await envoys.quiet(500)
  // The fleet was made in this process, unlike in a real server: its garbage must not be counted.
  collectGarbage()

  const write = openWriter(store, fleet)
  const delay = monitorEventLoopDelay({resolution: 5})
  delay.enable()
  const changes = await changed(write, envoys, count)
  const added = await envoys.of(async () => write(registration(count, 1)), 1500)
  const removed = await envoys.of(async () => write({kind: 'registration', name: parseClusterName(`c${count}`), value: undefined}), 7000)
  const burst = await burstOf(write, envoys, count)
  const changeBlockedMs = delay.max / 1e6 - 5
  await server.stop()
  envoys.stop()
  const observability = (events: readonly Received[]): number =>
    sum(events.filter(event => event.cluster === 'atlas').map(event => event.bytes))
  return {...changes, addBytes: observability(added), removeBytes: observability(removed), ...burst, changeBlockedMs}
}

function collectGarbage(): void {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
}

async function changed(
  write: Writer,
  envoys: Envoys,
  count: number,
): Promise<Pick<ChangeFigures, 'changeBytes' | 'changeMaxMs' | 'changeMs' | 'changeNodes'>> {
  const times: number[] = []
  let events: readonly Received[] = []
  for (let round = 0; round < 15; round += 1) {
    let at = 0
    events = await envoys.of(async () => {
      at = clock()
      await write(registration(round % count, round + 2))
    }, 500)
    const seen = events.find(event => event.cluster === 'atlas')
    if (seen === undefined) throw new Error(`round ${round}: the observability node was sent nothing`)
    times.push(seen.at - at)
  }

  times.sort((a, b) => a - b)
  return {
    changeMs: times[Math.floor(times.length / 2)] ?? Number.NaN,
    changeMaxMs: times.at(-1) ?? Number.NaN,
    changeNodes: new Set(events.map(event => event.cluster)).size,
    changeBytes: sum(events.map(event => event.bytes)),
  }
}

async function burstOf(write: Writer, envoys: Envoys, count: number): Promise<Pick<ChangeFigures, 'burstMs' | 'burstPushes'>> {
  let at = 0
  const events = await envoys.of(async () => {
    at = clock()
    for (let change = 0; change < 20; change += 1) await write(registration(change % count, 100 + change))
  }, 2000)
  const pushes = events.filter(event => event.cluster === 'atlas')
  return {burstPushes: pushes.length, burstMs: (pushes.at(-1)?.at ?? Number.NaN) - at}
}
