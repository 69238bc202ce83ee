/** The rules of the protocol over real gRPC, with clients that do exactly what a rule is about. */
import {expect} from 'chai'
import {parseAddress} from '../../src/lib/model/address.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import {testCluster} from '../helpers/fleet.js'
import type {DeltaClient, SotwClient} from '../server/support/client.js'
import {type Network, eventually, need, nodeOf, settle, startNetwork, types} from '../server/support/network.js'

const node = nodeOf('atlas')

/** No response comes within a time in which one would. */
async function silent(client: {next(timeoutMs: number): Promise<unknown>}): Promise<void> {
  const response = await client.next(200).catch(() => undefined)
  expect(response).to.equal(undefined)
}

describe('the protocol', () => {
  let network: Network
  beforeEach(async () => {
    network = await startNetwork(['paris', 'rome'])
  })
  afterEach(async () => network.stop())

  function move(name: string, last: number): void {
    const cluster = parseClusterName(name)
    network.store.write({kind: 'registration', name: cluster, value: testCluster(name, {addresses: [parseAddress(`192.0.2.${last}`)]})})
  }

  describe('delta', () => {
    let client: DeltaClient
    beforeEach(() => {
      client = network.direct('atlas').delta()
    })

    const namesOf = (response: {readonly resources: readonly {readonly name: string}[]}): readonly string[] =>
      response.resources.map(({name}) => name).sort()

    async function wildcard(): Promise<string> {
      client.send({node, typeUrl: types.cluster})
      const response = await client.next()
      expect(namesOf(response)).to.include.members(['thanos/paris', 'thanos/rome'])
      client.send({typeUrl: types.cluster, responseNonce: response.nonce})
      return response.nonce
    }

    it('a wildcard begins with an empty first request and ends with an explicit unsubscription of "*"', async () => {
      await wildcard()
      client.send({typeUrl: types.cluster, resourceNamesSubscribe: ['thanos/paris']})
      expect(namesOf(await client.next())).to.deep.equal(['thanos/paris'])
      client.send({typeUrl: types.cluster, resourceNamesUnsubscribe: ['*']})
      await silent(client)
      move('rome', 7)
      await silent(client)
      move('paris', 7)
      expect(namesOf(await client.next())).to.deep.equal(['thanos/paris'])
    })

    it('after the last name is unsubscribed there is nothing, not everything', async () => {
      client.send({node, typeUrl: types.cluster, resourceNamesSubscribe: ['thanos/paris']})
      expect(namesOf(await client.next())).to.deep.equal(['thanos/paris'])
      client.send({typeUrl: types.cluster, resourceNamesUnsubscribe: ['thanos/paris']})
      await silent(client)
      move('paris', 8)
      await silent(client)
    })

    it('an empty first request for a type that is asked for by name is not answered', async () => {
      client.send({node, typeUrl: types.secret})
      await silent(client)
    })

    it('a name that does not exist is answered as removed, remembered, and sent when it appears', async () => {
      client.send({node, typeUrl: types.cluster, resourceNamesSubscribe: ['thanos/oslo']})
      const missing = await client.next()
      expect([namesOf(missing), missing.removedResources]).to.deep.equal([[], ['thanos/oslo']])
      client.send({typeUrl: types.cluster, responseNonce: missing.nonce})
      move('oslo', 1)
      expect(namesOf(await client.next())).to.deep.equal(['thanos/oslo'])
    })

    it('a name that is subscribed again is sent again', async () => {
      await wildcard()
      client.send({typeUrl: types.cluster, resourceNamesSubscribe: ['thanos/paris']})
      expect(namesOf(await client.next())).to.deep.equal(['thanos/paris'])
      client.send({typeUrl: types.cluster, resourceNamesUnsubscribe: ['thanos/paris'], resourceNamesSubscribe: ['thanos/paris']})
      expect(namesOf(await client.next())).to.deep.equal(['thanos/paris'])
    })

    it('a name given twice is sent once', async () => {
      client.send({node, typeUrl: types.secret, resourceNamesSubscribe: ['identity', 'identity', 'trust']})
      expect(namesOf(await client.next())).to.deep.equal(['identity', 'trust'])
    })

    it('names change even with a stale nonce', async () => {
      await wildcard()
      client.send({typeUrl: types.secret, resourceNamesSubscribe: ['identity']})
      const {nonce} = await client.next()
      client.send({typeUrl: types.secret, responseNonce: nonce})
      client.send({typeUrl: types.secret, responseNonce: '77777', resourceNamesSubscribe: ['trust']})
      expect(namesOf(await client.next())).to.deep.equal(['trust'])
    })

    it('a NACK is not answered with the same again and again, and good resources arrive', async () => {
      client.send({node, typeUrl: types.cluster})
      const refuse = async (response: {readonly nonce: string; readonly resources: readonly {readonly name: string}[]}): Promise<void> => {
        const isBad = response.resources.some(({name}) => name === 'thanos/rome')
        client.send({typeUrl: types.cluster, responseNonce: response.nonce, ...(isBad ? {errorDetail: {code: 3, message: 'no'}} : {})})
      }

      await refuse(await client.next())
      let rounds = 0
      for (; rounds < 20; rounds += 1) {
        const response = await client.next(300).catch(() => undefined)
        if (response === undefined) break
        await refuse(response)
      }

      expect(rounds).to.be.within(1, 10)
      const cluster = need(network.serving.report().proxies[0]?.types.find(({type}) => type === 'Cluster'))
      expect([cluster.state, cluster.sent - cluster.acknowledged]).to.deep.equal(['nack', 1])
      move('rome', 9)
      expect(namesOf(await client.next())).to.deep.equal(['thanos/rome'])
    })

    it('after a reconnect only resources that the client does not have, or has in another version, are sent, and extra ones removed', async () => {
      await wildcard()
      const had = Object.fromEntries(need(client.responses[0]).resources.map(({name, version}) => [name, version]))
      // What is not acknowledged when a stream ends is in doubt, and would be sent again.
      await eventually(() => network.serving.report().proxies[0]?.types[0]?.state === 'synced', 'the ACK is there')
      client.cancel()
      const again = network.direct('atlas').delta()
      again.send({node, typeUrl: types.cluster, initialResourceVersions: {...had, 'thanos/paris': 'old', 'thanos/gone': 'x'}})
      again.send({typeUrl: types.listener})
      again.send({typeUrl: types.scope})
      await settle(again, 400)
      const clusters = again.responses.filter(({typeUrl}) => typeUrl === types.cluster)
      expect(clusters.flatMap(response => namesOf(response))).to.deep.equal(['thanos/paris'])
      expect(clusters.flatMap(({removedResources}) => removedResources)).to.deep.equal(['thanos/gone'])
      again.send({typeUrl: types.secret, resourceNamesSubscribe: ['trust'], initialResourceVersions: {trust: 'any'}})
      expect(namesOf(await again.next())).to.deep.equal(['trust'])
    })

    it('a type that is not served leaves the stream open', async () => {
      client.send({node, typeUrl: 'type.googleapis.com/envoy.service.runtime.v3.Runtime', resourceNamesSubscribe: ['a']})
      await silent(client)
      client.send({typeUrl: types.secret, resourceNamesSubscribe: ['trust']})
      expect(namesOf(await client.next())).to.deep.equal(['trust'])
    })

    it('SDS is answered while the ACK of CDS is missing', async () => {
      client.send({node, typeUrl: types.cluster})
      await client.next()
      client.send({typeUrl: types.secret, resourceNamesSubscribe: ['identity', 'trust']})
      expect(namesOf(await client.next())).to.deep.equal(['identity', 'trust'])
    })
  })

  describe('state of the world', () => {
    let client: SotwClient
    beforeEach(() => {
      client = network.direct('atlas').sotw()
    })

    it('a wildcard is answered with all there is, and again with all when one changes', async () => {
      client.send({node, typeUrl: types.cluster})
      const first = await client.next()
      client.send({typeUrl: types.cluster, versionInfo: first.versionInfo, responseNonce: first.nonce})
      await silent(client)
      move('paris', 3)
      const second = await client.next()
      expect(second.resources).to.have.length(first.resources.length)
      expect(second.versionInfo).not.to.equal(first.versionInfo)
    })

    it('a name that is added is answered though nothing changed', async () => {
      client.send({node, typeUrl: types.secret, resourceNames: ['identity']})
      const first = await client.next()
      client.send({typeUrl: types.secret, versionInfo: first.versionInfo, responseNonce: first.nonce, resourceNames: ['identity']})
      client.send({typeUrl: types.secret, versionInfo: first.versionInfo, responseNonce: first.nonce, resourceNames: ['identity', 'trust']})
      expect((await client.next()).resources).to.have.length.within(1, 2)
    })

    it('secrets that do not exist are answered with nothing, not with an empty response', async () => {
      client.send({node, typeUrl: types.secret, resourceNames: ['nothing']})
      await silent(client)
    })

    it('names change even with a stale nonce', async () => {
      client.send({node, typeUrl: types.secret, resourceNames: ['identity']})
      await client.next()
      client.send({typeUrl: types.secret, responseNonce: '77777', resourceNames: ['identity', 'trust']})
      expect((await client.next()).resources).not.to.have.length(0)
    })

    it('a NACK is not answered with the same again', async () => {
      client.send({node, typeUrl: types.secret, resourceNames: ['trust']})
      const {nonce} = await client.next()
      client.send({typeUrl: types.secret, responseNonce: nonce, resourceNames: ['trust'], errorDetail: {code: 3, message: 'no'}})
      await silent(client)
      await eventually(() => network.serving.report().proxies[0]?.types[0]?.nack === 'no', 'the report has it')
    })

    it('the first request of a stream is answered, even if the client has that version', async () => {
      client.send({node, typeUrl: types.secret, resourceNames: ['trust']})
      const {versionInfo} = await client.next()
      client.cancel()
      const again = network.direct('atlas').sotw()
      again.send({node, typeUrl: types.secret, resourceNames: ['trust'], versionInfo})
      expect((await again.next()).versionInfo).to.equal(versionInfo)
    })

    it('a removed cluster is left out, after the scopes that used it', async () => {
      client.send({node, typeUrl: types.cluster})
      client.send({typeUrl: types.listener})
      client.send({typeUrl: types.scope})
      const acknowledge = async (): Promise<void> => {
        for (;;) {
          // The first one takes a handshake, which can be long on a loaded machine.
          const response = await (client.responses.length === 0 ? client.next() : client.next(200).catch(() => undefined))
          if (response === undefined) return
          client.send({typeUrl: response.typeUrl, versionInfo: response.versionInfo, responseNonce: response.nonce})
        }
      }

      await acknowledge()
      const before = client.responses.length
      network.store.write({kind: 'registration', name: parseClusterName('rome'), value: undefined})
      await acknowledge()
      expect(client.responses.slice(before).map(({typeUrl}) => typeUrl)).to.deep.equal([types.scope, types.cluster])
    })
  })
})
