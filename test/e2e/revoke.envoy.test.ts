/** A cluster that is removed is cut off within 10 s, whatever keys and connections it keeps; added again, it is another generation. */
import {expect} from 'chai'
import {type Channel, callOnce, openPlain, openTls} from '../../src/demo/grpc.js'
import {tlsOptions} from '../../src/demo/knock.js'
import {credentialIn} from '../../src/demo/visitors.js'
import {askAds} from '../../src/demo/ads-client.js'
import {world} from '../../src/lib/cli/world.js'
import type {Credential} from '../../src/lib/model/authority.js'
import type {Fleet} from '../../src/lib/model/fleet.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import {removeCluster} from '../../src/lib/ops/cluster/remove.js'
import {oneCall} from './backend.js'
import {load} from './load.js'
import {dumpOf, hostOf, queryDoor, reportOf, until, untilReachable, untilSynced, whoAnswers} from './look.js'
import {type Network, closeNetwork, openNetwork} from './network.js'
import {adsDoor, serverDoor} from './visit.js'

const paris = parseClusterName('paris')
const METHOD = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources'

/** The promise. */
const LIMIT_S = 10

describe('e2e: revocation', function () {
  this.timeout(60_000)
  let network: Network
  let fleet: Fleet
  let stolen: Credential

  before(async () => {
    network = await openNetwork({clusters: [paris, 'lyon', 'oslo']})
    await untilReachable(network)
    await untilSynced(network)
    fleet = await network.store.load()
    stolen = credentialIn(fleet, paris)
  })
  after(() => closeNetwork(network))

  /** Asks for configuration on a connection that is open already. @returns the gRPC status; 0 once a response came */
  async function askOn(channel: Channel): Promise<number | string> {
    try {
      const answer = await channel.call({
        authority: 'observability.atlas.internal',
        path: METHOD,
        message: new Uint8Array(),
        timeoutMs: 1500,
        until: 'message',
      })
      return answer.grpcStatus ?? 'open'
    } catch (error) {
      return String(error)
    }
  }

  it('every request of its is refused, on connections old and new, its stream ended, its returns refused; no other cluster notices', async () => {
    const others = load(network, ['lyon', 'oslo'])
    const query = openPlain(queryDoor(network))
    expect((await query.call(oneCall(hostOf(paris)))).grpcStatus).to.equal(0)
    const door = adsDoor(network, fleet)
    const old = openTls(door, tlsOptions(door, {certificate: stolen}))
    // Without a node the server waits for more, or says that it is missing: the door itself let it pass.
    expect(await askOn(old)).to.equal(3)

    await removeCluster(network.store, paris, world)
    const begin = performance.now()
    const within = (): number => LIMIT_S - (performance.now() - begin) / 1000
    await until(
      network,
      'calls to it on the open connection to be refused',
      async () => (await query.call(oneCall(hostOf(paris)))).grpcStatus === 12,
      within(),
    )
    await until(
      network,
      'calls to it on a new connection to be refused',
      async () => (await whoAnswers(network, paris)) === 'gRPC status 12',
      within(),
    )
    await until(network, '10900 to refuse it on the open connection', async () => (await askOn(old)) === 7, within())
    for (const each of [door, serverDoor(network, fleet)]) {
      const isRefused = async (): Promise<boolean> => (await askAds(each, stolen, {cluster: paris, id: 'thief'})).grpcStatus === 7
      await until(network, `${each.port} to refuse its credential on a new connection`, isRefused, within())
    }

    await until(
      network,
      'its stream to end',
      async () => !(await reportOf(network)).proxies.some(({cluster}) => cluster === paris),
      within(),
    )
    const mark = network.observability.mark()
    const came = async (): Promise<boolean> =>
      network.observability
        .logged('request', mark)
        .some(({details, peer}) => details === 'rbac_access_denied_matched_policy[denied]' && peer?.includes('/paris/') === true)
    await until(network, 'its Envoy to come back in vain', came, within())
    expect((await reportOf(network)).proxies.some(({cluster}) => cluster === paris)).to.equal(false)
    expect(await dumpOf(network.observability)).not.to.include('thanos/paris')
    expect(await others.stop()).to.be.greaterThan(20)
    for (const channel of [old, query]) channel.close()
  })

  it('added again it is of generation 2: its old files open nothing, new ones do', async () => {
    await network.register(paris)
    await until(network, 'the new generation to be pinned', async () =>
      (await dumpOf(network.observability)).includes('downstream/paris/2'),
    )
    const {envoy} = network.member(paris)
    await envoy.kill()
    await envoy.start()
    const mark = network.observability.mark()
    const inVain = async (): Promise<boolean> =>
      network.observability.logged('request', mark).some(({details}) => details === 'rbac_access_denied_matched_policy[denied]')
    await until(network, 'the Envoy with the old files to be refused', inVain)
    expect(await envoy.page('/ready')).to.equal('PRE_INITIALIZING\n')
    expect(await whoAnswers(network, paris)).to.equal('gRPC status 14')

    await envoy.kill()
    await envoy.writeFiles()
    await envoy.start()
    await untilReachable(network)
    await untilSynced(network)
    const {grpcStatus, grpcMessage} = await askAds(serverDoor(network, fleet), stolen, {cluster: paris, id: 'thief'})
    expect({grpcStatus, grpcMessage}).to.deep.equal({
      grpcStatus: 7,
      grpcMessage: 'the credential of "paris" is of generation 1; the present one is 2',
    })
    expect((await callOnce(openPlain(queryDoor(network)), oneCall(hostOf(paris)))).grpcStatus).to.equal(0)
  })
})
