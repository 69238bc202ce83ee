/** An ADS credential that was replaced, on a real Envoy: accepted while the Envoy uses it, refused once it has come with the later one for long enough. */
import {expect} from 'chai'
import {askAds} from '../../src/demo/lab/ads-client.js'
import {credentialIn} from '../../src/demo/lab/certificates.js'
import {dependencies} from '../../src/lib/cli/base-command.js'
import type {CredentialRecord} from '../../src/lib/model/authority.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import {defaultSettings} from '../../src/lib/model/settings.js'
import {init} from '../../src/lib/ops/init.js'
import {rotateLeaves} from '../../src/lib/ops/rotate.js'
import {type CertificateFacts, readKey} from '../../src/lib/pki/read.js'
import {issuedAt} from '../../src/lib/pki/rotation.js'
import {load} from './load.js'
import {reportOf, until, untilReachable, untilSynced} from './look.js'
import {serverPort} from './mtls-ports.js'
import {type Network, closeNetwork, openNetwork} from './network.js'

const paris = parseClusterName('paris')

/** Seconds. */
const [ADS_CONNECTION, SUPERSEDED] = [2, 3]

/** Seconds: the life of a credential at half of which the server issues the next one. */
const SHORT = 16

describe('e2e: a replaced ADS credential', function () {
  this.timeout(240_000)
  let network: Network

  before(async () => {
    network = await openNetwork({
      clusters: [paris],
      // A credential is refused by a clock that is confirmed alone.
      times: {'clock-held': '1s'},
      settings: {lifetimes: {superseded: SUPERSEDED}, timeouts: {adsConnection: ADS_CONNECTION}},
    })
    await untilReachable(network)
    await untilSynced(network)
  })
  after(() => closeNetwork(network))

  const records = async (): Promise<readonly CredentialRecord[]> => (await network.store.load()).records.get(paris)?.credentials ?? []
  const used = async (): Promise<string | undefined> =>
    (await reportOf(network)).proxies.find(({cluster}) => cluster === paris)?.credential.sha256

  it('is accepted until every Envoy has come with the later one for the time that is set; then it is refused, and no request fails', async () => {
    const running = load(network)
    const old = credentialIn(await network.store.load(), paris)
    await rotateLeaves(network.store, [paris], dependencies, {leaves: 'credentials'})
    await until(network, 'a later credential to be on record', async () => (await records()).length === 2)
    const later = readKey(credentialIn(await network.store.load(), paris)).sha256

    // The Envoy connects several times again with the old one, for longer than a replaced credential is kept.
    const {connectedSince = ''} = (await reportOf(network)).proxies.find(({cluster}) => cluster === paris) ?? {}
    const kept = Date.parse(connectedSince) + (SUPERSEDED + 2 * ADS_CONNECTION) * 1000
    await until(
      network,
      'the Envoy to connect again with the old one',
      async () => (await reportOf(network)).proxies.some(proxy => proxy.cluster === paris && Date.parse(proxy.connectedSince) > kept),
      60,
    )
    const isOld = async (): Promise<boolean> => (await used()) === readKey(old).sha256
    await until(network, 'the Envoy to be served with the old one', isOld)
    expect((await records()).map(({state, supersededSince}) => [state, supersededSince])).to.deep.equal([
      ['valid', undefined],
      ['valid', undefined],
    ])

    await network.member(paris).envoy.writeFiles()
    await until(network, 'the Envoy to come with the later one', async () => (await used()) === later)
    await until(network, 'its time to be written down', async () => (await records())[0]?.supersededSince !== undefined)
    await until(network, 'the old one to be refused', async () => (await records())[0]?.retiredAt !== undefined)
    const target = serverPort(network, await network.store.load())
    const ask = async () => askAds(target, old, {cluster: paris, id: 'old'})
    // The server has written that down, and has yet to read it.
    await until(network, 'the server to refuse it', async () => (await ask()).grpcStatus === 7)
    const {grpcStatus, grpcMessage} = await ask()
    expect(grpcStatus).to.equal(7)
    expect(grpcMessage).to.match(/refused since .*apply the newest one, of Secret paris-envoy-ads/)
    const isReported = async (): Promise<boolean> => (await reportOf(network)).refusals.at(-1)?.reason === 'credential-superseded'
    await until(network, 'the report to say why', isReported)
    await untilSynced(network)
    await until(network, 'the Envoy to be served with the later one', async () => (await used()) === later)
    expect(await running.stop()).to.be.greaterThan(100)
  })

  it('is issued again by the server at half of its life, into its Secret; the Envoy goes on with the one that it has', async () => {
    const stored = async (): Promise<CertificateFacts> => readKey(credentialIn(await network.store.load(), paris))
    const inUse = (await stored()).sha256
    const live = async (credential: number): Promise<unknown> => init(network.store, {lifetimes: {credential}}, dependencies)
    await live(SHORT)
    await rotateLeaves(network.store, [paris], dependencies, {leaves: 'credentials'})
    const short = await stored()
    await live(defaultSettings.lifetimes.credential)
    await until(network, 'the server to issue the next one', async () => (await stored()).sha256 !== short.sha256)
    const next = await stored()
    // Certificates have whole seconds.
    expect(issuedAt(next)).to.be.within(issuedAt(short) + (SHORT / 2) * 1000, short.notAfter.getTime() - 1000)
    expect((await records()).filter(({state}) => state === 'valid').map(({sha256}) => sha256)).to.have.members([
      inUse,
      short.sha256,
      next.sha256,
    ])
    await untilSynced(network)
    await until(network, 'the Envoy to be served with the one that it has', async () => (await used()) === inUse)
  })
})
