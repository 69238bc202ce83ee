/** The server over real gRPC: what it serves, to whom, and how it comes and goes. */
import {expect} from 'chai'
import {type Network, nodeOf, startNetwork, types} from './support/network.js'

describe('a server', () => {
  let network: Network
  afterEach(async () => network.stop())

  it('serves a downstream node, delta', async () => {
    network = await startNetwork(['paris', 'rome'])
    const client = network.direct('paris').delta()
    client.send({node: nodeOf('paris'), typeUrl: types.cluster})
    const clusters = await client.next()
    expect(clusters.typeUrl).to.equal(types.cluster)
    expect(clusters.resources.map(({name}) => name)).to.deep.equal(['sidecar/0'])
    client.send({typeUrl: types.cluster, responseNonce: clusters.nonce})
    client.send({typeUrl: types.secret, resourceNamesSubscribe: ['identity', 'trust']})
    const secrets = await client.next()
    expect(secrets.resources.map(({name}) => name)).to.have.members(['identity', 'trust'])
  })

  it('serves a downstream node, state of the world', async () => {
    network = await startNetwork(['paris'])
    const client = network.direct('paris').sotw()
    client.send({node: nodeOf('paris'), typeUrl: types.cluster})
    const clusters = await client.next()
    expect(clusters.typeUrl).to.equal(types.cluster)
    expect(clusters.resources).to.have.length(1)
    client.send({typeUrl: types.secret, resourceNames: ['identity']})
    expect((await client.next()).resources).to.have.length(1)
  })
})
