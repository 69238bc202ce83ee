/** The processes of large.ts: `atlas serve` on a directory with a whole fleet, which is made once, and a real observability Envoy. */
import {type ChildProcess, spawn} from 'node:child_process'
import {cp, mkdtemp, readdir, rm, stat} from 'node:fs/promises'
import {connect} from 'node:net'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {cachePath, makeWhole} from '../scripts/setup/cache.mjs'
import {type AdminAddress, isReady, readPage} from '../src/demo/lab/envoy-admin.js'
import {reserveSites} from '../src/demo/lab/free-addresses.js'
import {openSupervisor} from '../src/demo/lab/processes.js'
import {waitFor} from '../src/demo/lab/wait.js'
import {writeFiles} from '../src/lib/cli/bootstrap-files.js'
import {ADMIN_SOCKET} from '../src/lib/envoy/credential-files.js'
import {objectNames} from '../src/lib/model/names.js'
import {parseAddress} from '../src/lib/model/address.js'
import {joining} from '../src/lib/ops/cluster/values.js'
import {init} from '../src/lib/ops/init.js'
import {openDirectory} from '../src/lib/store/open.js'
import {defaultDirectoryTimes} from '../src/lib/store/directory/times.js'
import {envoyProgram} from '../test/helpers/envoy-program.js'
import {bin, ended, residentMiB, serverCommand} from './atlas-process.js'
import {clock, sleep} from './envoys.js'
import {dependencies, fill} from './fleet.js'

export interface LargeNetwork {
  readonly folder: string
  readonly directory: string
  /** HOST:PORT of ADS at the server, and at the observability Envoy. */
  readonly serverAddress: string
  readonly relayAddress: string
  readonly adminUrl: string
  /** How long the server waits for further changes by other processes. */
  readonly quietMs: number
  readonly server: () => ChildProcess
  /** @returns seconds from its start to its open port */
  startServer(): Promise<number>
  killServer(): Promise<void>
  startEnvoy(): Promise<void>
  envoyMiB(): number
  /** The largest file of the directory but the endpoints: an object that Atlas alone reads. */
  largestObject(): Promise<{readonly ownObject: string; readonly ownObjectBytes: number}>
  relayCounts(): Promise<RelayCounts>
  close(): Promise<void>
}

interface RelayCounts {
  readonly relayConnections: number
  readonly relayRefused: number
}

interface Stats {
  readonly stats: readonly {readonly name?: string; readonly value?: number}[]
}

/** Connections on 10900, and what every limit of connections and streams on the ADS path has refused. */
const RELAY_STATS = encodeURIComponent(
  String.raw`^(listener\.ads\.downstream_(cx_active|.*overflow)|connection_limit\.ads\..*|cluster\.ads-servers\..*overflow)$`,
)

/** Of the observability Envoy: with its default of 1 GiB it refuses streams of a fleet of 10,000. */
const MAX_HEAP = 8 * 1024 ** 3

/** Seconds for a server to open its port. */
const OPEN_S = 300

/** A fleet older than this is replaced: its certificates would be renewed while it is measured. */
const FIXTURE_AGE_MS = 24 * 60 * 60 * 1000

