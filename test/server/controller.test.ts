/** The store as the server meets it: slow, fought over, out of reach, and full of what is due. */
import {status} from '@grpc/grpc-js'
import {expect} from 'chai'
import {parseAddress} from '../../src/lib/model/address.js'
import {AtlasError} from '../../src/lib/model/errors.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import {readKey} from '../../src/lib/pki/read.js'
import {cryptoSigner} from '../../src/lib/pki/signer.js'
import {serve} from '../../src/server/serve.js'
import {testCluster} from '../helpers/fleet.js'
import {rejectedBy} from '../helpers/thrown.js'
import {rawConnection, requestFrame} from './support/raw.js'
import {testStore} from './support/store.js'
import {type Network, eventually, need, nodeOf, settle, settleAll, startNetwork, subscribe, types} from './support/network.js'

const [paris, rome] = [parseClusterName('paris'), parseClusterName('rome')]
const day = 86_400_000

describe('the controller', () => {
  let network: Network
  afterEach(async () => network.stop())

  it('issues what a new registration needs, and serves it', async () => {
    network = await startNetwork([])
    network.store.write({kind: 'registration', name: rome, value: testCluster('rome')})
    await eventually(() => network.store.fleet().credentials.has(rome), 'its credential is issued')
    const stream = network.direct('rome').delta()
    stream.send({node: nodeOf('rome'), typeUrl: types.cluster})
    expect((await stream.next()).resources).not.to.have.length(0)
  })

  it('renews leaves by itself, and hands them to who is connected', async () => {
    network = await startNetwork(['paris'], {times: {lookMs: 50}})
    const stream = network.direct('paris').delta()
    subscribe(stream, 'paris')
    await settleAll(network, [stream])
    const before = need(network.store.fleet().identities.get(paris))
    network.clock.ahead = 22 * day
    const renewed = await stream.next(5000)
    expect(renewed.resources.map(({name}) => name)).to.deep.equal(['identity'])
    expect(readKey(need(network.store.fleet().identities.get(paris))).serial).not.to.equal(readKey(before).serial)
    stream.send({typeUrl: types.secret, responseNonce: renewed.nonce})
    await eventually(
      () =>
        network.serving.report().proxies[0]?.identity?.notAfter ===
        readKey(need(network.store.fleet().identities.get(paris))).notAfter.toISOString(),
      'the report shows the new leaf',
    )
  })

  it('tries again when another writer was faster', async () => {
    network = await startNetwork([], {times: {retryMs: 10}})
    network.store.conflicts = 3
    network.store.write({kind: 'registration', name: rome, value: testCluster('rome')})
    await eventually(() => network.store.fleet().credentials.has(rome), 'its credential is issued')
    expect(network.store.conflicts).to.equal(0)
  })

  it('goes on serving the last good fleet while the store is out of reach, and catches up', async () => {
    network = await startNetwork(['paris', 'rome'], {times: {retryMs: 20, retryMaxMs: 40}})
    network.store.fail()
    expect(network.serving.readiness()).to.deep.include({ready: true})
    expect(network.serving.readiness().warnings.join()).to.match(/store can not be read/)
    const stream = network.direct('paris').delta()
    subscribe(stream, 'paris')
    expect(await settle(stream)).to.be.above(0)
    network.store.write({kind: 'registration', name: rome, value: undefined})
    expect(network.serving.report().withoutProxy).to.include('rome')
    network.store.recover()
    expect(network.serving.report().withoutProxy).not.to.include('rome')
    expect(network.serving.readiness().warnings).to.deep.equal([])
  })

  it('is not held up by a slow store', async () => {
    network = await startNetwork(['paris'])
    const stream = network.direct('atlas').delta()
    subscribe(stream, 'atlas')
    await settleAll(network, [stream])
    network.store.delay = 1000
    network.store.write({kind: 'registration', name: rome, value: testCluster('rome')})
    network.store.write({kind: 'registration', name: paris, value: testCluster('paris', {addresses: [parseAddress('10.9.9.9')]})})
    const names: string[] = []
    await eventually(
      () => stream.responses.some(response => response.resources.some(({name}) => name === 'thanos/rome')),
      'rome is served',
      500,
    )
    for (const response of stream.responses) names.push(...response.resources.map(({name}) => name))
    expect(names).to.include('thanos/paris')
    network.store.delay = 0
  })

  it('waits longer after each failure, and says what fails', async () => {
    network = await startNetwork([], {times: {retryMs: 10, retryMaxMs: 20}})
    const {authority} = network.store.fleet()
    const issuer = need(authority.get('issuer'))
    const broken = {certificate: issuer.certificate, key: need(authority.get('root')).key}
    network.store.write({kind: 'authority', part: 'issuer', value: broken})
    network.store.write({kind: 'registration', name: rome, value: testCluster('rome')})
    await eventually(() => network.serving.readiness().warnings.some(warning => warning.includes('could not be issued')), 'it says so')
    expect(network.serving.readiness().ready).to.equal(true)
    network.store.write({kind: 'authority', part: 'issuer', value: issuer})
    await eventually(() => network.store.fleet().credentials.has(rome), 'its credential is issued')
  })
})

