/** The other variant of xDS, state of the world: Envoys that use it are served the same way, from joining to rotation and removal. */
import {expect} from 'chai'
import {certificatesOf, plainSerial} from '../../src/demo/lab/envoy-admin.js'
import {identityIn} from '../../src/demo/lab/certificates.js'
import {dependencies} from '../../src/lib/cli/base-command.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import {removeCluster} from '../../src/lib/ops/cluster/remove.js'
import {rotateLeaves} from '../../src/lib/ops/rotate.js'
import {readKey} from '../../src/lib/pki/read.js'
import {load} from './load.js'
import {differenceOf, dumpOf, reportOf, settledDumpOf, until, untilReachable, untilSynced, updatesOf, whoAnswers} from './look.js'
import {type Network, closeNetwork, openNetwork} from './network.js'

describe('e2e: state of the world', function () {
  this.timeout(240_000)
  let network: Network

  before(async () => {
    // Connections last for two seconds, so that new ones with new leaves are opened all the time.
    network = await openNetwork({clusters: ['paris', 'lyon'], spare: 1, variant: 'sotw', settings: {timeouts: {thanosConnection: 2}}})
    await untilReachable(network)
  })
  after(() => closeNetwork(network))

  it('is the variant of these Envoys, and they have acknowledged their whole configuration', async () => {
    await untilSynced(network)
    const {proxies} = await reportOf(network)
    expect(proxies.map(({variant}) => variant)).to.deep.equal(['sotw', 'sotw', 'sotw'])
  })

  it('a cluster joins while requests run: only the Envoys concerned receive an update', async () => {
    const running = load(network, ['paris', 'lyon'], {streams: false})
    const others = ['paris', 'lyon'].map(name => network.member(name).envoy)
    const before = await Promise.all(others.map(envoy => updatesOf(envoy)))
    await network.join('oslo')
    await untilReachable(network, ['oslo'])
    await untilSynced(network)
    expect(await Promise.all(others.map(envoy => updatesOf(envoy)))).to.deep.equal(before)
    await running.stop()
  })

  it('leaves rotate under load, on connections that begin and end all the time', async () => {
    const running = load(network, undefined, {streams: false})
    const before = await network.store.load()
    await rotateLeaves(network.store, [], dependencies)
    const after = await network.store.load()
    for (const {owner, admin} of [network.observability, ...[...network.members.values()].map(({envoy}) => envoy)]) {
      const [old, fresh] = [before, after].map(fleet => plainSerial(readKey(identityIn(fleet, owner)).serial))
      const shows = async (): Promise<boolean> => {
        const serials = (await certificatesOf(admin)).map(({serial}) => serial)
        return serials.includes(fresh ?? '') && !serials.includes(old ?? '')
      }
      await until(network, `${owner} to show its new leaf`, shows)
    }

    await new Promise(resolve => setTimeout(resolve, 3000))
    expect(await running.stop()).to.be.greaterThan(100)
    await untilSynced(network)
  })

  it('a restart of the server changes nothing', async () => {
    const all = [network.observability, ...[...network.members.values()].map(({envoy}) => envoy)]
    const dumps = await Promise.all(all.map(async envoy => settledDumpOf(network, envoy)))
    await network.server().kill()
    await network.startServer()
    await untilSynced(network)
    for (const [index, envoy] of all.entries())
      expect(differenceOf(withoutVersions(dumps[index]), withoutVersions(await settledDumpOf(network, envoy)))).to.equal('none')
  })

  it('a cluster is removed: its routes and its Envoy cluster are gone, its stream has ended, the others continue', async () => {
    const running = load(network, ['paris', 'lyon'], {streams: false})
    await removeCluster(network.store, parseClusterName('oslo'), dependencies)
    await until(network, 'calls to it to lead nowhere', async () => (await whoAnswers(network, 'oslo')) === 'gRPC status 12')
    await until(network, 'its Envoy cluster to be gone', async () => !(await dumpOf(network.observability)).includes('thanos/oslo'))
    await until(
      network,
      'its stream to end',
      async () => !(await reportOf(network)).proxies.some(({cluster}) => (cluster as string) === 'oslo'),
    )
    await running.stop()
    await untilSynced(network, ['atlas', 'paris', 'lyon'])
  })
})

/** In this variant a version belongs to a response, not to a resource: a new stream counts from the start. */
function withoutVersions(dump = ''): string {
  return dump.replaceAll(/"version_info": "[^"]*"/g, '"version_info": ""')
}
