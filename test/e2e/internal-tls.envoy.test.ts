/** 10901 switched to mutual TLS and back, on a running network: which clients it admits, its address, and which streams the switch ends. */
import {expect} from 'chai'
import {callOnce, openPlain, openTls} from '../../src/demo/lab/grpc.js'
import {probeTls, probeUntilAlert, tlsOptions} from '../../src/demo/lab/tls-probe.js'
import {credentialIn, forge, identityIn, issuersIn, settingsIn} from '../../src/demo/lab/certificates.js'
import {dependencies} from '../../src/lib/cli/base-command.js'
import type {CertifiedKey} from '../../src/lib/model/authority.js'
import type {Fleet} from '../../src/lib/model/fleet.js'
import {parseInternalClient} from '../../src/lib/model/internal-ports.js'
import {type ClientName, OBSERVABILITY, parseClientName, parseClusterName} from '../../src/lib/model/names.js'
import {type Choices, init} from '../../src/lib/ops/init.js'
import {rotateLeaves} from '../../src/lib/ops/rotate.js'
import {clientSpec, issuerSpec, rootSpec} from '../../src/lib/pki/certificate-specs.js'
import {issue} from '../../src/lib/pki/issue.js'
import {cryptoSigner} from '../../src/lib/pki/signer.js'
import {ANSWERED_BY, oneCall, streamCall} from './backend.js'
import {hostOf, queryAddress, until, untilReachable, whoAnswers} from './look.js'
import {type Network, closeNetwork, openNetwork} from './network.js'
import {type EnvoyPort, probeLogged} from './mtls-ports.js'

const paris = parseClusterName('paris')
/** Longer than the test takes: what ends before was cut. */
const STREAM_SECONDS = 120
const [thanos, ruler] = [parseClientName('thanos'), parseClientName('ruler')]

