/**
 * What the listeners do with clients that are many, silent or too eager, and that a filter chain can be added later: on the oldest and
 * the newest Envoy, with the built configuration, its listeners from a file that can be replaced.
 */
import {once} from 'node:events'
import {mkdtemp, rename, rm, writeFile} from 'node:fs/promises'
import http2 from 'node:http2'
import net from 'node:net'
import {tmpdir} from 'node:os'
import path from 'node:path'
import type {JsonObject} from '@bufbuild/protobuf'
import {expect} from 'chai'
import {buildSnapshot} from '../../src/lib/envoy/build.js'
import type {CertifiedKey} from '../../src/lib/model/authority.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import {defaultSettings} from '../../src/lib/model/settings.js'
import {credentialSpec, serverSpec} from '../../src/lib/pki/certificate-specs.js'
import {issue} from '../../src/lib/pki/issue.js'
import {startEnvoy, type RunningEnvoy} from '../helpers/envoy-process.js'
import {staticBootstrap} from '../helpers/envoy-static.js'
import {testCluster} from '../helpers/fleet.js'
import {serveEcho, visit} from '../helpers/http2.js'
import {testAuthority} from '../helpers/pki.js'
import {certified} from './certified.js'
import {fleetOf, nodeOf, snapshotOf} from './fixture.js'

const now = new Date()
const adsServer = {host: '127.0.44.9', port: 6305}
const relay = {host: '127.0.44.1', port: 10_900}
const settings = {...defaultSettings, adsServers: [adsServer]}
const authority = testAuthority(new Date(now.getTime() - 86_400_000), 'listeners', settings)
const {issuer, credentialIssuer, signer} = authority
const fleet = certified(fleetOf([testCluster('paris')], {settings}), now, authority)
const credential = (name: string): CertifiedKey => issue(credentialSpec(settings, parseClusterName(name), 1), credentialIssuer, now, signer)

const delta = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources'
const grpc = {'content-type': 'application/grpc'}
const SERVER_NAME = 'observability.atlas.internal'
const as = (shows: CertifiedKey | undefined, servername = SERVER_NAME) => ({
  tls: {ca: [issuer.certificate], servername, ...(shows === undefined ? {} : {shows})},
})

for (const version of ['1.36', '1.40'] as const)
  describe(`envoy ${version}: listeners under many, silent and eager clients`, function () {
    this.timeout(360_000)
    const closing: (() => Promise<void> | void)[] = []
    let envoy: RunningEnvoy
    let listeners: readonly JsonObject[]
    let file: string

    before(async () => {
      const ads = {shows: issue(serverSpec(settings), issuer, now, signer), ca: [issuer.certificate]}
      closing.push((await serveEcho(adsServer, 'ads server', ads)).close)
      const folder = await mkdtemp(path.join(tmpdir(), 'atlas-listeners-'))
      closing.push(() => rm(folder, {recursive: true, force: true}))
      file = path.join(folder, 'listeners.json')
      const admin = {host: relay.host, port: 9901}
      const where = {'atlas.bind_address': relay.host, 'atlas.local_address': relay.host}
      const {static_resources: resources, ...bootstrap} = staticBootstrap(snapshotOf(buildSnapshot(fleet, nodeOf('atlas', where))), {
        node: {id: 'atlas-0', cluster: 'atlas'},
        admin: {address: {socket_address: {address: admin.host, port_value: admin.port}}},
        dynamic_resources: {lds_config: {path_config_source: {path: file}, resource_api_version: 'V3'}},
      })
      const {listeners: built, ...others} = resources as JsonObject
      listeners = built as JsonObject[]
      await offer(listeners)
      envoy = await startEnvoy({...bootstrap, static_resources: others}, admin, {version})
      closing.push(() => envoy.stop())
    })
    after(async () => {
      for (const close of closing.reverse()) await close()
    })

    async function offer(offered: readonly JsonObject[]): Promise<void> {
      const typed = offered.map(listener => ({'@type': 'type.googleapis.com/envoy.config.listener.v3.Listener', ...listener}))
      await writeFile(`${file}.new`, JSON.stringify({resources: typed}))
      await rename(`${file}.new`, file)
    }

    async function statistic(name: string): Promise<number> {
      const answer = await fetch(`http://${envoy.admin.host}:${String(envoy.admin.port)}/stats?format=json&filter=^${name}$`)
      const {stats} = (await answer.json()) as {stats: readonly {name: string; value: number}[]}
      return stats[0]?.value ?? 0
    }

    it('connections that send nothing never reach the limit of 10900, are closed after 5 s, and write no line', async () => {
      const started = Date.now()
      const silent = Array.from({length: 50}, () => net.connect(relay))
      await Promise.all(silent.map(async socket => once(socket, 'connect')))
      expect((await visit(relay, {path: delta, headers: grpc, ...as(credential('paris'))})).headers['grpc-status']).to.equal('0')
      expect(await statistic('connection_limit.ads.active_connections')).to.be.at.most(1)
      await Promise.all(silent.map(async socket => once(socket.resume(), 'close')))
      expect(Date.now() - started).to.be.greaterThan(4000)

      const check = net.connect(relay)
      await once(check, 'connect')
      check.end()
      await once(check.resume(), 'close')
      await visit(relay, as(undefined)).catch(String)
      await until('the refused client', () => envoy.logged('connection').some(({failure}) => typeof failure === 'string'))
      const lines = envoy.logged('connection').filter(({listener}) => listener === 'ads')
      expect(lines.filter(line => typeof line['peer'] !== 'string' && typeof line['failure'] !== 'string')).to.deep.equal([])
      expect(lines.map(({failure}) => failure).join(' ')).to.include('PEER_DID_NOT_RETURN_A_CERTIFICATE')
    })

    it('the PROXY protocol in front of TLS is refused, with the text that docs/how-to/troubleshoot.md explains', async () => {
      const socket = net.connect(relay).on('error', () => undefined)
      socket.write('PROXY TCP4 192.0.2.1 192.0.2.2 40000 10900\r\n')
      await once(socket.resume(), 'close')
      await until('a line', () => envoy.logged('connection').some(({failure}) => String(failure).includes('WRONG_VERSION_NUMBER')))
    })

    it('one certificate opens 256 streams at once on however many connections, beside more peers than Envoy counts by default', async () => {
      const others = Array.from({length: 25}, (_each, index) => credential(`other-${String(index)}`))
      for (const other of others) expect(await statusesOf(other, 1)).to.deep.equal(['0'])

      const begun = performance.now()
      const eager = [...(await statusesOf(credential('lyon'), 200)), ...(await statusesOf(credential('lyon'), 200))]
      const passed = eager.filter(status => status === '0').length
      const seconds = (performance.now() - begun) / 1000
      // 256 at once, and 4 in each second.
      expect(passed).to.be.within(256, 256 + 4 * (seconds + 1))
      expect(eager.filter(status => status === '8')).to.have.length(400 - passed)
      for (const other of others) expect(await statusesOf(other, 1)).to.deep.equal(['0'])
      await until('a stream that was admitted to be logged', () => envoy.logged('request').some(({grpc_status: status}) => status === 'OK'))
      const refused = envoy.logged('request').filter(({grpc_status: status}) => status === 'ResourceExhausted')
      expect(refused.length, 'a sample of the refused ones is logged').to.be.lessThan(40)
    })

    it('a chain with server names is added in place: ADS streams go on; a change inside their chain cuts them', async () => {
      const {stream, ended, close} = openStream(credential('paris'))
      closing.push(close)
      await once(stream, 'response')
      await offer(listeners.map(listener => (listener['name'] === 'ads' ? withAnotherChain(listener) : listener)))
      await until(
        'the other chain to answer',
        async () => (await visit(relay, as(credential('paris'), OTHER_NAME)).catch(() => ({status: 0}))).status === 418,
      )
      expect((await visit(relay, {path: delta, headers: grpc, ...as(credential('paris'))})).headers['grpc-status']).to.equal('0')
      expect(await Promise.race([ended, later(4000)]), 'twice the drain time').to.equal('open')

      await offer(
        listeners.map(listener =>
          listener['name'] === 'ads'
            ? (JSON.parse(
                JSON.stringify(listener).replace('"request_headers_timeout":"10s"', '"request_headers_timeout":"11s"'),
              ) as JsonObject)
            : listener,
        ),
      )
      expect(await Promise.race([ended, later(15_000)])).to.equal('ended')
    })
  })

