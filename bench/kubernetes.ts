/**
 * A fleet on a real API server: `npm run bench -- --kubernetes [--nodes 1000]`. A real `atlas serve`, etcd and kube-apiserver as
 * processes of this machine; the observability Envoy is simulated (envoys.ts), and there are no downstream Envoys.
 */
import {type ChildProcess, spawn} from 'node:child_process'
import {readFileSync} from 'node:fs'
import {get} from 'node:https'
import {fileURLToPath} from 'node:url'
import {openAccess} from '../src/lib/store/kubernetes/access.js'
import {openClient} from '../src/lib/store/kubernetes/client.js'
import {openCluster} from '../src/lib/store/open.js'
import {parseAddress} from '../src/lib/model/address.js'
import {init} from '../src/lib/ops/init.js'
import {type Cluster, startCluster} from '../test/helpers/kubernetes/cluster.js'
import {Envoys, clock, nodesOf} from './envoys.js'
import {registration, dependencies} from './fleet.js'

export interface KubernetesFigures {
  /** Registered clusters. */
  readonly clusters: number
  /** Seconds from the start of `serve` on a namespace with nothing but registrations until each cluster's credential and values exist. */
  readonly writtenS: number
  /** Requests of the server meanwhile, per cluster. */
  readonly writtenRequests: number
  /** Seconds from the start of `serve` on the full namespace until /readyz answers 200. */
  readonly readyS: number
  /** Milliseconds from the PATCH of one Service's annotation to the observability node's stream: of 100 changes. */
  readonly changeP50Ms: number
  readonly changeP99Ms: number
  /** Requests of the server for one such change. */
  readonly requestsPerChange: number
  /** Requests a minute that change nothing, the server idle. */
  readonly idleWritesPerMinute: number
  readonly residentMiB: number
  /** Wall time of the command as a process, seconds; `add` waits for the leader. */
  readonly addS: number
  readonly listS: number
}

const bin = fileURLToPath(new URL('../bin/run.js', import.meta.url))
const NAMESPACE = 'atlas'
const CHANGES = 100

/** Measures a fleet of `count` registered clusters. */
export async function measureKubernetes(count: number): Promise<KubernetesFigures> {
  const kubernetes = await startCluster()
  const {kubeconfig} = kubernetes
  const client = openClient(await openAccess({kubeconfig, namespace: NAMESPACE}))
  try {
    await client.call({
      info: {verb: 'create', resource: 'namespaces', group: '', namespace: NAMESPACE},
      path: '/api/v1/namespaces',
      body: {apiVersion: 'v1', kind: 'Namespace', metadata: {name: NAMESPACE}},
    })
    const store = await openCluster({cluster: {kubeconfig, namespace: NAMESPACE}, secrets: 'all'})
    await init(store, {addresses: [parseAddress('127.0.0.1')]}, dependencies)
    await store.commit(
      await store.load(),
      Array.from({length: count}, (_, index) => registration(index, 1)),
    )

    const before = await requestsOf(kubernetes)
    let server = startServer(kubernetes)
    const began = performance.now()
    await until(async () => (await namesOf(client, 'secrets')).filter(name => name.endsWith('-envoy-values')).length === count + 1)
    await until(async () => (await namesOf(client, 'services')).filter(name => name.includes('-thanos-sidecar')).length === 2 * count)
    const writtenS = (performance.now() - began) / 1000
    const writtenRequests = (await requestsOf(kubernetes)) - before
    await ended(server)

    server = startServer(kubernetes)
    const readyS = await readyIn()
    const fleet = await store.load()
    const envoys = Envoys.start(nodesOf(fleet, '127.0.0.1:16305'))
    await envoys.ready(1)
    await envoys.quiet(1000)
    const idle = await writesOf(kubernetes)
    await sleep(30_000)
    const idleWritesPerMinute = ((await writesOf(kubernetes)) - idle) * 2
    const times: number[] = []
    const asked = await requestsOf(kubernetes)
    for (let round = 0; round < CHANGES; round += 1) {
      const events = await envoys.of(async () => {
        const at = clock()
        await patch(client, `c${round % count}`, `10.200.${Math.floor(round / 200)}.${(round % 200) + 1}`)
        times.push(at)
      }, 400)
      const seen = events.find(event => event.cluster === 'atlas')
      if (seen === undefined) throw new Error(`round ${round}: the observability node was sent nothing`)
      times[round] = seen.at - (times[round] ?? 0)
    }

    await sleep(1000)
    // Without this program's own PATCH, and the requests of an idle server.
    const requestsPerChange = ((await requestsOf(kubernetes)) - asked) / CHANGES - 1
    times.sort((a, b) => a - b)
    const residentMiB = residentOf(server)
    const addS = await wall([
      'cluster',
      'add',
      'added',
      '--address',
      '10.9.9.9',
      '--wait',
      '--kubeconfig',
      kubeconfig,
      '--namespace',
      NAMESPACE,
    ])
    const listS = await wall(['cluster', 'list', '--kubeconfig', kubeconfig, '--namespace', NAMESPACE])
    envoys.stop()
    await ended(server)
    store.close()
    return {
      clusters: count,
      writtenS,
      writtenRequests,
      readyS,
      changeP50Ms: times[Math.floor(CHANGES / 2)] ?? Number.NaN,
      changeP99Ms: times[Math.ceil(CHANGES * 0.99) - 1] ?? Number.NaN,
      requestsPerChange,
      idleWritesPerMinute,
      residentMiB,
      addS,
      listS,
    }
  } finally {
    client.close()
    await kubernetes.end()
  }
}

