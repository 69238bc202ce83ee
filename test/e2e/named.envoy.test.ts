/** A downstream cluster that is registered by a DNS name: a change of its registration fails no request. */
import {expect} from 'chai'
import {serveDns} from '../../src/demo/lab/dns.js'
import {callOnce, openPlain} from '../../src/demo/lab/grpc.js'
import {startLoad} from '../../src/demo/lab/load.js'
import {oneCall} from './backend.js'
import {hostOf, until, untilReachable} from './look.js'
import {type Network, closeNetwork, openNetwork} from './network.js'

describe('e2e: a cluster by its DNS name', function () {
  this.timeout(240_000)
  let network: Network

  before(async () => {
    network = await openNetwork({clusters: ['paris'], spare: 1})
    await untilReachable(network)
  })
  after(() => closeNetwork(network))

  it('answers every request while its registration, and so its Envoy cluster, changes', async () => {
    const {address} = network.member('paris')
    const names = {host: network.spareAddress(1), port: 1053}
    const dns = await serveDns(names, {suffix: 'test.internal', address})
    network.onClose(dns.close)
    await network.register('paris', {address: 'one.test.internal'})
    const envoy = await network.makeEnvoy('atlas', {address: network.spareAddress(0), nodeId: 'atlas-1', nameServer: names})
    await envoy.start()
    await envoy.untilReady()
    const call = async (): Promise<void> => {
      const {grpcStatus, grpcMessage} = await callOnce(openPlain({host: network.spareAddress(0), port: 10_901}), oneCall(hostOf('paris')))
      if (grpcStatus !== 0) throw new Error(`gRPC status ${String(grpcStatus)} ${grpcMessage}`)
    }
    const answers = async (): Promise<boolean> =>
      call().then(
        () => true,
        () => false,
      )
    await until(network, 'paris to answer', answers)
    const requests = startLoad([call], 20)
    for (const name of ['two', 'three']) {
      await network.register('paris', {address: `${name}.test.internal`})
      const page = '/config_dump?resource=dynamic_active_clusters'
      const isActive = async (): Promise<boolean> => (await envoy.page(page)).includes(`${name}.test.internal`)
      await until(network, 'the new cluster to be in use', isActive)
      await until(network, 'paris to answer by its new name', answers)
    }
    const {requests: sent, failures, firstFailure} = await requests.stop()
    expect({failures, firstFailure}).to.deep.equal({failures: 0, firstFailure: undefined})
    expect(sent).to.be.greaterThan(20)
  })
})
