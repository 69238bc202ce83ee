/** A Prometheus for one cluster: scrapes itself, and carries the cluster's name as its external label. */
import {mkdir, writeFile} from 'node:fs/promises'
import path from 'node:path'
import {type HostPort, renderHostPort} from '../lib/model/address.js'
import type {ProgramSpec, Running} from './lab/processes.js'
import {queryInstant} from './lab/query-api.js'
import type {DownstreamSite} from './lab/sites.js'
import type {DemoContext} from './context.js'
import {waitFor} from './lab/wait.js'

/** Starts the Prometheus of `cluster`. Its first sample takes about 6 s, so start it early. */
export async function startPrometheus(cluster: string, site: DownstreamSite, program: string, context: DemoContext): Promise<Running> {
  return context.supervisor.start(await prometheusSpec(cluster, site, program, context.folder))
}

/** Waits for the first sample. */
export async function untilScraped(cluster: string, {address, ports}: DownstreamSite, signal: AbortSignal): Promise<void> {
  const prometheus: HostPort = {host: address, port: ports.prometheus}
  await waitFor(
    `the first sample in the Prometheus of ${cluster}`,
    async () => ((await queryInstant(prometheus, 'up')).length > 0 ? true : undefined),
    {signal, timeoutMs: 60_000},
  )
}

async function prometheusSpec(cluster: string, {address, ports}: DownstreamSite, program: string, folder: string): Promise<ProgramSpec> {
  const listen = renderHostPort({host: address, port: ports.prometheus})
  const data = path.join(folder, 'data', `prometheus-${cluster}`)
  await mkdir(data, {recursive: true, mode: 0o700})
  const config = path.join(data, 'prometheus.yml')
  await writeFile(config, prometheusConfig(cluster, listen), {mode: 0o600})
  return {
    name: `prometheus-${cluster}`,
    program,
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
