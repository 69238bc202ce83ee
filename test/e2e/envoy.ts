/** One real Envoy of a test's network: made from the bootstrap that Atlas writes, started, killed, frozen, started again. */
import {readFile, writeFile} from 'node:fs/promises'
import path from 'node:path'
import {type AdminAddress, isReady, readPage} from '../../src/demo/lab/envoy-admin.js'
import {linesSince, logLength} from '../../src/demo/lab/log-file.js'
import type {Running, Supervisor} from '../../src/demo/lab/processes.js'
import {waitFor} from '../../src/demo/lab/wait.js'
import {writeFiles} from '../../src/lib/cli/bootstrap-files.js'
import {ADMIN_SOCKET} from '../../src/lib/envoy/credential-files.js'
import type {HostPort} from '../../src/lib/model/address.js'
import type {UpstreamTls} from '../../src/lib/model/endpoint-tls.js'
import type {Owner} from '../../src/lib/model/names.js'
import {joining} from '../../src/lib/ops/cluster/values.js'
import type {StateStore} from '../../src/lib/store/store.js'
import {noDeprecated} from '../helpers/envoy-static.js'
import type {OldRelease} from '../helpers/old-release.js'

/** The variant of xDS. */
export type Variant = 'delta' | 'sotw'

export interface Place {
  /** The address of its listeners. */
  readonly address: string
  readonly nodeId?: string
  /** The bind address in its node's metadata, if not `address`. */
  readonly bindAddress?: string
  /** Ports to listen on instead of the standard ones. */
  readonly ports?: ReadonlyMap<number, number>
  /** The certificates that it has for Thanos endpoints with TLS. */
  readonly upstreamTls?: UpstreamTls
  /** The name server, instead of the machine's own. */
  readonly nameServer?: HostPort
}

export interface TestEnvoy {
  readonly owner: Owner
  readonly nodeId: string
  readonly admin: AdminAddress
  /** Holds its bootstrap, certificates and SDS files. */
  readonly folder: string
  start(): Promise<void>
  pid(): number
  /** SIGKILL; resolves when the process has ended. */
  kill(): Promise<void>
  /** SIGSTOP: the kernel still accepts connections for it, and none is answered. */
  freeze(): void
  thaw(): void
  /** Waits until it has its initial configuration. */
  untilReady(seconds?: number): Promise<void>
  /** Writes its bootstrap, credential and SDS files again, as Atlas would now. */
  writeFiles(): Promise<void>
  /** The JSON lines that it printed since `mark`; other lines are skipped. */
  logged(log: 'connection' | 'request', mark?: number): readonly Record<string, string>[]
  /** The current end of its log. */
  mark(): number
  /** An admin page, as text. */
  page(path: string): Promise<string>
}

interface Making {
  readonly owner: Owner
  readonly place: Place
  readonly folder: string
  readonly store: StateStore
  readonly supervisor: Supervisor
  readonly program: string
  readonly variant?: Variant
  /** An earlier release writes bootstrap and files instead of the present one. */
  readonly release?: OldRelease | undefined
}

/** Writes the bootstrap; the Envoy is not started yet. */
export async function openEnvoy(making: Making): Promise<TestEnvoy> {
  const {owner, place, supervisor, program} = making
  const nodeId = place.nodeId ?? `${owner}-0`
  const folder = path.join(making.folder, 'envoy', nodeId)
  const admin = making.release === undefined ? {socketPath: path.join(folder, ADMIN_SOCKET)} : {host: place.address, port: 9901}
  const name = `envoy-${nodeId}`
  const log = path.join(making.folder, 'logs', `${name}.log`)
  let running: Running | undefined

  function process_(): Running {
    if (running === undefined) throw new Error(`${name} was not started`)
    return running
  }

  const envoy: TestEnvoy = {
    owner,
    nodeId,
    admin,
    folder,
    async start() {
      running = await supervisor.start({name, program, args: ['-c', path.join(folder, 'envoy.json'), ...flags]})
    },
    pid: () => process_().pid,
    async kill() {
      await process_().kill()
    },
    freeze: () => void process.kill(process_().pid, 'SIGSTOP'),
    thaw: () => void process.kill(process_().pid, 'SIGCONT'),
    async untilReady(seconds = 60) {
      const probe = async (): Promise<true | undefined> => ((await isReady(admin)) ? true : undefined)
      await waitFor(`${name} to be ready`, probe, {signal: supervisor.crashed, timeoutMs: seconds * 1000, everyMs: 50})
    },
    writeFiles: async () => writeBootstrap(making, nodeId, folder),
    logged(kind, from = 0) {
      const lines = linesSince(log, from).filter(line => line.startsWith('{'))
      return lines.map(line => JSON.parse(line) as Record<string, string>).filter(line => line['log'] === kind)
    },
    mark: () => logLength(log),
    page: async page => (await readPage(admin, page)).body,
  }
  await envoy.writeFiles()
  return envoy
}

