/** A downstream cluster whose DNS name has several addresses, which change. A registration that changes: named.envoy. */
import {expect} from 'chai'
import {callOnce, openPlain} from '../../src/demo/lab/grpc.js'
import {serveDnsRecords} from '../helpers/dns-server.js'
import {oneCall} from './backend.js'
import {hostOf, until, untilReachable} from './look.js'
import {type Network, closeNetwork, openNetwork} from './network.js'

/** Seconds: names of downstream clusters are looked up every 20 to 30 s, whatever their TTL. */
const LOOKED_UP = 60

describe('e2e: a cluster by a DNS name with several addresses', function () {
  this.timeout(240_000)
  let network: Network

  before(async () => {
    network = await openNetwork({clusters: ['paris'], spare: 1})
    await untilReachable(network)
  })
  after(() => closeNetwork(network))

  it('is called at the living one of several addresses, IPv4 and IPv6, and follows them where the records change', async () => {
    const paris = network.member('paris')
    const at = (last: number): string => network.spareAddress(1).replace(/200$/, String(last))
    const [name, nameServer, nowhere, moved] = ['several.other.internal', {host: at(1), port: 1053}, at(2), at(3)] as const
    const dns = await serveDnsRecords(nameServer)
    network.onClose(async () => {
      dns.close()
    })
    dns.set(name, {A: {addresses: [nowhere, paris.address], ttl: 1}, AAAA: {addresses: ['::1'], ttl: 1}})
    const address = network.spareAddress(0).replace(/200$/, '201')
    const envoy = await network.makeEnvoy('atlas', {address, nodeId: 'atlas-2', nameServer})
    await envoy.start()
    await envoy.untilReady()
    await network.register('paris', {address: name})
    const healthOf = async (host: string): Promise<string | undefined> =>
      (await envoy.page('/clusters'))
        .split('\n')
        .find(line => line.startsWith(`thanos/paris::${host}:11901::health_flags::`))
        ?.replace(/.*::/, '')
    const statusOfCall = async (): Promise<number | undefined> =>
      (await callOnce(openPlain({host: address, port: 10_901}), oneCall(hostOf('paris')))).grpcStatus
    const answersTenTimes = async (): Promise<void> => {
      for (let call = 0; call < 10; call += 1) expect(await statusOfCall()).to.equal(0)
    }

    await until(network, 'the health of each address', async () => {
      const [dead, living] = [await healthOf(nowhere), await healthOf(paris.address)]
      return living === 'healthy' && dead?.includes('/failed_active_hc') === true
    })
    await answersTenTimes()

    const second = await network.makeEnvoy(paris.name, {address: moved, nodeId: 'paris-1'})
    await second.start()
    await second.untilReady()
    dns.set(name, {A: {addresses: [moved], ttl: 1}})
    await until(network, 'the new address', async () => (await healthOf(moved)) === 'healthy', LOOKED_UP)
    await answersTenTimes()
    // An address that has left the records serves for as long as it is healthy: a name may be missing from one answer by mistake.
    await paris.envoy.kill()
    await until(
      network,
      'the new address alone',
      async () => {
        const others = await Promise.all([nowhere, paris.address, '[::1]'].map(healthOf))
        return (await healthOf(moved)) === 'healthy' && others.every(each => each === undefined)
      },
      LOOKED_UP,
    )
    await answersTenTimes()
  })
})
