/** A pod's Envoy, started as by the charts: its node, its certificates, and how it ends. */
import {readFile, stat, writeFile} from 'node:fs/promises'
import http2 from 'node:http2'
import path from 'node:path'
import {setTimeout as sleep} from 'node:timers/promises'
import {expect} from 'chai'
import {dump, load} from 'js-yaml'
import {readPage} from '../../src/demo/lab/envoy-admin.js'
import {openSupervisor, type Running, type Supervisor} from '../../src/demo/lab/processes.js'
import {waitFor} from '../../src/demo/lab/wait.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import {inFolder} from '../helpers/atlas.js'
import {envoyProgram} from '../helpers/envoy-program.js'
import {serveEcho, visit} from '../helpers/http2.js'
import {credentialData} from './support/credential.js'
import {openPod, ownAddress, type PodProcess} from './support/pod-process.js'
import {objectsOf} from './support/rendered.js'

interface Rig {
  readonly address: string
  readonly folder: string
  readonly pod: PodProcess
  readonly supervisor: Supervisor
  readonly envoy: string
  start(): Promise<Running>
}

/** Makes the pod of a downstream Envoy with its files, and does not start it. */
async function withPod(set: readonly string[], use: (rig: Rig) => Promise<void>): Promise<void> {
  const address = ownAddress()
  const objects = await objectsOf({chart: 'envoy', ci: 'default', release: 'paris', set: [`bindAddress=${address}`, ...set]})
  await inFolder(async folder => {
    const supervisor = await openSupervisor(folder, {removeFolder: true})
    try {
      const data = {'paris-envoy-ads': credentialData(parseClusterName('paris'))}
      const pod = await openPod(objects, 'Deployment/paris-envoy', {folder, address, podName: 'paris-envoy-5d4f-x1', data})
      const envoy = await envoyProgram()
      await use({address, folder, pod, supervisor, envoy, start: async () => supervisor.start(pod.command(envoy, 'envoy'))})
    } finally {
      await supervisor.stopAll(0)
    }
  })
}

describe('helm test of chart envoy', () => {
  it('accepts a complete Secret, and names what is missing', async () => {
    const objects = await objectsOf({chart: 'envoy', ci: 'default', release: 'paris'})
    await inFolder(async folder => {
      const supervisor = await openSupervisor(folder, {removeFolder: true})
      try {
        const data = {'paris-envoy-ads': credentialData(parseClusterName('paris'))}
        const pod = await openPod(objects, 'Pod/paris-envoy-test', {folder, address: ownAddress(), podName: 'paris-envoy-test', data})
        const test = async () => supervisor.run(pod.command(await envoyProgram(), 'test'))
        expect(await test()).to.include({code: 0})
        const bootstrap = path.join(folder, 'etc/atlas/envoy/config/envoy.yaml')
        await writeFile(bootstrap, (await readFile(bootstrap, 'utf8')).replace('san_type: URI', 'san_type: NOBODY'))
        const {code, stderr} = await test()
        expect(code).to.equal(1)
        expect(stderr).to.include('NOBODY')
      } finally {
        await supervisor.stopAll(0)
      }
    })
  })
})

describe("a pod's Envoy", () => {
  it('sends its name and address, and is neither ready nor unhealthy while it has no configuration (D32)', async () =>
    withPod([], async ({address, folder, start, supervisor}) => {
      await start()
      const admin = {socketPath: path.join(folder, 'run/atlas/admin.sock')}
      const {node} = await waitFor(
        'admin',
        async () => JSON.parse((await readPage(admin, '/server_info')).body) as {node: Record<string, unknown>},
        {signal: supervisor.crashed, timeoutMs: 90_000},
      )
      expect(node).to.include({id: 'paris-envoy-5d4f-x1', cluster: 'paris'})
      expect(node['metadata']).to.deep.equal({'atlas.bind_address': address, 'atlas.local_address': address, 'atlas.workers': 2})
      expect((await readPage(admin, '/ready')).status).to.equal(503)
      expect((await stat(admin.socketPath)).mode & 0o777).to.equal(0o600)
      expect(await fetch(`http://${address}:9902/ready`).catch(() => 'refused')).to.equal('refused')
    }))

  it('serves, once configured, /ready and /stats/prometheus on its stats port, and no other admin page', async () =>
    withPod([], async rig => {
      await configureByHand(rig)
      await rig.start()
      const page = async (at: string, method = 'GET') => fetch(`http://${rig.address}:9902${at}`, {method})
      await untilReady(rig)
      expect(await (await page('/ready')).text()).to.equal('LIVE\n')
      const metrics = await page('/stats/prometheus?usedonly')
      expect(metrics.headers.get('content-type')).to.include('text/plain')
      expect(await metrics.text()).to.match(/^envoy_server_live\{\} 1$/m)
      for (const at of ['/', '/config_dump', '/certs', '/quitquitquit', '/stats', '/ready/', '/ready/../config_dump', '//config_dump'])
        expect((await page(at)).status, at).to.equal(404)
      for (const at of ['/ready', '/stats/prometheus', '/quitquitquit', '/drain_listeners?graceful'])
        expect((await page(at, 'POST')).status, at).to.equal(404)
    }))

  it('refuses requests when its memory is short, and still reports that it is ready', async () =>
    withPod([], async rig => {
      const backend = await serveEcho({host: rig.address, port: 0}, 'backend')
      try {
        await configureByHand(rig, backend.port, {maxHeapBytes: '1000'})
        await rig.start()
        await untilReady(rig)
        // Envoy checks its memory four times a second.
        const refused = async () => {
          const answer = await visit({host: rig.address, port: 8080}, {})
          return answer.status === 503 ? answer.body : undefined
        }
        const body = await waitFor('a refusal', refused, {signal: rig.supervisor.crashed, timeoutMs: 90_000})
        expect(body).to.equal('envoy overloaded')
        for (let time = 0; time < 5; time += 1) expect((await fetch(`http://${rig.address}:9902/ready`)).status).to.equal(200)
      } finally {
        backend.close()
      }
    }))

  it('closes its connections before it ends, without a failed request', async () =>
    withPod(['drainSeconds=4'], async rig => {
      const backend = await serveEcho({host: rig.address, port: 0}, 'backend')
      try {
        await configureByHand(rig, backend.port)
        const running = await rig.start()
        await untilReady(rig)
        const clients = Array.from({length: 4}, () => openClient(`http://${rig.address}:8080`))
        const load = clients.map(async client => client.run())
        await sleep(300)
        const began = Date.now()
        const hook = await rig.supervisor.run(rig.pod.preStop(rig.envoy, 'pre-stop'))
        expect(hook.code, hook.stderr).to.equal(0)
        expect(Date.now() - began).to.be.within(4000, 15_000)
        // The Envoy asks at an answer, and the more surely the longer it drains: of few answers, on a loaded machine, none may have come with it yet.
        const areAsked = async (): Promise<true | undefined> => (clients.every(({goneAway}) => goneAway()) ? true : undefined)
        await waitFor('each client to be asked to leave', areAsked, {signal: rig.supervisor.crashed, timeoutMs: 30_000})
        for (const client of clients) client.leave()
        await Promise.all(load)
        expect(clients.flatMap(({failures}) => failures)).to.deep.equal([])
        for (const {requests, goneAway} of clients) {
          expect(requests()).to.be.greaterThan(10)
          expect(goneAway(), 'asked to leave').to.equal(true)
        }

        await running.stop(2000)
      } finally {
        backend.close()
      }
    }))
})

