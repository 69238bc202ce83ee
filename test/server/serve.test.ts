/** A server over real gRPC: what it serves, how it starts or fails to, and how it stops. */
import {status} from '@grpc/grpc-js'
import {expect} from 'chai'
import {AtlasError} from '../../src/lib/model/errors.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import {readKey} from '../../src/lib/pki/read.js'
import {cryptoSigner} from '../../src/lib/pki/signer.js'
import {serve} from '../../src/server/serve.js'
import {testCluster} from '../helpers/fleet.js'
import {rejectedBy} from '../helpers/thrown.js'
import {rawConnection, requestFrame} from './support/raw.js'
import {testStore} from './support/store.js'
import {type Network, eventually, need, nodeOf, settleAll, startNetwork, subscribe, types} from './support/network.js'

describe('a server', () => {
  let network: Network
  afterEach(async () => network.stop())

  it('serves a downstream node, delta', async () => {
    network = await startNetwork(['paris', 'rome'])
    const client = network.direct('paris').delta()
    client.send({node: nodeOf('paris'), typeUrl: types.cluster})
    const clusters = await client.next()
    expect(clusters.typeUrl).to.equal(types.cluster)
    expect(clusters.resources.map(({name}) => name)).to.include.members(['sidecar/0', 'page/prom'])
    client.send({typeUrl: types.cluster, responseNonce: clusters.nonce})
    client.send({typeUrl: types.secret, resourceNamesSubscribe: ['identity', 'trust']})
    const secrets = await client.next()
    expect(secrets.resources.map(({name}) => name)).to.have.members(['identity', 'trust'])
  })

  it('D11: issues nothing at a restart: every certificate has the serial that it had', async () => {
    network = await startNetwork(['paris', 'rome'])
    const serials = (): Record<string, string> => {
      const {identities, credentials, authority, server} = network.store.fleet()
      const all = {identity: identities, credential: credentials, authority, server: new Map([['ads', need(server)]])}
      return Object.fromEntries(
        Object.entries(all).flatMap(([kind, keys]) => [...keys].map(([name, key]) => [`${kind} ${name}`, readKey(key).serial])),
      )
    }
    const before = serials()
    expect(Object.keys(before)).to.have.length(3 + 3 + 3 + 1)
    for (const name of ['oslo', 'bonn'].map(each => parseClusterName(each))) {
      await network.restart()
      // Once it has issued what is missing, it has looked at everything.
      network.store.write({kind: 'registration', name, value: testCluster(name)})
      await eventually(() => network.store.fleet().credentials.has(name), `the credential of ${name}`)
      expect(serials()).to.deep.include(before)
    }
  })

  it('serves a downstream node, state of the world', async () => {
    network = await startNetwork(['paris'])
    const client = network.direct('paris').sotw()
    client.send({node: nodeOf('paris'), typeUrl: types.cluster})
    const clusters = await client.next()
    expect(clusters.typeUrl).to.equal(types.cluster)
    expect(clusters.resources).to.have.length(6)
    client.send({typeUrl: types.secret, resourceNames: ['identity']})
    expect((await client.next()).resources).to.have.length(1)
  })
})

describe('a server that can not start', () => {
  const dependencies = {now: () => new Date(), signer: cryptoSigner}
  const local = {listen: {host: '127.0.0.1', port: 0}, admin: {host: '127.0.0.1', port: 0}, log: 'silent'} as const

  it('fails where there is no Atlas yet, and gives the store back', async () => {
    const store = testStore()
    const error = await rejectedBy(serve({store, dependencies, ...local}))
    expect(error.code).to.equal('not-found')
    expect(store.isHeld()).to.equal(false)
  })

  it('names the server that holds the store', async () => {
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

  it('is not ready without a root, and states why', async () => {
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
    const network = await startNetwork(['paris', 'rome'], {times: {stopGraceMs: 20_000}})
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
    expect(Date.now() - begin, 'long before the grace time is over').to.be.below(10_000)
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
    expect(Date.now() - begin).to.be.within(190, 5000)
    session.destroy()
    await network.stop()
  })

  it('can be asked twice', async () => {
    const network = await startNetwork([])
    await Promise.all([network.serving.stop(), network.serving.stop()])
  })
})
