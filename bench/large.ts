/**
 * A large fleet in the real topology: `npm run bench -- --large [--nodes 1000,10000]`. One `atlas serve` on a directory, a real
 * observability Envoy, and a simulated Envoy for each cluster, with a connection and a credential of its own, through that Envoy's 10900.
 */
import type {ChildProcess} from 'node:child_process'
import {rm} from 'node:fs/promises'
import {sni} from '../src/lib/model/names.js'
import {SecretText} from '../src/lib/model/secret.js'
import {fetchReport} from '../src/lib/cli/server-report.js'
import {packReport} from '../src/lib/manifest/pack-report.js'
import type {Fleet} from '../src/lib/model/fleet.js'
import {zoneNames} from '../src/lib/manifest/zone.js'
import {openDirectory} from '../src/lib/store/open.js'
import {connect} from '../test/server/support/client.js'
import {cpuS, peakMiB, residentMiB} from './atlas-process.js'
import {Envoys, clock, nodesOf, sleep, sum} from './envoys.js'
import {openWriter, registration} from './fleet.js'
import {type ServerChangeFigures, measureServerChanges} from './large-changes.js'
import {type LargeNetwork, openLargeNetwork} from './large-network.js'
import type {Fleet as Simulated} from './simulated-envoys.js'

export interface LargeFigures extends ServerChangeFigures {
  /** Registered clusters with two replicas; each has one Envoy. */
  readonly clusters: number
  /** Whether each has web pages, by host name and by path. */
  readonly pages: boolean
  /** Seconds from the start of the process to its open port, and until each Envoy, which all start now, is configured. */
  readonly startS: number
  readonly firstS: number
  /** Seconds from the start of a server that replaces a killed one to its open port, and until each Envoy is configured again. */
  readonly restartPortS: number
  readonly restartS: number
  readonly restartCpuS: number
  readonly restartBytes: number
  /** Milliseconds from a commit by another process to the observability node, without the time that the server waits for further changes. */
  readonly changeMs: number
  readonly changeMaxMs: number
  /** Milliseconds of the server's CPU for one such change, all that follows included. */
  readonly changeCpuMs: number
  /** Of the server with all nodes connected, and the most that it had; of the observability Envoy. */
  readonly residentMiB: number
  readonly peakMiB: number
  readonly envoyMiB: number
  /** The largest delta response that any node received. */
  readonly messageBytes: number
  /** What a state-of-the-world client with the observability Envoy's credential is answered, and the bytes of its largest response. */
  readonly sotw: string
  readonly sotwBytes: number
  /** The largest object that Atlas alone reads; the report that a server on Kubernetes writes; what Thanos Query reads, and DNS. */
  readonly ownObject: string
  readonly ownObjectBytes: number
  readonly reportBytes: number
  readonly endpointsBytes: number
  readonly zoneBytes: number
  /** Of the observability Envoy: connections on 10900, those that it refused, and streams that its circuit breakers refused. */
  readonly relayConnections: number
  readonly relayRefused: number
}

const ROUNDS = 15
/** Processes of simulated Envoys, and how many first connections each opens at a time. */
const PROCESSES = 2
const OPEN_AT_ONCE = 32
/** Back-off of a downstream Envoy, as its bootstrap sets it. */
const backOff = {retryMs: 200, retryMaxMs: 4000}
const LIMIT_S = 600

/** Measures a fleet of `count` clusters. @throws Error where the Envoys are not all configured in time */
export async function measureLarge(count: number, options: {readonly pages: boolean}): Promise<LargeFigures> {
  const network = await openLargeNetwork(count, options)
  const groups: Envoys[] = []
  try {
    const serverChanges = await measureServerChanges(network.directory, count)
    const store = openDirectory({directory: network.directory})
    const fleet = await store.load()
    const nodes = nodesOf(fleet, network.serverAddress)
    const own = nodes.filter(({cluster}) => cluster === 'atlas')
    const startS = await network.startServer()
    say('port open', startS)
    const began = clock()
    await network.startEnvoy()
    const relay = {address: network.relayAddress, serverName: sni.observability(fleet.settings?.trustDomain ?? '')}
    const downstream = nodes.filter(({cluster}) => cluster !== 'atlas').map(node => ({...node, ...relay}))
    const observer = Envoys.start(own)
    groups.push(observer, ...partsOf(downstream).map(part => Envoys.start(part, {...backOff, openAtOnce: OPEN_AT_ONCE})))
    await allReady(groups, count + 1)
    const firstS = (clock() - began) / 1000
    say('all configured', firstS)
    await quiet(groups)
    const first = received(groups)

    const restart = await restarted(network, groups, count)
    const server = network.server()
    const changes = await changesOf({network, observer, commit: openWriter(store, fleet), count}, server)
    const memory = {residentMiB: residentMiB(server), peakMiB: peakMiB(server), envoyMiB: network.envoyMiB()}
    const report = await fetchReport(network.adminUrl)
    return {
      ...{clusters: count, pages: options.pages, startS, firstS, ...restart, ...changes, ...serverChanges, ...memory},
      messageBytes: Math.max(...[...first, ...received(groups)].map(({bytes}) => bytes)),
      ...(await stateOfTheWorld(own[0], network.serverAddress)),
      ...(await network.largestObject()),
      endpointsBytes: Buffer.byteLength(fleet.endpoints?.text ?? ''),
      zoneBytes: zoneBytesOf(fleet),
      reportBytes: packReport({report, leftovers: [], digest: ''}).length,
      ...(await network.relayCounts()),
    }
  } finally {
    for (const group of groups) group.stop()
    await network.close()
    await rm(network.folder, {recursive: true, force: true})
  }
}

