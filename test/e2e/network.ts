/**
 * A network for one test file: `atlas serve` on a directory, real Envoys, backends (scene.ts). Tests inspect it with look.ts and change the
 * store with edit.ts.
 */
import path from 'node:path'
import type {Running} from '../../src/demo/lab/processes.js'
import {renderAddresses, renderHostPort} from '../../src/lib/model/address.js'
import type {Report} from '../../src/lib/model/report.js'
import {targetsOf, defaultStack} from '../../src/lib/model/stack.js'
import {type ClusterRequest, addCluster} from '../../src/lib/ops/cluster/add.js'
import {type Choices, type InitOptions, init} from '../../src/lib/ops/init.js'
import {statusOf} from '../../src/lib/ops/status.js'
import {openDirectory} from '../../src/lib/store/open.js'
import {fetchReport} from '../../src/lib/cli/server-report.js'
import {dependencies} from '../../src/lib/cli/base-command.js'
import {atlasBin} from '../helpers/atlas.js'
import {type Member, type Registration, type Scene, type SceneOptions, type Stage, openStage, settingsFor, untilAnswers} from './scene.js'

export interface NetworkOptions extends SceneOptions {
  /** As a function, of the address of the observability Envoy. */
  readonly settings?: Choices | ((address: string) => Choices)
  /** What signs, from outside. */
  readonly outside?: InitOptions['outside']
  /** `atlas serve --time`. */
  readonly times?: Readonly<Record<string, string>>
  /** Flags of `atlas serve` beside those of every network. */
  readonly serveFlags?: (folder: string) => readonly string[]
  /** Writes files into the store's folder before `init`. */
  readonly found?: (folder: string) => Promise<void>
}

export interface Network extends Scene, Pick<Stage, 'close' | 'makeEnvoy' | 'onClose' | 'requestFor' | 'spareAddress' | 'startProcess'> {
  readonly server: () => Running
  /** The server's view of the proxies. */
  report(): Promise<Report>
  /** @param bin which release serves; the network's own where none is named */
  startServer(bin?: string): Promise<void>
  /** Registers a cluster, or changes its registration, as `atlas cluster add` does. */
  register(name: string, registration?: Registration): Promise<void>
  /** Registers a cluster and starts its backends and its Envoy, which may not be ready yet. */
  join(name: string, registration?: Registration): Promise<Member>
}

/** Starts server and Envoys, the observability Envoy first, and waits until each is ready. */
export async function openNetwork(options: NetworkOptions): Promise<Network> {
  const stage = await openStage(options, folder => openDirectory({directory: path.join(folder, 'store'), create: true}))
  try {
    return await start(options, stage)
  } catch (error) {
    await stage.close()
    throw error
  }
}

/** For `after`, which mocha also runs where `before` failed. */
export async function closeNetwork(network: {close(): Promise<void>} | undefined): Promise<void> {
  await network?.close()
}

async function start(options: NetworkOptions, stage: Stage): Promise<Network> {
  const {folder, address, supervisor} = stage
  const admin = {host: address, port: 6309}
  const store = openDirectory({directory: path.join(folder, 'store'), create: true})
  const report = async (): Promise<Report> => fetchReport(`http://${address}:6309`)
  let server: Running | undefined

  await options.found?.(path.join(folder, 'store'))
  const settings = settingsFor(address, [6305], typeof options.settings === 'function' ? options.settings(address) : options.settings)
  if (options.release === undefined) await init(store, settings, dependencies, {outside: options.outside})
  else await options.release.run('init', '--store', path.join(folder, 'store'), ...initFlags(settings))
  const observability = await stage.makeObservability()

  const network: Network = {
    ...stage,
    store,
    observability,
    crashed: supervisor.crashed,
    report,
    status: async () => statusOf(await store.load(), [{report: await report()}], new Date()),
    servers: () => ['atlas-serve'],

    server() {
      if (server === undefined) throw new Error('the server was not started')
      return server
    },

    async startServer(bin = options.release?.bin ?? atlasBin) {
      const times = Object.entries(options.times ?? {}).flatMap(([name, value]) => ['--time', `${name}=${value}`])
      const addresses = ['--listen', renderHostPort({host: address, port: 6305}), '--admin', renderHostPort(admin)]
      const args = [bin, 'serve', '--store', path.join(folder, 'store'), ...addresses, ...times, ...(options.serveFlags?.(folder) ?? [])]
      server = await supervisor.start({name: 'atlas-serve', program: process.execPath, args})
      await untilAnswers(admin, '/healthz', supervisor.crashed)
    },

    async register(name, registration = {}) {
      if (options.release !== undefined) {
        await options.release.run(
          'cluster',
          'add',
          name,
          '--store',
          path.join(folder, 'store'),
          ...addFlags(stage.requestFor(name, registration)),
        )
        return
      }

      const input = {request: stage.requestFor(name, registration), defaults: targetsOf(defaultStack)}
      await addCluster(store, name, input, dependencies)
    },

    async join(name, registration = {}) {
      await network.register(name, registration)
      return stage.join(name, registration.replicas)
    },
  }

  await network.startServer()
  await observability.start()
  for (const name of options.clusters) await network.join(name)
  await observability.untilReady()
  for (const {envoy} of stage.members.values()) await envoy.untilReady()
  return network
}

/** The same settings as flags of `atlas init`, for an earlier release. */
function initFlags({addresses = [], adsServers = [], timeouts = {}, lifetimes = {}}: Choices): readonly string[] {
  const durations = Object.entries({...timeouts, ...lifetimes}).map(([name, seconds]) => `${name}=${seconds * 1000}ms`)
  return [
    ...addresses.flatMap(address => ['--address', renderAddresses([address])]),
    ...adsServers.flatMap(server => ['--ads-server', renderHostPort(server)]),
    ...durations.flatMap(duration => ['--set', duration]),
  ]
}

function addFlags({addresses = [], replicas = 1, services}: ClusterRequest): readonly string[] {
  const {thanos} = services ?? {}
  return [
    ...addresses.flatMap(address => ['--address', renderAddresses([address])]),
    ...['--replicas', String(replicas)],
    ...(thanos === undefined ? [] : ['--thanos', `${thanos.host}:${thanos.port}`]),
  ]
}
