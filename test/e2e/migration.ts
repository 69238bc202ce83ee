/**
 * A real API server in which goatlas has run, the contexts and programs that docs/how-to/migrate-from-goatlas.md assumes, and
 * what a kubelet would run of Atlas's charts: servers with the arguments and rights of the chart, Envoys with the files that `cluster
 * values` writes. The tests decide which commands are run, and check their results.
 */
import {chmod, mkdir, readFile, writeFile} from 'node:fs/promises'
import path from 'node:path'
import {dump} from 'js-yaml'
import {type Running, type Supervisor, openSupervisor} from '../../src/demo/lab/processes.js'
import {serveDns} from '../../src/demo/lab/dns.js'
import {isReady} from '../../src/demo/lab/envoy-admin.js'
import {ADMIN_SOCKET} from '../../src/lib/envoy/credential-files.js'
import {waitFor} from '../../src/demo/lab/wait.js'
import {chartFolder, objectsOf} from '../charts/support/rendered.js'
import {openPod, ownAddress} from '../charts/support/pod-process.js'
import {atlasBin} from '../helpers/atlas.js'
import type {Ran} from '../helpers/ran.js'
import {envoyProgram} from '../helpers/envoy-program.js'
import type {GoatlasAuthority} from '../helpers/goatlas.js'
import {type FaultProxy, faultProxy} from '../helpers/kubernetes/fault-proxy.js'
import {readKubeconfig} from '../helpers/kubernetes/kubeconfig.js'
import type {Kubernetes} from '../helpers/kubernetes/kubernetes.js'
import {installGoatlas} from '../helpers/kubernetes/goatlas.js'
import {program} from '../helpers/kubernetes/programs.js'
import {ownKubernetes} from '../helpers/kubernetes/shared.js'
import {type Block, blocksOf, shell} from '../helpers/page.js'

/** The namespace of goatlas. */
export const NAMESPACE = 'monitoring'
const PAGE = 'how-to/migrate-from-goatlas.md'

/** Shorter than the defaults: the time between reports, and the first pause after another writer's second write. */
const times = ['--time', 'report=1s', '--time', 'rewrite=250ms']

export interface Stored {
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly uid: string
    readonly resourceVersion: string
    readonly labels?: Readonly<Record<string, string>>
    readonly annotations?: Readonly<Record<string, string>>
  }
  readonly spec?: Readonly<Record<string, unknown>>
  readonly data?: Readonly<Record<string, string>>
}

export interface Migration {
  readonly kubernetes: Kubernetes
  readonly folder: string
  /** Code blocks of the page. */
  readonly blocks: readonly Block[]
  /** Runs a command of the page; throws unless it succeeds. */
  run(command: string): Promise<Ran>
  /** All lines below a heading that match, in their order. @throws Error where there is none */
  commands(heading: string, which?: RegExp): readonly string[]
  /** Lines below these headings that were never run. */
  unplayed(headings: readonly string[]): readonly string[]
  /** Services, Secrets and ConfigMaps of the namespace by kind and name, Helm's own left out. */
  objects(): Promise<ReadonlyMap<string, Stored>>
  /** Starts the controller and one replica of the discovery service, as the chart would. */
  startServers(): Promise<void>
  stopServers(): Promise<void>
  /** The servers' writes at the API server since the last call, without Leases: `PATCH /api/v1/…`. */
  writes(): readonly string[]
  /** The log of the leader. */
  log(): Promise<string>
  /** Starts an Envoy of Atlas from what `cluster values` prints; waits until it is ready. */
  startEnvoy(name: string, place: EnvoyPlace): Promise<Running>
  until(what: string, holds: () => Promise<boolean> | boolean, seconds?: number): Promise<void>
  /** Closed in reverse order. */
  onClose(act: () => Promise<unknown> | void): void
  close(): Promise<void>
}

export interface EnvoyPlace {
  readonly address: string
  /** The port instead of 11901. */
  readonly port?: number
  /** The address of all names in the cluster's DNS. */
  readonly names?: string
}

/** @param replacing examples of the page, and their values here */
export async function openMigration(
  folder: string,
  authority: GoatlasAuthority,
  replacing: Readonly<Record<string, string>>,
): Promise<Migration> {
  const undo: (() => Promise<unknown> | void)[] = []
  const close = async (): Promise<void> => {
    for (const act of undo.splice(0).reverse()) await act()
  }
  try {
    const kubernetes = await ownKubernetes()
    undo.push(() => kubernetes.cluster.end())
    const supervisor = await openSupervisor(folder, {removeFolder: true})
    undo.push(() => supervisor.stopAll(3000))
    await kubernetes.startControllers()
    const proxy = await faultProxy(kubernetes)
    undo.push(proxy.close)
    await kubernetes.request('POST', '/api/v1/namespaces', {metadata: {name: NAMESPACE}})
    await installGoatlas(kubernetes, NAMESPACE, authority)
    const env = await environment(kubernetes, folder)
    const blocks = await blocksOf(PAGE)
    return new Stage({kubernetes, proxy, supervisor, folder, blocks, env, replacing, undo, close}).migration()
  } catch (error) {
    await close()
    throw error
  }
}