describe('e2e: internal TLS', function () {
  this.timeout(240_000)
  let network: Network
  let fleet: Fleet

  before(async () => {
    network = await openNetwork({clusters: [paris], settings: {clients: [parseInternalClient(thanos)]}})
    await untilReachable(network)
    fleet = await network.store.load()
  })
  after(() => closeNetwork(network))

  /** Runs `atlas init`. @returns the fleet once the server has made the certificates */
  async function choose(choices: Choices): Promise<void> {
    await init(network.store, choices, dependencies)
    const {clients} = choices
    await until(network, 'the certificates of the clients to be there, and no others', async () => {
      fleet = await network.store.load()
      return (
        clients === undefined ||
        [...fleet.clients.keys()].sort().join() ===
          clients
            .map(({name}) => name)
            .sort()
            .join()
      )
    })
  }

  function target(host = network.address, port = 10_901): EnvoyPort {
    const servername = hostOf(paris).replace(/:.*/, '')
    return {host, port, servername, ca: issuersIn(fleet), envoy: network.observability}
  }

  function clientIn(name: ClientName): CertifiedKey {
    return fleet.clients.get(name) ?? expect.fail(`there is no certificate of ${name}`)
  }

  async function opensTo(certificate: CertifiedKey): Promise<boolean> {
    return (await probeTls(target(), {certificate}).catch(() => ({bytes: 0}))).bytes > 0
  }

  /** The backend that answers a call over mutual TLS. */
  async function answers(certificate: CertifiedKey, at = target()): Promise<unknown> {
    const channel = openTls(at, tlsOptions(at, {certificate}))
    return (await callOnce(channel, oneCall(hostOf(paris)))).headers[ANSWERED_BY]
  }

  it('stays plaintext while only clients are named, who have their certificates already', async () => {
    expect(await whoAnswers(network, paris)).to.equal('paris/0')
    expect(clientIn(thanos).certificate).to.match(/BEGIN CERTIFICATE/)
    expect(await opensTo(clientIn(thanos))).to.equal(false)
  })

  it('switched on under a stream, ends it at drain time, and answers no client in plaintext', async () => {
    const stream = callOnce(openPlain(queryAddress(network)), streamCall(hostOf(paris), STREAM_SECONDS)).then(
      () => 'ended',
      () => 'cut',
    )
    await choose({internalTls: [10_901]})
    await until(network, 'the client to be let in', () => opensTo(clientIn(thanos)))
    const since = performance.now()
    await until(network, 'no answer in plaintext', async () => (await whoAnswers(network, paris)).startsWith('no answer'))
    expect(await stream).to.equal('cut')
    // Envoys of these tests drain for 2 s.
    expect(performance.now() - since).to.be.lessThan(10_000)
  })

  it('D7: admits the named clients, and no other', async () => {
    const forged = forge(fleet)
    const strangers: Readonly<Record<string, [CertifiedKey | undefined, RegExp]>> = {
      nobody: [undefined, /PEER_DID_NOT_RETURN_A_CERTIFICATE/],
      "paris' identity": [identityIn(fleet, paris), /SAN_matcher/],
      'the observability identity': [identityIn(fleet, OBSERVABILITY), /SAN_matcher/],
      'a client that is not named': [clientOf(fleet, ruler), /SAN_matcher/],
      "a stranger with the client's name": [strangerNamed(fleet, thanos), /unable_to_get_local_issuer_certificate/],
      'a stranger with the observability name': [forged.observability, /unable_to_get_local_issuer_certificate/],
      "paris' ADS credential": [credentialIn(fleet, paris), /unable_to_get_local_issuer_certificate/],
      "the observability Envoy's ADS credential": [credentialIn(fleet, OBSERVABILITY), /unable_to_get_local_issuer_certificate/],
      "the server's certificate": [fleet.server ?? expect.fail('no server certificate'), /unsupported_certificate_purpose/],
    }
    for (const [who, [certificate, reason]] of Object.entries(strangers)) {
      const {bytes, failure} = await probeLogged(network, target(), certificate === undefined ? {} : {certificate})
      expect(bytes, who).to.equal(0)
      expect(failure, who).to.match(reason)
    }

    expect(await probeUntilAlert(target(), {certificate: clientIn(thanos), maxVersion: 'TLSv1.2'})).to.include({
      bytes: 0,
      alert: 'protocol version',
    })
    const mark = network.observability.mark()
    expect(await answers(clientIn(thanos))).to.equal('paris/0')
    const peers = () => network.observability.logged('connection', mark).map(({peer}) => peer)
    await until(network, 'the log to name the client', () => peers().includes('spiffe://atlas.internal/client/thanos'))
  })

  it("is accepted at no other port: a client's certificate is neither an identity nor a credential", async () => {
    const client = {certificate: clientIn(thanos)}
    const {ca} = target()
    const member = network.member(paris)
    const sidecar = {host: member.address, port: 11_901, servername: 'paris.downstream.atlas.internal', ca, envoy: member.envoy}
    const ads = {host: network.address, port: 10_900, servername: 'observability.atlas.internal', ca, envoy: network.observability}
    expect(await probeLogged(network, sidecar, client)).to.deep.include({bytes: 0})
    expect((await probeLogged(network, ads, client)).failure).to.match(/unable_to_get_local_issuer_certificate/)
  })

  it('a replaced certificate is admitted, and the old one until it expires', async () => {
    const before = clientIn(thanos)
    await rotateLeaves(network.store, [], dependencies)
    fleet = await network.store.load()
    expect(clientIn(thanos).certificate).to.not.equal(before.certificate)
    for (const certificate of [before, clientIn(thanos)]) expect(await answers(certificate)).to.equal('paris/0')
  })

  it('a client that is no longer named: its Secret is deleted, its certificate is refused, its open stream ends', async () => {
    const dismissed = clientIn(thanos)
    const channel = openTls(target(), tlsOptions(target(), {certificate: dismissed}))
    const stream = callOnce(channel, streamCall(hostOf(paris), STREAM_SECONDS)).then(
      () => 'ended',
      () => 'cut',
    )
    await choose({clients: [parseInternalClient(ruler)]})
    await until(network, 'the other client to be let in', () => opensTo(clientIn(ruler)))
    await until(network, 'the dismissed one to be refused', async () => !(await opensTo(dismissed)))
    const {bytes, failure} = await probeLogged(network, target(), {certificate: dismissed})
    expect({bytes, failure}).to.deep.include({bytes: 0})
    expect(failure).to.match(/SAN_matcher/)
    expect(await stream).to.equal('cut')
    expect(await answers(clientIn(ruler))).to.equal('paris/0')
  })

  it('moves between the local address in plaintext and the address for others in mutual TLS, on the same port', async () => {
    const [port, local] = [19_901, network.spareAddress(7)]
    const envoy = await network.makeEnvoy(OBSERVABILITY, {
      address: local,
      bindAddress: '0.0.0.0',
      nodeId: 'atlas-everywhere',
      ports: new Map([
        [10_900, 19_900],
        [10_901, port],
      ]),
    })
    await envoy.start()
    await envoy.untilReady()
    const anywhere = '127.0.0.1'
    const secured = async (host: string): Promise<unknown> => answers(clientIn(ruler), target(host, port)).catch(() => 'nobody')
    const plain = async (host: string): Promise<unknown> =>
      callOnce(openPlain({host, port}), oneCall(hostOf(paris))).then(
        ({headers}) => headers[ANSWERED_BY],
        () => 'nobody',
      )
    for (const host of [local, anywhere]) await until(network, `mutual TLS at ${host}`, async () => (await secured(host)) === 'paris/0')
    await choose({internalTls: []})
    await until(network, 'plaintext', async () => (await plain(local)) === 'paris/0')
    for (const [what, answered] of [
      ['plaintext elsewhere', async () => plain(anywhere)],
      ['mutual TLS elsewhere', async () => secured(anywhere)],
      ['mutual TLS', async () => secured(local)],
    ] as const)
      await until(network, `the end of ${what}`, async () => (await answered()) === 'nobody')
    await choose({internalTls: [10_901]})
    for (const host of [local, anywhere]) await until(network, `mutual TLS at ${host}`, async () => (await secured(host)) === 'paris/0')
    await until(network, 'the end of plaintext', async () => (await plain(local)) === 'nobody')
    await envoy.kill()
  })

  it('refuses to switch to mutual TLS without a client', async () => {
    const refused = await init(network.store, {clients: []}, dependencies).catch((error: unknown) => error)
    expect(refused)
      .to.be.instanceOf(Error)
      .with.property('message')
      .that.matches(/no client is named/)
    expect(settingsIn(await network.store.load()).clients).to.deep.equal([parseInternalClient(ruler)])
  })
})

/** The certificate that the installation would issue for a client of that name. */
function clientOf(fleet: Fleet, name: ClientName): CertifiedKey {
  const issuer = fleet.authority.get('issuer') ?? expect.fail('no issuer')
  return issue(clientSpec(settingsIn(fleet), name), issuer, new Date(), cryptoSigner)
}

/** A certificate with that name, signed by another authority. */
function strangerNamed(fleet: Fleet, name: ClientName): CertifiedKey {
  const [settings, now] = [settingsIn(fleet), new Date()]
  const root = issue(rootSpec(settings), undefined, now, cryptoSigner)
  return issue(clientSpec(settings, name), issue(issuerSpec(settings), root, now, cryptoSigner), now, cryptoSigner)
}
