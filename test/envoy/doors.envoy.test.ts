/**
 * The listeners of the Thanos path and the ADS path on real Envoys with the built configuration, without ADS: which clients they
 * admit, where requests go, and what they log of a refusal. test/e2e proves the same with `atlas serve`.
 */
import {expect} from 'chai'
import {buildSnapshot} from '../../src/lib/envoy/build.js'
import type {CertifiedKey} from '../../src/lib/model/authority.js'
import {parseAddresses} from '../../src/lib/model/address.js'
import type {Fleet} from '../../src/lib/model/fleet.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import {defaultSettings} from '../../src/lib/model/settings.js'
import {credentialSpec, identitySpec, serverSpec} from '../../src/lib/pki/certificate-specs.js'
import {issue} from '../../src/lib/pki/issue.js'
import {startEnvoy, type RunningEnvoy} from '../helpers/envoy-process.js'
import {staticBootstrap} from '../helpers/envoy-static.js'
import {testCluster} from '../helpers/fleet.js'
import {serveEcho, visit, type Visit, thanosCall} from '../helpers/http2.js'
import {testAuthority} from '../helpers/pki.js'
import {certified} from './certified.js'
import {fleetOf, nodeOf, recordsOf, snapshotOf} from './fixture.js'
import {until} from './until.js'

const now = new Date()
const settings = {
  ...defaultSettings,
  adsServers: [{host: '127.0.41.9', port: 6305}],
  timeouts: {...defaultSettings.timeouts, healthInterval: 0.5, healthTimeout: 2},
}
const authority = testAuthority(new Date(now.getTime() - 86_400_000), 'doors', settings)
const {issuer, credentialIssuer, signer} = authority
const [paris, lyon, oslo] = [parseClusterName('paris'), parseClusterName('lyon'), parseClusterName('oslo')]

const behind = {thanos: {host: '127.0.43.1{replica}', port: 10_901}}
const fleet: Fleet = certified(
  fleetOf(
    [
      testCluster('paris', {replicas: 2, addresses: parseAddresses('127.0.42.1'), services: {...testCluster('paris').services, ...behind}}),
      // Names and addresses mixed: the health check finds the one that answers.
      testCluster('lyon', {addresses: parseAddresses('nowhere.invalid,127.0.42.2,::1')}),
    ],
    {
      settings,
      records: recordsOf({
        owner: 'paris',
        generation: 2,
        denied: [{name: 'spiffe://atlas.internal/ads-client/paris/1', until: '2099-01-01T00:00:00.000Z'}],
      }),
    },
  ),
  now,
  authority,
)

const own = (generation: number): CertifiedKey => issue(identitySpec(settings, paris, generation), issuer, now, signer)
const observability = issue(identitySpec(settings, 'atlas', 1), issuer, now, signer)
const credential = (owner: typeof paris | 'atlas', generation: number, by = credentialIssuer): CertifiedKey =>
  issue(credentialSpec(settings, owner, generation), by, now, signer)