interface Ground {
  readonly kubernetes: Kubernetes
  /** The proxy between Atlas's servers and the API server, which counts requests. */
  readonly proxy: FaultProxy
  readonly supervisor: Supervisor
  readonly folder: string
  readonly blocks: readonly Block[]
  readonly env: NodeJS.ProcessEnv
  readonly replacing: Readonly<Record<string, string>>
  readonly undo: (() => Promise<unknown> | void)[]
  readonly close: () => Promise<void>
}

class Stage {
  readonly #ground: Ground
  readonly #played = new Set<string>()
  #servers: Running[] = []
  /** The address of the ADS replica behind Service `atlas-ads`. */
  readonly #ads = ownAddress()

  constructor(ground: Ground) {
    this.#ground = ground
  }

  migration(): Migration {
    const {kubernetes, folder, blocks, undo, close} = this.#ground
    return {
      kubernetes,
      folder,
      blocks,
      run: async command => this.#run(command),
      commands: (heading, which = /./) => this.#commands(heading, which),
      unplayed: headings => headings.flatMap(heading => this.#commands(heading, /./)).filter(command => !this.#played.has(command)),
      objects: async () => this.#objects(),
      startServers: async () => this.#startServers(),
      stopServers: async () => this.#stopServers(),
      writes: () => this.#writes(),
      log: async () => readFile(path.join(folder, 'logs', 'atlas2-controller-0.log'), 'utf8'),
      startEnvoy: async (name, place) => this.#startEnvoy(name, place),
      until: async (what, holds, seconds) => this.#until(what, holds, seconds),
      onClose: act => void undo.push(act),
      close,
    }
  }

  async #run(command: string): Promise<Ran> {
    const {folder, env, replacing} = this.#ground
    const here = Object.entries(replacing).reduce((text, [example, real]) => text.replaceAll(example, real), command)
    const ran = await shell(here, {cwd: folder, env})
    if (ran.code !== 0) throw new Error(`${here}\n${ran.stdout}${ran.stderr}`)
    for (const line of command.trim().split('\n')) this.#played.add(line)
    return ran
  }

  #commands(heading: string, which: RegExp): readonly string[] {
    const all = this.#ground.blocks.filter(block => block.heading === heading && block.language === 'sh')
    const found = all.flatMap(({text}) => text.trim().split('\n')).filter(line => which.test(line))
    if (found.length === 0) throw new Error(`the page has no command ${String(which)} below "${heading}"`)
    return found
  }

  async #objects(): Promise<ReadonlyMap<string, Stored>> {
    const {stdout} = await this.#ground.kubernetes.kubectl(['get', 'configmaps,secrets,services', '-n', NAMESPACE, '-o', 'json'])
    const {items} = JSON.parse(stdout) as {items: readonly Stored[]}
    const own = items.filter(({metadata}) => !metadata.name.startsWith('sh.helm.') && metadata.name !== 'kube-root-ca.crt')
    return new Map(own.map(item => [`${item.kind}/${item.metadata.name}`, item]))
  }

  async #startServers(): Promise<void> {
    this.#servers = [
      await this.#startServer('Deployment/atlas2-controller', 'atlas2-controller-0', ownAddress()),
      await this.#startServer('StatefulSet/atlas2-ads', 'atlas2-ads-0', this.#ads),
    ]
  }

  async #stopServers(): Promise<void> {
    for (const server of this.#servers.splice(0).reverse()) await server.stop()
  }

  #writes(): readonly string[] {
    const {proxy} = this.#ground
    const writes = proxy.requests().filter(({method, path: at}) => method !== 'GET' && !at.includes('/leases'))
    proxy.reset()
    return writes.map(({method, path: at}) => `${method} ${at}`)
  }

  /** The pod's arguments, with the rights of its account. */
  async #startServer(workload: string, podName: string, address: string): Promise<Running> {
    const {kubernetes, proxy, supervisor, folder} = this.#ground
    const objects = await objectsOf({chart: 'atlas', release: 'atlas2', namespace: NAMESPACE})
    const pod = await openPod(objects, workload, {folder: path.join(folder, podName), address, podName})
    const {args, ...spec} = pod.command(process.execPath, podName)
    const kubeconfig = await proxy.kubeconfigOf(await kubernetes.serviceAccountKubeconfig(NAMESPACE, workload.split('/')[1] ?? ''))
    const env = {PATH: process.env['PATH'], HOME: '/nonexistent', KUBECONFIG: kubeconfig}
    const running = await supervisor.start({...spec, args: [atlasBin, ...args, ...times], env})
    await this.#until(`${podName} to be ready`, async () => (await fetch(`http://${address}:6309/readyz`)).ok)
    return running
  }

  async #startEnvoy(name: string, {address, port, names = this.#ads}: EnvoyPlace): Promise<Running> {
    const {supervisor, folder, undo} = this.#ground
    const output = path.join(folder, `new-${name}`)
    const dns = {host: ownAddress(), port: 1053}
    const server = await serveDns(dns, {suffix: 'svc.cluster.local', address: names})
    undo.push(server.close)
    const flags = [
      `--output ${output} --bind-address ${address} --local-address ${address}`,
      ...(port === undefined ? [] : [`--port 11901=${port}`]),
    ]
    await this.#run(`atlas cluster values ${name} --namespace ${NAMESPACE} --format bootstrap ${flags.join(' ')}`)
    const file = path.join(output, 'envoy.json')
    const bootstrap = JSON.parse(await readFile(file, 'utf8')) as object
    await writeFile(file, JSON.stringify({...bootstrap, typed_dns_resolver_config: resolverAt(dns)}))
    const args = ['-c', file, '--drain-time-s', '2', '--disable-hot-restart', '--concurrency', '1', '-l', 'warning']
    const running = await supervisor.start({name: `new-${name}`, program: await envoyProgram(), args})
    await this.#until(`the new Envoy of ${name} to be ready`, async () => isReady({socketPath: path.join(output, ADMIN_SOCKET)}))
    return running
  }

  async #until(what: string, holds: () => Promise<boolean> | boolean, seconds = 90): Promise<void> {
    const options = {signal: this.#ground.supervisor.crashed, timeoutMs: seconds * 1000, everyMs: 50}
    await waitFor(what, async () => ((await holds()) ? true : undefined), options)
  }
}

