/** 200 registered clusters at one observability Envoy, three of them with an Envoy: one more concerns only two Envoys. */
import {expect} from 'chai'
import {differing, dumpedResources} from '../../src/demo/lab/envoy-admin.js'
import {dependencies} from '../../src/lib/cli/base-command.js'
import {parseAddresses} from '../../src/lib/model/address.js'
import {type Change, reduceAll} from '../../src/lib/model/change.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import {commitPlan} from '../../src/lib/ops/commit.js'
import {planReconcile} from '../../src/lib/ops/reconcile.js'
import {testCluster} from '../helpers/fleet.js'
import {reportOf, statOf, until, untilReachable, untilSynced, updatesOf, whoAnswers} from './look.js'
import {type Network, closeNetwork, openNetwork} from './network.js'

const real = ['paris', 'lyon', 'oslo']
/** The scope of the start page. */
const START_PAGE = 1
const FLEET = 200

describe('e2e: 200 clusters', function () {
  this.timeout(240_000)
  let network: Network

  before(async () => {
    network = await openNetwork({clusters: real, spare: 1, settings: {timeouts: {healthInterval: 2, healthTimeout: 1}}})
    await registerTheOthers(network)
    await until(network, 'all to be sent', async () => (await sentOf('ScopedRouteConfiguration')) === FLEET + START_PAGE)
    await untilSynced(network)
  })
  after(() => closeNetwork(network))

  /** How many resources of a type the observability Envoy has acknowledged. */
  async function sentOf(type: string): Promise<number> {
    const {proxies} = await reportOf(network)
    const found = proxies.find(({cluster}) => cluster === 'atlas')?.types.find(each => each.type === type)
    return found?.acknowledged ?? 0
  }

  it('clusters with an Envoy answer, each for itself; calls to the others fail at once', async () => {
    await untilReachable(network)
    // Beside them the servers' two clusters, for ADS and for their pages, and the bootstrap's two, for ADS and for the admin pages.
    const areActive = async (): Promise<boolean> => (await statOf(network.observability, 'cluster_manager.active_clusters')) === FLEET + 4
    await until(network, 'all clusters to be active', areActive)
    for (const name of ['cluster-0', 'cluster-100', 'cluster-196']) {
      const begin = performance.now()
      expect(await whoAnswers(network, name)).to.equal('gRPC status 14')
      expect(performance.now() - begin).to.be.lessThan(2500)
    }
  })

  it('one more is sent to only two Envoys, in a few kilobytes', async () => {
    const others = real.map(name => network.member(name).envoy)
    const received = async () => statOf(network.observability, 'cluster.xds.upstream_cx_rx_bytes_total')
    const before = {
      resources: await dumpedResources(network.observability.admin),
      updates: await Promise.all(others.map(envoy => updatesOf(envoy))),
      bytes: await received(),
    }
    const listeners = await statOf(network.observability, 'listener_manager.lds.update_success')
    const rome = await network.join('rome')
    await rome.envoy.untilReady()
    await untilReachable(network, ['rome'])
    await untilSynced(network)

    expect(await Promise.all(others.map(envoy => updatesOf(envoy)))).to.deep.equal(before.updates)
    const changed = differing(before.resources, await dumpedResources(network.observability.admin))
    expect(changed.filter(name => !name.endsWith(' thanos/rome'))).to.deep.equal([])
    expect(changed).to.include('Clusters thanos/rome').and.to.include('ScopedRoutes thanos/rome')
    expect(await statOf(network.observability, 'listener_manager.lds.update_success')).to.equal(listeners)
    // The relayed streams of the new Envoy use another Envoy cluster; this counts the observability Envoy's own stream.
    expect((await received()) - before.bytes).to.be.within(500, 10_000)
  })
})

/** Registers clusters in one commit, as after a `git pull`; their addresses refuse connections. */
async function registerTheOthers(network: Network): Promise<void> {
  const clusters = Array.from({length: FLEET - real.length}, (_, index) =>
    testCluster(parseClusterName(`cluster-${index}`), {addresses: parseAddresses(network.spareAddress(20))}),
  )
  const changes = clusters.map((value): Change => ({kind: 'registration', name: value.name, value}))
  await commitPlan(network.store, fleet => [...changes, ...planReconcile(reduceAll(fleet, changes), dependencies)])
}
