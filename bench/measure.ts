/** One size of fleet, measured: a server in this process over a memory store, its simulated Envoys in another. */
import {type ChildProcess, fork} from 'node:child_process'
import {monitorEventLoopDelay} from 'node:perf_hooks'
import {fileURLToPath} from 'node:url'
import {parseAddress} from '../src/lib/model/address.js'
import type {Change} from '../src/lib/model/change.js'
import type {Cluster} from '../src/lib/model/cluster.js'
import type {Fleet as AtlasFleet} from '../src/lib/model/fleet.js'
import {type Owner, envoyNames, parseClusterName, sni} from '../src/lib/model/names.js'
import {init} from '../src/lib/ops/init.js'
import {reconcile} from '../src/lib/ops/reconcile.js'
import {targetsOf} from '../src/lib/model/stack.js'
import {cryptoSigner} from '../src/lib/pki/signer.js'
import {memoryStore} from '../src/lib/store/memory.js'
import type {StateStore} from '../src/lib/store/store.js'
import {type Serving, serve} from '../src/server/serve.js'
import type {Event, Fleet} from './simulated-envoys.js'

export interface Figures {
  readonly nodes: number
  /** Milliseconds from `commit` to the observability node, one changed address: median and maximum of the rounds. */
  readonly changeMs: number
  readonly changeMaxMs: number
  /** For one changed address: nodes that were sent anything, and bytes in all. */
  readonly changeNodes: number
  readonly changeBytes: number
  /** For one added, one removed cluster: bytes to the observability node. */
  readonly addBytes: number
  readonly removeBytes: number
  /** 20 changes at once: responses to the observability node, and milliseconds until it was quiet. */
  readonly burstPushes: number
  readonly burstMs: number
  /** After a restart of the server: seconds from the open port until every node was configured, and until the last byte. */
  readonly reconnectReadyS: number
  readonly reconnectQuietS: number
  /** Of an unchanged downstream node after the restart: clusters and listeners sent again, and bytes in all (largest of all nodes). */
  readonly reconnectResent: number
  readonly reconnectBytes: number
  /** Resident memory of this process with all nodes connected, MiB, and the longest block of its event loop in each phase, ms. */
  readonly residentMiB: number
  readonly blockedMs: number
  readonly blockedReconnectMs: number
}

const world = {now: () => new Date(), signer: cryptoSigner}
const clock = (): number => Number(process.hrtime.bigint() / 1000n) / 1000
const sleep = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

/** Measures a fleet of `count` downstream nodes and the observability node. */
export async function measure(count: number): Promise<Figures> {
  const store = memoryStore()
  await init(store, {addresses: [parseAddress('127.0.0.1')]}, world)
  await store.commit(
    await store.load(),
    Array.from({length: count}, (_, index) => registration(index, 1)),
  )
  await reconcile(store, world)
  let server = await start(store, 0)
  const envoys = await Envoys.start(await store.load(), server.address)
  await envoys.ready(count + 1)
  await sleep(500)

  const writer = openWriter(store, await store.load())
  const delay = monitorEventLoopDelay({resolution: 5})
  await sleep(200)
  delay.enable()
  const changes = await changed(writer, envoys, count)
  const added = await envoys.of(async () => writer(registration(count, 1)), 1500)
  const removed = await envoys.of(async () => writer({kind: 'registration', name: parseClusterName(`c${count}`), value: undefined}), 7000)
  const burst = await burstOf(writer, envoys, count)
  const blockedMs = delay.max / 1e6 - 5
  const residentMiB = process.memoryUsage().rss / 2 ** 20

  delay.reset()
  const port = Number(server.address.slice(server.address.lastIndexOf(':') + 1))
  await server.stop()
  envoys.forget()
  server = await start(store, port)
  const openAt = clock()
  await envoys.ready(count + 1)
  await envoys.quiet(1000)
  const again = reconnected(envoys.events, openAt)
  const blockedReconnectMs = delay.max / 1e6 - 5
  await server.stop()
  envoys.stop()
  const observability = (events: readonly Received[]): number =>
    sum(events.filter(event => event.cluster === 'atlas').map(event => event.bytes))
  return {
    nodes: count,
    ...changes,
    addBytes: observability(added),
    removeBytes: observability(removed),
    ...burst,
    ...again,
    residentMiB,
    blockedMs,
    blockedReconnectMs,
  }
}

