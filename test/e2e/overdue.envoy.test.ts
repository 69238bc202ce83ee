/** A server that was down until every identity, its own certificate and the issuer had ended: at its start all is issued again, in the right order. */
import {expect} from 'chai'
import {identityIn} from '../../src/demo/lab/certificates.js'
import {type Owner, OBSERVABILITY, parseClusterName} from '../../src/lib/model/names.js'
import {readKey} from '../../src/lib/pki/read.js'
import {certificatesOf, plainSerial} from '../../src/demo/lab/envoy-admin.js'
import {until, untilReachable, untilSynced, whoAnswers} from './look.js'
import {type Network, closeNetwork, openNetwork} from './network.js'

const paris = parseClusterName('paris')
const owners: readonly Owner[] = [OBSERVABILITY, paris]

/** Seconds. The issuer ends after the server was stopped. */
const [IDENTITY, ISSUER] = [10, 30]

describe('e2e: renewals that were missed', function () {
  this.timeout(120_000)
  let network: Network

  before(async () => {
    network = await openNetwork({
      clusters: [paris],
      // What is overdue is looked at again once the clock is confirmed.
      times: {'clock-held': '1s', 'clock-look': '500ms', overdue: '1s'},
      settings: {lifetimes: {identity: IDENTITY, issuer: ISSUER}, timeouts: {adsConnection: 3, thanosConnection: 3}},
    })
    await untilReachable(network)
  })
  after(() => closeNetwork(network))

  it('are made up for: the issuer first, then what it signs, and the network is whole without a restart of an Envoy', async () => {
    const before = await network.store.load()
    await network.server().kill()
    const issuer = readKey(before.authority.get('issuer') ?? expect.fail('no issuer'))
    await until(network, 'the issuer to end', () => issuer.notAfter.getTime() < Date.now(), ISSUER + 5)
    await until(network, 'the network to be down', async () => (await whoAnswers(network, paris)).startsWith('gRPC status'))
    const pids = owners.map(owner => (owner === OBSERVABILITY ? network.observability : network.member(paris).envoy).pid())

    await network.startServer()
    await untilReachable(network, [paris], 40)
    await untilSynced(network)
    const after = await network.store.load()
    expect(readKey(after.authority.get('issuer') ?? expect.fail('no issuer')).sha256).not.to.equal(issuer.sha256)
    for (const owner of owners) {
      const envoy = owner === OBSERVABILITY ? network.observability : network.member(paris).envoy
      const {serial, notAfter} = readKey(identityIn(await network.store.load(), owner))
      expect(notAfter.getTime()).to.be.greaterThan(Date.now())
      await until(network, `${owner} to show its new identity`, async () =>
        (await certificatesOf(envoy.admin)).some(certificate => certificate.serial === plainSerial(serial)),
      )
    }

    expect(owners.map(owner => (owner === OBSERVABILITY ? network.observability : network.member(paris).envoy).pid())).to.deep.equal(pids)
  })
})
