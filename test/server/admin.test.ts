/** The answers of the admin port. */
import {get as httpGet} from 'node:http'
import {connect as connectTcp} from 'node:net'
import {expect} from 'chai'
import type {Report} from '../../src/lib/model/report.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import {identitiesDigest} from '../../src/lib/pki/identities-digest.js'
import {type Network, eventually, need, nodeOf, settle, settleAll, startNetwork, subscribe, types} from './support/network.js'

describe('the admin port', () => {
  let network: Network
  before(async () => {
    network = await startNetwork(['paris', 'rome'])
  })
  after(async () => network.stop())

  const get = async (path: string, init?: RequestInit): Promise<Response> => fetch(`${network.serving.adminAddress}${path}`, init)

  it('/healthz, /readyz', async () => {
    expect(await (await get('/healthz')).text()).to.equal('ok\n')
    const ready = await get('/readyz')
    expect([ready.status, await ready.json()]).to.deep.equal([200, {ready: true, reasons: [], warnings: []}])
  })

  it('/metrics in the Prometheus text format, without ids', async () => {
    const stream = network.direct('paris').delta()
    subscribe(stream, 'paris', 'very-special-id')
    await settleAll(network, [stream])
    const response = await get('/metrics')
    const text = await response.text()
    expect(response.headers.get('content-type')).to.match(/^text\/plain/)
    expect(text).to.match(/^atlas_ads_streams\{variant="delta",path="direct"\} 1$/m)
    expect(text).to.match(/^atlas_ready 1$/m)
    expect(text).to.match(/^atlas_clusters 2$/m)
    expect(text).to.match(/^atlas_cluster_connected\{cluster="paris"\} 1$/m)
    expect(text).to.match(/^atlas_cluster_connected\{cluster="rome"\} 0$/m)
    expect(text).to.match(/^atlas_cluster_credential_used_ratio\{cluster="paris"\} [-\d.e]+$/m)
    expect(text).not.to.include('very-special-id')
    stream.cancel()
  })

  it('/status as `atlas status` reads it', async () => {
    const stream = network.relay('rome').delta()
    subscribe(stream, 'rome')
    await settleAll(network, [stream])
    const report = (await (await get('/status')).json()) as Report
    expect(report).to.deep.include({format: 1, ready: true, faults: [], reasons: []})
    expect(report.withoutProxy).to.include.members(['atlas'])
    expect(report.tls?.identities).to.equal(identitiesDigest(network.store.fleet().identities))
    const proxy = report.proxies.find(({cluster}) => cluster === 'rome')
    expect(proxy).to.deep.include({id: 'rome-0', variant: 'delta', path: 'relay', equalIds: 1})
    expect(proxy?.types.map(({type, state, sent, acknowledged}) => [type, state, sent === acknowledged])).to.deep.equal([
      ['Cluster', 'synced', true],
      ['Secret', 'synced', true],
      ['Listener', 'synced', true],
    ])
    expect(proxy?.credential.notAfter).to.be.a('string')
    expect(proxy?.identity?.notAfter).to.be.a('string')
    expect(JSON.stringify(report)).not.to.match(/PRIVATE KEY/)
    stream.cancel()
  })

  it('/status shows a NACK with its message and names, keeps it after the stream has ended, and drops it when the next stream has repaired it', async () => {
    const stream = network.direct('rome').delta()
    stream.send({node: nodeOf('rome', 'rome-7'), typeUrl: types.cluster})
    const {nonce} = await stream.next()
    stream.send({typeUrl: types.cluster, responseNonce: nonce, errorDetail: {code: 13, message: 'sidecar/0 is bad'}})
    await eventually(() => network.serving.report().proxies.some(({types: all}) => all[0]?.state === 'nack'), 'the NACK is in the report')
    const seen = network.serving.report().proxies.find(({id}) => id === 'rome-7')?.types[0]
    expect(seen).to.deep.include({type: 'Cluster', state: 'nack', nack: 'sidecar/0 is bad'})
    expect(seen?.nackNames).to.include('sidecar/0')
    stream.cancel()
    await stream.status
    await eventually(() => network.serving.report().unrepaired.length > 0, 'the end of the stream is in the report')
    const [unrepaired] = network.serving.report().unrepaired
    expect(unrepaired).to.deep.include({cluster: parseClusterName('rome'), id: 'rome-7'})
    expect(unrepaired?.names.Cluster).to.include('sidecar/0')
    const again = network.direct('rome').delta()
    again.send({node: nodeOf('rome', 'rome-7'), typeUrl: types.cluster})
    await settle(again)
    await eventually(() => network.serving.report().unrepaired.length === 0, 'the next stream has repaired it')
    again.cancel()
  })

  it('/status keeps what is unrepaired of a node that is frozen when it reconnects', async () => {
    const stream = network.direct('paris').delta()
    stream.send({node: nodeOf('paris', 'paris-7'), typeUrl: types.cluster})
    const {nonce} = await stream.next()
    stream.send({typeUrl: types.cluster, responseNonce: nonce, errorDetail: {code: 13, message: 'no'}})
    await eventually(
      () => network.serving.report().proxies.some(({id, types: all}) => id === 'paris-7' && all[0]?.state === 'nack'),
      'the NACK',
    )
    stream.cancel()
    const paris = parseClusterName('paris')
    const identity = need(network.store.fleet().identities.get(paris))
    network.store.write({kind: 'fault', subject: 'identity/paris', value: {object: 'Secret/x', key: 'paris', message: 'broken'}})
    const frozen = network.direct('paris').delta()
    frozen.send({node: nodeOf('paris', 'paris-7'), typeUrl: types.cluster})
    await eventually(
      () => network.serving.report().proxies.some(({id, frozen: why}) => id === 'paris-7' && why !== undefined),
      'it is frozen',
    )
    frozen.cancel()
    await eventually(() => network.serving.report().unrepaired.some(({id}) => id === 'paris-7'), 'it is kept')
    network.store.write({kind: 'identity', owner: paris, value: identity})
  })

  it('/status answers no name but those of the loopback interface', async () => {
    const {hostname, port} = new URL(network.serving.adminAddress)
    const statusFor = async (host: string): Promise<number | undefined> =>
      new Promise((resolve, reject) => {
        httpGet({hostname, port, path: '/status', headers: {host}}, response => {
          response.resume()
          resolve(response.statusCode)
        }).on('error', reject)
      })
    const names = ['localhost', `localhost:${port}`, '127.0.0.1', '[::1]:6309', 'rebound.example', `rebound.example:${port}`, '10.0.0.1']
    expect(await Promise.all(names.map(statusFor))).to.deep.equal([200, 200, 200, 200, 403, 403, 403])
  })

  it('/healthz and /readyz answer while hundreds of connections are idle or slow', async () => {
    const {hostname, port} = new URL(network.serving.adminAddress)
    const slow = Array.from({length: 600}, (_, index) => {
      const socket = connectTcp({host: hostname, port: Number(port)})
      socket.on('error', () => undefined)
      if (index % 2 === 0) socket.write('GET /healthz HTTP/1.1\r\nhost: x\r\nx-slow: ')
      return socket
    })
    await Promise.all(slow.map(async socket => new Promise(resolve => ['connect', 'close'].forEach(event => socket.once(event, resolve)))))
    for (const path of ['/healthz', '/readyz']) {
      const response = await get(path, {signal: AbortSignal.timeout(5000)})
      expect(response.status).to.equal(200)
      await response.text()
    }

    for (const socket of slow) socket.destroy()
  }).timeout(60_000)

  it('refuses other paths and methods', async () => {
    expect((await get('/')).status).to.equal(404)
    expect((await get('/status', {method: 'POST'})).status).to.equal(405)
    expect((await get('/status?x=1')).status).to.equal(200)
    const head = await get('/healthz', {method: 'HEAD'})
    expect([head.status, await head.text()]).to.deep.equal([200, ''])
  })
})
