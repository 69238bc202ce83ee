/**
 * A thief with all that a downstream cluster holds: a second Envoy with its bootstrap and credential, the identity that this Envoy got, and
 * connections that are open already. What the thief can do before `atlas cluster revoke`, after it, after `restore`, and after `--reissue`. The
 * trust domain is one that was chosen at `atlas init`.
 */
import path from 'node:path'
import {expect} from 'chai'
import {askAds} from '../../src/demo/lab/ads-client.js'
import {credentialIn, identityIn} from '../../src/demo/lab/certificates.js'
import {certificatesOf, plainSerial} from '../../src/demo/lab/envoy-admin.js'
import {type Channel, callOnce, grpcCodes, openPlain, openTls} from '../../src/demo/lab/grpc.js'
import {type TlsTarget, tlsOptions} from '../../src/demo/lab/tls-probe.js'
import {dependencies} from '../../src/lib/cli/base-command.js'
import type {CertifiedKey, Credential} from '../../src/lib/model/authority.js'
import type {Fleet} from '../../src/lib/model/fleet.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import {defaultSettings} from '../../src/lib/model/settings.js'
import {restoreCluster, revokeCluster} from '../../src/lib/ops/cluster/revoke.js'
import {init} from '../../src/lib/ops/init.js'
import {readKey, recordOfCredential} from '../../src/lib/pki/read.js'
import {atlas} from '../helpers/atlas.js'
import {type RecordingServer, ask, serveRecording} from '../helpers/http1.js'
import {streamCall} from './backend.js'
import {type Victim, openVictim} from './cut-off.js'
import type {TestEnvoy} from './envoy.js'
import {everyPort, isAdmitted} from './every-port.js'
import {type IdleConnection, openIdle} from './idle-connection.js'
import {load} from './load.js'
import {hostOf, queryAddress, statusIn, until, untilReachable, untilSynced, whoAnswers} from './look.js'
import {adsPort, alertsPort, serverPort} from './mtls-ports.js'
import {type Network, closeNetwork, openNetwork} from './network.js'
import {inSteps} from '../helpers/steps.js'

const [paris, lyon] = [parseClusterName('paris'), parseClusterName('lyon')]
const TRUST_DOMAIN = 'thanos.example.com'
/** Atlas promises the cut-off within this, seconds. */
const LIMIT = 10
/** Seconds. A connection lives for longer than what an idle one is closed after, so that only its idleness can be the reason. */
const [CONNECTION, STREAM_LIMIT, MINUTE] = [60, 66, 60]

