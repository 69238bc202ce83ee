/** Writes an Envoy's bootstrap with `cluster values --format bootstrap`, and starts that Envoy. */
import path from 'node:path'
import {envoyCommand} from '../lib/cli/text/shell.js'
import {type HostPort, renderHostPort} from '../lib/model/address.js'
import {ADMIN_SOCKET, bootstrapPaths} from '../lib/envoy/credential-files.js'
import type {Owner} from '../lib/model/names.js'
import {isReady} from './lab/envoy-admin.js'
import type {Running} from './lab/processes.js'
import type {DemoContext} from './context.js'
import {waitFor} from './lab/wait.js'

export interface EnvoySpec {
  readonly owner: Owner
  /** The address that it listens on. */
  readonly address: string
  /** The port of `/ready` and its statistics. */
  readonly statsPort: number
  /** The port that it listens on, by the standard port that it replaces. */
  readonly ports: ReadonlyMap<number, number>
}

export interface RunningEnvoy {
  readonly owner: Owner
  readonly running: Running
  readonly admin: {readonly socketPath: string}
  /** `/ready` and `/stats/prometheus`. */
  readonly stats: HostPort
}

/** Starts the Envoy of `owner` as an operator outside Kubernetes would. Returns before it is ready. */
export async function startEnvoy(spec: EnvoySpec, context: DemoContext): Promise<RunningEnvoy> {
  const {owner, address} = spec
  const stats = {host: address, port: spec.statsPort}
  const folder = path.join(context.folder, 'envoy', owner)
  const ports = [...spec.ports]
    .filter(([standard, port]) => standard !== port)
    .flatMap(([standard, port]) => ['--port', `${standard}=${port}`])
  const place = ['--bind-address', address, '--local-address', address, '--stats', renderHostPort(stats), ...ports]
  await context.atlas.run('cluster', 'values', owner, '--format', 'bootstrap', '--output', folder, ...place)
  const bootstrap = path.join(folder, bootstrapPaths.bootstrap)
  context.screen.command(envoyCommand(bootstrap, ''))
  const running = await context.supervisor.start({name: `envoy-${owner}`, program: context.envoy, args: ['-c', bootstrap, ...envoyFlags]})
  return {owner, running, admin: {socketPath: path.join(folder, ADMIN_SOCKET)}, stats}
}

/** Waits until an Envoy has its whole configuration. */
export async function untilEnvoyReady({owner, admin}: RunningEnvoy, signal: AbortSignal): Promise<void> {
  await waitFor(`the Envoy of ${owner} to get its configuration`, async () => ((await isReady(admin)) ? true : undefined), {
    signal,
    timeoutMs: 60_000,
  })
}

/**
 * Several Envoys run on one machine (docs/explanation/envoy.md#several-envoys-on-one-machine). Access logs are written at once: the
 * proofs read them.
 */
const envoyFlags = [
  '--disable-hot-restart',
  '--concurrency',
  '1',
  '--drain-time-s',
  '20',
  '--file-flush-interval-msec',
  '100',
  '--log-level',
  'warning',
]
