/**
 * What one attacking cluster costs the others: a server with a store in memory in this process, honest Envoys and the attacker in two
 * others. Each attack is measured beside the same attacker aimed at a sink, which answers nothing. Traffic stays on loopback.
 */
import {type ChildProcess, fork} from 'node:child_process'
import {type Socket, createServer} from 'node:net'
import {fileURLToPath} from 'node:url'
import {parseClusterName, sni} from '../src/lib/model/names.js'
import type {Log} from '../src/server/log.js'
import {type Serving, serve} from '../src/server/serve.js'
import {memoryStore} from '../test/helpers/memory-store.js'
import {connect} from '../test/server/support/client.js'
import {type Attack, type Order, attacks} from './attacker.js'
import {Envoys, clock, sleep} from './envoys.js'
import {type Writer, dependencies, fill, openWriter, registration} from './fleet.js'

/** Medians in milliseconds. */
interface Latency {
  readonly firstAnswerMs: number
  readonly changeMs: number
  readonly residentMiB: number
  readonly logLinesPerS: number
  readonly probesMissed: number
}

export interface AttackFigures {
  readonly attack: Attack
  readonly sink: Latency
  readonly server: Latency
}

const ROUNDS = 5
const CLUSTER_TYPE = 'type.googleapis.com/envoy.config.cluster.v3.Cluster'

/** Measures every attack beside `count` honest nodes. */
export async function measureAttacks(count: number, report: (figures: AttackFigures) => void): Promise<void> {
  let lines = 0
  const write = (): void => {
    lines += 1
  }
  const log: Log = {debug: () => undefined, info: write, warn: write, error: write}
  const store = memoryStore()
  const fleet = await fill(store, count + 2)
  const local = {host: '127.0.0.1', port: 0}
  const server = await serve({store, dependencies, listen: local, admin: local, log})
  const envoys = Envoys.start(fleet, server.address)
  await envoys.ready(count + 3)
  await envoys.quiet(500)
  const commit = openWriter(store, fleet)
  const held = new Set<Socket>()
  const sink = createServer(socket => held.add(socket.on('error', () => undefined)))
  await new Promise<void>(resolve => sink.listen(0, '127.0.0.1', resolve))
  const sinkPort = (sink.address() as {readonly port: number}).port
  const [host = '', port = ''] = server.address.split(':')
  const [attacker, honest] = [
    fleet.credentials.get(parseClusterName(`c${count}`)),
    fleet.credentials.get(parseClusterName(`c${count + 1}`)),
  ]
  if (attacker === undefined || honest === undefined) throw new Error('the fleet has too few clusters')

  const measure = async (attack: Attack, at: number): Promise<Latency> => {
    const [from, linesBefore] = [clock(), lines]
    const child = fork(fileURLToPath(new URL('attacker.ts', import.meta.url)), {execArgv: process.execArgv})
    child.send({
      ...{attack, host, port: at, serverName: sni.ads(fleet.settings?.trustDomain ?? ''), cluster: `c${count}`},
      ...{certificate: attacker.certificate, key: attacker.key.reveal(), roots: attacker.roots},
    } satisfies Order)
    await sleep(3000)
    const [first, changed, missed]: [number[], number[], number[]] = [[], [], []]
    for (let round = 0; round < ROUNDS; round += 1) {
      first.push(await firstAnswer(server, honest, `c${count + 1}`))
      changed.push(await oneChange(commit, envoys, round))
      missed.push(await probe(server))
    }

    // Each first answer is two lines of the honest node.
    const caused = Math.max(0, lines - linesBefore - 2 * ROUNDS - ROUNDS)
    const logLinesPerS = (caused * 1000) / (clock() - from)
    const residentMiB = process.memoryUsage.rss() / 2 ** 20
    await ended(child)
    for (const socket of held) socket.destroy()
    held.clear()
    return {
      firstAnswerMs: median(first),
      changeMs: median(changed),
      residentMiB,
      logLinesPerS,
      probesMissed: missed.reduce((a, b) => a + b, 0),
    }
  }

  for (const attack of attacks) report({attack, sink: await measure(attack, sinkPort), server: await measure(attack, Number(port))})
  envoys.stop()
  await server.stop()
  sink.close()
}

async function firstAnswer(
  server: Serving,
  key: Parameters<typeof connect>[0]['key'] & {readonly roots: string},
  cluster: string,
): Promise<number> {
  const connection = connect({address: server.address, roots: key.roots, key})
  const from = clock()
  const stream = connection.delta()
  stream.send({node: {cluster, id: `${cluster}-new`}, typeUrl: CLUSTER_TYPE})
  await stream.next(30_000)
  const took = clock() - from
  stream.cancel()
  connection.close()
  return took
}

async function oneChange(commit: Writer, envoys: Envoys, round: number): Promise<number> {
  const from = clock()
  const events = await envoys.of(async () => commit(registration(0, 2 + Math.floor(Math.random() * 200) + round)), 600)
  return (events.find(event => event.cluster === 'atlas')?.at ?? from + 600) - from
}

/** @returns how many of the probes were not answered within a second */
async function probe({adminAddress}: Serving): Promise<number> {
  const answers = await Promise.all(
    ['/healthz', '/readyz'].map(async path =>
      fetch(`${adminAddress}${path}`, {signal: AbortSignal.timeout(1000)}).then(
        ({ok}) => ok,
        () => false,
      ),
    ),
  )
  return answers.filter(isOk => !isOk).length
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
