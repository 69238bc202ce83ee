/**
 * What one attacking cluster costs the others: a server on one core; on the other a real observability Envoy, through which honest Envoys
 * are connected, and the attacker. Each attack is measured through the Envoy and at the server itself, beside the same attacker aimed at
 * a sink, which answers nothing. Traffic stays on loopback.
 */
import {type ChildProcess, fork, spawnSync} from 'node:child_process'
import {mkdtemp} from 'node:fs/promises'
import {type Socket, createServer} from 'node:net'
import {availableParallelism, tmpdir} from 'node:os'
import path from 'node:path'
import {fileURLToPath} from 'node:url'
import {type AdminAddress, isReady, readPage} from '../src/demo/lab/envoy-admin.js'
import {reserveSites} from '../src/demo/lab/free-addresses.js'
import {openSupervisor} from '../src/demo/lab/processes.js'
import {waitFor} from '../src/demo/lab/wait.js'
import {writeFiles} from '../src/lib/cli/bootstrap-files.js'
import {ADMIN_SOCKET} from '../src/lib/envoy/credential-files.js'
import {SecretText} from '../src/lib/model/secret.js'
import {sni} from '../src/lib/model/names.js'
import {envoyProgram} from '../test/helpers/envoy-program.js'
import {connect} from '../test/server/support/client.js'
import type {Ask, Costs, Started} from './attacked-server.js'
import {type Attack, type Order, attacks} from './attacker.js'
import {Envoys, clock, sleep} from './envoys.js'

/** Medians of the times; what the attack cost the server. */
interface Figures {
  readonly firstAnswerMs: number
  readonly changeMs: number
  readonly residentMiB: number
  readonly logLinesPerS: number
  readonly writesPerS: number
  /** Of `/healthz` and `/readyz` of the server and `/ready` of the observability Envoy, those not answered within a second. */
  readonly probesMissed: number
  /** Connections between the Envoy and the server that were closed, or that the server asked to leave. */
  readonly relayCuts: number
  readonly lines: Readonly<Record<string, number>>
}

export interface AttackFigures {
  readonly attack: Attack
  /** Whether the attacker connects to 10900 of the observability Envoy, or to the server itself. */
  readonly way: 'direct' | 'relay'
  readonly sink: Figures
  readonly attacked: Figures
}

/** Seconds: the sink costs the server nothing, so its log is not counted. */
const [WARM_UP, AT_SINK, AT_SERVER] = [3, 10, 30]
const [SERVER_CORE, OTHER_CORE] = ['1', '0']
const CLUSTER_TYPE = 'type.googleapis.com/envoy.config.cluster.v3.Cluster'
/** Envoy closes connections that send nothing after this time, milliseconds; the sink does the same. */
const SILENT_MS = 5000