const OTHER_NAME = 'another.atlas.svc.cluster.local'

interface Chain {
  readonly filters: readonly {readonly name: string; readonly typed_config: JsonObject}[]
}

/** The chain of the listener once more, for another server name, with an answer of its own. */
function withAnotherChain(listener: JsonObject): JsonObject {
  const [chain] = listener['filter_chains'] as unknown as readonly [Chain]
  const routes = [{match: {prefix: '/'}, direct_response: {status: 418}}]
  const filters = chain.filters.map(({name, typed_config: config}) =>
    name.endsWith('http_connection_manager')
      ? {name, typed_config: {...config, route_config: {name: 'other', virtual_hosts: [{name: 'other', domains: ['*'], routes}]}}}
      : {name, typed_config: config},
  )
  const other = {...chain, filters, filter_chain_match: {server_names: [OTHER_NAME]}}
  return {...listener, filter_chains: [chain, other] as unknown as JsonObject[]}
}

/** The gRPC status of each of `count` streams that one client opens on a connection of its own, as many at a time as 10900 allows. */
async function statusesOf(shows: CertifiedKey, count: number): Promise<readonly string[]> {
  const session = connect(shows)
  const open = async (): Promise<string> => {
    const stream = session.request({':path': delta, ':method': 'POST', ...grpc}, {endStream: true})
    const [headers] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders]
    await once(stream.resume(), 'close')
    return String(headers['grpc-status'])
  }
  const statuses: string[] = []
  try {
    while (statuses.length < count) statuses.push(...(await Promise.all(Array.from({length: Math.min(8, count - statuses.length)}, open))))
    return statuses
  } finally {
    session.destroy()
  }
}

/** A stream that the server does not end. */
function openStream(shows: CertifiedKey) {
  const session = connect(shows)
  const stream = session.request({':path': delta, ':method': 'POST', 'x-hold': 'yes', ...grpc})
  stream.on('error', () => undefined).resume()
  const ended = once(stream, 'close').then(() => 'ended' as const)
  return {stream, ended, close: () => session.destroy()}
}

function connect({certificate, key}: CertifiedKey): http2.ClientHttp2Session {
  const tls = {ca: [issuer.certificate], allowPartialTrustChain: true, servername: SERVER_NAME, cert: certificate, key: key.reveal()}
  return http2.connect(`https://${relay.host}:${String(relay.port)}`, tls).on('error', () => undefined)
}

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + 45_000
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`)
    await new Promise(resolve => setTimeout(resolve, 50))
  }
}

async function later(milliseconds: number): Promise<'open'> {
  return new Promise(resolve => setTimeout(() => resolve('open'), milliseconds).unref())
}
