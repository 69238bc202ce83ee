/**
 * A network for one test file: `atlas serve`, real Envoys, backends, on loopback addresses that nobody else uses. All of it is ended
 * whatever happens. What is asked of it by the tests, and how they read the answers, stands in look.ts and edit.ts.
 */
import {mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {type Claimed, claimSites} from '../../src/demo/claim.js'
import {type ProgramSpec, type Running, type Supervisor, openSupervisor} from '../../src/demo/processes.js'
import {type HostPort, parseAddresses, renderHostPort} from '../../src/lib/model/address.js'
import {type ClusterName, type Owner, OBSERVABILITY, parseClusterName} from '../../src/lib/model/names.js'
import type {ProxyTimeouts} from '../../src/lib/model/settings.js'
import {targetsOf, defaultStack} from '../../src/lib/model/stack.js'
import {addCluster} from '../../src/lib/ops/cluster/add.js'
import {type Choices, init} from '../../src/lib/ops/init.js'
import {openDirectory} from '../../src/lib/store/open.js'
import type {StateStore} from '../../src/lib/store/store.js'
import {world} from '../../src/lib/cli/world.js'
import {atlasBin} from '../helpers/atlas.js'
import {type EnvoyVersion, envoyProgram} from '../helpers/envoy-program.js'
import {type Backend, serveBackend} from './backend.js'
import {type Place, type TestEnvoy, type Variant, openEnvoy} from './envoy.js'
import {waitFor} from '../../src/demo/wait.js'

export interface NetworkOptions {
  readonly clusters: readonly string[]
  /** Addresses for clusters that join later. */
  readonly spare?: number
  readonly settings?: Choices
  /** `atlas serve --time`. */
  readonly times?: Readonly<Record<string, string>>
  readonly variant?: Variant
  /** Writes what stands in the store's folder before `init`. */
  readonly found?: (folder: string) => Promise<void>
  /** Whose Envoy is an older one. */
  readonly envoyVersion?: (owner: Owner) => EnvoyVersion
}

export interface Registration {
  readonly replicas?: number
  /** Where it is dialled instead of at its own Envoy. */
  readonly address?: string
}

export interface Member {
  readonly name: ClusterName
  /** Its own loopback address. */
  readonly address: string
  readonly envoy: TestEnvoy
  /** By replica. */
  readonly backends: readonly Backend[]
}

export interface Network {
  readonly folder: string
  readonly store: StateStore
  /** Where the observability Envoy and the server are. */
  readonly address: string
  readonly observability: TestEnvoy
  readonly members: ReadonlyMap<string, Member>
  /** Aborts when a process ended that nobody ended. */
  readonly crashed: AbortSignal
  readonly server: () => Running
  /** By name; throws where there is none. */
  member(name: string): Member
  startServer(): Promise<void>
  /** Registers a cluster, or changes its registration, as `atlas cluster add` does. */
  register(name: string, registration?: Registration): Promise<void>
  /** Registers a cluster and starts its backends and its Envoy, which may not be ready yet. */
  join(name: string, registration?: Registration): Promise<Member>
  /** Has Atlas write a bootstrap and makes an Envoy of it, not started yet. */
  makeEnvoy(owner: Owner, place: Place): Promise<TestEnvoy>
  /** An address of a block of its own for cluster number `index`, for what is not an Envoy. */
  spareAddress(index: number): string
  /** Starts a program of the test's own. */
  startProcess(spec: ProgramSpec): Promise<Running>
  /** Whatever the test opened itself. */
  onClose(close: () => Promise<void> | void): void
  close(): Promise<void>
}

/** Faults are found out in fractions of a second rather than in seconds; the scenario is the same. */
const quick: Partial<ProxyTimeouts> = {connect: 1, healthInterval: 0.5, healthTimeout: 0.4}

const SERVER_START_MS = 20_000

/** Starts server and Envoys, the observability Envoy first, and waits until each is ready. */
export async function openNetwork(options: NetworkOptions): Promise<Network> {
  const undo: (() => Promise<unknown> | void)[] = []
  const close = async (): Promise<void> => {
    for (const act of undo.splice(0).reverse()) await act()
  }
  try {
    const folder = await mkdtemp(path.join(tmpdir(), 'atlas-e2e-'))
    undo.push(() => rm(folder, {recursive: true, force: true, maxRetries: 3}))
    const claimed = await claimSites('own', options.clusters.length + (options.spare ?? 0))
    undo.push(claimed.release)
    const supervisor = await openSupervisor(folder, {removeFolder: true})
    undo.push(() => supervisor.stopAll(500))
    return await start({options, folder, claimed, supervisor, undo, close})
  } catch (error) {
    await close()
    throw error
  }
}

/** For `after`, which mocha runs even where `before` failed. */
export async function closeNetwork(network: Network | undefined): Promise<void> {
  await network?.close()
}

interface Opening {
  readonly options: NetworkOptions
  readonly folder: string
  readonly claimed: Claimed
  readonly supervisor: Supervisor
  readonly undo: (() => Promise<unknown> | void)[]
  readonly close: () => Promise<void>
}

async function start({options, folder, claimed, supervisor, undo, close}: Opening): Promise<Network> {
  const {sites} = claimed
  const {address} = sites.observability
  const admin = {host: address, port: 6309}
  const store = openDirectory({directory: path.join(folder, 'store'), create: true})
  const members = new Map<string, Member>()
  let server: Running | undefined

  await options.found?.(path.join(folder, 'store'))
  await init(store, settingsFor(address, options.settings), world)

  /** The second part of an address that only this file uses; the last part is told by replica. */
  function block(index: number): string {
    return address.replace(/^127\.63\.(\d+)\.1$/, `127.${64 + index}.$1`)
  }

  async function makeEnvoy(owner: Owner, place: Place): Promise<TestEnvoy> {
    return openEnvoy({
      owner,
      place,
      folder,
      store,
      supervisor,
      program: await envoyProgram(options.envoyVersion?.(owner)),
      ...(options.variant === undefined ? {} : {variant: options.variant}),
    })
  }

  const observability = await makeEnvoy(OBSERVABILITY, {address})

  const network: Network = {
    folder,
    store,
    address,
    observability,
    members,
    crashed: supervisor.crashed,
    server: () => server ?? fail('the server was not started'),
    member: name => members.get(name) ?? fail(`there is no cluster ${name} here`),
    makeEnvoy,
    spareAddress: index => `${block(index)}.200`,
    startProcess: spec => supervisor.start(spec),
    onClose: act => undo.push(act),
    close,

    async startServer() {
      const times = Object.entries(options.times ?? {}).flatMap(([name, value]) => ['--time', `${name}=${value}`])
      const addresses = ['--listen', renderHostPort({host: address, port: 6305}), '--admin', renderHostPort(admin)]
      const args = [atlasBin, 'serve', '--store', path.join(folder, 'store'), ...addresses, ...times]
      server = await supervisor.start({name: 'atlas-serve', program: process.execPath, args})
      await untilAnswers(admin, '/healthz', supervisor.crashed)
    },

    async register(name, {replicas = 1, address: dialled} = {}) {
      const index = indexOf(name)
      const thanos = {host: `${block(index)}.1{replica}`, port: 10_901}
      const addresses = parseAddresses(dialled ?? sites.downstreams[index]?.address ?? fail('there is no address left'))
      await addCluster(store, name, {request: {addresses, replicas, services: {thanos}}, defaults: targetsOf(defaultStack)}, world)
    },

    async join(name, registration = {}) {
      await network.register(name, registration)
      const known = members.get(name)
      if (known !== undefined) return known
      const index = indexOf(name)
      const backends: Backend[] = []
      for (let replica = 0; replica < (registration.replicas ?? 1); replica += 1) {
        const backend = await serveBackend({host: `${block(index)}.1${replica}`, port: 10_901}, `${name}/${replica}`)
        undo.push(backend.close)
        backends.push(backend)
      }

      const own = sites.downstreams[index]?.address ?? fail('there is no address left')
      const envoy = await makeEnvoy(parseClusterName(name), {address: own})
      const member = {name: parseClusterName(name), address: own, envoy, backends}
      members.set(name, member)
      await envoy.start()
      return member
    },
  }

  const order: string[] = [...options.clusters]
  function indexOf(name: string): number {
    if (!order.includes(name)) order.push(name)
    return order.indexOf(name)
  }

  await network.startServer()
  await observability.start()
  for (const name of options.clusters) await network.join(name)
  await observability.untilReady()
  for (const {envoy} of members.values()) await envoy.untilReady()
  return network
}

function settingsFor(address: string, {timeouts, ...choices}: Choices = {}): Choices {
  return {addresses: parseAddresses(address), adsServers: [{host: address, port: 6305}], ...choices, timeouts: {...quick, ...timeouts}}
}

async function untilAnswers(admin: HostPort, page: string, signal: AbortSignal): Promise<void> {
  const probe = async (): Promise<true | undefined> => {
    const response = await fetch(`http://${renderHostPort(admin)}${page}`, {signal: AbortSignal.timeout(2000)})
    return response.ok ? true : undefined
  }
  await waitFor('atlas serve to answer', probe, {signal, timeoutMs: SERVER_START_MS, everyMs: 50})
}

function fail(message: string): never {
  throw new Error(message)
}
