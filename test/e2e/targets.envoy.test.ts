/** Named targets through both Envoys: each replica by its own name, beside the sidecars and instead of them. */
import {expect} from 'chai'
import {dependencies} from '../../src/lib/cli/base-command.js'
import type {NamedTarget} from '../../src/lib/model/cluster.js'
import {parseClusterName, sidecarName} from '../../src/lib/model/names.js'
import {defaultStack, targetsOf} from '../../src/lib/model/stack.js'
import {addCluster, type ClusterRequest} from '../../src/lib/ops/cluster/add.js'
import {callOnce, openPlain} from '../../src/demo/lab/grpc.js'
import {ANSWERED_BY, oneCall, serveBackend} from './backend.js'
import {queryAddress, statOf, until, untilReachable, whoAnswers} from './look.js'
import {type Network, closeNetwork, openNetwork} from './network.js'

describe('e2e: named targets', function () {
  this.timeout(240_000)
  let network: Network
  let block: string

  before(async () => {
    network = await openNetwork({clusters: ['paris'], spare: 1})
    block = network.spareAddress(0).replace(/\.200$/, '')
    await untilReachable(network)
    for (const [name, host] of [
      ['ruler/0', `${block}.120`],
      ['store/0', `${block}.130`],
      ['store/1', `${block}.131`],
    ] as const) {
      const backend = await serveBackend({host, port: 10_901}, name)
      network.onClose(backend.close)
    }
  })
  after(() => closeNetwork(network))

  async function change(request: ClusterRequest): Promise<void> {
    await addCluster(network.store, 'paris', {request, defaults: targetsOf(defaultStack)}, dependencies)
  }

  async function answerOf(target: string, replica: number): Promise<string> {
    const host = `${sidecarName(parseClusterName('paris'), replica, target)}.atlas.svc.cluster.local:10901`
    const {headers, grpcStatus} = await callOnce(openPlain(queryAddress(network)), oneCall(host))
    return grpcStatus === 0 ? String(headers[ANSWERED_BY]) : `gRPC status ${grpcStatus ?? 'none'}`
  }

  const targets = (): ReadonlyMap<string, NamedTarget> =>
    new Map([
      ['ruler', {host: `${block}.120`, port: 10_901, replicas: 1, health: 'grpc'}],
      ['store', {host: `${block}.13{replica}`, port: 10_901, replicas: 2, health: 'grpc'}],
    ])

  it('are reached each by its name, beside the sidecars, and no listener changes', async () => {
    const modified = await statOf(network.observability, 'listener_manager.listener_modified')
    await change({targets: targets()})
    // Each is a cluster of its own, which its first health check makes ready.
    for (const [name, replica] of [
      ['store', 1],
      ['store', 0],
      ['ruler', 0],
    ] as const)
      await until(network, `${name}/${replica}`, async () => (await answerOf(name, replica)) === `${name}/${replica}`)
    expect(await whoAnswers(network, 'paris')).to.equal('paris/0')
    expect(await answerOf('ruler', 1)).to.equal('gRPC status 12')
    expect(await answerOf('store', 10)).to.equal('gRPC status 12')
    expect(await statOf(network.observability, 'listener_manager.listener_modified')).to.equal(modified)
  })

  it('come and go without the others', async () => {
    const [ruler] = [...targets()]
    await change({targets: new Map(ruler === undefined ? [] : [ruler])})
    await until(network, 'the end of the store', async () => (await answerOf('store', 0)) === 'gRPC status 12')
    expect(await answerOf('ruler', 0)).to.equal('ruler/0')
    expect(await whoAnswers(network, 'paris')).to.equal('paris/0')
  })

  it('may be all that there is', async () => {
    await change({targets: targets(), replicas: 0})
    await until(network, 'the end of the sidecar', async () => (await whoAnswers(network, 'paris')) === 'gRPC status 12')
    expect(await answerOf('ruler', 0)).to.equal('ruler/0')
  })

  it('of one cluster are not another cluster of a similar name', async () => {
    await network.join('paris-ruler')
    await until(network, 'paris-ruler', async () => (await whoAnswers(network, 'paris-ruler')) === 'paris-ruler/0')
    expect(await answerOf('ruler', 0)).to.equal('ruler/0')
  })
})