async function start(store: StateStore, port: number): Promise<Serving> {
  return serve({store, world, listen: {host: '127.0.0.1', port}, admin: {host: '127.0.0.1', port: 0}, log: 'silent'})
}

/** Commits one change after the other, as a writer that knows what it has written. */
type Writer = (change: Change) => Promise<void>

function openWriter(store: StateStore, first: AtlasFleet): Writer {
  let fleet = first
  return async change => {
    fleet = await store.commit(fleet, [change])
  }
}

function registration(index: number, last: number): Change {
  const name = parseClusterName(`c${index}`)
  const value: Cluster = {
    name,
    addresses: [parseAddress(`10.${Math.floor(index / 250)}.${index % 250}.${last}`)],
    ports: new Map(),
    replicas: 2,
    services: targetsOf({name: 'kube-prometheus', release: '', namespace: 'monitoring'}),
    groups: [],
  }
  return {kind: 'registration', name, value}
}

async function changed(
  write: Writer,
  envoys: Envoys,
  count: number,
): Promise<Pick<Figures, 'changeBytes' | 'changeMaxMs' | 'changeMs' | 'changeNodes'>> {
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

async function burstOf(write: Writer, envoys: Envoys, count: number): Promise<Pick<Figures, 'burstMs' | 'burstPushes'>> {
  let at = 0
  const events = await envoys.of(async () => {
    at = clock()
    for (let change = 0; change < 20; change += 1) await write(registration(change % count, 100 + change))
  }, 2000)
  const pushes = events.filter(event => event.cluster === 'atlas')
  return {burstPushes: pushes.length, burstMs: (pushes.at(-1)?.at ?? Number.NaN) - at}
}

function reconnected(
  events: readonly Event[],
  openAt: number,
): Pick<Figures, 'reconnectBytes' | 'reconnectQuietS' | 'reconnectReadyS' | 'reconnectResent'> {
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

type Received = Extract<Event, {kind: 'received'}>

/** The other process, and what it has told since the last `forget`. */
class Envoys {
  events: Event[] = []
  #last = clock()

  private constructor(private readonly child: ChildProcess) {
    child.on('message', (batch: Event[]) => {
      this.events.push(...batch)
      this.#last = clock()
    })
  }

  static async start(fleet: AtlasFleet, address: string): Promise<Envoys> {
    const child = fork(fileURLToPath(new URL('simulated-envoys.ts', import.meta.url)), {
      execArgv: process.execArgv,
      serialization: 'advanced',
    })
    const domain = fleet.settings?.trustDomain ?? ''
    const nodes: Fleet['nodes'] = [...fleet.credentials].map(([cluster, {certificate, key, roots}]) => ({
      cluster,
      id: `${cluster}-0`,
      certificate,
      key: key.reveal(),
      roots,
      secrets: secretsOf(cluster),
      routes: routesOf(cluster),
    }))
    child.send({kind: 'fleet', address, serverName: sni.ads(domain), retryMs: 100, nodes} satisfies Fleet)
    return new Envoys(child)
  }

  forget(): void {
    this.events = []
  }

  /** Waits until so many nodes have an answer for every type. */
  async ready(count: number): Promise<void> {
    const deadline = clock() + 120_000
    while (new Set(this.events.filter(event => event.kind === 'ready').map(event => event.cluster)).size < count) {
      if (clock() > deadline)
        throw new Error(`of ${count} nodes only ${this.events.filter(event => event.kind === 'ready').length} were configured within 120 s`)
      await sleep(50)
    }
  }

  async quiet(ms: number): Promise<void> {
    while (clock() - this.#last < ms) await sleep(50)
  }

  /** What was received because of `act`, within `ms` after it. */
  async of(act: () => Promise<unknown>, ms: number): Promise<readonly Received[]> {
    this.forget()
    await act()
    await sleep(ms)
    return this.events.filter(event => event.kind === 'received')
  }

  stop(): void {
    this.child.kill('SIGKILL')
  }
}

function secretsOf(cluster: Owner): readonly string[] {
  return cluster === 'atlas' ? [envoyNames.identity, envoyNames.trust, envoyNames.adsTrust] : [envoyNames.identity, envoyNames.trust]
}

/** The observability Envoy fetches the route table of 10900 by name, a downstream one that of 11901. */
function routesOf(cluster: Owner): readonly string[] {
  return cluster === 'atlas' ? [envoyNames.ads] : [envoyNames.thanos]
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
