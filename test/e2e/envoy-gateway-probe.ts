/**
 * Runs inside a network of its own (envoy-gateway.long.test.ts), since Envoy Gateway and its Envoy listen on all addresses: a real Envoy
 * Gateway reads a real API server, and the Envoy that it configures is the only way between cluster paris and the rest of the network.
 * No kubelet runs Pods, so this script starts that Envoy, with the arguments and files of its Deployment; and the Services have
 * EndpointSlices of this script, of type FQDN, since an API server accepts no loopback address in the others.
 */
import {execFile} from 'node:child_process'
import {once} from 'node:events'
import {copyFile, mkdir, writeFile} from 'node:fs/promises'
import http from 'node:http'
import path from 'node:path'
import {promisify} from 'node:util'
import {serveDns} from '../../src/demo/lab/dns.js'
import {dependencies} from '../../src/lib/cli/base-command.js'
import {type HostPort, parseAddresses} from '../../src/lib/model/address.js'
import {defaultStack, targetsOf} from '../../src/lib/model/stack.js'
import {addCluster} from '../../src/lib/ops/cluster/add.js'
import {init} from '../../src/lib/ops/init.js'
import {applyAll} from '../charts/support/apply.js'
import {type KubernetesObject, type PodTemplate, objectsOf} from '../charts/support/rendered.js'
import {envoyProgram} from '../helpers/envoy-program.js'
import {type PageAnswer, ask, serveRecording} from '../helpers/http1.js'
import {startCluster} from '../helpers/kubernetes/cluster.js'
import {installCrds} from '../helpers/kubernetes/crds.js'
import {openKubernetes} from '../helpers/kubernetes/kubernetes.js'
import {program} from '../helpers/kubernetes/programs.js'
import {call, proxyIn, until, untilSynced} from './look.js'
import {openNetwork} from './network.js'

/** What the test passes to this script. */
export interface Given {
  /** The Gateways and routes of docs/how-to/expose.md. */
  readonly printed: readonly KubernetesObject[]
}

/** What this script has seen, in this order: each step needs those before. */
export type Seen =
  | {readonly step: 'alert'; readonly sender: unknown; readonly path: string}
  | {readonly step: 'call'; readonly grpcStatus: number | undefined}
  | {readonly step: 'configuration'; readonly state: string | undefined}
  | {readonly step: 'page'; readonly page: string; readonly start: string; readonly slow: number; readonly elsewhere: number}

/** The namespace of Envoy Gateway. */
const SYSTEM = 'envoy-gateway-system'
/** As ci/pages-values.yaml has it. */
const DOMAIN = 'web.example.com'
/** Where the Envoys of the Gateways listen for their ports 443 and 80: Envoy Gateway adds 10,000 to a port below 1,024. */
const [TLS_PORT, PAGES_PORT] = [10_443, 10_080]
const controllerName = 'gateway.envoyproxy.io/gatewayclass-controller'
const gatewayClass = {
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'GatewayClass',
  metadata: {name: 'example'},
  spec: {controllerName},
} as unknown as KubernetesObject
const webGateway: KubernetesObject = {
  apiVersion: gatewayClass.apiVersion,
  kind: 'Gateway',
  metadata: {name: 'web', namespace: 'atlas'},
  spec: {gatewayClassName: 'example', listeners: [{name: 'http', port: 80, protocol: 'HTTP'}]},
}
const serviceOfEnvoy: KubernetesObject = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: {name: 'atlas-envoy', namespace: 'atlas-envoy'},
  spec: {
    clusterIP: 'None',
    ports: [
      {name: 'thanos', port: 11_901},
      {name: 'prometheus', port: 11_904},
    ],
  },
}
const alerts = {method: 'POST', headers: {'content-type': 'application/json'}, body: '[{"labels":{"alertname":"x"}}]'}
/** Seconds. */
const LIMIT = 90

const say = (seen: Seen): void => void process.stdout.write(`${JSON.stringify(seen)}\n`)

/** Envoys of Gateways that were started. */
let proxies = 0

const {printed} = JSON.parse(process.argv[2] ?? '') as Given
const names = await serveDns({host: '127.0.0.1', port: 53}, {suffix: 'svc.cluster.local', address: '127.0.0.1'})
// In a network without routes the API server finds no address to advertise.
const cluster = await startCluster({apiServerArgs: ['--advertise-address=192.0.2.1']})
const kubernetes = openKubernetes(cluster)
/** Every address that nothing else listens on is the Gateway's. */
const gateway = '127.99.0.1'
const network = await openNetwork({clusters: [], spare: 1, settings: {webDomain: DOMAIN, addresses: parseAddresses(gateway)}})
try {
  await play()
} finally {
  await network.close()
  await cluster.end()
  await names.close()
}

