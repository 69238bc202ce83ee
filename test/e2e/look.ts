/** Inspects a network: calls through it, status, an Envoy's configuration and statistics, and waits for any of these. */
import {type GrpcReply, callOnce, openPlain} from '../../src/demo/lab/grpc.js'
import {waitFor} from '../../src/demo/lab/wait.js'
import {lastLines, linesSince} from '../../src/demo/lab/log-file.js'
import type {Report} from '../../src/lib/model/report.js'
import {sidecarName} from '../../src/lib/model/names.js'
import type {ProxyStatus, Status} from '../../src/lib/ops/status.js'
import {ANSWERED_BY, oneCall} from './backend.js'
import type {TestEnvoy} from './envoy.js'
import type {Network} from './network.js'
import type {Scene} from './scene.js'
import path from 'node:path'
import {messageOf} from '../../src/lib/model/errors.js'

/** The host name by which Thanos Query connects to replica `replica`. */
export function hostOf(cluster: string, replica = 0): string {
  return `${sidecarName(cluster as Parameters<typeof sidecarName>[0], replica)}.atlas.svc.cluster.local:10901`
}

/** 10901, to which Thanos Query connects. */
export function queryAddress({address}: Scene): {host: string; port: number} {
  return {host: address, port: 10_901}
}

/** One call to a replica as Thanos Query would make it, on a connection of its own. */
export async function call(network: Scene, cluster: string, replica = 0): Promise<GrpcReply> {
  return callOnce(openPlain(queryAddress(network)), oneCall(hostOf(cluster, replica)))
}

/** The name of the backend that answers for a replica, or how the call failed. */
export async function whoAnswers(network: Scene, cluster: string, replica = 0): Promise<string> {
  try {
    const {headers, grpcStatus} = await call(network, cluster, replica)
    return grpcStatus === 0 ? String(headers[ANSWERED_BY]) : `gRPC status ${grpcStatus ?? 'none'}`
  } catch (error) {
    return `no answer: ${messageOf(error)}`
  }
}

export async function reportOf(network: Network): Promise<Report> {
  return network.report()
}

/** What `atlas status` shows. */
export async function statusIn(scene: Scene): Promise<Status> {
  return scene.status()
}

export async function proxyIn(network: Scene, owner: string): Promise<ProxyStatus | undefined> {
  const {proxies} = await statusIn(network)
  return proxies.find(({cluster, state}) => cluster === owner && state !== 'not connected')
}

/** Seconds in which a machine that does much else, too, gets any single step done. */
const STEP_S = 60

/** Waits until `holds`; after the time limit the error has the state of the network. */
export async function until(network: Scene, what: string, holds: () => Promise<boolean> | boolean, seconds = STEP_S): Promise<void> {
  const options = {signal: network.crashed, timeoutMs: seconds * 1000, everyMs: 40}
  try {
    await waitFor(what, async () => ((await holds()) ? true : undefined), options)
  } catch (error) {
    throw new Error(`${messageOf(error)}\n${await story(network)}`, {cause: error})
  }
}

/** Waits until each of these owners has a proxy that has acknowledged its whole configuration; without names, all owners. */
export async function untilSynced(
  network: Scene,
  owners: readonly string[] = ['atlas', ...network.members.keys()],
  seconds = STEP_S,
): Promise<void> {
  // An Envoy requests routes last: before they came, `synced` proves little.
  const isWhole = ({state, types}: ProxyStatus): boolean =>
    state === 'synced' && types.some(({type, acknowledged}) => type === 'RouteConfiguration' && acknowledged > 0)
  const synced = async (): Promise<boolean> => {
    const {proxies} = await statusIn(network)
    return owners.every(owner => proxies.some(proxy => proxy.cluster === owner && isWhole(proxy)))
  }
  await until(network, `${owners.join(', ')} to be synced`, synced, seconds)
}

/** Waits until every replica of these clusters answers for itself. */
export async function untilReachable(
  network: Scene,
  clusters: readonly string[] = [...network.members.keys()],
  seconds = STEP_S,
): Promise<void> {
  for (const cluster of clusters) {
    const own = async (): Promise<boolean> => (await whoAnswers(network, cluster)) === `${cluster}/0`
    await until(network, `calls to ${cluster} to be answered by ${cluster}`, own, seconds)
  }
}

