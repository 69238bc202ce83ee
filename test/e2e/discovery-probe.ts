/**
 * Runs inside a network of its own (helpers/own-network.ts), whose resolver is the name server of chart `atlas`: a real API server and a
 * leader, both Envoys, real sidecars, the chart's CoreDNS, and three real Thanos Queries, which find the sidecars by the endpoints file, by
 * DNS, and by the DNS name of a group. Clusters come and one goes; a line of JSON says what each Thanos Query has answered, and when. Each
 * name has an A record and an AAAA record, behind which nothing listens. At the end a group of Thanos's own, of which one member is alive,
 * stands beside Atlas's endpoints. There is no kubelet: this script writes the ConfigMaps into files.
 */
import {mkdir, readFile, rename, writeFile} from 'node:fs/promises'
import path from 'node:path'
import {setTimeout as sleep} from 'node:timers/promises'
import {isDeepStrictEqual} from 'node:util'
import {type Call, callOnce, openPlain} from '../../src/demo/lab/grpc.js'
import type {Running} from '../../src/demo/lab/processes.js'
import {queryInstant, storesOf} from '../../src/demo/lab/query-api.js'
import {waitFor} from '../../src/demo/lab/wait.js'
import {serveDnsRecords} from '../helpers/dns-server.js'
import {readZone} from '../helpers/zone.js'
import {dependencies} from '../../src/lib/cli/base-command.js'
import {type HostPort, renderHostPort} from '../../src/lib/model/address.js'
import {messageOf} from '../../src/lib/model/errors.js'
import {parseExtraEndpoints} from '../../src/lib/model/extra-endpoints.js'
import {objectNames, parseOwner} from '../../src/lib/model/names.js'
import {init} from '../../src/lib/ops/init.js'
import {objectsOf} from '../charts/support/rendered.js'
import {openPod} from '../charts/support/pod-process.js'
import {startCluster} from '../helpers/kubernetes/cluster.js'
import {openKubernetes} from '../helpers/kubernetes/kubernetes.js'
import {program} from '../helpers/kubernetes/programs.js'
import {programAt, startPrometheus} from '../pages/support/programs.js'
import {type Added, type Looking, RESOLVER, type Seen, type WithGroup} from './discovery-looking.js'
import {type Installation, openInstallation} from './installation.js'
import {untilAnswers} from './scene.js'

const GROUP = 'europe'
const ENDPOINTS = 'endpoints.yaml'
const ZONE = 'atlas.zone'
/** The name of three sidecars without Atlas: that of the first cluster, and a dead one of each kind of address. */
const OWN = 'own.outside.example'

const looking = JSON.parse(process.argv[2] ?? '') as Looking
const closing: (() => Promise<unknown>)[] = []
/** The zones and endpoints files so far, the newest last. */
const written = {[ENDPOINTS]: [] as string[], [ZONE]: [] as string[]}
const sidecars = new Map<string, Running>()
let isOver = false

try {
  await run()
} finally {
  isOver = true
  for (const close of closing.reverse()) await close()
}