async function play(): Promise<void> {
  await installCrds(kubernetes)
  for (const name of [SYSTEM, 'atlas', 'atlas-envoy']) await kubernetes.request('POST', '/api/v1/namespaces', {metadata: {name}})
  const objects = await objectsOf({chart: 'atlas', ci: 'pages', set: ['service.external.type=ClusterIP']})
  const ofChart = (...wanted: readonly string[]): readonly KubernetesObject[] =>
    objects.filter(({kind, metadata}) => wanted.includes(`${kind} ${metadata.name}`) || wanted.includes(kind))
  await applyAll(kubernetes, [...ofChart('Service atlas-internal', 'Service atlas-external', 'HTTPRoute'), serviceOfEnvoy, gatewayClass])
  await endpointsOf('atlas', 'atlas-internal', network.address)
  await endpointsOf('atlas', 'atlas-external', network.address)
  await startEnvoyGateway()

  await applyAll(
    kubernetes,
    printed.filter(({metadata}) => metadata.namespace === 'atlas'),
  )
  await startProxy('atlas')
  const paris = await network.join('paris', {address: gateway})
  await endpointsOf('atlas-envoy', 'atlas-envoy', paris.address)
  await untilSynced(network, ['paris'], LIMIT)
  say({step: 'configuration', state: (await proxyIn(network, 'paris'))?.state})

  const at = {host: network.spareAddress(0), port: 9093}
  const alertmanager = await serveRecording(at, 'an Alertmanager')
  network.onClose(alertmanager.close)
  await init(network.store, {alertmanagers: [at]}, dependencies)
  const sends = async () => ask({host: paris.address, port: 10_903}, '/am/alertmanager0/api/v2/alerts', alerts)
  await until(network, 'the way of alerts', async () => (await sends()).status === 200, LIMIT)
  const {path: sentTo = '', headers = {}} = alertmanager.requests.at(-1) ?? {}
  say({step: 'alert', sender: headers['x-atlas-sender'], path: sentTo})

  await applyAll(kubernetes, printed.filter(({metadata}) => metadata.namespace === 'atlas-envoy').flatMap(withPages))
  await startProxy('downstream')
  const page = {host: network.spareAddress(0), port: 9090}
  network.onClose(await servePage(page, 'the page of paris'))
  const request = {
    addresses: parseAddresses(gateway),
    ports: new Map([[11_901 as const, TLS_PORT]]),
    services: {prometheus: page},
    pages: {allowLocalTargets: true},
  }
  await addCluster(network.store, 'paris', {request, defaults: targetsOf(defaultStack)}, dependencies)
  const isLedThrough = async (): Promise<boolean> => {
    const clusters = await network.observability.page('/clusters')
    return clusters.includes(`${gateway}:${TLS_PORT}::health_flags::healthy`) && (await call(network, 'paris')).grpcStatus === 0
  }
  await until(network, 'a call by way of the TLSRoute', isLedThrough, LIMIT)
  say({step: 'call', grpcStatus: (await call(network, 'paris')).grpcStatus})

  await applyAll(kubernetes, [webGateway])
  await startProxy('web')
  const pageOf = async (host: string): Promise<PageAnswer> => ask({host: gateway, port: PAGES_PORT}, '/', {headers: {host}})
  const isThere = async (): Promise<boolean> => (await pageOf(`paris.prom.${DOMAIN}`)).status === 200
  await until(network, 'the page', async () => isThere().catch(() => false), LIMIT)
  say({
    step: 'page',
    page: (await pageOf(`paris.prom.${DOMAIN}`)).body,
    start: (await pageOf(DOMAIN)).body,
    slow: await slowStatus(`paris.prom.${DOMAIN}`),
    elsewhere: (await pageOf(`paris.other.${DOMAIN}`)).status,
  })
}

/** Answers `/slow` later than Envoy waits for an answer by default, which is 15 s. @returns how to close it */
async function servePage({host, port}: HostPort, body: string): Promise<() => void> {
  const server = http.createServer(({url}, response) => {
    setTimeout(() => response.end(body), url === '/slow' ? 17_000 : 0)
  })
  server.listen(port, host)
  await once(server, 'listening')
  return () => {
    server.closeAllConnections()
    server.close()
  }
}

async function slowStatus(host: string): Promise<number> {
  const request = http.get({host: gateway, port: PAGES_PORT, path: '/slow', headers: {host}, agent: false})
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  response.resume()
  return response.statusCode ?? 0
}

/** As docs/how-to/expose.md says, the Gateway needs a listener of its own, with a route, for each port of web pages. */
function withPages(object: KubernetesObject): readonly KubernetesObject[] {
  const [name, port] = ['prometheus', 11_904]
  if (object.kind === 'Gateway') {
    const {listeners} = object.spec as unknown as {listeners: readonly [object]}
    return [{...object, spec: {...object.spec, listeners: [...listeners, {...listeners[0], name, port}]}}]
  }
  const backend = {backendRefs: [{name: 'atlas-envoy', port}]}
  const spec = {...object.spec, parentRefs: [{name: 'downstream', sectionName: name}], rules: [backend]}
  return [object, {...object, metadata: {...object.metadata, name: `paris-${name}`}, spec}]
}

