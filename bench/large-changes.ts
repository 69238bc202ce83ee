/** What one change costs the server itself in a large fleet: a store in memory, so that no file is read, and the observability node alone. */
import type {Change} from '../src/lib/model/change.js'
import {openFiles} from '../src/lib/store/directory/files.js'
import {serve} from '../src/server/serve.js'
import {memoryStore} from '../test/helpers/memory-store.js'
import {Envoys, clock, nodesOf, sleep} from './envoys.js'
import {dependencies, openWriter, registration} from './fleet.js'

export interface ServerChangeFigures {
  /** Milliseconds from a commit to the observability node, and of CPU until all is quiet: medians. */
  readonly serverChangeMs: number
  readonly serverChangeCpuMs: number
  /** The same for a cluster that is added, until the observability node has the last of what it gets; and the bytes that it gets. */
  readonly serverAddMs: number
  readonly serverAddCpuMs: number
  readonly serverAddBytes: number
}

const ROUNDS = 15

/** Measures changes of the fleet of `count` clusters that `directory` holds. */
export async function measureServerChanges(directory: string, count: number): Promise<ServerChangeFigures> {
  const store = memoryStore()
  for (const {key, manifest} of await openFiles(directory, {create: false}).scan()) if (manifest !== undefined) store.put(key, manifest)
  const at = {host: '127.0.0.1', port: 0}
  const server = await serve({store, dependencies, listen: at, admin: at, log: 'silent'})
  const fleet = await store.load()
  const observer = Envoys.start(nodesOf(fleet, server.address).filter(({cluster}) => cluster === 'atlas'))
  await observer.ready(1)
  await sleep(6000)
  const commit = openWriter(store, fleet)
  const rounds = async (change: (round: number) => Change): Promise<readonly Seen[]> => {
    const all: Seen[] = []
    for (let round = 0; round < ROUNDS; round += 1) {
      const before = process.cpuUsage()
      const from = clock()
      const messages = await observer.of(async () => commit(change(round)), 900)
      const {user, system} = process.cpuUsage(before)
      all.push({from, messages, cpuMs: (user + system) / 1000})
    }

    return all
  }

  const changed = await rounds(round => registration(round * 7, round + 3))
  const added = await rounds(round => registration(count + round, 1))
  observer.stop()
  await server.stop()
  return {
    serverChangeMs: median(changed.map(({from, messages: [first]}) => (first?.at ?? Number.NaN) - from)),
    serverChangeCpuMs: median(changed.map(({cpuMs}) => cpuMs)),
    serverAddMs: median(added.map(({from, messages}) => (messages.at(-1)?.at ?? Number.NaN) - from)),
    serverAddCpuMs: median(added.map(({cpuMs}) => cpuMs)),
    serverAddBytes: median(added.map(({messages}) => messages.reduce((sum, {bytes}) => sum + bytes, 0))),
  }
}

/** What one change brought the observability node. */
interface Seen {
  readonly from: number
  readonly messages: Awaited<ReturnType<Envoys['of']>>
  readonly cpuMs: number
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}
