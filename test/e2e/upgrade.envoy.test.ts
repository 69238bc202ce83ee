/**
 * Upgrades: an installation, its Envoys and their bootstraps as an earlier release made them are taken over by the present server while
 * requests run, and the earlier server works again on the store that the present one has written.
 */
import {setTimeout} from 'node:timers/promises'
import {expect} from 'chai'
import {identityIn} from '../../src/demo/lab/certificates.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import {readCertificates} from '../../src/lib/pki/read.js'
import {proxyIn, statusIn, until, untilReachable, untilSynced} from './look.js'
import {load} from './load.js'
import {type Network, closeNetwork, openNetwork} from './network.js'
import {atlasBin} from '../helpers/atlas.js'
import {hasCommit, oldRelease} from '../helpers/old-release.js'

/** The last commit before the listeners, bootstraps and identities changed (CHANGELOG, Unreleased). */
const BEFORE = '6370771'
const clusters = ['paris', 'lyon']

describe(`e2e: upgrade from commit ${BEFORE}`, function () {
  this.timeout(120_000)
  let network: Network

  before(async function () {
    expect(hasCommit(BEFORE), `this clone has commit ${BEFORE}`).to.equal(true)
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
    await untilSynced(network, undefined, 20)
    expect(await sequences()).to.not.deep.equal(before)
    await untilReachable(network)
    expect((await statusIn(network)).proxies.map(({state}) => state)).to.deep.equal(['synced', 'synced', 'synced'])
    const endedOnce = (): boolean => clusters.every(cluster => requests.reconnections().get(cluster) === 1)
    await until(network, 'connections through the changed listeners to end', endedOnce, 20)
    await afterDrain()
    expect(Object.fromEntries(requests.reconnections())).to.deep.equal({paris: 1, lyon: 1})
    expect(await requests.stop()).to.be.greaterThan(100)
  })

  it('identities have got their second DNS name', async () => {
    const fleet = await network.store.load()
    const names = readCertificates(identityIn(fleet, parseClusterName('paris')).certificate)[0]?.dns
    expect(names).to.deep.equal(['paris.downstream.atlas.internal', 'g1.paris.downstream.atlas.internal'])
  })

  it('the Envoys restart on the bootstraps of the earlier release', async () => {
    for (const envoy of [network.observability, network.member('paris').envoy]) {
      await envoy.kill()
      await envoy.start()
      await envoy.untilReady(20)
    }
    await untilReachable(network)
    await untilSynced(network)
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
})

/** Twice the time after which the Envoys of these tests cut what is left on a listener that was replaced (envoy.ts). */
async function afterDrain(): Promise<void> {
  await setTimeout(4000)
}
