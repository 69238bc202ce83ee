/**
 * An installation in a namespace of a real API server: server replicas under the accounts and with the rights of chart `atlas`
 * (replica.ts), real Envoys and backends (scene.ts), and operators who work on it with kubectl or the command line.
 */
import type {Supervisor} from '../../src/demo/lab/processes.js'
import {waitFor} from '../../src/demo/lab/wait.js'
import {fetchReport} from '../../src/lib/cli/server-report.js'
import {dependencies} from '../../src/lib/cli/base-command.js'
import type {HostPort} from '../../src/lib/model/address.js'
import type {Fleet} from '../../src/lib/model/fleet.js'
import {type Owner, parseOwner} from '../../src/lib/model/names.js'
import {defaultStack, targetsOf} from '../../src/lib/model/stack.js'
import {addCluster} from '../../src/lib/ops/cluster/add.js'
import {type Choices, type InitOptions, init} from '../../src/lib/ops/init.js'
import {status} from '../../src/lib/ops/status.js'
import {openCluster} from '../../src/lib/store/open.js'
import type {ServerRole, StateStore} from '../../src/lib/store/store.js'
import {applyAll} from '../charts/support/apply.js'
import {objectsOf} from '../charts/support/rendered.js'
import {atlas} from '../helpers/atlas.js'
import type {Ran} from '../helpers/ran.js'
import type {Kubernetes, RunOptions} from '../helpers/kubernetes/kubernetes.js'
import {type Replica, makeReplica} from './replica.js'
import {type Member, type Registration, type Scene, type SceneOptions, type Stage, openStage, settingsFor} from './scene.js'

export interface InstallationOptions extends SceneOptions {
  readonly kubernetes: Kubernetes
  /** How many replicas serve Envoys: `atlas-ads-0` and so on, the names in chart `atlas`. */
  readonly ads: number
  /** How many stand for election: `controller-0` and so on. */
  readonly controllers: number
  readonly settings?: Choices
  /** `atlas serve --time`, of every replica. */
  readonly times?: Readonly<Record<string, string>>
  /** Brings what `init` takes as the root; by default it makes one. */
  readonly bringRoot?: (namespace: string) => Promise<InitOptions>
}

export interface Installation
  extends Scene, Namespace, Pick<Stage, 'close' | 'join' | 'makeEnvoy' | 'onClose' | 'requestFor' | 'spareAddress' | 'startProcess'> {
  readonly ads: readonly Replica[]
  readonly controllers: readonly Replica[]
  /** The leader. */
  leader(): Promise<Replica>
  /** Makes another replica and does not start it. */
  another(name: string, role: ServerRole): Replica
  /** Registers a cluster, or changes its registration, and waits until the leader has processed it. */
  register(name: string, registration?: Registration): Promise<void>
  /** Registers a cluster and starts its backends and its Envoy. */
  enter(name: string, registration?: Registration): Promise<Member>
}

/** A namespace, and operators who work on it. */
export interface Namespace {
  readonly kubernetes: Kubernetes
  readonly namespace: string
  /** A kubeconfig of an operator with Role atlas-cluster-admin and no other right. */
  readonly person: string
  /** `atlas …args` on this namespace, by default as the administrator. */
  run(args: readonly string[], kubeconfig?: string): Promise<Ran>
  /** @returns its stdout @throws Error with its output when it fails */
  kubectl(args: readonly string[], options?: RunOptions): Promise<string>
  /** Reads an object such as `services/paris`; undefined where there is none. */
  get<T = StoredJson>(path: string): Promise<T | undefined>
  fleet(): Promise<Fleet>
}

export interface StoredJson {
  readonly metadata: {
    readonly name: string
    readonly uid: string
    readonly resourceVersion: string
    readonly labels?: Readonly<Record<string, string>>
    readonly annotations?: Readonly<Record<string, string>>
  }
  readonly data?: Readonly<Record<string, string>>
  readonly spec?: Readonly<Record<string, unknown>>
}

/** Starts everything and waits until each Envoy is ready. */
export async function openInstallation(options: InstallationOptions): Promise<Installation> {
  const {kubernetes} = options
  const namespace = await kubernetes.newNamespace('operators')
  const store = await openCluster({cluster: {kubeconfig: kubernetes.kubeconfig, namespace}, secrets: 'all'})
  const stage = await openStage(options, () => store)
  stage.onClose(() => {
    store.close()
  })
  try {
    return await start(options, {stage, store, namespace})
  } catch (error) {
    await stage.close()
    throw error
  }
}

/** Exactly the rights that chart `atlas` grants its accounts. */
export async function applyRights(kubernetes: Kubernetes, namespace: string, ads: number): Promise<void> {
  const set = [`ads.replicas=${ads}`, 'clusterAdmins[0].kind=User', 'clusterAdmins[0].name=kim']
  const objects = await objectsOf({chart: 'atlas', ci: 'default', namespace, set})
  const kinds = new Set(['Role', 'RoleBinding', 'ServiceAccount'])
  await applyAll(
    kubernetes,
    objects.filter(({kind}) => kinds.has(kind)),
  )
}

export interface Servers {
  /** All replicas that were made. */
  readonly replicas: readonly Replica[]
  /** Makes another one and does not start it. */
  another(name: string, role: ServerRole): Replica
}

