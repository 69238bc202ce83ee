/** The process of the server that attack.ts attacks: a store in memory, what the attack costs here, and the changes that are measured. */
import {type OutputFile, joining} from '../src/lib/ops/cluster/values.js'
import {parseAddress} from '../src/lib/model/address.js'
import type {StateStore} from '../src/lib/store/store.js'
import type {Log, LogFields} from '../src/server/log.js'
import {serve} from '../src/server/serve.js'
import {memoryStore} from '../test/helpers/memory-store.js'
import {clock, nodesOf} from './envoys.js'
import {dependencies, fill, openWriter, registration} from './fleet.js'
import type {Fleet as Simulated} from './simulated-envoys.js'

/** The messages to this process; each is answered before the next. */
export type Ask =
  | {readonly kind: 'start'; readonly clusters: number; readonly host: string; readonly folder: string}
  | {readonly kind: 'change'; readonly last: number}
  /** What was caused since it was asked before; from now on what this attacker causes is counted. */
  | {readonly kind: 'costs'; readonly attacker: string}

export interface Started {
  readonly nodes: Simulated['nodes']
  readonly trustDomain: string
  readonly adminAddress: string
  /** The bootstrap of the observability Envoy, for `folder`. */
  readonly bootstrap: readonly OutputFile[]
}

export interface Costs {
  /** Log lines about the attacker, or about a client whose cluster is not known, by message. */
  readonly lines: Readonly<Record<string, number>>
  /** Writes of the report on proxies, and Events. */
  readonly writes: number
  /** The most that was resident at a time. */
  readonly residentMiB: number
}

let attacker = ''
const costs = {lines: {} as Record<string, number>, writes: 0, residentMiB: 0}

setInterval(() => {
  costs.residentMiB = Math.max(costs.residentMiB, process.memoryUsage.rss() / 2 ** 20)
}, 100)

function line(message: string, {cluster, reason}: LogFields = {}): void {
  if (cluster !== attacker && !(cluster === undefined && reason !== undefined)) return
  costs.lines[message] = (costs.lines[message] ?? 0) + 1
}

/** As if servers shared it, so that reports on proxies are written. */
function countedStore(): StateStore {
  const store = memoryStore()
  return {
    ...store,
    isShared: true,
    async commit(fleet, changes) {
      if (changes.some(({kind}) => kind === 'report')) costs.writes += 1
      return store.commit(fleet, changes)
    },
    async recordEvent(object, event) {
      // The measured changes are Events, too.
      if (event.reason !== 'Moved') costs.writes += 1
      return store.recordEvent(object, event)
    },
  }
}

async function start({clusters, host, folder}: Extract<Ask, {kind: 'start'}>): Promise<{started: Started; change: Change}> {
  const store = countedStore()
  const listen = {host, port: 6305}
  const fleet = await fill(store, clusters, {addresses: [parseAddress(host)], adsServers: [listen]})
  const log: Log = {debug: () => undefined, info: line, warn: line, error: line}
  const {adminAddress} = await serve({store, dependencies, listen, admin: {host: '127.0.0.1', port: 0}, log})
  const bootstrap = (await joining(store, 'atlas')).bootstrap({nodeId: 'relay', directory: folder, bindAddress: host, localAddress: host})
  const commit = openWriter(store, fleet)
  return {
    started: {nodes: nodesOf(fleet, `${host}:6305`), trustDomain: fleet.settings?.trustDomain ?? '', adminAddress, bootstrap},
    change: async last => commit(registration(0, last)),
  }
}

type Change = (last: number) => Promise<void>
let change: Change | undefined

async function answer(ask: Ask): Promise<unknown> {
  switch (ask.kind) {
    case 'start': {
      const opened = await start(ask)
      change = opened.change
      return opened.started
    }

    case 'change': {
      const at = clock()
      await change?.(ask.last)
      return at
    }

    case 'costs': {
      const found: Costs = {...costs}
      Object.assign(costs, {lines: {}, writes: 0, residentMiB: 0})
      attacker = ask.attacker
      return found
    }
  }
}

process.on('message', (ask: Ask) => {
  answer(ask).then(
    found => process.send?.({found}),
    (error: unknown) => process.send?.({error: String(error)}),
  )
})
process.on('disconnect', () => process.exit(0))
