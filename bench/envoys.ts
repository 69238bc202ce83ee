/** Starts and stops the process with the simulated Envoys, and receives its measurements. */
import {type ChildProcess, fork} from 'node:child_process'
import {fileURLToPath} from 'node:url'
import type {Fleet as AtlasFleet} from '../src/lib/model/fleet.js'
import {type Owner, envoyNames, sni} from '../src/lib/model/names.js'
import type {Event, Fleet, Pause} from './simulated-envoys.js'

/** The machine's monotonic clock, the same in every process, in milliseconds. */
export const clock = (): number => Number(process.hrtime.bigint() / 1000n) / 1000
export const sleep = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

export type Received = Extract<Event, {kind: 'received'}>

/** The other process, and its measurements since the last `forget`. */
export class Envoys {
  events: Event[] = []
  #ready = new Set<string>()
  #last = clock()

  private constructor(private readonly child: ChildProcess) {
    child.on('message', (batch: Event[]) => {
      for (const event of batch) {
        this.events.push(event)
        if (event.kind === 'ready') this.#ready.add(event.cluster)
      }

      this.#last = clock()
    })
  }

  static start(nodes: Fleet['nodes'], options: Partial<Omit<Fleet, 'kind' | 'nodes'>> = {}): Envoys {
    const child = fork(fileURLToPath(new URL('simulated-envoys.ts', import.meta.url)), {
      execArgv: process.execArgv,
      serialization: 'advanced',
    })
    child.send({kind: 'fleet', retryMs: 100, ...options, nodes} satisfies Fleet)
    return new Envoys(child)
  }

  forget(): void {
    this.events = []
    this.#ready.clear()
  }

  /** Waits until this many nodes have a response for every type. */
  async ready(count: number, withinS = 120): Promise<void> {
    const deadline = clock() + withinS * 1000
    while (this.#ready.size < count) {
      if (clock() > deadline) throw new Error(`of ${count} nodes only ${this.#ready.size} were configured within ${withinS} s`)
      await sleep(50)
    }
  }

  async quiet(ms: number): Promise<void> {
    while (clock() - this.#last < ms) await sleep(50)
  }

  /** Calls `act`. @returns what the nodes received within `ms` after it */
  async of(act: () => Promise<unknown>, ms: number): Promise<readonly Received[]> {
    this.forget()
    await act()
    await sleep(ms)
    return this.events.filter(event => event.kind === 'received')
  }

  /** Until `release` no node opens a stream. */
  hold(): void {
    this.child.send({kind: 'hold'} satisfies Pause)
  }

  release(): void {
    this.child.send({kind: 'release'} satisfies Pause)
  }

  stop(): void {
    this.child.kill('SIGKILL')
  }
}

/** One node for each cluster of the fleet, and for the observability cluster. @param address HOST:PORT of the server */
export function nodesOf(fleet: AtlasFleet, address: string): Fleet['nodes'] {
  const serverName = sni.ads(fleet.settings?.trustDomain ?? '')
  return [...fleet.credentials].map(([cluster, {certificate, key, roots}]) => ({
    ...{cluster, id: `${cluster}-0`, address, serverName, certificate, roots},
    key: key.reveal(),
    secrets: secretsOf(cluster),
    routes: routesOf(cluster),
  }))
}

function secretsOf(cluster: Owner): readonly string[] {
  return cluster === 'atlas' ? [envoyNames.identity, envoyNames.trust, envoyNames.adsTrust] : [envoyNames.identity, envoyNames.trust]
}

/** The observability Envoy fetches the route table of 10900 by name, a downstream one that of 11901. */
function routesOf(cluster: Owner): readonly string[] {
  return cluster === 'atlas' ? [envoyNames.ads] : [envoyNames.thanos]
}

export function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
