/** What one change costs the server itself in a large fleet: a store in memory, so that no file is read, and the observability node alone. */
import {openFiles} from '../src/lib/store/directory/files.js'
import {serve} from '../src/server/serve.js'
import {memoryStore} from '../test/helpers/memory-store.js'
import {Envoys, clock, nodesOf, sleep} from './envoys.js'
import {dependencies, openWriter, registration} from './fleet.js'

export interface ServerChangeFigures {
  /** Milliseconds from a commit to the observability node, and of CPU until all is quiet: medians. */
  readonly serverChangeMs: number
  readonly serverChangeCpuMs: number
}

const ROUNDS = 15

/** Measures changes of the fleet that `directory` holds. */
export async function measureServerChanges(directory: string): Promise<ServerChangeFigures> {
  const store = memoryStore()
  for (const {key, manifest} of await openFiles(directory, {create: false}).scan()) if (manifest !== undefined) store.put(key, manifest)
  const at = {host: '127.0.0.1', port: 0}
  const server = await serve({store, dependencies, listen: at, admin: at, log: 'silent'})
  const fleet = await store.load()
  const observer = Envoys.start(nodesOf(fleet, server.address).filter(({cluster}) => cluster === 'atlas'))
  await observer.ready(1)
  await sleep(6000)
  const commit = openWriter(store, fleet)
  const [times, cpu]: [number[], number[]] = [[], []]
  for (let round = 0; round < ROUNDS; round += 1) {
    const before = process.cpuUsage()
    const from = clock()
    const [seen] = await observer.of(async () => commit(registration(round * 7, round + 3)), 900)
    const {user, system} = process.cpuUsage(before)
    times.push((seen?.at ?? Number.NaN) - from)
    cpu.push((user + system) / 1000)
  }

  observer.stop()
  await server.stop()
  return {serverChangeMs: median(times), serverChangeCpuMs: median(cpu)}
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}
