/** Every mutual-TLS port of the table in docs/explanation/security.md, on a running network: which client each admits, and which it refuses. */
import {expect} from 'chai'
import {probeTls, probeUntilAlert} from '../../src/demo/lab/tls-probe.js'
import {type Forged, credentialIn, forge, identityIn} from '../../src/demo/lab/certificates.js'
import type {CertifiedKey} from '../../src/lib/model/authority.js'
import type {Fleet} from '../../src/lib/model/fleet.js'
import {OBSERVABILITY, parseClusterName} from '../../src/lib/model/names.js'
import {typeUrls} from '../../src/lib/xds/type-url.js'
import {connect} from '../server/support/client.js'
import {reportOf, serverLog, until} from './look.js'
import {type Network, closeNetwork, openNetwork} from './network.js'
import {type EnvoyPort, adsPort, probeLogged, serverPort, sidecarPort} from './mtls-ports.js'

const [paris, lyon] = [parseClusterName('paris'), parseClusterName('lyon')]

/** The reason that an Envoy logs for each kind of refused client. */
const missing = /PEER_DID_NOT_RETURN_A_CERTIFICATE/
const foreign = /unable_to_get_local_issuer_certificate/
const misnamed = /SAN_matcher/
const serverOnly = /unsupported_certificate_purpose/

/** What the Envoy of paris gets first: its clusters. */
const served = {outcome: 'served', details: 'sidecar/0,page/alertmanager,page/prom,page/prom/0,alerts'}

