/**
 * A fleet on a real API server: `npm run bench -- --kubernetes [--nodes 1000] [--changes 500]`. A real `atlas serve`, etcd and
 * kube-apiserver as processes of this machine; all Envoys are simulated (envoys.ts), each with a connection of its own.
 */
import {type ChildProcess, spawn} from 'node:child_process'
import {parseAddress} from '../src/lib/model/address.js'
import {init} from '../src/lib/ops/init.js'
import {openCluster} from '../src/lib/store/open.js'
import type {StateStore} from '../src/lib/store/store.js'
import {type Cluster, startCluster} from '../test/helpers/kubernetes/cluster.js'
import {type ApiServer, NAMESPACE, openApiServer} from './api-server.js'
import {bin, commandCpuMs, cpuS, ended, peakMiB, residentMiB, serverCommand, until, versionRatio, wallS} from './atlas-process.js'
import {Envoys, clock, nodesOf, sleep, sum} from './envoys.js'
import {dependencies, registration} from './fleet.js'

export interface KubernetesFigures {
  /** Registered clusters; each has one Envoy. */
  readonly clusters: number
  /** Seconds from the start of `serve` on a namespace with nothing but registrations until each cluster's credential and values exist. */
  readonly writtenS: number
  readonly writtenCpuS: number
  /** Requests of the server meanwhile. */
  readonly writtenRequests: number
  /** MiB of the server that were resident at most meanwhile. */
  readonly writtenPeakMiB: number
  /** Seconds from the start of `serve` on the full namespace until all Envoys, which ran on, are configured; CPU, and bytes sent in all. */
  readonly restartS: number
  readonly restartCpuS: number
  readonly restartBytes: number
  readonly residentMiB: number
  /** Seconds of CPU in a minute without a change, and requests that change something. */
  readonly idleCpuS: number
  readonly idleWrites: number
  /** Milliseconds from the PATCH of one Service's annotation to the observability node's stream, of the best of three runs. */
  readonly changeP50Ms: number
  readonly changeP99Ms: number
  /** Milliseconds of the server's CPU for one such change, all that follows included, beyond what the idle minute takes; its requests. */
  readonly changeCpuMs: number
  /** The same with what the server does anyway meanwhile, such as the pings of all connections. */
  readonly changeAndIdleCpuMs: number
  readonly changeRequests: number
  /** Wall time of `cluster add --wait`, which waits for the leader. */
  readonly addS: number
  readonly listS: number
  readonly listCpuMs: number
  /** Wall time of `atlas --version` over a bare `node -e 0`. */
  readonly versionRatio: number
}

export interface KubernetesOptions {
  /** Changes of one run. */
  readonly changes: number
  /** Runs of these; the best by its median counts. */
  readonly runs: number
}

const LISTEN = '127.0.0.1:16305'
/** Between two changes. */
const EVERY_MS = 200
/** Between a restart and the idle minute. */
const SETTLED_MS = 30_000

export type ColdStart = Pick<KubernetesFigures, 'clusters' | 'writtenCpuS' | 'writtenPeakMiB' | 'writtenRequests' | 'writtenS'>

/** Measures the cold start of a fleet of `count` registered clusters, and nothing else. */
export async function measureColdStart(count: number): Promise<ColdStart> {
  const kubernetes = await startCluster()
  const api = await openApiServer(kubernetes)
  const started: ChildProcess[] = []
  try {
    ;(await filled(kubernetes, api, count)).close()
    return await coldStart({kubernetes, api, count}, server => started.push(server))
  } finally {
    for (const server of started) await ended(server)
    api.close()
    await kubernetes.end()
  }
}

/** Measures a fleet of `count` registered clusters. */
export async function measureKubernetes(count: number, options: KubernetesOptions): Promise<KubernetesFigures> {
  const kubernetes = await startCluster()
  const api = await openApiServer(kubernetes)
  let server: ChildProcess | undefined
  let envoys: Envoys | undefined
  try {
    const store = await filled(kubernetes, api, count)
    const cold = await coldStart({kubernetes, api, count}, started => (server = started))
    if (server === undefined) throw new Error('the server was not started')

    envoys = Envoys.start(nodesOf(await store.load(), LISTEN))
    store.close()
    await envoys.ready(count + 1)
    await envoys.quiet(1000)
    await ended(server)
    envoys.forget()
    const restarted = clock()
    server = startServer(kubernetes)
    await envoys.ready(count + 1)
    const restartCpuS = cpuS(server)
    await envoys.quiet(3000)
    const restart = restartOf(envoys, restarted)

    // V8 collects what the restart has left behind once the server has been idle for some seconds.
    await sleep(SETTLED_MS)
    const idle = await idleMinute(api, server)
    const resident = residentMiB(server)
    const changes = await changesOf({count, api, server, envoys, idleCpuS: idle.idleCpuS}, options)
    const flags = ['--kubeconfig', kubernetes.kubeconfig, '--namespace', NAMESPACE]
    const addS = await wallS(['cluster', 'add', 'added', '--address', '10.9.9.9', '--wait', ...flags])
    const listS = await wallS(['cluster', 'list', ...flags])
    const [listCpuMs, ratio] = [commandCpuMs(['cluster', 'list', ...flags]), versionRatio()]
    return {
      ...cold,
      ...{...restart, restartCpuS, residentMiB: resident},
      ...{...idle, ...changes, addS, listS, listCpuMs, versionRatio: ratio},
    }
  } finally {
    envoys?.stop()
    if (server !== undefined) await ended(server)
    api.close()
    await kubernetes.end()
  }
}

