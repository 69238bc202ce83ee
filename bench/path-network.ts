/**
 * Three ways to the same servers: through Atlas's two Envoys, configured over ADS by a real `atlas serve`; through the leanest pair; and
 * without any proxy. All Envoys have one worker and the same flags.
 */
import {writeFile} from 'node:fs/promises'
import path from 'node:path'
import {dependencies} from '../src/lib/cli/base-command.js'
import {type HostPort, renderHostPort} from '../src/lib/model/address.js'
import {defaultSettings} from '../src/lib/model/settings.js'
import {defaultStack, targetsOf} from '../src/lib/model/stack.js'
import {addCluster} from '../src/lib/ops/cluster/add.js'
import {hostOf, until} from '../test/e2e/look.js'
import {type Network, openNetwork} from '../test/e2e/network.js'
import {envoyProgram} from '../test/helpers/envoy-program.js'
import {leanBack, leanFront} from './lean-pair.js'
import {Clients, type Order, buildLoad, serveArguments} from './load.js'

export const ways = ['atlas', 'lean', 'direct'] as const
export type Way = (typeof ways)[number]

export interface PathNetwork {
  readonly clients: Clients
  /** Where a kind of request goes by each way. */
  readonly at: Readonly<Record<Way, Readonly<Record<'grpc' | 'page', string>>>>
  /** Process ids of the Envoys of each way. */
  readonly envoys: Readonly<Record<Way, readonly number[]>>
  close(): Promise<void>
}

const CLUSTER = 'paris'
const DOMAIN = 'web.example'

/** The host names of one Thanos sidecar and of one page. */
export const authorities = {grpc: hostOf(CLUSTER), page: `${CLUSTER}.prom.${DOMAIN}`} as const

/** @throws Error where a way does not carry its requests within 30 s */
export async function openPathNetwork(): Promise<PathNetwork> {
  const settings = {webDomain: DOMAIN, timeouts: defaultSettings.timeouts}
  const network = await openNetwork({clusters: [CLUSTER], settings})
  try {
    return await fill(network)
  } catch (error) {
    await network.close()
    throw error
  }
}

async function fill(network: Network): Promise<PathNetwork> {
  const load = await buildLoad(network.folder)
  const host = network.spareAddress(0)
  const servers = {grpc: {host, port: 10_901}, page: {host, port: 9090}}
  await network.startProcess({name: 'load', program: load, args: serveArguments(servers.grpc, servers.page)})
  const request = {services: {thanos: servers.grpc, prometheus: servers.page}, pages: {allowLocalTargets: true}}
  await addCluster(network.store, CLUSTER, {request, defaults: targetsOf(defaultStack)}, dependencies)
  const lean = await startLeanPair(network, servers)
  const clients = Clients.start(load)
  network.onClose(async () => clients.stop())
  const opened: PathNetwork = {
    clients,
    at: {
      atlas: {grpc: `${network.address}:10901`, page: `${network.address}:10904`},
      lean: lean.at,
      direct: {grpc: renderHostPort(servers.grpc), page: renderHostPort(servers.page)},
    },
    envoys: {atlas: [network.observability.pid(), network.member(CLUSTER).envoy.pid()], lean: lean.envoys, direct: []},
    close: async () => network.close(),
  }
  for (const way of ways)
    for (const [kind, order] of Object.entries(probes))
      await until(
        network,
        `${kind} by ${way}`,
        async () => {
          const {statuses, error} = await clients.run({...order, at: opened.at[way][kind as keyof typeof probes], connections: 1})
          return error === undefined && Object.keys(statuses).every(status => status === '0' || status === '200')
        },
        30,
      )
  return opened
}

const probes: Readonly<Record<'grpc' | 'page', Omit<Order, 'at' | 'connections'>>> = {
  grpc: {kind: 'calls', authority: authorities.grpc, path: '/thanos.Store/LabelNames', streams: 1, seconds: 0.01, bytes: 100},
  page: {kind: 'pages', authority: authorities.page, path: '/bytes/100', seconds: 0.01},
}

async function startLeanPair(
  network: Network,
  servers: Readonly<Record<'grpc' | 'page', HostPort>>,
): Promise<{readonly at: Readonly<Record<'grpc' | 'page', string>>; readonly envoys: readonly number[]}> {
  const {identities, trust} = await network.store.load()
  const [front, back] = [identities.get('atlas'), identities.get(network.member(CLUSTER).name)]
  if (front === undefined || back === undefined || trust === undefined) throw new Error('the fleet has no identities')
  const host = network.spareAddress(1)
  const at = {grpc: {host, port: 10_901}, page: {host, port: 10_904}}
  const between = {grpc: {host, port: 11_901}, page: {host, port: 11_904}}
  const kinds = ['grpc', 'page'] as const
  const configs = {
    'lean-back': leanBack(
      kinds.map(name => ({name, listens: between[name], to: servers[name]})),
      'grpc',
      {own: back, roots: trust.roots},
    ),
    'lean-front': leanFront(
      kinds.map(name => ({name, listens: at[name], to: between[name]})),
      {own: front, roots: trust.roots},
    ),
  }
  const envoys: number[] = []
  for (const [name, config] of Object.entries(configs)) {
    const file = path.join(network.folder, `${name}.json`)
    await writeFile(file, JSON.stringify(config), {mode: 0o600})
    const args = ['-c', file, '--disable-hot-restart', '--concurrency', '1', '-l', 'warning']
    envoys.push((await network.startProcess({name, program: await envoyProgram(), args})).pid)
  }

  return {at: {grpc: renderHostPort(at.grpc), page: renderHostPort(at.page)}, envoys}
}