/** Uses the real ports on addresses of its own. Nothing runs yet. @param pages whether each cluster has web pages, by host name and by path */
export async function openLargeNetwork(count: number, {pages = false}: {readonly pages?: boolean} = {}): Promise<LargeNetwork> {
  const folder = await mkdtemp(path.join(tmpdir(), 'atlas-large-'))
  const directory = path.join(folder, 'store')
  await cp(await fixture(count), directory, {recursive: true})
  const {sites, release} = await reserveSites('own', 0)
  const {address: host, ports} = sites.observability
  const ads = {host, port: ports.server}
  const store = openDirectory({directory})
  const web = pages ? {webDomain: 'web.example.com', pagesByPath: true} : {}
  await init(store, {addresses: [parseAddress(host)], adsServers: [ads], ...web}, dependencies)
  const envoyFolder = path.join(folder, 'envoy')
  const supervisor = await openSupervisor(folder, {removeFolder: true})
  const admin: AdminAddress = {socketPath: path.join(envoyFolder, ADMIN_SOCKET)}
  let server: ChildProcess | undefined
  let envoyPid = 0
  const running = (): ChildProcess => {
    if (server === undefined) throw new Error('the server was not started')
    return server
  }

  return {
    ...{folder, directory, quietMs: defaultDirectoryTimes.quietMs},
    serverAddress: `${host}:${ports.server}`,
    relayAddress: `${host}:${ports.ads}`,
    adminUrl: `http://${host}:${ports.serverAdmin}`,
    server: running,

    async startServer() {
      const began = clock()
      const [node, ...nodeFlags] = serverCommand
      const at = ['--listen', `${host}:${ports.server}`, '--admin', `${host}:${ports.serverAdmin}`, '--log-level', 'warn']
      server = spawn(node, [...nodeFlags, bin, 'serve', '--store', directory, ...at], {stdio: ['ignore', 'inherit', 'inherit']})
      while (!(await accepts(host, ports.server))) {
        if (server.exitCode !== null || clock() - began > OPEN_S * 1000)
          throw new Error(`the server did not open its port within ${OPEN_S} s`)
        await sleep(10)
      }

      return (clock() - began) / 1000
    },

    async killServer() {
      await ended(running(), 'SIGKILL')
    },

    async startEnvoy() {
      const bootstrap = (await joining(store, 'atlas')).bootstrap({
        nodeId: 'relay',
        directory: envoyFolder,
        bindAddress: host,
        localAddress: host,
        maxHeapBytes: MAX_HEAP,
      })
      await writeFiles(envoyFolder, bootstrap)
      const args = ['-c', path.join(envoyFolder, 'envoy.json'), '--concurrency', '2', '--disable-hot-restart', '-l', 'error']
      const shell = ['-c', 'ulimit -n "$(ulimit -Hn)"; exec "$0" "$@"', await envoyProgram(), ...args]
      envoyPid = (await supervisor.start({name: 'envoy', program: '/bin/sh', args: shell})).pid
      const signal = supervisor.crashed
      await waitFor('the observability Envoy', async () => ((await isReady(admin)) ? true : undefined), {signal, timeoutMs: 120_000})
    },

    envoyMiB: () => residentMiB({pid: envoyPid}),

    async largestObject() {
      const names = (await readdir(directory)).filter(name => !name.includes(objectNames.endpoints))
      const sizes = await Promise.all(names.map(async name => [name, (await stat(path.join(directory, name))).size] as const))
      const [ownObject, ownObjectBytes] = sizes.reduce((a, b) => (a[1] >= b[1] ? a : b))
      return {ownObject, ownObjectBytes}
    },

    async relayCounts() {
      const {stats} = JSON.parse((await readPage(admin, `/stats?format=json&filter=${RELAY_STATS}`, {timeoutMs: 60_000})).body) as Stats
      const sumOf = (wanted: RegExp): number =>
        stats.filter(({name = ''}) => wanted.test(name)).reduce((total, {value = 0}) => total + value, 0)
      return {relayConnections: sumOf(/_active$/), relayRefused: sumOf(/_overflow$|limited_connections$/)}
    },

    async close() {
      if (server !== undefined) await ended(server, 'SIGKILL')
      await supervisor.stopAll()
      await release()
    },
  }
}

/** The directory of a fleet of `count` clusters with all certificates, in the cache. */
async function fixture(count: number): Promise<string> {
  const directory = cachePath('bench', `fleet-${count}`)
  const made = await stat(directory).catch(() => undefined)
  if (made !== undefined && Date.now() - made.birthtimeMs < FIXTURE_AGE_MS) return directory
  await rm(directory, {recursive: true, force: true})
  process.stderr.write(`making a fleet of ${count} clusters …\n`)
  await makeWhole(directory, async target => {
    await fill(openDirectory({directory: target, create: true}), count)
  })
  return directory
}

async function accepts(host: string, port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, host)
    socket
      .once('error', () => resolve(false))
      .once('connect', () => {
        socket.destroy()
        resolve(true)
      })
  })
}