describe('envoy: listeners and the client certificates that they admit, on real Envoys', function () {
  this.timeout(300_000)
  const running: Record<string, RunningEnvoy> = {}
  const servers: {close(): void}[] = []

  before(async () => {
    const ads = {shows: issue(serverSpec(settings), issuer, now, signer), ca: [issuer.certificate]}
    servers.push(await serveEcho({host: '127.0.41.9', port: 6305}, 'ads server', ads))
    for (const replica of [0, 1])
      servers.push(await serveEcho({host: `127.0.43.1${String(replica)}`, port: 10_901}, `sidecar ${String(replica)}`))
    servers.push(await serveEcho({host: '127.0.43.20', port: 10_901}, 'lyon'))
    running['paris'] = await start('paris', '127.0.42.1')
    running['lyon'] = await start('lyon', '127.0.42.2', {
      ...fleet,
      registrations: new Map([
        [lyon, testCluster('lyon', {services: {...testCluster('lyon').services, thanos: {host: '127.0.43.20', port: 10_901}}})],
      ]),
    })
    running['atlas'] = await start('atlas', '127.0.41.1')
    await untilHealthy('lyon-thanos-sidecar0')
  })

  after(async () => {
    for (const envoy of Object.values(running)) await envoy.stop()
    for (const server of servers) server.close()
  })

  async function start(name: string, host: string, of: Fleet = fleet): Promise<RunningEnvoy> {
    const admin = {host, port: 9901}
    const snapshot = snapshotOf(buildSnapshot(of, nodeOf(name, {'atlas.bind_address': host, 'atlas.local_address': host})))
    const pages = {address: {socket_address: {address: host, port_value: 9901}}}
    return startEnvoy(staticBootstrap(snapshot, {admin: pages}), admin)
  }

  const query = async (authority: string) => visit({host: '127.0.41.1', port: 10_901}, {authority, ...thanosCall})
  const untilHealthy = async (authority: string): Promise<void> => {
    await until(`${authority} to be healthy`, async () => (await query(authority)).headers['grpc-status'] === '0')
  }

  describe('10901, for Thanos Query', () => {
    it('routes each replica by its name to its own sidecar, through both Envoys, with the name unchanged', async () => {
      for (const name of ['paris-thanos-sidecar1', 'paris-thanos-sidecar1:10901', 'paris-thanos-sidecar1.atlas.svc.cluster.local:10901']) {
        const answer = await query(name)
        expect(answer.headers['x-answered-by']).to.equal('sidecar 1')
        expect(JSON.parse(answer.body)).to.include({':authority': name})
      }

      expect((await query('paris-thanos-sidecar0:10901')).headers['x-answered-by']).to.equal('sidecar 0')
    })

    it('answers no other name', async () => {
      for (const name of [
        'paris-thanos-sidecar2',
        'paris-thanos-sidecar10',
        'paris-thanos-sidecar1x',
        'paris',
        'nice-thanos-sidecar0',
        'atlas-health',
      ])
        expect((await query(name)).headers['grpc-status'], name).to.equal('12')
    })

    it('logs the calls that fail, and of the others a sample', async () => {
      const ask = async (authority: string, path: string): Promise<unknown> =>
        visit({host: '127.0.41.1', port: 10_901}, {authority, path, headers: {'content-type': 'application/grpc'}})
      for (let call = 0; call < 20; call++) await ask('paris-thanos-sidecar0', '/thanos.Store/Series')
      await ask('nice-thanos-sidecar0', '/thanos.info.Info/Info')
      const logged = (): readonly unknown[] =>
        (running['atlas']?.logged('request') ?? [])
          .filter(line => String(line['path']).startsWith('/thanos'))
          .map(line => line['authority'])
      await until('the failed call', () => logged().includes('nice-thanos-sidecar0'))
      expect(logged().filter(authority => authority === 'paris-thanos-sidecar0').length).to.be.lessThan(10)
    })

    it('reaches a cluster by the one of its addresses that answers, names and addresses mixed', async () => {
      for (let tries = 0; tries < 6; tries++) expect((await query('lyon-thanos-sidecar0')).headers['x-answered-by']).to.equal('lyon')
    })
  })

  describe('11901, in front of the sidecars', () => {
    const door = {host: '127.0.42.1', port: 11_901}
    const tls = (shows?: CertifiedKey): NonNullable<Visit['tls']> => ({
      ca: [issuer.certificate],
      servername: 'paris.downstream.atlas.internal',
      ...(shows === undefined ? {} : {shows}),
    })

    it('admits the observability Envoy, and answers its health check itself', async () => {
      expect((await visit(door, {tls: tls(observability), authority: 'atlas-health', path: '/healthz'})).status).to.equal(200)
      expect(
        (await visit(door, {tls: tls(observability), authority: 'paris-thanos-sidecar0', ...thanosCall})).headers['x-answered-by'],
      ).to.equal('sidecar 0')
      expect((await visit(door, {tls: tls(observability), authority: 'lyon-thanos-sidecar0'})).status).to.equal(404)
    })

    it('refuses every other client, with the reason in the connection log alone', async () => {
      const foreign = testAuthority(now, 'foreign', settings)
      const strangers: Record<string, {shows?: CertifiedKey; failure: RegExp}> = {
        'no certificate': {failure: /PEER_DID_NOT_RETURN_A_CERTIFICATE/},
        'its own': {shows: own(2), failure: /SAN_matcher.*downstream\/paris\/2/},
        'an ADS credential': {shows: credential(paris, 2), failure: /certificate_verification_error|unable_to_get/},
        "another authority's": {shows: issue(identitySpec(settings, 'atlas', 1), foreign.issuer, now, signer), failure: /unable_to_get/},
        "an expired one's": {
          shows: issue({...identitySpec(settings, 'atlas', 1), lifetime: 60}, issuer, new Date(now.getTime() - 3_600_000), signer),
          failure: /certificate_has_expired/,
        },
      }
      for (const [who, {shows, failure}] of Object.entries(strangers)) {
        expect(await refusalOf(visit(door, {tls: tls(shows), authority: 'paris-thanos-sidecar0'})), who).to.not.equal(undefined)
        await until(
          `${who}: ${String(failure)}`,
          () => running['paris']?.logged('connection').some(line => failure.test(String(line['failure']))) === true,
        )
      }
    })

    it('accepts neither TLS 1.2 nor plaintext', async () => {
      expect(await refusalOf(visit(door, {tls: {...tls(observability), maxVersion: 'TLSv1.2'}}))).to.match(
        /PROTOCOL_VERSION|protocol version/i,
      )
      expect(await refusalOf(visit(door, {}))).to.not.equal(undefined)
    })

    it('does not log health checks', async () => {
      await visit(door, {tls: tls(observability), authority: 'nice-thanos-sidecar0', ...thanosCall})
      await until('a call', () => running['paris']?.logged('request').some(line => line['authority'] === 'nice-thanos-sidecar0') === true)
      expect(running['paris']?.logged('request').filter(line => line['path'] === '/healthz')).to.deep.equal([])
    })
  })

  describe('10900, the ADS relay', () => {
    const door = {host: '127.0.41.1', port: 10_900}
    const delta = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources'
    const as = (shows: CertifiedKey | undefined, differing: Visit = {}): Visit => ({
      path: delta,
      ...differing,
      tls: {ca: [issuer.certificate], servername: 'observability.atlas.internal', ...(shows === undefined ? {} : {shows})},
    })

    it('relays the ADS stream of a cluster with one XFCC element from its certificate, whatever the client sends', async () => {
      const forged = {'x-forwarded-client-cert': 'By=x;Hash=00;URI=spiffe://atlas.internal/ads-client/lyon/1'}
      const answer = await visit(door, as(credential(paris, 2), {headers: forged}))
      expect(answer.headers['x-answered-by']).to.equal('ads server')
      expect((JSON.parse(answer.body) as Record<string, string>)['x-forwarded-client-cert']).to.match(
        /^By=spiffe:\/\/atlas\.internal\/observability;Hash=[0-9a-f]{64};URI=spiffe:\/\/atlas\.internal\/ads-client\/paris\/2$/,
      )
    })

    it('routes both ADS methods and nothing else', async () => {
      const relayed = async (path: string) => (await visit(door, as(credential(paris, 2), {path}))).status
      expect(await relayed(delta.replace('Delta', 'Stream'))).to.equal(200)
      for (const path of ['/', delta.slice(0, -1), `${delta}/`, '/grpc.health.v1.Health/Check', delta.toLowerCase()])
        expect(await relayed(path), path).to.equal(404)
    })

    it("refuses the observability Envoy's own credential, and denied names, by RBAC", async () => {
      for (const shows of [credential('atlas', 1), credential(paris, 1)]) {
        const answer = await visit(door, as(shows, {headers: {'content-type': 'application/grpc'}}))
        expect(answer.headers).to.include({'grpc-status': '7'})
        expect((await visit(door, as(shows))).status).to.equal(403)
      }

      await until(
        'denied',
        () => running['atlas']?.logged('request').some(line => line['details'] === 'rbac_access_denied_matched_policy[denied]') === true,
      )
    })

    it('refuses every client without an ADS credential of the credential issuer, and logs even one that poses as a health check', async () => {
      const strangers = [undefined, own(2), observability, credential(paris, 2, issuer)]
      for (const shows of strangers) expect(await refusalOf(visit(door, as(shows)))).to.not.equal(undefined)
      await visit(door, as(credential(oslo, 1), {authority: 'atlas-health'}))
      await until('the log line', () => running['atlas']?.logged('request').some(line => line['authority'] === 'atlas-health') === true)
    })
  })

  describe('when a downstream Envoy is gone', () => {
    it('fails at once, and that cluster alone', async () => {
      await running['paris']?.stop()
      const refused = async (): Promise<boolean> => (await query('paris-thanos-sidecar0')).headers['grpc-message'] === 'no healthy upstream'
      await until('unhealthy', refused)
      const start = Date.now()
      expect((await query('paris-thanos-sidecar0')).headers['grpc-status']).to.equal('14')
      expect(Date.now() - start, 'without a try to connect, which is given up after 2 s').to.be.lessThan(1500)
      expect((await query('lyon-thanos-sidecar0')).headers['grpc-status']).to.equal('0')
      await until('UH', () => running['atlas']?.logged('request').some(line => line['flags'] === 'UH') === true)
    })
  })
})

async function refusalOf(visiting: Promise<unknown>): Promise<string | undefined> {
  return visiting.then(
    () => undefined,
    (error: unknown) => String(error),
  )
}