/** The access log is written at once, since tests read it; a deprecated or unknown field is a NACK; listeners drain quickly. */
const flags = [
  '--disable-hot-restart',
  '--reject-unknown-dynamic-fields',
  ...['--concurrency', '1'],
  ...['--drain-time-s', '2'],
  ...['--file-flush-interval-msec', '50'],
  ...['-l', 'warning'],
]

interface BootstrapJson {
  dynamic_resources: {ads_config: {api_type: string}}
  layered_runtime: {layers: {static_layer?: object}[]}
  typed_dns_resolver_config?: {typed_config: object}
}

async function writeBootstrap(making: Making, nodeId: string, folder: string): Promise<void> {
  const {owner, place, store, variant, release} = making
  if (release !== undefined) {
    await writeWith(release, making, nodeId, folder)
    return
  }

  const found = await joining(store, owner)
  const {address, bindAddress = address, ports = new Map(), upstreamTls} = place
  const files = found.bootstrap({nodeId, directory: folder, bindAddress, localAddress: address, ports, ...(upstreamTls && {upstreamTls})})
  const patched = files.map(file => (file.path === 'envoy.json' ? {...file, text: patch(file.text, variant, place.nameServer)} : file))
  await writeFiles(folder, patched)
}

/**
 * The store of an earlier release is the folder `store` beside the Envoys' folders. Its bootstraps have the admin pages at a TCP address, as
 * those of commit 6370771 did.
 */
async function writeWith(release: OldRelease, {owner, place, folder: root, variant}: Making, nodeId: string, folder: string) {
  const {address, bindAddress = address} = place
  const where = ['--node-id', nodeId, '--bind-address', bindAddress, '--local-address', address, '--admin', `${address}:9901`]
  const store = path.join(root, 'store')
  await release.run('cluster', 'values', owner, '--store', store, '--format', 'bootstrap', '--output', folder, ...where)
  const file = path.join(folder, 'envoy.json')
  await writeFile(file, patch(await readFile(file, 'utf8'), variant, place.nameServer), {mode: 0o600})
}

function patch(text: string, variant: Variant | undefined, nameServer: HostPort | undefined): string {
  const bootstrap = JSON.parse(text) as BootstrapJson
  for (const layer of bootstrap.layered_runtime.layers) layer.static_layer = {...layer.static_layer, ...noDeprecated}
  if (variant === 'sotw') bootstrap.dynamic_resources.ads_config.api_type = 'GRPC'
  if (nameServer !== undefined)
    bootstrap.typed_dns_resolver_config = resolver(nameServer, bootstrap.typed_dns_resolver_config?.typed_config)
  return JSON.stringify(bootstrap, undefined, 2)
}

function resolver({host, port}: HostPort, built: object | undefined): {name: string; typed_config: object} {
  return {
    name: 'envoy.network.dns_resolver.cares',
    typed_config: {
      ...built,
      '@type': 'type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig',
      resolvers: [{socket_address: {address: host, port_value: port, protocol: 'UDP'}}],
      dns_resolver_options: {no_default_search_domain: true},
    },
  }
}

/** The bootstrap in its folder. */
export async function bootstrapOf({folder}: TestEnvoy): Promise<unknown> {
  return JSON.parse(await readFile(path.join(folder, 'envoy.json'), 'utf8')) as unknown
}