/** Server replicas of a namespace, each under the account that chart `atlas` gives to its role; `all` is the administrator's. */
export async function openServers(
  kubernetes: Kubernetes,
  namespace: string,
  {address, ...making}: {readonly address: string; readonly supervisor: Supervisor; readonly times: Readonly<Record<string, string>>},
): Promise<Servers> {
  const accounts = {
    ads: await kubernetes.serviceAccountKubeconfig(namespace, 'atlas-ads'),
    controller: await kubernetes.serviceAccountKubeconfig(namespace, 'atlas-controller'),
    all: kubernetes.kubeconfig,
  }
  const replicas: Replica[] = []
  return {
    replicas,
    another(name, role) {
      const at = (port: number): HostPort => ({host: address, port: port + 10 * replicas.length})
      const replica = makeReplica({name, role, namespace, listen: at(6305), admin: at(6309), accounts, ...making})
      replicas.push(replica)
      return replica
    },
  }
}

/** @param store the administrator's */
export async function openNamespace(kubernetes: Kubernetes, namespace: string, store: StateStore): Promise<Namespace> {
  return {
    kubernetes,
    namespace,
    person: await kubernetes.userKubeconfig('kim', {namespace}),
    fleet: async () => store.load(),
    run: async (args, kubeconfig = kubernetes.kubeconfig) => atlas(...args, '--kubeconfig', kubeconfig, '--namespace', namespace),
    async kubectl(args, how) {
      const {code, stdout, stderr} = await kubernetes.kubectl(['--namespace', namespace, ...args], how)
      if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`)
      return stdout
    },
    async get<T>(path: string) {
      const root = path.startsWith('leases/') ? '/apis/coordination.k8s.io/v1' : '/api/v1'
      const {status, body} = await kubernetes.request<T>('GET', `${root}/namespaces/${namespace}/${path}`)
      return status === 404 ? undefined : body
    },
  }
}

interface Ground {
  readonly stage: Stage
  readonly store: StateStore
  readonly namespace: string
}

async function start(options: InstallationOptions, {stage, store, namespace}: Ground): Promise<Installation> {
  const {kubernetes, times = {}} = options
  const {address, supervisor} = stage
  await applyRights(kubernetes, namespace, options.ads)
  const {replicas, another} = await openServers(kubernetes, namespace, {address, supervisor, times})
  const ads = Array.from({length: options.ads}, (_, index) => another(`atlas-ads-${index}`, 'ads'))
  const controllers = Array.from({length: options.controllers}, (_, index) => another(`controller-${index}`, 'controller'))
  const ports = ads.map(({listen}) => listen.port)
  const brought = await options.bringRoot?.(namespace)
  await init(store, settingsFor(address, ports, options.settings), dependencies, brought)
  await Promise.all([...controllers, ...ads].map(async replica => replica.start()))

  const issued = async (owner: Owner): Promise<void> => {
    const probe = async (): Promise<true | undefined> => ((await store.load()).credentials.has(owner) ? true : undefined)
    await waitFor(`the credential of ${owner}`, probe, {signal: supervisor.crashed, timeoutMs: 60_000, everyMs: 30})
  }
  await issued('atlas')
  const observability = await stage.makeObservability()

  const installation: Installation = {
    ...stage,
    ...(await openNamespace(kubernetes, namespace, store)),
    store,
    ads,
    controllers,
    observability,
    another,
    crashed: supervisor.crashed,
    servers: () => replicas.map(({name}) => name),
    status: async () => status(store, fetchReport, {admin: undefined, now: dependencies.now()}),

    async leader() {
      const lease = await installation.get<{spec: {holderIdentity?: string}}>('leases/atlas')
      const holder = lease?.spec.holderIdentity ?? ''
      const found = replicas.find(({name}) => holder.startsWith(`${name}_`))
      if (found === undefined) throw new Error(`nobody leads; the Lease is held by "${holder}"`)
      return found
    },

    async register(name, registration = {}) {
      const input = {request: stage.requestFor(name, registration), defaults: targetsOf(defaultStack)}
      await addCluster(store, name, input, dependencies, {waitMs: 60_000})
    },

    async enter(name, registration = {}) {
      await installation.register(name, registration)
      await issued(parseOwner(name))
      return stage.join(name, registration.replicas)
    },
  }

  await observability.start()
  for (const name of options.clusters) await installation.enter(name)
  await observability.untilReady()
  for (const {envoy} of stage.members.values()) await envoy.untilReady()
  return installation
}

/** The registration of a cluster as an operator writes it. */
export function registrationOf({requestFor}: Installation, name: string, annotations: Readonly<Record<string, string>> = {}): string {
  const {addresses = [], services} = requestFor(name)
  const standard = {
    'goatlas.io/addresses': addresses.map(({host}) => host).join(','),
    'goatlas.io/thanos-service': services?.thanos?.host ?? '',
    'goatlas.io/thanos-service-port': String(services?.thanos?.port),
    'goatlas.io/prometheus-service': 'prometheus.monitoring.svc.cluster.local',
    'goatlas.io/alertmanager-service': 'alertmanager.monitoring.svc.cluster.local',
  }
  const metadata = {name, labels: {'goatlas.io/cluster': ''}, annotations: {...standard, ...annotations}}
  return JSON.stringify({apiVersion: 'v1', kind: 'Service', metadata, spec: {clusterIP: 'None', ports: [{name: 'thanos', port: 10_901}]}})
}