interface Bootstrap {
  readonly dynamic_resources: object
  readonly overload_manager: {readonly resource_monitors: readonly [{readonly typed_config: {max_heap_size_bytes: string}}]}
  readonly static_resources: {readonly listeners: object[]; readonly clusters: object[]}
}

/** Serves ADS: no resource, or where there is a backend, a plaintext HTTP/2 listener on 8080. */
async function configureByHand({folder, address}: Rig, backend?: number, {maxHeapBytes}: {maxHeapBytes?: string} = {}): Promise<void> {
  const file = path.join(folder, 'etc/atlas/envoy/config/envoy.yaml')
  const {dynamic_resources: _, ...bootstrap} = load(await readFile(file, 'utf8')) as Bootstrap
  const [heap] = bootstrap.overload_manager.resource_monitors
  if (maxHeapBytes !== undefined) heap.typed_config.max_heap_size_bytes = maxHeapBytes
  if (backend !== undefined) {
    bootstrap.static_resources.listeners.push(plainListener(address))
    bootstrap.static_resources.clusters.push(plainCluster(address, backend))
  }

  await writeFile(file, dump(bootstrap))
}

function plainListener(address: string): object {
  const type = 'type.googleapis.com/envoy.extensions.filters'
  return {
    name: 'plain',
    address: {socket_address: {address, port_value: 8080}},
    filter_chains: [
      {
        filters: [
          {
            name: 'http',
            typed_config: {
              '@type': `${type}.network.http_connection_manager.v3.HttpConnectionManager`,
              stat_prefix: 'plain',
              codec_type: 'HTTP2',
              http_filters: [{name: 'router', typed_config: {'@type': `${type}.http.router.v3.Router`}}],
              route_config: {virtual_hosts: [{name: 'all', domains: ['*'], routes: [{match: {prefix: '/'}, route: {cluster: 'plain'}}]}]},
            },
          },
        ],
      },
    ],
  }
}

function plainCluster(address: string, port: number): object {
  const options = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions'
  const http2Alone = {'@type': `type.googleapis.com/${options}`, explicit_http_config: {http2_protocol_options: {}}}
  const endpoint = {address: {socket_address: {address, port_value: port}}}
  return {
    name: 'plain',
    type: 'STATIC',
    typed_extension_protocol_options: {[options]: http2Alone},
    load_assignment: {cluster_name: 'plain', endpoints: [{lb_endpoints: [{endpoint}]}]},
  }
}

async function untilReady({address, supervisor}: Rig): Promise<void> {
  await waitFor('/ready', async () => ((await fetch(`http://${address}:9902/ready`)).ok ? true : undefined), {
    signal: supervisor.crashed,
    timeoutMs: 90_000,
  })
}

/** Sends requests on one connection until it gets GOAWAY, then on a new one, as a gRPC client does. */
function openClient(url: string) {
  const failures: string[] = []
  let [count, wasAsked, leaving] = [0, false, false]
  const connect = (): http2.ClientHttp2Session => {
    const session = http2.connect(url)
    session.on('goaway', () => (wasAsked = true))
    session.on('error', () => undefined)
    return session
  }
  return {
    failures,
    requests: () => count,
    goneAway: () => wasAsked,
    leave: () => (leaving = true),
    async run() {
      let session = connect()
      while (!leaving) {
        if (session.closed || session.destroyed) session = connect()
        const asked = session
        await ask(asked).catch((error: unknown) => failures.push(String(error)))
        count += 1
        await sleep(20)
      }

      session.destroy()
    },
  }
}

async function ask(session: http2.ClientHttp2Session): Promise<void> {
  return new Promise((resolve, reject) => {
    const stream = session.request({':path': '/', ':method': 'POST'})
    stream.once('response', ({':status': status}) => {
      if (status !== 200) reject(new Error(`status ${String(status)}`))
    })
    stream.once('error', reject)
    stream.once('end', resolve)
    stream.resume()
    stream.end()
  })
}