/** A namespace with registrations alone. */
async function filled({kubeconfig}: Cluster, api: ApiServer, count: number): Promise<StateStore> {
  await api.createNamespace()
  const store = await openCluster({cluster: {kubeconfig, namespace: NAMESPACE}, secrets: 'all'})
  await init(store, {addresses: [parseAddress('127.0.0.1')]}, dependencies)
  await store.commit(
    await store.load(),
    Array.from({length: count}, (_, index) => registration(index, 1)),
  )
  return store
}

/** @param started is given the server at once, to end it whatever happens */
async function coldStart(
  {kubernetes, api, count}: {readonly kubernetes: Cluster; readonly api: ApiServer; readonly count: number},
  started: (server: ChildProcess) => void,
): Promise<ColdStart> {
  const before = await api.requests()
  const began = performance.now()
  const server = startServer(kubernetes)
  started(server)
  await allWritten(api, count)
  const writtenS = (performance.now() - began) / 1000
  const writtenRequests = (await api.requests()) - before
  return {clusters: count, writtenS, writtenCpuS: cpuS(server), writtenRequests, writtenPeakMiB: peakMiB(server)}
}

function startServer({kubeconfig}: Cluster): ChildProcess {
  const store = ['--kubeconfig', kubeconfig, '--namespace', NAMESPACE]
  const server = ['--listen', LISTEN, '--admin', '127.0.0.1:16309', '--replica', 'bench', '--log-level', 'warn']
  const [node, ...nodeFlags] = serverCommand
  return spawn(node, [...nodeFlags, bin, 'serve', ...store, ...server], {stdio: ['ignore', 'ignore', 'inherit']})
}

/** Each cluster has its registration's Service and one for each of its two replicas. */
async function allWritten(api: ApiServer, count: number): Promise<void> {
  await until(async () => (await api.count('services')) >= 3 * count, 100)
  await until(async () => (await api.names('secrets')).filter(name => name.endsWith('-envoy-values')).length === count + 1)
  await until(async () => (await api.names('services')).filter(name => name.includes('-thanos-sidecar')).length === 2 * count)
}

function restartOf(envoys: Envoys, began: number): Pick<KubernetesFigures, 'restartBytes' | 'restartS'> {
  const readyAt = envoys.events.filter(event => event.kind === 'ready').map(({at}) => at)
  const bytes = envoys.events.filter(event => event.kind === 'received').map(event => event.bytes)
  return {restartS: (Math.max(...readyAt) - began) / 1000, restartBytes: sum(bytes)}
}

async function idleMinute(api: ApiServer, server: ChildProcess): Promise<Pick<KubernetesFigures, 'idleCpuS' | 'idleWrites'>> {
  const [cpu, writes] = [cpuS(server), await api.writes()]
  await sleep(60_000)
  return {idleCpuS: cpuS(server) - cpu, idleWrites: (await api.writes()) - writes}
}

interface Scene {
  readonly count: number
  readonly api: ApiServer
  readonly server: ChildProcess
  readonly envoys: Envoys
  /** Seconds of CPU of the server in a minute without a change. */
  readonly idleCpuS: number
}

async function changesOf(
  scene: Scene,
  {changes, runs}: KubernetesOptions,
): Promise<Pick<KubernetesFigures, 'changeAndIdleCpuMs' | 'changeCpuMs' | 'changeP50Ms' | 'changeP99Ms' | 'changeRequests'>> {
  const results = []
  for (let run = 0; run < runs; run += 1) {
    const [cpu, requests, began] = [cpuS(scene.server), await scene.api.requests(), performance.now()]
    const times: number[] = []
    for (let change = 0; change < changes; change += 1) times.push(await changeOf(scene, run * changes + change))
    // The proxy report follows a change by up to 5 s.
    await sleep(6000)
    times.sort((a, b) => a - b)
    const spentS = cpuS(scene.server) - cpu
    const idleS = (scene.idleCpuS * (performance.now() - began)) / 60_000
    results.push({
      changeP50Ms: times[Math.floor(changes / 2)] ?? Number.NaN,
      changeP99Ms: times[Math.ceil(changes * 0.99) - 1] ?? Number.NaN,
      changeCpuMs: ((spentS - idleS) / changes) * 1000,
      changeAndIdleCpuMs: (spentS / changes) * 1000,
      // Without this program's own PATCH.
      changeRequests: ((await scene.api.requests()) - requests) / changes - 1,
    })
  }

  const [best] = results.sort((a, b) => a.changeP50Ms - b.changeP50Ms)
  if (best === undefined) throw new Error('no run was asked for')
  return best
}

/** @returns milliseconds from the PATCH to the observability node */
async function changeOf({count, api, envoys}: Scene, round: number): Promise<number> {
  const seen = (): number | undefined =>
    envoys.events.filter(event => event.kind === 'received').find(({cluster}) => cluster === 'atlas')?.at
  envoys.forget()
  const at = clock()
  await api.patch(`c${round % count}`, `10.${200 + Math.floor(round / 50_000)}.${Math.floor(round / 200) % 250}.${(round % 200) + 1}`)
  await sleep(Math.max(0, at + EVERY_MS - clock()))
  await until(async () => seen() !== undefined, 20, 10_000)
  return (seen() ?? Number.NaN) - at
}
