/** Runs the Pods of a cluster as processes, and writes their status as a kubelet would: running, ready, succeeded. */
import path from 'node:path'
import {readFile, writeFile} from 'node:fs/promises'
import {dump, load} from 'js-yaml'
import type {ProgramSpec, Running, Supervisor} from '../../../../src/demo/lab/processes.js'
import type {HostPort} from '../../../../src/lib/model/address.js'
import {openPod, ownAddress} from '../../../charts/support/pod-process.js'
import type {Pod, PodSpec} from '../../../charts/support/rendered.js'
import {atlasBin} from '../../atlas.js'
import {envoyProgram} from '../../envoy-program.js'
import type {Kubernetes} from '../kubernetes.js'

export interface Pods {
  /** Starts new Pods, stops deleted ones, and probes the readiness of the others. */
  look(): Promise<void>
  /** The addresses of ready Pods with all these labels, with the port of a number or name. */
  endpoints(namespace: string, labels: Readonly<Record<string, string>>, port: number | string): readonly HostPort[]
}

interface Place {
  readonly folder: string
  readonly supervisor: Supervisor
  /** The name server of the cluster. */
  readonly names: HostPort
}

type LivePod = Pod & {
  readonly metadata: Pod['metadata'] & {readonly namespace: string; readonly uid: string; readonly deletionTimestamp?: string}
  readonly spec: PodSpec & {readonly restartPolicy: string; readonly serviceAccountName?: string}
  readonly status: {readonly phase: string}
}

interface Known {
  readonly pod: LivePod
  readonly address: string
  isReady: boolean
  running: Running | undefined
}

export function openPods(kubernetes: Kubernetes, place: Place): Pods {
  const known = new Map<string, Known>()

  async function look(): Promise<void> {
    const {body} = await kubernetes.request<{items: readonly LivePod[]}>('GET', '/api/v1/pods')
    const living = new Map(
      body.items
        .filter(({metadata}) => metadata.deletionTimestamp === undefined)
        // Objects of a list have no kind.
        .map(pod => [pod.metadata.uid, {...pod, kind: 'Pod' as const}]),
    )
    for (const [uid, one] of known) {
      if (living.has(uid)) continue
      known.delete(uid)
      // Not awaited, so that other Pods start meanwhile.
      void one.running?.stop(3000)
    }

    await Promise.all([...living].map(async ([uid, pod]) => (known.has(uid) ? probe(known.get(uid) as Known) : begin(uid, pod))))
  }

  async function begin(uid: string, pod: LivePod): Promise<void> {
    if (pod.status.phase !== 'Pending') return
    const {namespace} = pod.metadata
    const one: Known = {pod, address: ownAddress(), isReady: false, running: undefined}
    const data = await mounted(kubernetes, namespace, pod.spec)
    // While a Secret is missing the Pod waits, as on a real node.
    if (data === undefined) return
    known.set(uid, one)
    const spec = await commandOf(one, data)
    if (pod.spec.restartPolicy === 'Never') {
      void place.supervisor.run(spec).then(
        async ({code, stderr}) => report(one, code === 0 ? {phase: 'Succeeded'} : {phase: 'Failed', message: stderr}),
        () => undefined,
      )
      return
    }

    one.running = await place.supervisor.start(spec)
    await report(one, {phase: 'Running'})
  }

  async function probe(one: Known): Promise<void> {
    const asked = one.pod.spec.containers[0].readinessProbe?.httpGet
    if (one.running === undefined || asked === undefined) return
    const url = `http://${one.address}:${numberOf(asked.port, one.pod)}${asked.path}`
    const isReady = await fetch(url, {signal: AbortSignal.timeout(2000)}).then(
      ({ok}) => ok,
      () => false,
    )
    if (isReady === one.isReady) return
    one.isReady = isReady
    await report(one, {phase: 'Running'})
  }

  /** The status of a Pod, as a kubelet writes it. */
  async function report(
    {pod, address, isReady}: Known,
    {phase, message}: {readonly phase: string; readonly message?: string},
  ): Promise<void> {
    const {name, namespace} = pod.metadata
    const [container] = pod.spec.containers
    const now = new Date().toISOString().replace(/\.\d+/, '')
    const ended =
      phase === 'Running'
        ? undefined
        : {exitCode: Number(phase === 'Failed'), reason: phase === 'Failed' ? 'Error' : 'Completed', startedAt: now, finishedAt: now}
    const status = {
      phase,
      message,
      podIP: address,
      podIPs: [{ip: address}],
      startTime: now,
      conditions: ['Initialized', 'PodScheduled', 'ContainersReady', 'Ready'].map(type => ({
        type,
        status: type.includes('Ready') && !isReady ? 'False' : 'True',
        lastTransitionTime: now,
      })),
      containerStatuses: [
        {
          name: container.name,
          image: container.image,
          imageID: '',
          ready: isReady,
          started: true,
          restartCount: 0,
          state: ended === undefined ? {running: {startedAt: now}} : {terminated: ended},
        },
      ],
    }
    const at = `/api/v1/namespaces/${namespace}/pods/${name}/status`
    await kubernetes.request('PATCH', at, {status}, {contentType: 'application/merge-patch+json'})
  }

  /** The command. */
  async function commandOf({pod, address}: Known, data: Data): Promise<ProgramSpec> {
    const {name, namespace} = pod.metadata
    const folder = path.join(place.folder, `${namespace}-${name}`)
    const {command} = await openPod([pod], `Pod/${name}`, {folder, address, podName: name, data})
    if (pod.spec.containers[0].image.includes('envoy')) {
      await settle(path.join(folder, 'etc/atlas/envoy/config/envoy.yaml'), address, place.names)
      return command(await envoyProgram(), `${namespace}-${name}`)
    }

    const {args, ...spec} = command(process.execPath, `${namespace}-${name}`)
    const kubeconfig = await kubernetes.serviceAccountKubeconfig(namespace, pod.spec.serviceAccountName ?? 'default')
    return {...spec, args: [atlasBin, ...args], env: {PATH: process.env['PATH'], HOME: '/nonexistent', KUBECONFIG: kubeconfig}}
  }

  return {
    look,
    endpoints: (namespace, labels, port) =>
      [...known.values()]
        .filter(({pod, isReady}) => isReady && pod.metadata.namespace === namespace && carries(pod, labels))
        .map(({pod, address}) => ({host: address, port: numberOf(port, pod)})),
  }
}