describe('e2e: mutual-TLS ports', function () {
  this.timeout(240_000)
  let network: Network
  let fleet: Fleet
  let forged: Forged

  before(async () => {
    network = await openNetwork({clusters: [paris, lyon]})
    fleet = await network.store.load()
    forged = forge(fleet)
  })
  after(() => closeNetwork(network))

  /** Each of these clients is refused for its own reason, then the right one gets the first bytes of HTTP/2. */
  async function admitsOnly(
    rightful: CertifiedKey,
    target: EnvoyPort,
    strangers: Readonly<Record<string, [CertifiedKey | undefined, RegExp]>>,
  ) {
    for (const [who, [certificate, reason]] of Object.entries(strangers)) {
      const {bytes, failure} = await probeLogged(network, target, certificate === undefined ? {} : {certificate})
      expect(bytes, who).to.equal(0)
      expect(failure, who).to.match(reason)
    }

    const old = await probeUntilAlert(target, {certificate: rightful, maxVersion: 'TLSv1.2'})
    expect(old).to.include({bytes: 0, alert: 'protocol version'})
    expect((await probeTls(target, {certificate: rightful})).bytes).to.be.greaterThan(0)
  }

  it('10900 admits ADS credentials, and no certificate of another authority or of the data plane', async () => {
    const target = adsPort(network, fleet)
    await admitsOnly(credentialIn(fleet, paris), target, {
      nobody: [undefined, missing],
      "a stranger with paris' name": [forged.credential(paris), foreign],
      "paris' own identity": [identityIn(fleet, paris), foreign],
      'the observability identity': [identityIn(fleet, OBSERVABILITY), foreign],
    })
  })

  it('11901 admits the observability identity, and no other identity or ADS credential', async () => {
    const target = sidecarPort(network, fleet, paris)
    await admitsOnly(identityIn(fleet, OBSERVABILITY), target, {
      nobody: [undefined, missing],
      'a stranger with the observability name': [forged.observability, foreign],
      "lyon's identity": [identityIn(fleet, lyon), misnamed],
      "paris' own identity": [identityIn(fleet, paris), misnamed],
      "the server's certificate": [fleet.server ?? expect.fail('no server certificate'), serverOnly],
      "lyon's ADS credential": [credentialIn(fleet, lyon), foreign],
      "the observability Envoy's ADS credential": [credentialIn(fleet, OBSERVABILITY), foreign],
    })
  })

  it('6305 admits only certificates of Atlas, and only TLS 1.3', async () => {
    const target = serverPort(network, fleet)
    const serverOwn = {certificate: fleet.server ?? expect.fail('no server certificate')}
    for (const client of [{}, {certificate: forged.credential(OBSERVABILITY)}, {certificate: forged.observability}, serverOwn])
      expect((await probeTls(target, client)).bytes).to.equal(0)
    const old = await probeUntilAlert(target, {certificate: credentialIn(fleet, OBSERVABILITY), maxVersion: 'TLSv1.2'})
    expect(old).to.include({bytes: 0, alert: 'protocol version'})
    expect((await probeTls(target, {certificate: credentialIn(fleet, OBSERVABILITY)})).bytes).to.be.greaterThan(0)
    for (const wanted of ['tls-certificate-missing', 'tls-certificate-untrusted', 'tls-protocol'])
      await until(network, `a report of ${wanted}`, async () => (await reportOf(network)).refusals.some(({reason}) => reason === wanted))
  })

  /** The result of an ADS stream: how it ended, or `served` once resources arrive. */
  async function ask(at: 'directly' | 'relayed', key: CertifiedKey, node: string, metadata: Readonly<Record<string, string>> = {}) {
    const port = at === 'directly' ? 6305 : 10_900
    const serverName = at === 'directly' ? 'ads.atlas.internal' : 'observability.atlas.internal'
    const {roots} = credentialIn(fleet, paris)
    const connection = connect({address: `${network.address}:${port}`, roots, key, serverName, metadata})
    const stream = connection.delta()
    try {
      stream.send({node: {cluster: node, id: `client-of-${node}`}, typeUrl: typeUrls.cluster})
      const answer = stream.next().then(({resources}) => ({outcome: 'served', details: resources.map(({name}) => name).join()}))
      const ended = stream.status.then(({code, details}) => ({outcome: String(code), details}))
      answer.catch(() => undefined)
      return await Promise.race([answer, ended])
    } finally {
      stream.cancel()
      connection.close()
    }
  }

  const DENIED = '7'

  it('6305 serves ADS credentials directly, and the observability identity as a relay only', async () => {
    expect(await ask('directly', credentialIn(fleet, paris), paris)).to.deep.equal(served)
    expect((await ask('directly', credentialIn(fleet, OBSERVABILITY), OBSERVABILITY)).outcome).to.equal('served')
    const refused = [
      {key: identityIn(fleet, OBSERVABILITY), node: OBSERVABILITY, reason: /must carry x-forwarded-client-cert/},
      {key: identityIn(fleet, paris), node: paris, reason: /is not accepted here/},
    ]
    for (const {key, node, reason} of refused) {
      const {outcome, details} = await ask('directly', key, node)
      expect(outcome, details).to.equal(DENIED)
      expect(details).to.match(reason)
    }
  })

  it('6305 ignores the headers of a client that connects directly', async () => {
    const xfcc = `By=spiffe://atlas.internal/observability;Hash=${'0'.repeat(64)};URI=spiffe://atlas.internal/ads-client/lyon/1`
    const {outcome, details} = await ask('directly', credentialIn(fleet, paris), paris, {'x-forwarded-client-cert': xfcc})
    expect(outcome).to.equal(DENIED)
    expect(details).to.match(/direct connection must not carry/)
  })

  it("10900 relays a cluster's own stream, and a forged header does not make it another's", async () => {
    const xfcc = `By=spiffe://atlas.internal/observability;Hash=${'0'.repeat(64)};URI=spiffe://atlas.internal/ads-client/lyon/1`
    for (const metadata of [{}, {'x-forwarded-client-cert': xfcc}])
      expect(await ask('relayed', credentialIn(fleet, paris), paris, metadata)).to.deep.equal(served)
  })

  it("10900 refuses the observability Envoy's own credential, whatever node it names", async () => {
    for (const node of [OBSERVABILITY, paris])
      expect((await ask('relayed', credentialIn(fleet, OBSERVABILITY), node)).outcome).to.equal(DENIED)
    const logged = (): boolean =>
      network.observability
        .logged('request')
        .some(
          ({details, peer}) =>
            details === 'rbac_access_denied_matched_policy[none]' && peer === 'spiffe://atlas.internal/ads-client/atlas/1',
        )
    await until(network, 'the Envoy to log it', logged)
  })

  it("a node of another cluster than the credential's is refused on both ways, named in status and log", async () => {
    for (const at of ['directly', 'relayed'] as const)
      for (const node of [paris, OBSERVABILITY]) {
        const {outcome, details} = await ask(at, credentialIn(fleet, lyon), node)
        expect(outcome, details).to.equal(DENIED)
        expect(details).to.equal(`the certificate is "lyon"'s, but node.cluster is "${node}" (node.id "client-of-${node}")`)
      }

    const named = (entries: readonly {reason?: unknown; message?: unknown}[]) =>
      entries.filter(({reason, message}) => reason === 'node-cluster' && String(message).startsWith('the certificate is "lyon"'))
    await until(network, 'four lines', () => named(serverLog(network)).length >= 4)
    expect(named((await reportOf(network)).refusals)).to.have.length(4)
    expect(named(serverLog(network))).to.have.length(4)
  })
})
