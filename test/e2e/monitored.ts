/**
 * Real monitoring behind the downstream Envoys of a network: `paris` has two replicas of a Prometheus and every kind of Thanos target, `lyon` one
 * Prometheus; and a Thanos Query in front of the observability Envoy, with the endpoints file that Atlas writes.
 */
import {mkdir, writeFile} from 'node:fs/promises'
import path from 'node:path'
import {serveDns} from '../../src/demo/lab/dns.js'
import type {Running} from '../../src/demo/lab/processes.js'
import {queryInstant} from '../../src/demo/lab/query-api.js'
import {waitFor} from '../../src/demo/lab/wait.js'
import {dependencies} from '../../src/lib/cli/base-command.js'
import {type HostPort, renderHostPort} from '../../src/lib/model/address.js'
import type {NamedTarget} from '../../src/lib/model/cluster.js'
import {defaultSettings} from '../../src/lib/model/settings.js'
import {defaultStack, targetsOf} from '../../src/lib/model/stack.js'
import {type ClusterRequest, addCluster} from '../../src/lib/ops/cluster/add.js'
import {programAt} from '../pages/support/programs.js'
import {type Bucket, makeBucket} from './bucket.js'
import {type Network, openNetwork} from './network.js'
import {untilAnswers} from './scene.js'

export interface Monitored {
  readonly network: Network
  /** Thanos Query's HTTP address. */
  readonly query: HostPort
  readonly programs: ReadonlyMap<string, Running>
  /** The address of each Prometheus that has a cluster and a replica among its external labels. */
  readonly replicas: ReadonlyMap<string, HostPort>
  /** What a program answers at its HTTP port, below Thanos Query where no other is named. */
  get(page: string, timeoutMs?: number): Promise<unknown>
  change(cluster: string, request: ClusterRequest): Promise<void>
  /** A sidecar that answers with some 300 kB for each series; behind no Envoy until a test registers it. */
  readonly large: HostPort
  /** What the Store gateway has. */
  readonly bucket: Bucket
}

/** The gRPC and HTTP ports of each Thanos program, and Prometheus's, on an address of its own. */
const [GRPC, HTTP, PROMETHEUS, WRITE] = [10_901, 10_902, 9090, 19_291]

/** The kinds of named targets behind `paris`, with the last part of their addresses. */
export const kinds = {edge: 40, ruler: 50, store: 60, receive: 70, query: 80} as const

/** Bytes of an external label, which a sidecar repeats for every series of its Prometheus. */
const LABEL = 300_000

/** A network whose server writes an endpoints file, with names that a Thanos Query on this machine resolves to the observability Envoy. */
export async function openWithEndpoints(clusters: readonly string[]): Promise<{readonly network: Network; readonly endpoints: string}> {
  const {namespace, clusterDomain} = defaultSettings
  const file = (folder: string): string => path.join(folder, 'endpoints.yaml')
  let dns: HostPort | undefined
  const network = await openNetwork({
    clusters,
    serveFlags: folder => ['--thanos-endpoints', file(folder)],
    settings: address => {
      dns = {host: address, port: 5353}
      return {endpointTemplate: `dns://${renderHostPort(dns)}/{service}.{namespace}.svc.{clusterDomain}:10901`}
    },
  })
  try {
    if (dns === undefined) throw new Error('the network has no address')
    const server = await serveDns(dns, {suffix: `${namespace}.svc.${clusterDomain}`, address: network.address})
    network.onClose(server.close)
    return {network, endpoints: file(network.folder)}
  } catch (error) {
    await network.close()
    throw error
  }
}

export async function openMonitored(): Promise<Monitored> {
  const {network, endpoints} = await openWithEndpoints(['paris', 'lyon'])
  try {
    return await fill(network, endpoints)
  } catch (error) {
    await network.close()
    throw error
  }
}

