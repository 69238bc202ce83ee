/** Change in, gRPC out: a change in the store, and what arrives at which Envoy. */
import {expect} from 'chai'
import {parseAddress} from '../../src/lib/model/address.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import {rotateLeaves} from '../../src/lib/ops/rotate.js'
import {cryptoSigner} from '../../src/lib/pki/signer.js'
import {testCluster} from '../helpers/fleet.js'
import type {DeltaClient} from '../server/support/client.js'
import {type Network, eventually, need, nodeOf, settle, settleAll, startNetwork, subscribe, types} from '../server/support/network.js'

const owners = ['atlas', 'c0', 'c1', 'c2', 'c3', 'c4'] as const
const dependencies = {now: () => new Date(), signer: cryptoSigner}

describe('a change', () => {
  let network: Network
  let clients: Map<string, DeltaClient>

  beforeEach(async () => {
    // Much longer than this process pauses between two changes of a burst, and shorter than the quiet time that `responsesTo` waits for.
    network = await startNetwork(owners.slice(1), {times: {gatherMs: 100}})
    clients = new Map(owners.map(owner => [owner, (owner === 'atlas' ? network.direct(owner) : network.relay(owner)).delta()]))
    for (const [owner, client] of clients) {
      subscribe(client, owner)
      client.send({typeUrl: types.scope})
    }

    await settleAll(network, [...clients.values()])
  })
  afterEach(async () => network.stop())

  const of = (owner: string): DeltaClient => need(clients.get(owner))

  /** How many responses each Envoy gets because of `act`; those without any are left out. */
  async function responsesTo(act: () => Promise<unknown> | void): Promise<Readonly<Record<string, number>>> {
    await act()
    const counts = await Promise.all([...clients].map(async ([owner, client]) => [owner, await settle(client, 400)] as const))
    return Object.fromEntries(counts.filter(([, count]) => count > 0))
  }

  it('of one address reaches the observability Envoy alone, in one response with one resource', async () => {
    expect(
      await responsesTo(() => {
        const value = testCluster('c1', {addresses: [parseAddress('203.0.113.9')]})
        network.store.write({kind: 'registration', name: parseClusterName('c1'), value})
      }),
    ).to.deep.equal({atlas: 1})
    const last = need(of('atlas').responses.at(-1))
    expect([last.typeUrl, last.resources.map(({name}) => name)]).to.deep.equal([types.cluster, ['thanos/c1']])
  })

  it('of the services behind one cluster reaches its Envoy, and no other cluster', async () => {
    const cluster = testCluster('c1')
    const services = {...cluster.services, thanos: {host: 'elsewhere-{replica}.svc', port: 10_901}}
    const counts = await responsesTo(() => {
      network.store.write({kind: 'registration', name: parseClusterName('c1'), value: {...cluster, services}})
    })
    expect(Object.keys(counts)).to.include('c1')
    expect(Object.keys(counts).filter(owner => owner !== 'c1' && owner !== 'atlas')).to.deep.equal([])
  })

  it('that adds a cluster is sent to the observability Envoy: the cluster first, then its scope', async () => {
    expect(
      Object.keys(
        await responsesTo(() => {
          network.store.write({kind: 'registration', name: parseClusterName('c9'), value: testCluster('c9')})
        }),
      ),
    ).to.deep.equal(['atlas'])
    const [first, second] = of('atlas').responses.slice(-2)
    expect([first?.typeUrl, first?.resources.map(({name}) => name)]).to.deep.equal([types.cluster, ['thanos/c9']])
    expect([second?.typeUrl, second?.resources.length]).to.deep.equal([types.scope, 1])
  })

  it('that removes a cluster takes its scope away first, then the cluster, and its stream', async () => {
    const name = parseClusterName('c2')
    const counts = await responsesTo(() => {
      network.store.write({kind: 'registration', name, value: undefined})
    })
    expect(Object.keys(counts)).to.deep.equal(['atlas'])
    const removals = of('atlas').responses.filter(response => response.removedResources.length > 0)
    expect(removals.map(response => response.typeUrl)).to.deep.equal([types.scope, types.cluster])
    expect(removals.at(-1)?.removedResources).to.deep.equal(['thanos/c2'])
    await of('c2').status
  })

  it('in a burst of 20 costs few pushes, and the last one wins', async () => {
    const counts = await responsesTo(async () => {
      for (let round = 0; round < 20; round += 1) {
        const value = testCluster('c1', {addresses: [parseAddress(`203.0.113.${round}`)]})
        network.store.write({kind: 'registration', name: parseClusterName('c1'), value})
        await new Promise(resolve => setImmediate(resolve))
      }
    })
    expect(counts['atlas']).to.be.within(2, 5)
    const last = need(of('atlas').responses.at(-1))
    expect(Buffer.from(last.resources[0]?.resource?.value ?? []).includes('203.0.113.19')).to.equal(true)
  })

  it('of every identity reaches each Envoy once, with its own identity alone', async () => {
    const counts = await responsesTo(async () => rotateLeaves(network.store, [], dependencies))
    expect(counts).to.deep.equal(Object.fromEntries(owners.map(owner => [owner, 1])))
    for (const client of clients.values()) {
      const last = need(client.responses.at(-1))
      expect([last.typeUrl, last.resources.map(({name}) => name)]).to.deep.equal([types.secret, ['identity']])
    }
  })

  it('that changes nothing is sent to no Envoy', async () => {
    expect(
      await responsesTo(() => {
        network.store.write({kind: 'registration', name: parseClusterName('c1'), value: testCluster('c1')})
        network.store.write({kind: 'endpoints', value: {text: 'other'}})
      }),
    ).to.deep.equal({})
  })

  it('freezes the node whose identity breaks: it is sent nothing, loses nothing, and is named', async () => {
    const name = parseClusterName('c3')
    const good = need(network.store.fleet().identities.get(name))
    const fault = {object: 'Secret/atlas-identities-07', key: 'data.c3', message: 'is not PEM'}
    expect(
      await responsesTo(() => {
        network.store.write({kind: 'fault', subject: 'identity/c3', value: fault})
      }),
    ).to.deep.equal({})
    const proxy = (): string | undefined => network.serving.report().proxies.find(({cluster}) => cluster === 'c3')?.frozen
    expect(proxy()).to.match(/atlas-identities-07.*data\.c3.*is not PEM/)
    expect(network.serving.report().faults.map(({subject}) => subject)).to.deep.equal(['identity/c3'])

    // Not even when it comes back, also to a server that was started since.
    await network.restart()
    const again = network.relay('c3').delta()
    subscribe(again, 'c3')
    await eventually(() => proxy()?.includes('is not PEM') === true, 'it is frozen')
    expect(await again.next(300).catch(() => undefined)).to.equal(undefined)
    expect(proxy()).to.match(/is not PEM/)
    network.store.write({kind: 'identity', owner: name, value: good})
    expect(await settle(again, 300)).to.be.above(0)
    expect(proxy()).to.equal(undefined)
  })

  it('that breaks a registration leaves every Envoy as it is', async () => {
    const fault = {object: 'Service/c4', key: 'metadata.annotations["goatlas.io/addresses"]', message: 'is no address'}
    expect(
      await responsesTo(() => {
        network.store.write({kind: 'fault', subject: 'registration/c4', value: fault})
      }),
    ).to.deep.equal({})
    await network.restart()
    const [atlas, own] = [network.direct('atlas').delta(), network.relay('c4').delta()]
    atlas.send({node: nodeOf('atlas'), typeUrl: types.cluster})
    expect((await atlas.next()).resources.map(({name}) => name)).to.include('thanos/c4')
    own.send({node: nodeOf('c4'), typeUrl: types.cluster})
    expect((await own.next()).resources).not.to.have.length(0)
  })

  it('while the server is stopped is sent when it is back, and nothing else is', async () => {
    const versions = (client: DeltaClient, typeUrl: string): Record<string, string> =>
      Object.fromEntries(
        client.responses
          .filter(response => response.typeUrl === typeUrl)
          .flatMap(response => response.resources.map(({name, version}) => [name, version])),
      )
    const had = versions(of('atlas'), types.cluster)
    await network.serving.stop()
    const value = testCluster('c1', {addresses: [parseAddress('203.0.113.77')]})
    network.store.write({kind: 'registration', name: parseClusterName('c1'), value})
    await network.restart()
    const again = network.direct('atlas').delta()
    again.send({node: nodeOf('atlas'), typeUrl: types.cluster, initialResourceVersions: had})
    expect((await again.next()).resources.map(({name}) => name)).to.deep.equal(['thanos/c1'])
    await eventually(() => again.responses.length === 1, 'nothing else')
  })
})