/** Measures `which` attacks beside `count` honest nodes. @throws Error without two cores and taskset */
export async function measureAttacks(count: number, which: readonly string[], report: (figures: AttackFigures) => void): Promise<void> {
  if (availableParallelism() < 2 || spawnSync('taskset', ['-acp', OTHER_CORE, String(process.pid)]).status !== 0)
    throw new Error('this bench needs two cores and the program taskset')
  const folder = await mkdtemp(path.join(tmpdir(), 'atlas-attack-'))
  const supervisor = await openSupervisor(folder, {removeFolder: true})
  const {sites, release} = await reserveSites('own', 0)
  const host = sites.observability.address
  const child = fork(fileURLToPath(new URL('attacked-server.ts', import.meta.url)), {
    execPath: 'taskset',
    execArgv: ['-c', SERVER_CORE, process.execPath, ...process.execArgv],
    serialization: 'advanced',
  })
  const ask = async <T>(question: Ask): Promise<T> => askChild<T>(child, question)
  // Each attack has a cluster of its own, whose budgets are whole.
  const attackers = Array.from({length: attacks.length * 3}, (_, index) => `c${count + index}`)
  const started = await ask<Started>({kind: 'start', clusters: count + attackers.length, host, folder})
  const {nodes, trustDomain, adminAddress} = started
  const honest = keyOf(nodes, `c${count - 1}`)
  let measured = 0

  await writeFiles(folder, started.bootstrap)
  const admin = {socketPath: path.join(folder, ADMIN_SOCKET)}
  const envoy = [await envoyProgram(), '-c', path.join(folder, 'envoy.json'), '--concurrency', '1', '--disable-hot-restart', '-l', 'error']
  await supervisor.start({name: 'envoy', program: '/bin/sh', args: ['-c', 'ulimit -n "$(ulimit -Hn)"; exec "$0" "$@"', ...envoy]})
  await waitFor('the observability Envoy', async () => ((await isReady(admin)) ? true : undefined), {
    signal: supervisor.crashed,
    timeoutMs: 60_000,
  })
  const [server, relay] = [
    {address: `${host}:6305`, serverName: sni.ads(trustDomain)},
    {address: `${host}:10900`, serverName: sni.observability(trustDomain)},
  ]
  const others = nodes.filter(({cluster}) => !attackers.includes(cluster))
  const envoys = Envoys.start(others.map(node => ({...node, ...(node.cluster === 'atlas' ? server : relay)})))
  await envoys.ready(others.length)
  await envoys.quiet(500)

  const held = new Set<Socket>()
  const sink = createServer(socket => {
    held.add(socket.on('error', () => undefined))
    setTimeout(() => socket.bytesRead === 0 && socket.destroy(), SILENT_MS).unref()
  })
  await new Promise<void>(resolve => sink.listen(0, '127.0.0.1', resolve))
  const targets = {
    sink: {host: '127.0.0.1', port: (sink.address() as {readonly port: number}).port, serverName: server.serverName},
    direct: {host, port: 6305, serverName: server.serverName},
    relay: {host, port: 10_900, serverName: relay.serverName},
  }
  let last = 1

  /** From the commit to the simulated observability node. */
  const oneChange = async (): Promise<number> => {
    last = (last % 250) + 1
    let at = 0
    const events = await envoys.of(async () => (at = await ask<number>({kind: 'change', last})), 400)
    return (events.find(({cluster}) => cluster === 'atlas')?.at ?? at + 400) - at
  }

  const measure = async (attack: Attack, at: keyof typeof targets): Promise<Figures> => {
    const cutsBefore = await cutsOf(admin)
    const stolen = keyOf(nodes, attackers[measured] ?? '')
    measured += 1
    await ask<Costs>({kind: 'costs', attacker: stolen.cluster})
    const process_ = fork(fileURLToPath(new URL('attacker.ts', import.meta.url)), {execArgv: process.execArgv})
    const from = clock()
    process_.send({...stolen, ...targets[at], attack} satisfies Order)
    await sleep(WARM_UP * 1000)
    const [first, changed]: [number[], number[]] = [[], []]
    let probesMissed = 0
    while (clock() - from < (at === 'sink' ? AT_SINK : AT_SERVER) * 1000) {
      first.push(await firstAnswer(relay, honest))
      changed.push(await oneChange())
      probesMissed += await probe([`${adminAddress}/healthz`, `${adminAddress}/readyz`, `http://${host}:9902/ready`])
    }

    const {lines, writes, residentMiB} = await ask<Costs>({kind: 'costs', attacker: ''})
    const seconds = (clock() - from) / 1000
    const relayCuts = (await cutsOf(admin)) - cutsBefore
    await ended(process_)
    for (const socket of held) socket.destroy()
    held.clear()
    const logLinesPerS = Object.values(lines).reduce((a, b) => a + b, 0) / seconds
    return {
      ...{firstAnswerMs: median(first), changeMs: median(changed), residentMiB},
      ...{logLinesPerS, writesPerS: writes / seconds, probesMissed, relayCuts, lines},
    }
  }

  // What runs for the first time is slow, and its memory stays.
  for (let round = 0; round < 5; round += 1) await Promise.all([firstAnswer(relay, honest), oneChange()])
  for (const attack of attacks.filter(name => which.length === 0 || which.includes(name))) {
    const atSink = await measure(attack, 'sink')
    for (const way of ['relay', 'direct'] as const) report({attack, way, sink: atSink, attacked: await measure(attack, way)})
  }

  envoys.stop()
  await ended(child)
  await supervisor.stopAll()
  await release()
  sink.close()
}

async function askChild<T>(child: ChildProcess, question: Ask): Promise<T> {
  const answered = new Promise<T>((resolve, reject) => {
    child.once('message', ({found, error}: {readonly found: T; readonly error?: string}) => {
      if (error === undefined) resolve(found)
      else reject(new Error(error))
    })
  })
  child.send(question)
  return answered
}

type Node = Started['nodes'][number]

function keyOf(nodes: Started['nodes'], name: string): Pick<Node, 'certificate' | 'cluster' | 'key' | 'roots'> {
  const found = nodes.find(({cluster}) => cluster === name)
  if (found === undefined) throw new Error(`the fleet has no cluster ${name}`)
  return found
}

async function firstAnswer({address, serverName}: {address: string; serverName: string}, node: ReturnType<typeof keyOf>): Promise<number> {
  const key = {certificate: node.certificate, key: new SecretText(node.key)}
  const connection = connect({address, serverName, roots: node.roots, key})
  const from = clock()
  const stream = connection.delta()
  stream.send({node: {cluster: node.cluster, id: `${node.cluster}-new`}, typeUrl: CLUSTER_TYPE})
  await stream.next(30_000)
  const took = clock() - from
  stream.cancel()
  connection.close()
  return took
}

/** @returns how many of the probes were not answered within a second */
async function probe(urls: readonly string[]): Promise<number> {
  const answers = await Promise.all(
    urls.map(async url =>
      fetch(url, {signal: AbortSignal.timeout(1000)}).then(
        ({ok}) => ok,
        () => false,
      ),
    ),
  )
  return answers.filter(isOk => !isOk).length
}

/** How many of the Envoy's connections to the server were closed so far, or asked to be left. */
async function cutsOf(admin: AdminAddress): Promise<number> {
  const page = '/stats?format=json&filter=^cluster\\.ads-servers\\.upstream_cx_(destroy|close_notify)$'
  const {stats} = JSON.parse((await readPage(admin, page)).body) as {readonly stats: readonly {readonly value?: number}[]}
  return stats.reduce((total, {value = 0}) => total + value, 0)
}

async function ended(child: ChildProcess): Promise<void> {
  const exit = new Promise(resolve => child.once('exit', resolve))
  child.kill('SIGKILL')
  await exit
  await sleep(500)
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}