function numberOf(port: number | string, {spec}: LivePod): number {
  return spec.containers[0].ports?.find(({name}) => name === port)?.containerPort ?? Number(port)
}

function carries({metadata}: LivePod, labels: Readonly<Record<string, string>>): boolean {
  return Object.entries(labels).every(([name, value]) => metadata.labels?.[name] === value)
}

type Data = Record<string, Readonly<Record<string, string>>>

/** The data of the Secrets and ConfigMaps in its volumes; undefined while a required one is missing. */
async function mounted(kubernetes: Kubernetes, namespace: string, {volumes = []}: PodSpec): Promise<Data | undefined> {
  const data: Data = {}
  for (const {configMap, secret, emptyDir} of volumes) {
    if (emptyDir !== undefined) continue
    const [kind, name] = configMap === undefined ? ['secrets', secret?.secretName ?? ''] : ['configmaps', configMap.name]
    const {status, body} = await kubernetes.request<{data?: Record<string, string>}>(
      'GET',
      `/api/v1/namespaces/${namespace}/${kind}/${name}`,
    )
    if (status !== 200 && (configMap ?? secret)?.optional !== true) return undefined
    if (status !== 200) continue
    const decode = (text: string): string => (kind === 'secrets' ? Buffer.from(text, 'base64').toString() : text)
    data[name] = Object.fromEntries(Object.entries(body.data ?? {}).map(([key, text]) => [key, decode(text)]))
  }

  return data
}

/** A pod has its own address and its cluster's name server; on one machine both must be passed as arguments. */
async function settle(file: string, address: string, {host, port}: HostPort): Promise<void> {
  const bootstrap = load((await readFile(file, 'utf8')).replaceAll('0.0.0.0', address)) as {node: {metadata: Record<string, string>}}
  bootstrap.node.metadata['atlas.bind_address'] = address
  const resolver = {
    name: 'envoy.network.dns_resolver.cares',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig',
      resolvers: [{socket_address: {address: host, port_value: port, protocol: 'UDP'}}],
      dns_resolver_options: {no_default_search_domain: true},
    },
  }
  await writeFile(file, dump({...bootstrap, typed_dns_resolver_config: resolver}))
}
