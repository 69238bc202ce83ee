/** A real etcd and a real kube-apiserver on their own loopback address; kubernetes.ts uses them. */
import {generateKeyPairSync, randomBytes, randomInt} from 'node:crypto'
import {mkdir, mkdtemp, rm, writeFile} from 'node:fs/promises'
import {createServer} from 'node:net'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {openSupervisor} from '../../../src/demo/lab/processes.js'
import {type Certified, certify} from './certificates.js'
import {writeKubeconfig} from './kubeconfig.js'
import {type Part, makePart} from './part.js'
import {program} from './programs.js'
import {ask} from './request.js'

export interface Cluster {
  /** https://ADDRESS:PORT, the same over every restart. */
  readonly url: string
  readonly caFile: string
  /** Signs certificates of servers and users that the API server, and the clients of its kubeconfigs, trust. */
  readonly ca: Certified
  /** The path of an administrator's kubeconfig. */
  readonly kubeconfig: string
  /** The administrator's. */
  readonly token: string
  /** Its own loopback address: other servers of a test may listen on it. */
  readonly address: string
  /** Removed when the cluster ends. */
  readonly folder: string
  readonly etcd: Part
  readonly apiServer: Part
  /** Garbage collection and the deletion of namespaces; started only on request. */
  readonly controllers: Part
  /** Kills all processes and removes the folder. */
  end(): Promise<void>
}

export interface ClusterOptions {
  /** Further flags of kube-apiserver. */
  readonly apiServerArgs?: readonly string[]
  /** Controllers beside those of garbage and namespaces, by kube-controller-manager's names. */
  readonly controllers?: readonly string[]
}

/** Starts both and waits until the API server is ready: about 6 s. They end when this process is killed. */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const folder = await mkdtemp(path.join(tmpdir(), 'atlas-kubernetes-'))
  const supervisor = await openSupervisor(folder, {removeFolder: true})
  const end = async (): Promise<void> => {
    await supervisor.stopAll(0)
    await rm(folder, {recursive: true, force: true})
  }
  try {
    const place = await freePlace()
    const files = await writeFiles(folder, place)
    const {url, ca, token, kubeconfig} = files
    const admin = {server: url, ca: ca.certificate, name: 'admin', credential: {token}}
    const isUp = async (): Promise<boolean> => (await ask(admin, {method: 'GET', path: '/readyz'})).status === 200
    const etcdUrl = `http://${place.address}:${place.ports[0]}`
    const isHealthy = async (): Promise<boolean> => (await fetch(`${etcdUrl}/health`)).ok
    const [etcd, apiServer, controllers] = [
      makePart(supervisor, {name: 'etcd', program: program('etcd'), args: etcdArgs(folder, place), isReady: isHealthy}),
      makePart(supervisor, {
        name: 'kube-apiserver',
        program: program('kube-apiserver'),
        args: [...apiServerArgs(folder, place), ...(options.apiServerArgs ?? [])],
        isReady: isUp,
      }),
      makePart(supervisor, {
        name: 'kube-controller-manager',
        program: program('kube-controller-manager'),
        args: controllerArgs(kubeconfig, options.controllers),
        isReady: isUp,
      }),
    ] as const
    await etcd.start()
    await apiServer.start()
    return {...files, address: place.address, folder, etcd, apiServer, controllers, end}
  } catch (error) {
    await end()
    throw error
  }
}

interface Place {
  readonly address: string
  /** etcd's ports for clients and for peers, and the API server's. */
  readonly ports: readonly [number, number, number]
}

/** On its own loopback address no other process takes the ports while a server is down between two starts. */
async function freePlace(): Promise<Place> {
  for (;;) {
    const address = `127.${randomInt(64, 255)}.${randomInt(256)}.${randomInt(1, 255)}`
    const first = randomInt(20_000, 30_000)
    const ports = [first, first + 1, first + 2] as const
    if ((await Promise.all(ports.map(async port => isFree(address, port)))).every(Boolean)) return {address, ports}
  }
}

async function isFree(host: string, port: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, host, () => server.close(() => resolve(true)))
  })
}

async function writeFiles(
  folder: string,
  {address, ports}: Place,
): Promise<Pick<Cluster, 'ca' | 'caFile' | 'kubeconfig' | 'token' | 'url'>> {
  const ca = await certify({name: "the test's authority"})
  const server = await certify({name: 'kube-apiserver', addresses: [address]}, ca)
  const {privateKey} = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: {type: 'spki', format: 'pem'},
    privateKeyEncoding: {type: 'pkcs8', format: 'pem'},
  })
  const token = randomBytes(16).toString('hex')
  const url = `https://${address}:${ports[2]}`
  const files = {
    'ca.pem': ca.certificate,
    'server.pem': server.certificate,
    'server-key.pem': server.key,
    'service-account-key.pem': privateKey,
    'tokens.csv': `${token},admin,admin,system:masters\n`,
  }
  for (const [name, text] of Object.entries(files)) await writeFile(path.join(folder, name), text, {mode: 0o600})
  await mkdir(path.join(folder, 'users'))
  const kubeconfig = path.join(folder, 'users', 'admin.kubeconfig')
  await writeKubeconfig(kubeconfig, {server: url, ca: ca.certificate, name: 'admin', credential: {token}})
  return {ca, caFile: path.join(folder, 'ca.pem'), kubeconfig, token, url}
}

/** Without fsync: only a power failure would lose data, and kill -9 loses nothing that was written. */
function etcdArgs(folder: string, {address, ports: [client, peer]}: Place): string[] {
  const [clientUrl, peerUrl] = [`http://${address}:${client}`, `http://${address}:${peer}`]
  return [
    '--name=test',
    `--data-dir=${path.join(folder, 'etcd')}`,
    `--listen-client-urls=${clientUrl}`,
    `--advertise-client-urls=${clientUrl}`,
    `--listen-peer-urls=${peerUrl}`,
    `--initial-advertise-peer-urls=${peerUrl}`,
    `--initial-cluster=test=${peerUrl}`,
    '--unsafe-no-fsync',
    '--log-level=warn',
  ]
}

/** There are no Pods, so admission adds no tokens, and the API server is not listed as an endpoint. */
function apiServerArgs(folder: string, {address, ports: [etcd, , port]}: Place): string[] {
  const file = (name: string): string => path.join(folder, name)
  return [
    `--etcd-servers=http://${address}:${etcd}`,
    `--bind-address=${address}`,
    `--secure-port=${port}`,
    `--cert-dir=${file('api-server')}`,
    `--tls-cert-file=${file('server.pem')}`,
    `--tls-private-key-file=${file('server-key.pem')}`,
    `--client-ca-file=${file('ca.pem')}`,
    `--token-auth-file=${file('tokens.csv')}`,
    '--anonymous-auth=false',
    '--authorization-mode=RBAC',
    `--service-account-key-file=${file('service-account-key.pem')}`,
    `--service-account-signing-key-file=${file('service-account-key.pem')}`,
    '--service-account-issuer=https://kubernetes.default.svc',
    '--service-cluster-ip-range=10.96.0.0/16',
    '--disable-admission-plugins=ServiceAccount',
    '--endpoint-reconciler-type=none',
    '--profiling=false',
  ]
}

function controllerArgs(kubeconfig: string, others: readonly string[] = []): string[] {
  return [
    `--kubeconfig=${kubeconfig}`,
    `--controllers=${['garbage-collector-controller', 'namespace-controller', ...others].join(',')}`,
    '--leader-elect=false',
    '--secure-port=0',
  ]
}