async function run(): Promise<void> {
  // In a network without routes the API server finds no address to advertise.
  const cluster = await startCluster({apiServerArgs: ['--advertise-address=192.0.2.1']})
  closing.push(cluster.end)
  const kubernetes = openKubernetes(cluster)
  const spare = looking.clusters.length + 3
  const installation = await openInstallation({kubernetes, clusters: [], spare, ads: 1, controllers: 1, settings: {groups: [GROUP]}})
  closing.push(installation.close)
  const {folder} = installation
  const files = {[ENDPOINTS]: path.join(folder, ENDPOINTS), [ZONE]: path.join(folder, 'dns/etc/coredns-zone', ZONE)}
  const kubelet = Promise.all([
    follow(installation, objectNames.endpoints, ENDPOINTS, files[ENDPOINTS]),
    follow(installation, objectNames.zone, ZONE, files[ZONE]),
  ])
  closing.push(() => kubelet)
  await until(installation, 'both ConfigMaps', () => written[ENDPOINTS].length > 0 && written[ZONE].length > 0)
  const at = (last: number): HostPort => ({host: installation.spareAddress(spare - 1).replace(/200$/, String(last)), port: 10_902})
  await startNames(installation, {folder: path.join(folder, 'dns'), dead: at(4).host})

  const [byFile, byDns, byGroup] = [at(1), at(2), at(3)]
  const dns = (name: string): readonly string[] => [
    `--endpoint=dnssrvnoa+_thanos._tcp.${name}.thanos.atlas.`,
    `--store.sd-dns-interval=${looking.dns}s`,
  ]
  const filed = [`--endpoint.sd-config-file=${files[ENDPOINTS]}`, `--endpoint.sd-config-reload-interval=${looking.file}s`]
  await Promise.all([
    startQuery(installation, 'query-by-file', byFile, filed),
    startQuery(installation, 'query-by-dns', byDns, dns('sidecars')),
    startQuery(installation, 'query-by-group', byGroup, dns(GROUP)),
  ])

  const queries = {byFile, byDns, byGroup}
  const seen = async (): Promise<void> => {
    const [file = [], all = [], group = []] = await Promise.all(Object.values(queries).map(async query => clustersAt(query)))
    const listed = async (): Promise<Seen['stores'][number]> => {
      const [storesByFile = '', storesByDns = '', storesByGroup = ''] = await Promise.all(Object.values(queries).map(storesAt))
      return {byFile: storesByFile, byDns: storesByDns, byGroup: storesByGroup}
    }
    // A Thanos Query takes what is gone off its list a moment after it has asked it for the last time.
    const wanted = {byFile: file.join(), byDns: all.join(), byGroup: group.join()}
    await until(installation, 'the lists of stores', async () => isDeepStrictEqual(await listed(), wanted))
    const stores: Seen['stores'][number][] = []
    // A store that Thanos Query added and dropped in turns would come and go with its look-ups.
    for (let turn = 0; turn < 4; turn += 1) {
      stores.push(await listed())
      await sleep(400)
    }

    print<Seen>({byFile: file, byDns: all, byGroup: group, stores, serials: written[ZONE].map(text => readZone(text).serial)})
  }
  const untilFound = async (count: number): Promise<void> =>
    until(installation, `${count} clusters, by file and by DNS`, async () =>
      (await Promise.all([clustersAt(byFile), clustersAt(byDns)])).every(found => found.length === count),
    )
  for (const name of looking.clusters) {
    await sleep(1000 * Math.random() * Math.max(looking.zone, looking.dns, looking.file))
    print<Added>(await add(installation, name, queries))
  }

  const [first = '', ...others] = looking.clusters
  await installation.kubectl(['label', 'service', first, `group.goatlas.io/${GROUP}=`])
  await until(installation, 'the group', async () => (await clustersAt(byGroup)).length === 1)
  await untilFound(looking.clusters.length)
  await seen()
  const {code, stderr} = await installation.run(['cluster', 'remove', first, '--yes', '--wait'])
  if (code !== 0) throw new Error(stderr)
  await until(installation, 'the end of the group', async () => (await clustersAt(byGroup)).length === 0)
  await untilFound(others.length)
  await seen()
  await withOwnGroup(installation, byFile, first)
}

/** Puts a group of sidecars without Atlas into the file; its only living member has the data of a cluster that was removed. */
async function withOwnGroup(installation: Installation, query: HostPort, cluster: string): Promise<void> {
  // With `dns+` Thanos would look up IPv6 addresses alone.
  const extraEndpoints = parseExtraEndpoints([{address: `dnsdualstack+${OWN}:10901`, group: true}])
  await init(installation.store, {extraEndpoints}, dependencies)
  await until(installation, 'an answer of the group', async () => (await clustersAt(query)).includes(cluster))
  const withGroup = await clustersAt(query)
  await sidecars.get(cluster)?.kill()
  const dying: {clusters: readonly string[]; ms: number}[] = []
  await until(installation, 'the group to be missing', async () => {
    const begin = performance.now()
    const clusters = await clustersAt(query)
    dying.push({clusters, ms: Math.round(performance.now() - begin)})
    return !clusters.includes(cluster)
  })
  print<WithGroup>({withGroup, dying, withDeadGroup: await clustersAt(query)})
}