async function fill(network: Network, endpoints: string): Promise<Monitored> {
  const programs = new Map<string, Running>()
  const replicas = new Map<string, HostPort>()
  const block = (index: number, last: number | string): string => network.spareAddress(index).replace(/200$/, String(last))
  const query = {host: block(0, 201), port: HTTP}

  async function start(name: string, program: string, args: readonly string[], ready: HostPort): Promise<void> {
    const data = path.join(network.folder, 'data', name)
    await mkdir(data, {recursive: true})
    programs.set(name, await network.startProcess({name, program: programAt(program), args, cwd: data}))
    await untilAnswers(ready, '/-/ready', network.crashed, 60_000)
  }
  const thanos = (name: string, kind: string, host: string, flags: readonly string[]): Promise<void> =>
    start(
      name,
      'thanos',
      [
        kind,
        `--grpc-address=${host}:${GRPC}`,
        `--http-address=${host}:${HTTP}`,
        '--grpc-grace-period=1s',
        '--http-grace-period=1s',
        ...flags,
      ],
      {host, port: HTTP},
    )

  /** A Prometheus and its sidecar, at one address. */
  async function pair(name: string, host: string, labels: Readonly<Record<string, string>>, write?: string): Promise<void> {
    const listen = {host, port: PROMETHEUS}
    const data = path.join(network.folder, 'data', name)
    await mkdir(data, {recursive: true})
    const config = path.join(data, 'prometheus.json')
    await writeFile(path.join(data, 'rules.json'), JSON.stringify({groups: [{name: 'of-prometheus', interval: '1s', rules: [recorded]}]}))
    await writeFile(config, JSON.stringify(configOf(listen, labels, write)))
    const flags = [`--config.file=${config}`, '--storage.tsdb.path=tsdb', `--web.listen-address=${renderHostPort(listen)}`]
    const blocks = ['--storage.tsdb.min-block-duration=2h', '--storage.tsdb.max-block-duration=2h']
    const exemplars = ['--enable-feature=exemplar-storage', '--web.enable-otlp-receiver']
    await start(name, 'prometheus-3', [...flags, ...blocks, ...exemplars], listen)
    if ('prometheus_replica' in labels) replicas.set(name, listen)
    await thanos(`${name}-sidecar`, 'sidecar', host, [`--prometheus.url=http://${renderHostPort(listen)}`, `--tsdb.path=${data}`])
  }

  const replica = (cluster: string, number: number) => ({cluster, prometheus_replica: `${cluster}-${number}`})
  const bucket = await makeBucket(path.join(network.folder, 'objects'))
  const rules = path.join(network.folder, 'ruler.json')
  await writeFile(rules, JSON.stringify({groups: [{name: 'of-ruler', interval: '1s', rules: [{record: 'ruled', expr: 'vector(1)'}]}]}))
  const at = (target: keyof typeof kinds): string => block(0, kinds[target])

  await Promise.all([
    pair('paris-0', block(0, 30), replica('paris', 0)),
    pair('paris-1', block(0, 31), replica('paris', 1)),
    pair('lyon-0', block(1, 30), replica('lyon', 0)),
    pair('large', block(1, 40), {large: 'x'.repeat(LABEL)}),
    pair('edge', at('edge'), {cluster: 'paris', shard: 'edge'}, at('receive')),
    thanos('store', 'store', at('store'), [`--data-dir=cache`, bucket.flag]),
    thanos('receive', 'receive', at('receive'), [
      '--tsdb.path=tsdb',
      '--label=receiver="paris"',
      `--remote-write.address=${at('receive')}:${WRITE}`,
    ]),
    thanos('ruler', 'rule', at('ruler'), [
      '--data-dir=data',
      `--rule-file=${rules}`,
      '--label=ruler="paris"',
      `--query=http://${at('query')}:${HTTP}`,
    ]),
    thanos('query', 'query', at('query'), [`--endpoint=${at('edge')}:${GRPC}`]),
  ])

  const change = async (cluster: string, request: ClusterRequest): Promise<void> => {
    await addCluster(network.store, cluster, {request, defaults: targetsOf(defaultStack)}, dependencies)
  }
  const sidecar = (index: number) => ({thanos: {host: block(index, '3{replica}'), port: GRPC}})
  const targets = Object.keys(kinds).map((name): [string, NamedTarget] => [
    name,
    {host: at(name as keyof typeof kinds), port: GRPC, replicas: 1, health: 'grpc'},
  ])
  await change('paris', {replicas: 2, services: sidecar(0), targets: new Map(targets.sort(([a], [b]) => (a < b ? -1 : 1)))})
  await change('lyon', {services: sidecar(1)})
  await thanos('thanos-query', 'query', query.host, [
    `--endpoint.sd-config-file=${endpoints}`,
    '--endpoint.sd-config-reload-interval=1s',
    '--query.replica-label=prometheus_replica',
    // Ends a query that waits for a frozen sidecar; without it `--query.timeout` does, after 2 min.
    '--store.response-timeout=5s',
    '--store.unhealthy-timeout=30s',
    '--grpc-compression=snappy',
  ])
  await waitFor(
    'both clusters to answer',
    async () => ((await queryInstant(query, 'up{prometheus_replica!=""}')).length >= 2 ? true : undefined),
    {signal: network.crashed, timeoutMs: 60_000},
  )

  return {
    network,
    query,
    programs,
    replicas,
    change,
    large: {host: block(1, 40), port: GRPC},
    bucket,
    async get(page, timeoutMs = 20_000) {
      const response = await fetch(`http://${renderHostPort(query)}${page}`, {signal: AbortSignal.timeout(timeoutMs)})
      return response.json()
    },
  }
}

const recorded = {record: 'recorded', expr: 'vector(1)'}

function configOf(listen: HostPort, labels: Readonly<Record<string, string>>, write?: string): object {
  return {
    global: {scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s', external_labels: labels},
    rule_files: ['rules.json'],
    scrape_configs: [{job_name: 'itself', static_configs: [{targets: [renderHostPort(listen)], labels: {instance: 'prometheus'}}]}],
    ...(write === undefined ? {} : {remote_write: [{url: `http://${write}:${WRITE}/api/v1/receive`}]}),
  }
}
