/** The monitoring side of the demo: a Prometheus with a Thanos sidecar for each cluster, and one Thanos Query. */
import {mkdir, writeFile} from 'node:fs/promises'
import path from 'node:path'
import {type HostPort, renderHostPort} from '../lib/model/address.js'
import type {ProgramSpec, Running, Supervisor} from './processes.js'
import type {DownstreamSite, QuerySite} from './sites.js'
import {queryInstant} from './query-api.js'
import {waitFor} from './wait.js'

/** Where the programs are. */
export interface MonitoringPrograms {
  readonly prometheus: string
  readonly thanos: string
}

export interface MonitoringContext {
  readonly supervisor: Supervisor
  readonly programs: MonitoringPrograms
  /** Data and configuration go into folders below. */
  readonly folder: string
  readonly signal: AbortSignal
}

export interface Monitored {
  readonly prometheus: Running
  readonly sidecar: Running
}

/** Starts Prometheus with `cluster` and `replica` as its external labels, scraping itself, and its sidecar; waits until both are ready. */
export async function startMonitored(cluster: string, site: DownstreamSite, context: MonitoringContext): Promise<Monitored> {
  const {supervisor, signal} = context
  const prometheus = await supervisor.start(await prometheusSpec(cluster, site, context))
  // A sidecar that does not find its Prometheus tries again after 30 s only, and one whose Prometheus is empty is not asked for 5 s.
  await untilScraped(cluster, {host: site.address, port: site.ports.prometheus}, signal)
  const sidecar = await supervisor.start(await sidecarSpec(cluster, site, context))
  await untilReady(`the Thanos sidecar of ${cluster}`, {host: site.address, port: site.ports.sidecarHttp}, signal)
  return {prometheus, sidecar}
}

/** Starts Thanos Query on the endpoints file that `atlas serve` writes, and waits until it is ready. */
export async function startQuery(site: QuerySite, endpoints: string, {supervisor, programs, signal}: MonitoringContext): Promise<Running> {
  const query = await supervisor.start(querySpec(site, endpoints, programs.thanos))
  await untilReady('Thanos Query', {host: site.address, port: site.ports.http}, signal)
  return query
}

async function untilScraped(cluster: string, prometheus: HostPort, signal: AbortSignal): Promise<void> {
  await waitFor(
    `the first sample in the Prometheus of ${cluster}`,
    async () => ((await queryInstant(prometheus, 'up')).length > 0 ? true : undefined),
    {signal, timeoutMs: 60_000},
  )
}

/** A program with a `/-/ready` page. */
async function untilReady(what: string, address: HostPort, signal: AbortSignal): Promise<void> {
  await waitFor(
    `${what} to be ready`,
    async () => {
      const response = await fetch(`http://${renderHostPort(address)}/-/ready`, {signal: AbortSignal.timeout(2000)})
      await response.arrayBuffer()
      return response.ok ? true : undefined
    },
    {signal, timeoutMs: 60_000},
  )
}

/** Every program of the demo has its data below `folder`, and ends within a second. */
async function dataFolder(folder: string, name: string): Promise<string> {
  const data = path.join(folder, 'data', name)
  await mkdir(data, {recursive: true, mode: 0o700})
  return data
}

async function prometheusSpec(
  cluster: string,
  {address, ports}: DownstreamSite,
  {folder, programs}: MonitoringContext,
): Promise<ProgramSpec> {
  const listen = renderHostPort({host: address, port: ports.prometheus})
  const data = await dataFolder(folder, `prometheus-${cluster}`)
  const config = path.join(data, 'prometheus.yml')
  await writeFile(config, prometheusConfig(cluster, listen), {mode: 0o600})
  return {
    name: `prometheus-${cluster}`,
    program: programs.prometheus,
    args: [
      `--config.file=${config}`,
      `--storage.tsdb.path=${path.join(data, 'tsdb')}`,
      // A sidecar asks for equal block lengths, so that Prometheus does not compact behind its back.
      '--storage.tsdb.min-block-duration=2h',
      '--storage.tsdb.max-block-duration=2h',
      `--web.listen-address=${listen}`,
      '--log.level=warn',
    ],
    cwd: data,
  }
}

/** JSON is YAML too. */
function prometheusConfig(cluster: string, listen: string): string {
  return `${JSON.stringify(
    {
      global: {scrape_interval: '1s', scrape_timeout: '1s', external_labels: {cluster, replica: '0'}},
      scrape_configs: [{job_name: 'prometheus', static_configs: [{targets: [listen]}]}],
    },
    undefined,
    2,
  )}\n`
}

async function sidecarSpec(cluster: string, {address, ports}: DownstreamSite, {folder, programs}: MonitoringContext): Promise<ProgramSpec> {
  const data = await dataFolder(folder, `sidecar-${cluster}`)
  return {
    name: `sidecar-${cluster}`,
    program: programs.thanos,
    args: [
      'sidecar',
      `--prometheus.url=http://${renderHostPort({host: address, port: ports.prometheus})}`,
      `--tsdb.path=${data}`,
      `--grpc-address=${renderHostPort({host: address, port: ports.sidecarGrpc})}`,
      `--http-address=${renderHostPort({host: address, port: ports.sidecarHttp})}`,
      '--grpc-grace-period=1s',
      '--http-grace-period=1s',
      '--log.level=warn',
    ],
    cwd: data,
  }
}

function querySpec({address, ports}: QuerySite, endpoints: string, thanos: string): ProgramSpec {
  return {
    name: 'thanos-query',
    program: thanos,
    args: [
      'query',
      `--grpc-address=${renderHostPort({host: address, port: ports.grpc})}`,
      `--http-address=${renderHostPort({host: address, port: ports.http})}`,
      '--query.replica-label=replica',
      `--endpoint.sd-config-file=${endpoints}`,
      '--endpoint.sd-config-reload-interval=1s',
      '--grpc-grace-period=1s',
      '--http-grace-period=1s',
      '--log.level=warn',
    ],
  }
}