/** The chart's CoreDNS at port 53, as its Service has it, in front of a name server for the Services of Atlas. */
async function startNames(installation: Installation, {folder, dead}: {readonly folder: string; readonly dead: string}): Promise<void> {
  const services = {host: RESOLVER, port: 1054}
  const server = await serveDnsRecords(services)
  closing.push(async () => {
    server.close()
  })
  const both = (address: string) => ({A: {addresses: [address], ttl: 5}, AAAA: {addresses: ['::1'], ttl: 5}})
  for (const name of looking.clusters)
    server.set(`${name}-thanos-sidecar0.${installation.namespace}.svc.cluster.local`, both(installation.address))
  const members = [sidecarOf(installation, looking.clusters[0] ?? ''), dead]
  server.set(OWN, {A: {addresses: members, ttl: 5}, AAAA: {addresses: ['::1'], ttl: 5}})
  const objects = await objectsOf({chart: 'atlas', ci: 'coredns', set: [`coredns.forward={${renderHostPort(services)}}`]})
  const pod = await openPod(objects, 'Deployment/atlas-dns', {folder, address: RESOLVER, podName: 'dns-0'})
  const corefile = path.join(folder, 'etc/coredns/Corefile')
  const text = (await readFile(corefile, 'utf8'))
    .replaceAll(/^(.*):1053 \{$/gm, `$1:53 {\n    bind ${RESOLVER}`)
    .replaceAll(/(health|ready|prometheus) :/g, `$1 ${RESOLVER}:`)
    .replace('reload 15s', `reload ${looking.zone}s`)
  await writeFile(corefile, text)
  await installation.startProcess(pod.command(program('coredns'), 'coredns'))
}

async function startQuery(installation: Installation, name: string, listen: HostPort, flags: readonly string[]): Promise<void> {
  const addresses = [`--http-address=${renderHostPort(listen)}`, `--grpc-address=${renderHostPort({...listen, port: 10_901})}`]
  const args = ['query', ...addresses, '--query.replica-label=prometheus_replica', '--log.level=warn', ...flags]
  await installation.startProcess({name, program: programAt('thanos'), args})
  await untilAnswers(listen, '/-/ready', installation.crashed, 60_000)
}

/** Starts a Prometheus with its sidecar, registers the cluster, and starts its Envoy once it has its credential. */
async function add(installation: Installation, name: string, {byFile, byDns}: Record<'byDns' | 'byFile', HostPort>): Promise<Added> {
  const {addresses = []} = installation.requestFor(name)
  const host = sidecarOf(installation, name)
  await startPrometheus(installation, {name, listen: {host, port: 9090}, version: 3})
  const sidecar = await installation.startProcess({
    name: `${name}-sidecar`,
    program: programAt('thanos'),
    args: [
      'sidecar',
      `--grpc-address=${host}:10901`,
      `--http-address=${host}:10902`,
      `--prometheus.url=http://${host}:9090`,
      `--tsdb.path=${path.join(installation.folder, 'data', name, 'tsdb')}`,
    ],
  })
  sidecars.set(name, sidecar)
  await untilAnswers({host, port: 10_902}, '/-/ready', installation.crashed, 60_000)

  await until(installation, `the first sample of ${name}`, async () => (await clustersAt({host, port: 9090})).length === 1)

  const begin = performance.now()
  const since = async (what: string, holds: () => Promise<boolean> | boolean): Promise<number> => {
    await until(installation, `${what} of ${name}`, holds)
    return Math.round(performance.now() - begin)
  }
  const service = `${name}-thanos-sidecar0`
  const observability = {host: installation.address, port: 10_901}
  const info: Call = {
    authority: `${service}.${installation.namespace}.svc.cluster.local:10901`,
    path: '/thanos.info.Info/Info',
    message: new Uint8Array(),
    timeoutMs: 2000,
    until: 'end',
  }
  const envoy = async (): Promise<void> => {
    await since('the credential', async () => (await installation.fleet()).credentials.has(parseOwner(name)))
    const made = await installation.makeEnvoy(parseOwner(name), {address: addresses[0]?.host ?? ''})
    await made.start()
  }
  const [, , endpointsWritten, zoneWritten, called, foundByFile, foundByDns] = await Promise.all([
    installation.register(name),
    envoy(),
    since('the endpoints file', () => written[ENDPOINTS].at(-1)?.includes(service) === true),
    since('the zone', () => written[ZONE].at(-1)?.includes(service) === true),
    since('a call', async () => (await callOnce(openPlain(observability), info)).grpcStatus === 0),
    since('a query by file', async () => (await clustersAt(byFile)).includes(name)),
    since('a query by DNS', async () => (await clustersAt(byDns)).includes(name)),
  ])
  return {added: name, endpointsWritten, zoneWritten, called, byFile: foundByFile, byDns: foundByDns}
}

/** The address of the only sidecar of a cluster. */
function sidecarOf(installation: Installation, name: string): string {
  return installation.requestFor(name).services?.thanos?.host.replace('{replica}', '0') ?? ''
}

/** The clusters whose Prometheus has a sample in the answer of a Thanos Query, sorted; none where it knows no endpoint at all. */
async function clustersAt(query: HostPort): Promise<readonly string[]> {
  const series = await queryInstant(query, 'group by (prometheus) (up)').catch((error: unknown) => {
    if (messageOf(error).includes('No StoreAPIs available')) return []
    throw error
  })
  return series.map(({labels}) => labels['prometheus'] ?? '').sort()
}

/** The clusters of the stores that a Thanos Query lists, each as often as it is listed. */
async function storesAt(query: HostPort): Promise<string> {
  return (await storesOf(query))
    .map(({name}) => name.replace(/-thanos-sidecar0\..*/, ''))
    .sort()
    .join()
}

/** Writes a ConfigMap into a file whenever it changes, as the kubelet does, at once. */
async function follow(installation: Installation, name: string, key: keyof typeof written, file: string): Promise<void> {
  await mkdir(path.dirname(file), {recursive: true})
  while (!isOver) {
    const text = (await installation.get(`configmaps/${name}`).catch(() => undefined))?.data?.[key]
    if (text !== undefined && text !== written[key].at(-1)) {
      await writeFile(`${file}.new`, text)
      await rename(`${file}.new`, file)
      written[key].push(text)
    }

    await sleep(10)
  }
}

async function until({crashed}: Installation, what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
  const probe = async (): Promise<true | undefined> => ((await holds()) ? true : undefined)
  await waitFor(what, probe, {signal: crashed, timeoutMs: 90_000, everyMs: 20})
}

function print<T extends object>(line: T): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}
