/** A removed cluster is cut off within 10 s, with all keys and connections that it keeps; added again, it has another generation. */
import {expect} from 'chai'
import {callOnce, openPlain} from '../../src/demo/lab/grpc.js'
import {credentialIn} from '../../src/demo/lab/certificates.js'
import {askAds} from '../../src/demo/lab/ads-client.js'
import {dependencies} from '../../src/lib/cli/base-command.js'
import type {Credential} from '../../src/lib/model/authority.js'
import type {Fleet} from '../../src/lib/model/fleet.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import {removeCluster} from '../../src/lib/ops/cluster/remove.js'
import {oneCall} from './backend.js'
import {openVictim} from './cut-off.js'
import {load} from './load.js'
import {dumpOf, hostOf, queryAddress, until, untilReachable, untilSynced, whoAnswers} from './look.js'
import {type Network, closeNetwork, openNetwork} from './network.js'
import {serverPort} from './mtls-ports.js'

const paris = parseClusterName('paris')
describe('e2e: revocation', function () {
  this.timeout(240_000)
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

  it('all its requests are refused, on old and new connections, its stream ends, and it can not reconnect; no other cluster is affected', async () => {
    const others = load(network, ['lyon', 'oslo'])
    const victim = await openVictim(network, fleet, paris, [serverPort(network, fleet)])
    await removeCluster(network.store, paris, dependencies)
    await victim.untilCutOff()
    expect(await others.stop()).to.be.greaterThan(20)
    victim.close()
  })

  it('added again it has generation 2: its old files are refused, new ones are accepted', async () => {
    await network.register(paris)
    await until(network, 'the new generation to be pinned', async () =>
      (await dumpOf(network.observability, 'dynamic_active_clusters')).includes('downstream/paris/2'),
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
    const {grpcStatus, grpcMessage} = await askAds(serverPort(network, fleet), stolen, {cluster: paris, id: 'thief'})
    expect({grpcStatus, grpcMessage}).to.deep.equal({
      grpcStatus: 7,
      grpcMessage: 'the credential of "paris" is of generation 1; the present one is 2',
    })
    expect((await callOnce(openPlain(queryAddress(network)), oneCall(hostOf(paris)))).grpcStatus).to.equal(0)
  })
})
