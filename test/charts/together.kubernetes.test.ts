/**
 * Both charts together: the programs of their pods run as processes with the rendered arguments and files and the rights of the
 * rendered accounts, on a real API server, from an empty namespace to a request through both Envoys.
 */
import {readFile, writeFile} from 'node:fs/promises'
import path from 'node:path'
import tls from 'node:tls'
import {expect} from 'chai'
import {dump, load} from 'js-yaml'
import {serveDns} from '../../src/demo/lab/dns.js'
import {openSupervisor, type Running, type Supervisor} from '../../src/demo/lab/processes.js'
import {waitFor} from '../../src/demo/lab/wait.js'
import type {HostPort} from '../../src/lib/model/address.js'
import {SecretText} from '../../src/lib/model/secret.js'
import {atlasBin, inFolder} from '../helpers/atlas.js'
import {envoyProgram} from '../helpers/envoy-program.js'
import {serveEcho, thanosCall, visit} from '../helpers/http2.js'
import type {Kubernetes} from '../helpers/kubernetes/kubernetes.js'
import {sharedKubernetes} from '../helpers/kubernetes/shared.js'
import {applyAll, removeServices} from './support/apply.js'
import {openPod, ownAddress, type PodProcess} from './support/pod-process.js'
import {type Chart, type KubernetesObject, chartFolder, helmAlone, objectsOf, valueArgs} from './support/rendered.js'

interface Stage {
  readonly kubernetes: Kubernetes
  readonly namespace: string
  readonly folder: string
  readonly supervisor: Supervisor
  readonly objects: readonly KubernetesObject[]
}

describe('the charts together', function () {
  this.timeout(300_000)

  it('start in an empty namespace, accept a cluster that an operator without a right to any key adds, and route its requests', async () => {
    const kubernetes = await sharedKubernetes()
    const namespace = await kubernetes.newNamespace('together')
    const thanos = await kubernetes.newNamespace('thanos')
    const [observability, downstream] = [ownAddress(), ownAddress()]
    const set = [
      `addresses={${observability}}`,
      `envoy.bindAddress=${observability}`,
      `thanosNamespace=${thanos}`,
      'clusterAdmins[0].kind=User',
      'clusterAdmins[0].name=kim',
    ]
    const objects = await objectsOf({chart: 'atlas', ci: 'default', namespace, set})
    await inFolder(async folder => {
      const supervisor = await openSupervisor(folder, {removeFolder: true})
      const stage = {kubernetes, namespace, folder, supervisor, objects}
      const sidecar = await serveEcho({host: downstream, port: 0}, 'sidecar')
      const names = {host: ownAddress(), port: 1053}
      const ads = ownAddress()
      const dns = await serveDns(names, {suffix: 'svc.cluster.local', address: ads})
      try {
        await applyAll(
          kubernetes,
          objects.filter(({kind}) => kind !== 'Job' && kind !== 'Pod'),
        )
        // Of one right of each account the others follow: its Role and RoleBinding are known.
        for (const [account, verb, resource] of [
          ['init', 'create', 'secrets'],
          ['ads', 'list', 'services'],
          ['controller', 'create', 'secrets'],
        ] as const)
          await kubernetes.untilAllowed(await kubernetes.serviceAccountKubeconfig(namespace, `atlas-${account}`), verb, resource)
        await init(stage)
        const servers = await Promise.all([
          startServer(stage, 'StatefulSet/atlas-ads', 'atlas-ads-0', ads),
          startServer(stage, 'Deployment/atlas-controller', 'atlas-controller-5f-x1', ownAddress()),
        ])
        await startEnvoy(stage, objects, {pod: 'atlas-envoy-6d-x1', address: observability, secret: 'atlas-envoy-ads', names})

        const kim = await kubernetes.userKubeconfig('kim', {namespace})
        await atlas(stage, kim, ['cluster', 'add', 'paris', '--address', downstream, '--thanos', `${downstream}:${sidecar.port}`])
        const values = await until(stage, 'the values of paris', async () =>
          atlas(stage, kubernetes.kubeconfig, ['cluster', 'values', 'paris']),
        )
        const paris = await objectsOf({chart: 'envoy', values, set: [`bindAddress=${downstream}`], release: 'paris', namespace})
        await startEnvoy(stage, paris, {pod: 'paris-envoy-7b-x1', address: downstream, secret: 'paris-envoy-ads', names})

        const authority = `paris-thanos-sidecar0.${namespace}.svc.cluster.local:10901`
        const answer = await until(stage, 'an answer of the sidecar', async () => {
          const {status, headers} = await visit({host: observability, port: 10_901}, {authority, ...thanosCall})
          return status === 200 ? headers['x-answered-by'] : undefined
        })
        expect(answer).to.equal('sidecar')

        // Thanos Query finds it by a Service that selects the chart's pods, and by a file in its own namespace.
        const service = await kubernetes.request<{spec: object}>('GET', `/api/v1/namespaces/${namespace}/services/paris-thanos-sidecar0`)
        expect(service.body.spec).to.deep.include({selector: {'goatlas.io/envoy': 'observability'}, clusterIP: 'None'})
        const endpoints = await kubernetes.request<{data: object}>('GET', `/api/v1/namespaces/${thanos}/configmaps/atlas-thanos-endpoints`)
        expect(JSON.stringify(endpoints.body.data)).to.include(authority)

        await untilPrintedPortsAnswer(stage, {observability, downstream})
        await switchedToTls(stage, {host: observability, port: 10_901}, authority)

        // The pod of `helm test`, with its account.
        const {code, stdout, stderr} = await runAtlas(stage, 'Pod/atlas-test', 'atlas-test')
        expect(code, stderr).to.equal(0)
        expect(stdout).to.include('paris')
        for (const server of servers) expect(await readFile(server.log, 'utf8'), server.name).to.not.match(/"level":"(warn|error|fatal)"/)
      } finally {
        await dns.close()
        sidecar.close()
        await supervisor.stopAll(3000)
        await removeServices(kubernetes, namespace)
      }
    })
  })
})