/** All configuration that an Envoy has received over ADS, without the times at which it came, and the comments that secrets begin with. */
export async function dumpOf(envoy: TestEnvoy, resource?: 'dynamic_active_clusters'): Promise<string> {
  const page = resource === undefined ? '/config_dump' : `/config_dump?resource=${resource}`
  const {configs} = JSON.parse(await envoy.page(page)) as {configs: {'@type': string}[]}
  const given = configs.filter(config => !config['@type'].endsWith('BootstrapConfigDump'))
  const text = JSON.stringify(
    given.map(section => sorted(withoutTimes(section))),
    undefined,
    1,
  )
  return text.replaceAll(/"# [\da-f]+ \d+\\n-----BEGIN/g, '"-----BEGIN')
}

/** As `dumpOf`, once nothing is warmed or drained any more: what is still on its way is part of no state that could be compared. */
export async function settledDumpOf(network: Scene, envoy: TestEnvoy): Promise<string> {
  let [dump, before] = ['', 'none']
  await until(network, `the configuration of ${envoy.nodeId} to be at rest`, async () => {
    before = dump
    dump = await dumpOf(envoy)
    return dump === before && !/"(?:warming|draining)_state"|"dynamic_warming_\w+"/.test(dump)
  })
  return dump
}

/** The first line in which two texts differ. */
export function differenceOf(before: string, after: string): string {
  const [lines, others] = [before.split('\n'), after.split('\n')]
  const index = lines.findIndex((line, at) => line !== others[at])
  return before === after ? 'none' : `line ${index}: ${lines[index] ?? ''} -> ${others[index] ?? ''}`
}

/** A value of an Envoy's statistics; 0 where it was never counted. */
export async function statOf(envoy: TestEnvoy, name: string): Promise<number> {
  const {stats} = JSON.parse(await envoy.page(`/stats?format=json&filter=^${name.replaceAll('.', '\\.')}$`)) as {
    stats: {name?: string; value?: number}[]
  }
  return stats.find(stat => stat.name === name)?.value ?? 0
}

/** Accepted and rejected responses of an Envoy, by type; look-ups of names have such statistics too, and are left out. */
export async function updatesOf(envoy: TestEnvoy): Promise<Readonly<Record<string, number>>> {
  const {stats} = JSON.parse(
    await envoy.page('/stats?format=json&filter=^(cluster_manager|listener_manager|http|sds).*update_(success|rejected|failure)$'),
  ) as {stats: {name?: string; value?: number}[]}
  return Object.fromEntries(stats.map(({name = '', value = 0}) => [name, value]))
}

/** The log of `atlas serve` so far, as JSON objects. */
export function serverLog(network: Network): readonly Record<string, unknown>[] {
  const lines = linesSince(path.join(network.folder, 'logs', 'atlas-serve.log'), 0)
  return lines.filter(line => line.startsWith('{')).map(line => JSON.parse(line) as Record<string, unknown>)
}

async function story(network: Scene): Promise<string> {
  const status = await statusIn(network).catch((error: unknown) => messageOf(error))
  const logs = [
    ...network.servers(),
    ...[network.observability, ...[...network.members.values()].map(({envoy}) => envoy)].map(({nodeId}) => `envoy-${nodeId}`),
  ]
  const ends = logs.map(name => `${name}:\n${lastLines(path.join(network.folder, 'logs', `${name}.log`), 3)}`)
  return [JSON.stringify(status), ...ends].join('\n')
}

/** Sorts the resources of a section: Envoy lists them in another order each time. */
function sorted(section: unknown): unknown {
  const entries = Object.entries(section as object).map(
    ([key, value]) => [key, Array.isArray(value) ? value.map(item => JSON.stringify(item)).sort() : value] as const,
  )
  return Object.fromEntries(
    entries.map(([key, value]) => [key, Array.isArray(value) ? value.map(item => JSON.parse(item as string) as unknown) : value]),
  )
}

const TIMES = new Set(['last_updated', 'last_update_attempt'])

function withoutTimes(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(item => withoutTimes(item))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => !TIMES.has(key))
      // Envoy writes a map in another order each time.
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, entry]) => [key, withoutTimes(entry)]),
  )
}
