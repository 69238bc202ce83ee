/** Thanos: a sidecar beside each Prometheus, and one Thanos Query that queries all of them. */
import {mkdir} from 'node:fs/promises'
import path from 'node:path'
import {type HostPort, renderHostPort} from '../lib/model/address.js'
import type {ProgramSpec, Running} from './lab/processes.js'
import {type PrometheusPlace, untilScraped} from './prometheus.js'
import type {QuerySite} from './lab/sites.js'
import type {DemoContext} from './context.js'
import {waitFor} from './lab/wait.js'

/** Where a sidecar listens, and the Prometheus beside it. */
export interface SidecarPlace {
  readonly prometheus: PrometheusPlace
  readonly grpc: HostPort
  readonly http: HostPort
}

/** Starts the sidecar of a Prometheus that runs, and waits until it is ready. */
export async function startSidecar(place: SidecarPlace, program: string, {supervisor, folder, signal}: DemoContext): Promise<Running> {
  // A sidecar that does not find its Prometheus retries only after 30 s; Thanos Query skips one whose Prometheus is empty for 5 s.
  await untilScraped(place.prometheus, signal)
  const sidecar = await supervisor.start(await sidecarSpec(place, program, folder))
  await untilReady(`the Thanos sidecar of ${place.prometheus.cluster}`, place.http, signal)
  return sidecar
}

/**
 * Starts Thanos Query on the endpoints file that `atlas serve` writes, and waits until it is ready.
 * @returns its HTTP address
 */
export async function startQuery(endpoints: string, program: string, {supervisor, sites, signal}: DemoContext): Promise<HostPort> {
  await supervisor.start(querySpec(sites.query, endpoints, program))
  const http = {host: sites.query.address, port: sites.query.ports.http}
  await untilReady('Thanos Query', http, signal)
  return http
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

async function sidecarSpec({prometheus, grpc, http}: SidecarPlace, program: string, folder: string): Promise<ProgramSpec> {
  const {cluster, replica} = prometheus
  const name = replica === 0 ? `sidecar-${cluster}` : `sidecar-${cluster}-${replica}`
  const data = path.join(folder, 'data', name)
  await mkdir(data, {recursive: true, mode: 0o700})
  return {
    name,
    program,
    args: [
      'sidecar',
      `--prometheus.url=http://${renderHostPort(prometheus.listen)}`,
      `--tsdb.path=${data}`,
      `--grpc-address=${renderHostPort(grpc)}`,
      `--http-address=${renderHostPort(http)}`,
      '--grpc-grace-period=1s',
      '--http-grace-period=1s',
      '--log.level=warn',
    ],
    cwd: data,
  }
}

function querySpec({address, ports}: QuerySite, endpoints: string, program: string): ProgramSpec {
  return {
    name: 'thanos-query',
    program,
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