/** `cluster show`, the notes of both charts and README.md name ports of Envoys: something answers at each of them. */
async function untilPrintedPortsAnswer(
  stage: Stage,
  {observability, downstream}: Record<'downstream' | 'observability', string>,
): Promise<void> {
  const shown = portsIn(await atlas(stage, stage.kubernetes.kubeconfig, ['cluster', 'show', 'paris']))
  expect(shown).to.deep.equal(ports.slice(5))
  const texts = [
    await notesOf('atlas', 'default'),
    await notesOf('envoy', 'nodeport'),
    await readFile(new URL('../../README.md', import.meta.url), 'utf8'),
  ]
  for (const text of texts) expect(portsIn(text), text).to.have.length.at.least(3)
  expect([...new Set([...shown, ...texts.flatMap(text => portsIn(text))])].sort((a, b) => a - b)).to.deep.equal(ports)
  for (const port of ports) {
    const hosts = port === 10_903 ? [observability, downstream] : [port < 11_000 ? observability : downstream]
    for (const host of hosts)
      await until(stage, `an answer at ${host}:${port}`, async () => ((await isAnswered({host, port})) ? true : undefined))
  }
}

/** All ports of Envoys for other programs. */
const ports: readonly number[] = [10_900, 10_901, 10_902, 10_903, 10_904, 11_901, 11_902, 11_903, 11_904]

async function notesOf(chart: Chart, ci: string): Promise<string> {
  const {code, stdout, stderr} = await helmAlone(['install', 'x', chartFolder(chart), '--dry-run=client', ...valueArgs({chart, ci})])
  expect(code, stderr).to.equal(0)
  return stdout.slice(stdout.indexOf('NOTES:'))
}

/** The ports of Envoys that a text names, one by one or as the first and the last of several, in order. */
function portsIn(text: string): readonly number[] {
  const ranges = [...text.matchAll(/(?<![\d.])(1[01]90\d)(?:(?:-| to\s+)(1[01]90\d))?(?!\d)/g)]
  const ports = ranges.flatMap(([, first, last = first]) =>
    Array.from({length: Number(last) - Number(first) + 1}, (_, index) => Number(first) + index),
  )
  return [...new Set(ports)].sort((a, b) => a - b)
}

/** Whether a port answers an HTTP request, or shows a certificate in a TLS handshake. */
async function isAnswered(at: HostPort): Promise<boolean> {
  const hasCertificate = await new Promise<boolean>(resolve => {
    const socket = tls.connect({...at, rejectUnauthorized: false, ALPNProtocols: ['h2']})
    const end = (found: boolean) => () => {
      socket.destroy()
      resolve(found)
    }
    socket.once('secureConnect', end(true)).once('error', end(false)).once('close', end(false))
  })
  if (hasCertificate) return true
  return visit(at, {authority: 'any'}).then(
    () => true,
    () => false,
  )
}

/** Names a client and removes it again: the certificate in its Secret is accepted meanwhile, and plaintext is refused. */
async function switchedToTls(stage: Stage, door: HostPort, authority: string): Promise<void> {
  const {kubernetes, namespace} = stage
  const secret = async () =>
    kubernetes.request<{type: string; data: Record<string, string>}>('GET', `/api/v1/namespaces/${namespace}/secrets/atlas-client-thanos`)
  const told = async (...args: string[]) => atlas(stage, kubernetes.kubeconfig, ['init', ...args])
  await told('--client', 'thanos')
  const {type, data} = await until(stage, 'Secret atlas-client-thanos', async () => {
    const {status, body} = await secret()
    return status === 200 ? body : undefined
  })
  expect(type).to.equal('kubernetes.io/tls')
  const text = (key: string): string => Buffer.from(data[key] ?? '', 'base64').toString()
  const shows = {certificate: text('tls.crt'), key: new SecretText(text('tls.key'))}
  const tls = {shows, ca: [text('ca.crt')], servername: authority.replace(/:.*/, '')}

  await told('--internal-tls', '10901')
  const answer = await until(stage, 'an answer over mutual TLS', async () => {
    const {status, headers} = await visit(door, {authority, tls, ...thanosCall})
    return status === 200 ? headers['x-answered-by'] : undefined
  })
  expect(answer).to.equal('sidecar')
  await until(stage, 'plaintext to be refused', async () =>
    visit(door, {authority, ...thanosCall}).then(
      () => undefined,
      () => true as const,
    ),
  )

  await told('--client', 'partner')
  await until(stage, 'the Secret to be gone', async () => ((await secret()).status === 404 ? true : undefined))
  await until(stage, 'the client to be refused', async () =>
    visit(door, {authority, tls, ...thanosCall}).then(
      () => undefined,
      () => true as const,
    ),
  )
}