function startServer({kubeconfig}: Cluster): ChildProcess {
  const flags = [
    '--kubeconfig',
    kubeconfig,
    '--namespace',
    NAMESPACE,
    '--listen',
    '127.0.0.1:16305',
    '--admin',
    '127.0.0.1:16309',
    '--replica',
    'bench',
  ]
  return spawn(process.execPath, [bin, 'serve', ...flags], {stdio: ['ignore', 'ignore', 'ignore']})
}

async function readyIn(): Promise<number> {
  const began = performance.now()
  await until(async () => (await fetch('http://127.0.0.1:16309/readyz').catch(() => undefined))?.status === 200, 20)
  return (performance.now() - began) / 1000
}

type Client = ReturnType<typeof openClient>

async function namesOf(client: Client, resource: 'secrets' | 'services'): Promise<readonly string[]> {
  const path = `/api/v1/namespaces/${NAMESPACE}/${resource}`
  const answer = (await client.call({
    info: {verb: 'list', resource, group: '', namespace: NAMESPACE},
    path,
    // From the API server's cache: counting must not slow down the measured requests.
    query: {resourceVersion: '0'},
  })) as {items: readonly {metadata: {name: string}}[]}
  return answer.items.map(({metadata}) => metadata.name)
}

async function patch(client: Client, name: string, address: string): Promise<void> {
  await client.call({
    info: {verb: 'patch', resource: 'services', group: '', namespace: NAMESPACE, name},
    path: `/api/v1/namespaces/${NAMESPACE}/services/${name}`,
    contentType: 'application/merge-patch+json',
    body: {metadata: {annotations: {'goatlas.io/addresses': address}}},
  })
}

/** By the metrics of the API server: all requests except watches, Leases, and its own. */
async function requestsOf(kubernetes: Cluster): Promise<number> {
  return counted(kubernetes, /verb="(?!WATCH|CONNECT)[A-Z]+"/)
}

async function writesOf(kubernetes: Cluster): Promise<number> {
  return counted(kubernetes, /verb="(?:POST|PUT|PATCH|APPLY|DELETE)"/)
}

/** In the Prometheus text format. */
async function metricsOf({url, caFile, token}: Cluster): Promise<string> {
  const ca = readFileSync(caFile)
  return new Promise((resolve, reject) => {
    get(`${url}/metrics`, {ca, headers: {authorization: `Bearer ${token}`}}, response => {
      let text = ''
      response.setEncoding('utf8').on('data', piece => (text += String(piece)))
      response.once('end', () => resolve(text))
    }).once('error', reject)
  })
}

async function counted(kubernetes: Cluster, verbs: RegExp): Promise<number> {
  const text = await metricsOf(kubernetes)
  return text
    .split('\n')
    .filter(
      line => line.startsWith('apiserver_request_total{') && verbs.test(line) && /resource="(?:configmaps|secrets|services)"/.test(line),
    )
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0)
}

async function wall(args: readonly string[]): Promise<number> {
  const began = performance.now()
  const child = spawn(process.execPath, [bin, ...args], {stdio: 'ignore'})
  const code = await new Promise<number | null>(resolve => child.once('exit', resolve))
  if (code !== 0) throw new Error(`atlas ${args.slice(0, 2).join(' ')} ended with ${code}`)
  return (performance.now() - began) / 1000
}

function residentOf({pid}: ChildProcess): number {
  const match = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid ?? 0}/status`, 'utf8'))
  return Number(match?.[1]) / 1024
}

async function ended(child: ChildProcess): Promise<void> {
  const exited = new Promise(resolve => child.once('exit', resolve))
  child.kill('SIGTERM')
  await exited
}

async function until(isSo: () => Promise<boolean>, everyMs = 250, limitMs = 600_000): Promise<void> {
  const deadline = performance.now() + limitMs
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`not within ${limitMs / 1000} s: ${isSo.toString()}`)
    await sleep(everyMs)
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms))
}
