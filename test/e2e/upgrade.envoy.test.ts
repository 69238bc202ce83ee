/**
 * Upgrades: an installation, its Envoys and their bootstraps as an earlier release made them are taken over by the present server while
 * requests run, and the earlier server works again on the store that the present one has written. A clone without that release's commit
 * plays what the commit wrote, which is kept in test/golden/upgrade; so does every other, so that it goes on working.
 */
import {setTimeout} from 'node:timers/promises'
import {expect} from 'chai'
import {identityIn} from '../../src/demo/lab/certificates.js'
import {dependencies} from '../../src/lib/cli/base-command.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import {removeCluster} from '../../src/lib/ops/cluster/remove.js'
import {joining} from '../../src/lib/ops/cluster/values.js'
import {readCertificates} from '../../src/lib/pki/read.js'
import {proxyIn, statusIn, until, untilReachable, untilSynced, whoAnswers} from './look.js'
import {load} from './load.js'
import {type Network, closeNetwork, openNetwork} from './network.js'
import {atlasBin} from '../helpers/atlas.js'
import {keptRelease} from '../helpers/kept-release.js'
import {hasCommit, oldRelease} from '../helpers/old-release.js'

/** The last commit before the listeners, bootstraps and identities changed (CHANGELOG, Unreleased). */
const BEFORE = '6370771'
const clusters = ['paris', 'lyon']

if (hasCommit(BEFORE)) describe(`e2e: upgrade from commit ${BEFORE}, running`, upgradeOfRunning)
const why = hasCommit(BEFORE) ? '' : ', since this clone lacks the commit'

describe(`e2e: upgrade from what commit ${BEFORE} wrote, as kept in test/golden${why}`, function () {
  this.timeout(300_000)
  let network: Network

  before(async () => {
    network = await openNetwork({clusters, release: keptRelease(BEFORE)})
  })
  after(() => closeNetwork(network))

  it('the present server takes over the state, and Envoys that start from the kept bootstraps get their configuration', async () => {
    await untilReachable(network)
    await untilSynced(network)
    const states = async (): Promise<string> => (await statusIn(network)).proxies.map(({state}) => state).join()
    await until(network, 'every Envoy to be synced', async () => (await states()) === 'synced,synced,synced')
  })

  it('identities have got their second DNS name', async () => expectSecondName(network))

  it('the Envoys restart on these bootstraps while others answer requests', async () => {
    const requests = load(network, ['lyon'], {streams: false})
    const {envoy} = network.member('paris')
    await envoy.kill()
    await envoy.start()
    await envoy.untilReady(20)
    await untilReachable(network)
    expect(await requests.stop()).to.be.greaterThan(10)
    await restartEnvoys(network)
  })

  it('a cluster of this state can have a bootstrap of today, and can be removed', async () => {
    const files = (await joining(network.store, 'lyon')).bootstrap({nodeId: 'lyon-1', directory: '/srv/envoy'})
    expect(files.map(({path}) => path)).to.include('envoy.json')
    await removeCluster(network.store, 'paris', dependencies)
    await until(network, 'paris to be gone', async () => (await whoAnswers(network, 'paris')) === 'gRPC status 12')
    await untilSynced(network, ['atlas', 'lyon'])
  })
})

function upgradeOfRunning(this: Mocha.Suite): void {
  this.timeout(300_000)
  let network: Network

  before(async () => {
    network = await openNetwork({clusters, release: oldRelease(BEFORE)})
    await untilReachable(network)
    await untilSynced(network)
  })
  after(() => closeNetwork(network))

  it('the present server takes over state and running Envoys; connections end once, no request fails', async () => {
    const requests = load(network, clusters, {streams: false, reconnects: true})
    const before = await sequences()
    await network.server().kill()
    await network.startServer(atlasBin)
    await untilSynced(network)
    expect(await sequences()).to.not.deep.equal(before)
    await untilReachable(network)
    // Streams for configuration lead through a listener that changes, too: they end once, and each Envoy opens another.
    const areSynced = async (): Promise<boolean> =>
      (await statusIn(network)).proxies.map(({state}) => state).join() === 'synced,synced,synced'
    await until(network, 'every Envoy to be synced', areSynced)
    const endedOnce = (): boolean => clusters.every(cluster => requests.reconnections().get(cluster) === 1)
    await until(network, 'connections through the changed listeners to end', endedOnce)
    await afterDrain()
    expect(Object.fromEntries(requests.reconnections())).to.deep.equal({paris: 1, lyon: 1})
    expect(await requests.stop()).to.be.greaterThan(100)
  })

  it('identities have got their second DNS name', async () => expectSecondName(network))

  it('the Envoys restart on the bootstraps of the earlier release', async () => {
    await restartEnvoys(network)
  })

  it('the earlier server, started again on the state that the present one has written, serves every Envoy', async () => {
    const requests = load(network, clusters, {streams: false, reconnects: true})
    await network.server().kill()
    await network.startServer()
    await until(network, 'every Envoy to be connected', async () => (await sequences()).every(sequence => sequence !== undefined))
    await untilReachable(network)
    expect(await requests.stop()).to.be.greaterThan(100)
  })

  async function sequences(): Promise<readonly (string | undefined)[]> {
    return Promise.all(['atlas', ...clusters].map(async owner => (await proxyIn(network, owner))?.connectedSince))
  }
}

async function expectSecondName(network: Network): Promise<void> {
  const fleet = await network.store.load()
  const names = readCertificates(identityIn(fleet, parseClusterName('paris')).certificate)[0]?.dns
  expect(names).to.deep.equal(['paris.downstream.atlas.internal', 'g1.paris.downstream.atlas.internal'])
}

async function restartEnvoys(network: Network): Promise<void> {
  for (const envoy of [network.observability, network.member('paris').envoy]) {
    await envoy.kill()
    await envoy.start()
    await envoy.untilReady(20)
  }
  await untilReachable(network)
  await untilSynced(network)
}

/** Twice the time after which the Envoys of these tests cut what is left on a listener that was replaced (envoy.ts). */
async function afterDrain(): Promise<void> {
  await setTimeout(4000)
}