describe('e2e: a thief', function () {
  this.timeout(240_000)
  inSteps()
  let network: Network
  let thief: TestEnvoy
  let thiefAddress: string
  let alertmanager: RecordingServer
  let first: Fleet
  let [identity, credential]: [CertifiedKey | undefined, Credential | undefined] = [undefined, undefined]

  before(async () => {
    network = await openNetwork({clusters: [paris, lyon], settings: {trustDomain: TRUST_DOMAIN, timeouts: {thanosConnection: CONNECTION}}})
    const at = {host: network.spareAddress(1), port: 9093}
    alertmanager = await serveRecording(at, 'am')
    network.onClose(alertmanager.close)
    await init(network.store, {alertmanagers: [at]}, dependencies)
    await untilReachable(network)
    await untilSynced(network)
    first = await network.store.load()
    ;[identity, credential] = [identityIn(first, paris), credentialIn(first, paris)]
    thiefAddress = network.spareAddress(0)
    thief = await network.makeEnvoy(paris, {address: thiefAddress, nodeId: 'thief'})
  })
  after(() => closeNetwork(network))

  const stolen = <T>(value: T | undefined): T => value ?? expect.fail('nothing was stolen')
  const isConnected = async (id: string): Promise<boolean> =>
    (await statusIn(network)).proxies.some(proxy => proxy.id === id && proxy.connectedSince !== undefined)
  const alertThrough = async (host: string): Promise<number> =>
    (
      await ask({host, port: 10_903}, '/am/alertmanager0/api/v2/alerts', {
        method: 'POST',
        headers: {'content-type': 'application/json'},
        body: '[]',
      })
    ).status
  /** As a gRPC call, so that 403 is `PERMISSION_DENIED`. */
  const isDenied = async (channel: Channel): Promise<boolean> =>
    (await channel.call({path: '/am/alertmanager0/api/v2/alerts', message: new Uint8Array(), timeoutMs: 5000, until: 'end'})).grpcStatus ===
    grpcCodes.permissionDenied
  const openAlerts = (fleet: Fleet): Channel => {
    const target = alertsPort(network, fleet)
    return openTls(target, tlsOptions(target, {certificate: stolen(identity)}))
  }
  const isDeniedOnce = async (fleet: Fleet): Promise<boolean> => {
    const channel = openAlerts(fleet)
    return isDenied(channel).finally(() => channel.close())
  }
  const askAs = async (target: TlsTarget, key: CertifiedKey): Promise<string> => {
    const {grpcStatus, grpcMessage} = await askAds(target, key, {cluster: paris, id: 'thief'})
    return `${grpcStatus ?? 'open'} ${grpcMessage}`
  }

  const isAnswered = async (): Promise<boolean> => (await whoAnswers(network, paris)) === 'paris/0'

  it('before: its Envoy gets configuration and identity, sends alerts, and opens ADS with the credential', async () => {
    await thief.start()
    await thief.untilReady()
    await until(network, 'the thief to be admitted', () => isConnected('thief'))
    const serial = plainSerial(readKey(stolen(identity)).serial)
    expect((await certificatesOf(thief.admin)).map(certificate => certificate.serial)).to.include(serial)
    await until(network, 'an alert of the thief to arrive', async () => (await alertThrough(thiefAddress)) === 200)
    expect(alertmanager.requests.at(-1)?.headers['x-atlas-sender']).to.equal(`spiffe://${TRUST_DOMAIN}/downstream/paris/1`)
    expect(await isDeniedOnce(first)).to.equal(false)
    expect(await askAs(adsPort(network, first), stolen(credential))).to.match(/^open/)
  })

  it('revoked: all is refused within 10 s, idle connections close within a minute, an open stream ends at the limit', async () => {
    const others = load(network, [lyon])
    const victim: Victim = await openVictim(network, first, paris, [serverPort(network, first)])
    const alerts = openAlerts(first)
    expect(await isDenied(alerts)).to.equal(false)
    const idle: readonly IdleConnection[] = await Promise.all([
      openIdle(adsPort(network, first), stolen(credential)),
      openIdle(alertsPort(network, first), stolen(identity)),
    ])
    const stream = callOnce(openPlain(queryAddress(network)), streamCall(hostOf(paris), 100)).then(
      () => 'whole',
      () => 'ended',
    )

    const begin = performance.now()
    const seconds = (): number => (performance.now() - begin) / 1000
    const {streamLimit} = await revokeCluster(network.store, paris, {reissue: false}, dependencies)
    expect(streamLimit).to.equal(STREAM_LIMIT)
    const [cutOff] = await Promise.all([
      victim.untilCutOff(),
      until(network, '10903 to refuse it on the open connection', () => isDenied(alerts), LIMIT),
      until(network, '10903 to refuse it on a new connection', () => isDeniedOnce(first), LIMIT),
      until(network, 'the alerts of its Envoy to be refused', async () => (await alertThrough(thiefAddress)) !== 200, LIMIT),
    ])
    expect(cutOff).to.be.below(LIMIT + 1)
    expect(await isConnected('thief')).to.equal(false)
    expect(await others.stop()).to.be.greaterThan(20)

    for (const each of idle) await until(network, 'an idle connection to be closed', each.isClosed, MINUTE - seconds())
    expect(await stream).to.equal('ended')
    expect(seconds()).to.be.below(STREAM_LIMIT + 2)
    victim.close()
    alerts.close()
  })

  it('its keys are gone, its registration is not; its Envoy gets nothing after a restart either', async () => {
    const fleet = await network.store.load()
    expect([fleet.identities.has(paris), fleet.credentials.has(paris), fleet.registrations.has(paris)]).to.deep.equal([false, false, true])
    await thief.kill()
    await network.member(paris).envoy.kill()
    const mark = network.observability.mark()
    await thief.start()
    await until(network, 'the thief to be refused', () =>
      network.observability.logged('request', mark).some(({details}) => details === 'rbac_access_denied_matched_policy[denied]'),
    )
    expect(await thief.page('/ready')).to.equal('PRE_INITIALIZING\n')
    await network.member(paris).envoy.start()
    expect(await askAs(serverPort(network, fleet), stolen(credential))).to.match(/^7 cluster "paris" is revoked/)
  })

  it('restored: an Envoy with the new files is admitted without a restart; with the old ones the thief stays refused', async () => {
    await restoreCluster(network.store, paris, dependencies)
    await network.member(paris).envoy.writeFiles()
    await until(network, 'the Envoy with the new files to be admitted', () => isConnected('paris-0'))
    await untilReachable(network)
    const fleet = await network.store.load()
    for (const target of [adsPort(network, fleet), serverPort(network, fleet)])
      expect(await askAs(target, stolen(credential))).to.match(/^7 /)
    expect(await isDeniedOnce(fleet)).to.equal(true)
    expect(await thief.page('/ready')).to.equal('PRE_INITIALIZING\n')
    await until(network, 'its alerts to arrive', async () => (await alertThrough(network.member(paris).address)) === 200)
  })

  it('one credential that is revoked is refused, with the stream that it had; another is accepted', async () => {
    const fleet = await network.store.load()
    const old = credentialIn(fleet, paris)
    const {sha256} = recordOfCredential(old)
    await revokeCluster(network.store, paris, {reissue: true, credential: sha256.slice(0, 16)}, dependencies)
    await until(network, 'its stream to end', async () => !(await isConnected('paris-0')), 10)
    for (const target of [adsPort(network, fleet), serverPort(network, fleet)])
      expect(await askAs(target, old)).to.equal(`7 the credential ${sha256} of "paris" is revoked`)
    await network.member(paris).envoy.writeFiles()
    await until(network, 'the Envoy with the new credential to be admitted', () => isConnected('paris-0'))
    await untilReachable(network)
  })

  it('restored while alerts go on to be sent, its running Envoy has them delivered again', async () => {
    const {address, envoy} = network.member(paris)
    await revokeCluster(network.store, paris, {reissue: false}, dependencies)
    await until(network, 'its alerts to be refused', async () => (await alertThrough(address)) === 403, LIMIT)
    await restoreCluster(network.store, paris, dependencies)
    await envoy.writeFiles()
    await until(network, 'its alerts to arrive again', async () => (await alertThrough(address)) === 200)
  })

  it('re-issued as a whole: within 10 s the thief is refused at every port and answers no request; with the new files its Envoy works', async () => {
    // The thief takes the present files, too, gets the identity, and stands where requests to paris are sent.
    const before = await network.store.load()
    const taken = [identityIn(before, paris), credentialIn(before, paris)]
    await thief.kill()
    await thief.writeFiles()
    await thief.start()
    await thief.untilReady()
    await network.register(paris, {address: thiefAddress})
    const mark = thief.mark()
    await until(network, 'the thief to answer for paris', async () => (await isAnswered()) && thief.logged('request', mark).length > 0)
    await until(network, 'an alert of the thief to arrive', async () => (await alertThrough(thiefAddress)) === 200)
    const ports = everyPort(network, before, {cluster: lyon})
    const admitted = async (): Promise<readonly number[]> => {
      const each = ports.map(async port => (await Promise.all(taken.map(key => isAdmitted(port, key)))).includes(true))
      const all = await Promise.all(each)
      return ports.map(({port}) => port).filter((_, index) => all[index])
    }
    await until(network, 'the ports that the thief opens', async () => (await admitted()).join() === '10900,10903,6305')

    const others = load(network, [lyon])
    const begin = performance.now()
    const {code, stderr} = await atlas('cluster', 'revoke', paris, '--reissue', '--yes', '--store', path.join(network.folder, 'store'))
    expect(code, stderr).to.equal(0)
    expect(stderr).to.contain('a new credential is put into Secret paris-envoy-ads at once')
    await Promise.all([
      until(network, 'every port to refuse what the thief has', async () => (await admitted()).length === 0, LIMIT),
      until(network, 'its stream to end', async () => !(await isConnected('thief')), LIMIT),
      until(network, 'the alerts of the thief to be refused', async () => (await alertThrough(thiefAddress)) !== 200, LIMIT),
      until(network, 'the thief to answer no request for paris', async () => !(await isAnswered()), LIMIT),
    ])
    expect((performance.now() - begin) / 1000).to.be.below(LIMIT + 1)

    await network.register(paris)
    await network.member(paris).envoy.writeFiles()
    await until(network, 'the Envoy with the new files to be admitted', () => isConnected('paris-0'))
    await untilReachable(network)
    await until(network, 'its alerts to arrive again', async () => (await alertThrough(network.member(paris).address)) === 200)
    expect([await admitted(), await isConnected('thief')]).to.deep.equal([[], false])
    expect(await alertThrough(thiefAddress)).not.to.equal(200)
    expect(await others.stop()).to.be.greaterThan(100)
  })

  it('every name in every Envoy is of the trust domain that was chosen', async () => {
    for (const envoy of [network.observability, network.member(paris).envoy, network.member(lyon).envoy]) {
      const page = await envoy.page('/config_dump')
      expect(page).to.contain(TRUST_DOMAIN)
      expect(page).not.to.contain(defaultSettings.trustDomain)
    }
  })
})