describe('a server that can not begin', () => {
  const dependencies = {now: () => new Date(), signer: cryptoSigner}
  const local = {listen: {host: '127.0.0.1', port: 0}, admin: {host: '127.0.0.1', port: 0}, log: 'silent'} as const

  it('says that there is no Atlas yet, and leaves nothing behind', async () => {
    const store = testStore()
    const error = await rejectedBy(serve({store, dependencies, ...local}))
    expect(error.code).to.equal('not-found')
    expect(store.isHeld()).to.equal(false)
  })

  it('says who holds the store', async () => {
    const network = await startNetwork([])
    const error = await rejectedBy(serve({store: network.store, dependencies, ...local}))
    expect([error.code, error.message]).to.deep.equal(['conflict', `the test store is held by ${network.serving.adminAddress}`])
    await network.stop()
  })

  it('names the port that is taken', async () => {
    const network = await startNetwork([])
    const [host = '', port = ''] = network.serving.address.split(':')
    const store = testStore()
    store.write({kind: 'settings', value: need(network.store.fleet().settings)})
    const error = await rejectedBy(serve({store, dependencies, ...local, listen: {host, port: Number(port)}}))
    expect(error).to.be.instanceOf(AtlasError)
    expect(error.message).to.include(network.serving.address)
    expect(store.isHeld()).to.equal(false)
    const admin = new URL(network.serving.adminAddress)
    const second = await rejectedBy(serve({store, dependencies, ...local, admin: {host: admin.hostname, port: Number(admin.port)}}))
    expect(second.message).to.match(/admin port/)
    await network.stop()
  })

  it('without a root serves nobody, is not ready and says why', async () => {
    const network = await startNetwork([])
    const store = testStore()
    store.write({kind: 'settings', value: need(network.store.fleet().settings)})
    const serving = await serve({store, dependencies, ...local})
    expect(serving.readiness().ready).to.equal(false)
    expect(serving.readiness().reasons.join()).to.match(/no certificate/)
    expect(serving.readiness().warnings.join()).to.match(/atlas-ca/)
    expect((await fetch(`${serving.adminAddress}/readyz`)).status).to.equal(503)
    await serving.stop()
    await network.stop()
  })
})

describe('stopping', () => {
  it('ends streams in good order, refuses new ones, and gives the store back', async () => {
    const network = await startNetwork(['paris', 'rome'])
    const streams = ['paris', 'rome', 'atlas'].map(owner => {
      const stream = network.direct(owner).delta()
      subscribe(stream, owner)
      return stream
    })
    await settleAll(network, streams)
    const stopping = network.serving.stop()
    expect(network.serving.readiness().ready).to.equal(false)
    expect(await Promise.all(streams.map(async stream => (await stream.status).code))).to.deep.equal([status.OK, status.OK, status.OK])
    const begin = Date.now()
    await stopping
    expect(Date.now() - begin).to.be.below(900)
    expect(network.store.isHeld()).to.equal(false)
    const late = network.direct('paris').delta()
    late.send({node: nodeOf('paris'), typeUrl: types.cluster})
    expect((await late.status).code).to.equal(status.UNAVAILABLE)
    await network.stop()
  })

  it('cuts what is left after the grace time', async () => {
    const network = await startNetwork(
      Array.from({length: 50}, (_, index) => `c${index}`),
      {times: {stopGraceMs: 200, resetAfterMs: 10_000}},
    )
    const {session, open} = await rawConnection(network, 'atlas')
    const stuck = open()
    stuck.pause()
    stuck.write(requestFrame({node: nodeOf('atlas'), typeUrl: types.cluster}))
    await eventually(() => network.serving.report().proxies.length === 1, 'it is open')
    const begin = Date.now()
    await network.serving.stop()
    expect(Date.now() - begin).to.be.within(190, 600)
    session.destroy()
    await network.stop()
  })

  it('can be asked twice', async () => {
    const network = await startNetwork([])
    await Promise.all([network.serving.stop(), network.serving.stop()])
  })
})