/** Envoy Gateway reads its certificate at /certs alone, so it has a root of its own, as in its image. */
async function startEnvoyGateway(): Promise<void> {
  const root = path.join(network.folder, 'envoy-gateway')
  for (const folder of ['certs', 'tmp']) await mkdir(path.join(root, folder), {recursive: true})
  await copyFile(program('envoy-gateway'), path.join(root, 'envoy-gateway'))
  await copyFile(kubernetes.kubeconfig, path.join(root, 'kubeconfig'))
  const provider = {type: 'Kubernetes', kubernetes: {leaderElection: {disable: true}, proxyTopologyInjector: {disable: true}}}
  const configuration = {apiVersion: 'gateway.envoyproxy.io/v1alpha1', kind: 'EnvoyGateway', gateway: {controllerName}, provider}
  await writeFile(path.join(root, 'configuration.yaml'), JSON.stringify(configuration))
  const env = {...process.env, ENVOY_GATEWAY_NAMESPACE: SYSTEM}
  const certgen = ['certgen', '--disable-topology-injector']
  await promisify(execFile)(program('envoy-gateway'), certgen, {env: {...env, KUBECONFIG: kubernetes.kubeconfig}})
  await writeAll(path.join(root, 'certs'), await dataOf('secrets', 'envoy-gateway'))
  await network.startProcess({
    name: 'envoy-gateway',
    program: 'chroot',
    args: [root, '/envoy-gateway', 'server', '--config-path', '/configuration.yaml'],
    // chroot is where PATH does not lead everywhere.
    env: {...env, KUBECONFIG: '/kubeconfig', PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`},
  })
}

interface Deployment {
  readonly metadata: {readonly name: string}
  readonly spec: {readonly template: PodTemplate}
}

/** Starts the Envoy of a Gateway. All Envoys are in one network here, so each has ports of its own for what is not the Gateway's. */
async function startProxy(name: string): Promise<void> {
  const query = `labelSelector=gateway.envoyproxy.io%2Fowning-gateway-name%3D${name}`
  const found = async () =>
    (await kubernetes.request<{items: readonly Deployment[]}>('GET', `/apis/apps/v1/namespaces/${SYSTEM}/deployments?${query}`)).body
      .items[0]
  await until(network, `the Deployment of Gateway ${name}`, async () => (await found()) !== undefined, LIMIT)
  const deployment = (await found()) as Deployment
  const folder = path.join(network.folder, `gateway-${name}`)
  await writeAll(path.join(folder, 'certs'), await dataOf('secrets', 'envoy'))
  await writeAll(path.join(folder, 'sds'), await dataOf('configmaps', deployment.metadata.name), text =>
    text.replaceAll('/certs/', `${folder}/certs/`),
  )
  const own = (text: string): string =>
    text
      .replaceAll('/sds/', `${folder}/sds/`)
      .replaceAll('$(ENVOY_POD_NAME)', `${name}-0`)
      .replaceAll('$(ENVOY_SERVICE_ZONE)', '')
      .replaceAll(/port_value: 1900([013])/g, (_, digit) => `port_value: 19${proxies}0${digit}`)
  proxies += 1
  const envoy = deployment.spec.template.spec.containers.find(each => each.name === 'envoy')
  if (envoy === undefined) throw new Error(`no container envoy in ${JSON.stringify(deployment)}`)
  await network.startProcess({
    name: `gateway-${name}`,
    program: await envoyProgram(),
    args: [...envoy.args.map(own), '--disable-hot-restart'],
    cwd: folder,
  })
}

async function dataOf(kind: 'configmaps' | 'secrets', name: string): Promise<Readonly<Record<string, string>>> {
  const {body} = await kubernetes.request<{data: Record<string, string>}>('GET', `/api/v1/namespaces/${SYSTEM}/${kind}/${name}`)
  if (kind === 'configmaps') return body.data
  return Object.fromEntries(Object.entries(body.data).map(([key, text]) => [key, Buffer.from(text, 'base64').toString()]))
}

async function writeAll(folder: string, data: Readonly<Record<string, string>>, change = (text: string): string => text): Promise<void> {
  await mkdir(folder, {recursive: true})
  for (const [name, text] of Object.entries(data)) await writeFile(path.join(folder, name), change(text), {mode: 0o600})
}

/** What the endpointslice controller makes of a Service and its ready Pods. */
async function endpointsOf(namespace: string, service: string, address: string): Promise<void> {
  interface Service {
    readonly spec: {readonly ports: readonly {readonly name: string; readonly port: number}[]}
  }
  const {body: found} = await kubernetes.request<Service>('GET', `/api/v1/namespaces/${namespace}/services/${service}`)
  const {status, body} = await kubernetes.request('POST', `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`, {
    metadata: {name: `${service}-test`, labels: {'kubernetes.io/service-name': service}},
    addressType: 'FQDN',
    ports: found.spec.ports.map(({name, port}) => ({name, port, protocol: 'TCP'})),
    endpoints: [{addresses: [address], conditions: {ready: true}}],
  })
  if (status !== 201) throw new Error(JSON.stringify(body))
}
