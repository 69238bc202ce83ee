/** The leader over real gRPC: what it issues for a new cluster and at a renewal reaches the Envoys; and what happens when it can not. */
import {expect} from 'chai'
import {parseClusterName} from '../../../src/lib/model/names.js'
import {readKey} from '../../../src/lib/pki/read.js'
import {testCluster} from '../../helpers/fleet.js'
import {type Network, eventually, need, nodeOf, settleAll, startNetwork, subscribe, types} from '../support/network.js'

const [paris, rome] = [parseClusterName('paris'), parseClusterName('rome')]
const day = 86_400_000

describe('the leader', () => {
  let network: Network
  afterEach(async () => network.stop())

  it('issues what a new registration needs, and serves it', async () => {
    network = await startNetwork([])
    network.store.write({kind: 'registration', name: rome, value: testCluster('rome')})
    await eventually(() => network.store.fleet().credentials.has(rome), 'its credential is issued')
    const stream = network.direct('rome').delta()
    stream.send({node: nodeOf('rome'), typeUrl: types.cluster})
    expect((await stream.next()).resources).not.to.have.length(0)
  })

  it('renews identities when they are due, and sends them to connected Envoys', async () => {
    network = await startNetwork(['paris'], {times: {lookMs: 50, clockHeldMs: 1, clockLookMs: 10}})
    const stream = network.direct('paris').delta()
    subscribe(stream, 'paris')
    await settleAll(network, [stream])
    const before = need(network.store.fleet().identities.get(paris))
    network.clock.ahead = 22 * day
    const renewed = await stream.next()
    expect(renewed.resources.map(({name}) => name)).to.deep.equal(['identity'])
    expect(readKey(need(network.store.fleet().identities.get(paris))).serial).not.to.equal(readKey(before).serial)
    stream.send({typeUrl: types.secret, responseNonce: renewed.nonce})
    await eventually(
      () =>
        network.serving.report().proxies[0]?.identity?.notAfter ===
        readKey(need(network.store.fleet().identities.get(paris))).notAfter.toISOString(),
      'the report shows the new identity',
    )
  })

  it('tries again when another writer was faster', async () => {
    network = await startNetwork([], {times: {retryMs: 10}})
    network.store.conflicts = 3
    network.store.write({kind: 'registration', name: rome, value: testCluster('rome')})
    await eventually(() => network.store.fleet().credentials.has(rome), 'its credential is issued')
    expect(network.store.conflicts).to.equal(0)
  })

  it('waits longer after each failure, and /readyz states what fails', async () => {
    network = await startNetwork([], {times: {retryMs: 10, retryMaxMs: 20}})
    const {authority} = network.store.fleet()
    const issuer = need(authority.get('issuer'))
    const broken = {certificate: issuer.certificate, key: need(authority.get('root')).key}
    network.store.write({kind: 'authority', part: 'issuer', value: broken})
    network.store.write({kind: 'registration', name: rome, value: testCluster('rome')})
    await eventually(() => network.serving.readiness().warnings.some(warning => warning.includes('could not be issued')), 'the warning')
    expect(network.serving.readiness().ready).to.equal(true)
    network.store.write({kind: 'authority', part: 'issuer', value: issuer})
    await eventually(() => network.store.fleet().credentials.has(rome), 'its credential is issued')
  })
})