function resolverAt({host, port}: {readonly host: string; readonly port: number}): object {
  return {
    name: 'envoy.network.dns_resolver.cares',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig',
      resolvers: [{socket_address: {address: host, port_value: port, protocol: 'UDP'}}],
      dns_resolver_options: {no_default_search_domain: true},
    },
  }
}

/** Three contexts of one API server, and programs under the names in the page. */
async function environment(kubernetes: Kubernetes, folder: string): Promise<NodeJS.ProcessEnv> {
  const {server, ca, credential} = await readKubeconfig(kubernetes.kubeconfig)
  if (!('token' in credential)) throw new Error('the administrator has a token')
  const kubeconfig = path.join(folder, 'kubeconfig')
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{name: 'one', cluster: {server, 'certificate-authority-data': Buffer.from(ca).toString('base64')}}],
    users: [{name: 'admin', user: {token: credential.token}}],
    contexts: ['observability', 'downstream1', 'downstream2'].map(name => ({name, context: {cluster: 'one', user: 'admin'}})),
    'current-context': 'downstream1',
  }
  await writeFile(kubeconfig, dump(config), {mode: 0o600})
  const bin = path.join(folder, 'bin')
  await mkdir(bin, {recursive: true})
  for (const [name, text] of Object.entries(standIns())) {
    await writeFile(path.join(bin, name), `#!/bin/bash\n${text}`)
    await chmod(path.join(bin, name), 0o755)
  }

  return {
    KUBECONFIG: kubeconfig,
    HOME: folder,
    PATH: [bin, '/usr/bin', '/bin'].join(':'),
    ATLAS_STORE: undefined,
    ATLAS_NAMESPACE: undefined,
  }
}

/**
 * `helm`: charts come from this checkout instead of a registry; hooks need a kubelet and are skipped. `kubectl rollout status`: the object
 * must exist, and is not waited for.
 */
function standIns(): Readonly<Record<string, string>> {
  const [helm, kubectl] = [program('helm'), program('kubectl')]
  return {
    atlas: `exec ${process.execPath} ${atlasBin} "$@"\n`,
    helm: `set -eu
args=()
while [ $# -gt 0 ]; do
  case "$1" in
    oci://ghcr.io/goatlas-io/charts/*) args+=("${path.dirname(chartFolder('atlas'))}/\${1##*/}");;
    --version) shift;;
    *) args+=("$1");;
  esac
  shift
done
exec ${helm} "\${args[@]}" --no-hooks
`,
    kubectl: `set -eu
case " $* " in
  *' rollout status '*)
    args=()
    for word in "$@"; do case "$word" in rollout) args+=(get);; status|--timeout|5m) ;; *) args+=("$word");; esac; done
    exec ${kubectl} "\${args[@]}";;
  *) exec ${kubectl} "$@";;
esac
`,
  }
}