/** Of all names, those that are too long to be served included. */
function zoneBytesOf(fleet: Fleet): number {
  const {settings} = fleet
  return settings === undefined ? 0 : sum(zoneNames(fleet, settings, undefined).map(({records}) => Buffer.byteLength(records)))
}

function say(what: string, seconds: number): void {
  process.stderr.write(`  ${what} after ${seconds.toFixed(1)} s\n`)
}

function partsOf(nodes: Simulated['nodes']): readonly Simulated['nodes'][] {
  return Array.from({length: PROCESSES}, (_, part) => nodes.filter((_node, index) => index % PROCESSES === part))
}

async function allReady(groups: readonly Envoys[], count: number): Promise<void> {
  const [observer, ...others] = groups
  const sizes = others.map((_, part) => Math.ceil((count - 1 - part) / PROCESSES))
  await Promise.all([observer?.ready(1, LIMIT_S), ...others.map(async (group, part) => group.ready(sizes[part] ?? 0, LIMIT_S))])
}

async function quiet(groups: readonly Envoys[]): Promise<void> {
  await Promise.all(groups.map(async group => group.quiet(2000)))
}

function received(groups: readonly Envoys[]) {
  return groups.flatMap(group => group.events.filter(event => event.kind === 'received'))
}

/**
 * The server is killed, and another one takes its place. Until its port is open the simulated Envoys wait, since failing attempts of
 * 10,000 take more CPU than this machine has; then each connects at a random time within the longest pause of its back-off, as an Envoy does
 * that has tried for some seconds.
 */
async function restarted(
  network: LargeNetwork,
  groups: readonly Envoys[],
  count: number,
): Promise<Pick<LargeFigures, 'restartBytes' | 'restartCpuS' | 'restartPortS' | 'restartS'>> {
  for (const group of groups) group.hold()
  await network.killServer()
  await sleep(2000)
  for (const group of groups) group.forget()
  const at = clock()
  const restartPortS = await network.startServer()
  for (const group of groups) group.release()
  say('port open again', restartPortS)
  await allReady(groups, count + 1)
  const restartCpuS = cpuS(network.server())
  const restartS = (clock() - at) / 1000
  say('all configured again', restartS)
  await quiet(groups)
  return {restartPortS, restartS, restartCpuS, restartBytes: sum(received(groups).map(({bytes}) => bytes))}
}

interface Scene {
  readonly network: LargeNetwork
  readonly observer: Envoys
  readonly commit: ReturnType<typeof openWriter>
  readonly count: number
}

async function changesOf(
  {network, observer, commit, count}: Scene,
  server: ChildProcess,
): Promise<Pick<LargeFigures, 'changeCpuMs' | 'changeMaxMs' | 'changeMs'>> {
  const times: number[] = []
  // The first reads the whole directory.
  await commit(registration(0, 2))
  await sleep(5000)
  const cpu = cpuS(server)
  for (let round = 0; round < ROUNDS; round += 1) {
    observer.forget()
    const at = clock()
    await commit(registration((round * 7) % count, round + 3))
    const deadline = at + 30_000
    while (observer.events.length === 0) {
      if (clock() > deadline) throw new Error(`round ${round}: the observability node was sent nothing within 30 s`)
      await sleep(5)
    }

    times.push((observer.events.find(event => event.kind === 'received')?.at ?? Number.NaN) - at - network.quietMs)
    await sleep(1000)
  }

  times.sort((a, b) => a - b)
  return {
    changeMs: times[Math.floor(ROUNDS / 2)] ?? Number.NaN,
    changeMaxMs: times.at(-1) ?? Number.NaN,
    changeCpuMs: ((cpuS(server) - cpu) / ROUNDS) * 1000,
  }
}

/** The observability cluster's configuration in the variant that cannot be split. */
async function stateOfTheWorld(
  own: Simulated['nodes'][number] | undefined,
  address: string,
): Promise<Pick<LargeFigures, 'sotw' | 'sotwBytes'>> {
  if (own === undefined) throw new Error('the fleet has no observability cluster')
  const {certificate, key, roots, serverName, cluster} = own
  const connection = connect({address, serverName, roots, key: {certificate, key: new SecretText(key)}})
  const stream = connection.sotw()
  stream.send({node: {cluster, id: `${cluster}-sotw`}, typeUrl: 'type.googleapis.com/envoy.config.cluster.v3.Cluster'})
  const ended = stream.status.then(({code, details}) => `refused with ${code}: ${details}`)
  const answer = await Promise.race([ended, stream.next(60_000)])
  connection.close()
  if (typeof answer === 'string') return {sotw: answer, sotwBytes: 0}
  return {sotw: 'served', sotwBytes: sum(answer.resources.map(({value}) => value.length))}
}