async function init(stage: Stage): Promise<void> {
  const {code, stderr} = await runAtlas(stage, 'Job/atlas-init', 'atlas-init')
  expect(code, stderr).to.equal(0)
  // As at every upgrade.
  expect(await runAtlas(stage, 'Job/atlas-init', 'atlas-init')).to.include({code: 0})
}

/** Runs a pod of the image to its end. */
async function runAtlas(stage: Stage, workload: string, account: string) {
  const pod = await openPod(stage.objects, workload, {folder: stage.folder, address: ownAddress(), podName: account})
  return stage.supervisor.run(await asImage(stage, pod, account, account))
}

async function startServer(stage: Stage, workload: string, podName: string, address: string): Promise<Running> {
  const account = workload.split('/')[1] ?? ''
  const pod = await openPod(stage.objects, workload, {folder: stage.folder, address, podName})
  const running = await stage.supervisor.start(await asImage(stage, pod, podName, account))
  await until(stage, `${podName} to be ready`, async () => ((await fetch(`http://${address}:6309/readyz`)).ok ? true : undefined))
  return running
}

/** The image's entry point is `node bin/run.js`; a kubelet would mount the account's token, which is in a kubeconfig here. */
async function asImage({kubernetes, namespace}: Stage, pod: PodProcess, name: string, account: string) {
  const {args, ...spec} = pod.command(process.execPath, name)
  const kubeconfig = await kubernetes.serviceAccountKubeconfig(namespace, account)
  return {...spec, args: [atlasBin, ...args], env: {PATH: process.env['PATH'], HOME: '/nonexistent', KUBECONFIG: kubeconfig}}
}

interface EnvoyPod {
  readonly pod: string
  readonly address: string
  /** The Secret that the pod waits for. */
  readonly secret: string
  readonly names: {readonly host: string; readonly port: number}
}

async function startEnvoy(
  stage: Stage,
  objects: readonly KubernetesObject[],
  {pod: podName, address, secret, names}: EnvoyPod,
): Promise<void> {
  const {kubernetes, namespace} = stage
  const data = await until(stage, `Secret ${secret}`, async () => {
    const {status, body} = await kubernetes.request<{data: Record<string, string>}>(
      'GET',
      `/api/v1/namespaces/${namespace}/secrets/${secret}`,
    )
    return status === 200
      ? Object.fromEntries(Object.entries(body.data).map(([key, text]) => [key, Buffer.from(text, 'base64').toString()]))
      : undefined
  })
  const workload = podName.replace(/-[^-]*-[^-]*$/, '')
  const folder = path.join(stage.folder, podName)
  const pod = await openPod(objects, `Deployment/${workload}`, {folder, address, podName, data: {[secret]: data}})
  await askNames(path.join(folder, 'etc/atlas/envoy/config/envoy.yaml'), names)
  await stage.supervisor.start(pod.command(await envoyProgram(), podName))
  await until(stage, `${podName} to be ready`, async () => ((await fetch(`http://${address}:9902/ready`)).ok ? true : undefined))
}

/** A pod's resolv.conf has the cluster's DNS; here it is the machine's. */
async function askNames(file: string, {host, port}: EnvoyPod['names']): Promise<void> {
  const bootstrap = load(await readFile(file, 'utf8')) as Record<string, unknown>
  bootstrap['typed_dns_resolver_config'] = {
    name: 'envoy.network.dns_resolver.cares',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig',
      resolvers: [{socket_address: {address: host, port_value: port, protocol: 'UDP'}}],
      dns_resolver_options: {no_default_search_domain: true},
    },
  }
  await writeFile(file, dump(bootstrap))
}

/** Runs a command of an operator. @returns its stdout @throws Error with its output */
async function atlas({supervisor, namespace}: Stage, kubeconfig: string, args: readonly string[]): Promise<string> {
  const env = {PATH: process.env['PATH'], HOME: '/nonexistent', KUBECONFIG: kubeconfig}
  const {code, stdout, stderr} = await supervisor.run({
    name: 'atlas',
    program: process.execPath,
    args: [atlasBin, ...args, '--namespace', namespace],
    env,
  })
  if (code !== 0) throw new Error(stderr)
  return stdout
}

async function until<T>({supervisor}: Stage, what: string, probe: () => Promise<T | undefined>): Promise<T> {
  return waitFor(what, probe, {signal: supervisor.crashed, timeoutMs: 90_000, everyMs: 200})
}
