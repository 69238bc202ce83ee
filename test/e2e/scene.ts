/**
 * The Envoys and backends of one test, on loopback addresses of their own, and whatever else the test starts: all of it is
 * stopped in any case. network.ts and installation.ts add the store and the servers.
 */
import {mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {reserveSites} from '../../src/demo/lab/free-addresses.js'
import {type ProgramSpec, type Running, type Supervisor, openSupervisor} from '../../src/demo/lab/processes.js'
import {type HostPort, parseAddresses, renderHostPort} from '../../src/lib/model/address.js'
import {type ClusterName, type Owner, OBSERVABILITY, parseClusterName} from '../../src/lib/model/names.js'
import type {ProxyTimeouts} from '../../src/lib/model/settings.js'
import type {ClusterRequest} from '../../src/lib/ops/cluster/add.js'
import type {Choices} from '../../src/lib/ops/init.js'
import type {Status} from '../../src/lib/ops/status.js'
import type {StateStore} from '../../src/lib/store/store.js'
import {waitFor} from '../../src/demo/lab/wait.js'
import {type EnvoyVersion, envoyProgram} from '../helpers/envoy-program.js'
import type {OldRelease} from '../helpers/old-release.js'
import {type Backend, serveBackend} from './backend.js'
import {type Place, type TestEnvoy, type Variant, openEnvoy} from './envoy.js'

export interface SceneOptions {
  readonly clusters: readonly string[]
  /** Addresses for clusters that join later. */
  readonly spare?: number
  readonly variant?: Variant
  /** The version of an owner's Envoy, if not the newest. */
  readonly envoyVersion?: (owner: Owner) => EnvoyVersion
  /** An earlier release sets everything up: installation, registrations, bootstraps, the first server. */
  readonly release?: OldRelease
}

export interface Registration {
  readonly replicas?: number
  /** The address to connect to, instead of its own Envoy's. */
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

/** The parts of a scene that tests inspect once its servers run. */
export interface Scene {
  readonly folder: string
  readonly store: StateStore
  /** The address of the observability Envoy and the servers. */
  readonly address: string
  readonly observability: TestEnvoy
  readonly members: ReadonlyMap<string, Member>
  /** Aborts when a process ended that the test did not stop. */
  readonly crashed: AbortSignal
  /** @throws Error where there is none of that name */
  member(name: string): Member
  /** What `atlas status` shows. */
  status(): Promise<Status>
  /** Names of the servers' processes, as their logs are called. */
  servers(): readonly string[]
}

export interface Stage {
  readonly folder: string
  readonly address: string
  readonly members: Map<string, Member>
  readonly supervisor: Supervisor
  member(name: string): Member
  /** The registration of a cluster of this scene. */
  requestFor(name: string, registration?: Registration): ClusterRequest
  /** Starts backends and the Envoy of a registered cluster with a credential; returns before the Envoy is ready. */
  join(name: string, replicas?: number): Promise<Member>
  /** Writes a bootstrap and makes an Envoy from it, and does not start it. */
  makeEnvoy(owner: Owner, place: Place): Promise<TestEnvoy>
  makeObservability(): Promise<TestEnvoy>
  /** An address in the block of cluster number `index`, for a program that is not an Envoy. */
  spareAddress(index: number): string
  /** Starts a program of the test. */
  startProcess(spec: ProgramSpec): Promise<Running>
  /** Closes something that the test opened. */
  onClose(close: () => Promise<void> | void): void
  close(): Promise<void>
}

/**
 * Faults are detected in a second or two instead of many; the scenario is the same. A check and a connection may take as long as in production: on a
 * machine that runs other tests as well, a backend in this process may not answer within some tenths of a second, and requests would fail for that alone.
 */
const quick: Partial<ProxyTimeouts> = {healthInterval: 0.5}

/** Settings for a scene whose servers answer ADS at `ports` of its address. */
export function settingsFor(address: string, ports: readonly number[], {timeouts, ...choices}: Choices = {}): Choices {
  const adsServers = ports.map(port => ({host: address, port}))
  return {addresses: parseAddresses(address), adsServers, ...choices, timeouts: {...quick, ...timeouts}}
}

/** Reserves the addresses; nothing runs yet. @param store opens the store for the Envoys' files, when the first Envoy is made */
export async function openStage(options: SceneOptions, store: (folder: string) => StateStore): Promise<Stage> {
  const undo: (() => Promise<unknown> | void)[] = []
  const close = async (): Promise<void> => {
    for (const act of undo.splice(0).reverse()) await act()
  }
  try {
    const folder = await mkdtemp(path.join(tmpdir(), 'atlas-e2e-'))
    undo.push(() => rm(folder, {recursive: true, force: true, maxRetries: 3}))
    const {sites, release} = await reserveSites('own', options.clusters.length + (options.spare ?? 0))
    undo.push(release)
    const supervisor = await openSupervisor(folder, {removeFolder: true})
    undo.push(() => supervisor.stopAll(500))
    const {address} = sites.observability
    const members = new Map<string, Member>()

    const order: string[] = [...options.clusters]
    const indexOf = (name: string): number => {
      if (!order.includes(name)) order.push(name)
      return order.indexOf(name)
    }
    /** The first three parts of an address that only this file uses; the last part depends on the replica. */
    const block = (index: number): string => address.replace(/^127\.63\.(\d+)\.1$/, `127.${64 + index}.$1`)
    const ownAddress = (name: string): string => sites.downstreams[indexOf(name)]?.address ?? fail('there is no address left')

    const makeEnvoy: Stage['makeEnvoy'] = async (owner, place) =>
      openEnvoy({
        owner,
        place,
        folder,
        store: store(folder),
        supervisor,
        program: await envoyProgram(options.envoyVersion?.(owner)),
        release: options.release,
        ...(options.variant === undefined ? {} : {variant: options.variant}),
      })

    return {
      folder,
      address,
      members,
      supervisor,
      member: name => members.get(name) ?? fail(`there is no cluster ${name} here`),
      makeEnvoy,
      makeObservability: async () => makeEnvoy(OBSERVABILITY, {address}),
      spareAddress: index => `${block(index)}.200`,
      startProcess: spec => supervisor.start(spec),
      onClose: act => undo.push(act),
      close,

      requestFor(name, {replicas = 1, address: dialled} = {}) {
        const thanos = {host: `${block(indexOf(name))}.1{replica}`, port: 10_901}
        return {addresses: parseAddresses(dialled ?? ownAddress(name)), replicas, services: {thanos}}
      },

      async join(name, replicas = 1) {
        const known = members.get(name)
        if (known !== undefined) return known
        const backends: Backend[] = []
        for (let replica = 0; replica < replicas; replica += 1) {
          const backend = await serveBackend({host: `${block(indexOf(name))}.1${replica}`, port: 10_901}, `${name}/${replica}`)
          undo.push(backend.close)
          backends.push(backend)
        }

        const envoy = await makeEnvoy(parseClusterName(name), {address: ownAddress(name)})
        const member = {name: parseClusterName(name), address: ownAddress(name), envoy, backends}
        members.set(name, member)
        await envoy.start()
        return member
      },
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** Waits until a server's admin port answers 200. */
export async function untilAnswers(admin: HostPort, page: string, signal: AbortSignal, timeoutMs = 60_000): Promise<void> {
  const probe = async (): Promise<true | undefined> => {
    const response = await fetch(`http://${renderHostPort(admin)}${page}`, {signal: AbortSignal.timeout(2000)})
    return response.ok ? true : undefined
  }
  await waitFor(`${page} of ${renderHostPort(admin)} to answer`, probe, {signal, timeoutMs, everyMs: 50})
}

function fail(message: string): never {
  throw new Error(message)
}
