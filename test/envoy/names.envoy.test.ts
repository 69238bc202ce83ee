/** Names that Envoy looks up: what happens to a cluster whose records move, are wrong for a while, or belong to one address family. */
import type {JsonObject} from '@bufbuild/protobuf'
import {expect} from 'chai'
import {buildSnapshot} from '../../src/lib/envoy/build.js'
import type {CertifiedKey} from '../../src/lib/model/authority.js'
import {type Owner, parseClusterName} from '../../src/lib/model/names.js'
import {defaultSettings} from '../../src/lib/model/settings.js'
import {identitySpec} from '../../src/lib/pki/certificate-specs.js'
import {issue} from '../../src/lib/pki/issue.js'
import {type DnsServer, serveDnsRecords} from '../helpers/dns-server.js'
import {type RunningEnvoy, startEnvoy} from '../helpers/envoy-process.js'
import {staticBootstrap} from '../helpers/envoy-static.js'
import {serveEcho, thanosCall, visit} from '../helpers/http2.js'
import {testAuthority} from '../helpers/pki.js'
import {certified} from './certified.js'
import {clusterAt, fleetOf, nodeOf, snapshotOf} from './fixture.js'
import {until} from './until.js'

const now = new Date()
const dnsAt = {host: '127.0.46.53', port: 5353}
const [first, second] = ['127.0.46.11', '127.0.46.12']
const DAY = 86_400
const NAME = 'paris.example'
const at = (...addresses: readonly string[]) => ({addresses, ttl: DAY})
/** What a resolver may answer for a while although the name is all right. */
const wrong = ['nxdomain', 'nodata', 'servfail', 'silent'] as const

const authority = testAuthority(new Date(now.getTime() - DAY * 1000), 'names', defaultSettings)
const {issuer, signer} = authority
const parisOwner = parseClusterName('paris')
const paris = clusterAt('paris', `${NAME}.`)
const fleet = certified(fleetOf([paris]), now, authority)
const identity = (owner: Owner): CertifiedKey => issue(identitySpec(defaultSettings, owner, 1), issuer, now, signer)

for (const version of ['1.36', '1.40'] as const)
  describe(`envoy ${version}: names`, function () {
    this.timeout(240_000)
    let dns: DnsServer
    const closing: (() => Promise<void> | void)[] = []
    beforeEach(async () => {
      dns = await serveDnsRecords(dnsAt)
      closing.push(() => dns.close())
    })
    afterEach(async () => {
      for (const close of closing.splice(0).reverse()) await close()
    })

    /** Starts the Envoy of `owner` as Atlas builds it, with the test's DNS server. */
    async function start(owner: Owner, local: string, change = (config: string): string => config): Promise<RunningEnvoy> {
      const admin = {host: local, port: 9901}
      const node = nodeOf(owner, {'atlas.bind_address': local, 'atlas.local_address': local})
      const config = staticBootstrap(snapshotOf(buildSnapshot(fleet, node)), {
        node: {id: `${owner}-0`, cluster: owner},
        admin: {address: {socket_address: {address: admin.host, port_value: admin.port}}},
        typed_dns_resolver_config: resolver,
      })
      const envoy = await startEnvoy(JSON.parse(change(JSON.stringify(config))) as JsonObject, admin, {version})
      closing.push(() => envoy.stop())
      return envoy
    }

    describe('of a sidecar, each of whose addresses is checked', () => {
      const local = '127.0.46.2'
      const tls = {shows: identity('atlas'), ca: [issuer.certificate], servername: 'paris.downstream.atlas.internal'}
      const answeredBy = async (): Promise<unknown> =>
        (await visit({host: local, port: 11_901}, {...thanosCall, authority: 'paris-thanos-sidecar0', tls}).catch(() => undefined))
          ?.headers['x-answered-by']

      it('a record with a TTL of a day is followed when it moves, and what is wrong for a while is passed over', async () => {
        const {close: closeFirst} = await serveEcho({host: first, port: 10_901}, first)
        closing.push(closeFirst, (await serveEcho({host: second, port: 10_901}, second)).close)
        dns.set(NAME, {A: at(first)})
        await start(parisOwner, local, often)
        await until('the first address', async () => (await answeredBy()) === first)

        dns.set(NAME, {A: at(second)})
        closeFirst()
        await until('the second address', async () => (await answeredBy()) === second)
        for (const records of ['servfail', 'silent'] as const) {
          dns.set(NAME, {A: records, AAAA: records})
          const before = dns.queries().length
          await until(`a query that is answered with ${records}`, () => dns.queries().length >= before + 4)
          expect(await answeredBy(), records).to.equal(second)
        }
      })

      it('an address that is no longer in the answer is not used, though something else answers there', async () => {
        for (const host of [first, second]) closing.push((await serveEcho({host, port: 10_901}, host)).close)
        dns.set(NAME, {A: at(first)})
        await start(parisOwner, local, often)
        await until('the first address', async () => (await answeredBy()) === first)
        dns.set(NAME, {A: at(second)})
        await until('the second address', async () => (await answeredBy()) === second)
        for (let call = 0; call < 20; call += 1) expect(await answeredBy()).to.equal(second)
        for (const records of ['nxdomain', 'nodata'] as const) {
          dns.set(NAME, {A: records, AAAA: records})
          await until(`no endpoint with ${records}`, async () => (await answeredBy()) === undefined)
          dns.set(NAME, {A: at(second)})
          await until('the second address again', async () => (await answeredBy()) === second)
        }
      })

      it('one address family is enough, whatever becomes of the other: no record, an address that refuses, no answer', async () => {
        closing.push((await serveEcho({host: first, port: 10_901}, first)).close)
        for (const AAAA of ['nodata', 'servfail', 'silent', at('::1'), {...at('::1'), delayMs: 3000}] as const) {
          dns.set(NAME, {A: at(first), AAAA})
          const envoy = await start(parisOwner, local)
          await until(`an answer with AAAA ${JSON.stringify(AAAA)}`, async () => (await answeredBy()) === first)
          await envoy.stop()
        }
      })
    })

    describe('of a downstream cluster, which has a health check', () => {
      const local = '127.0.46.1'
      const answeredBy = async (): Promise<unknown> =>
        (await visit({host: local, port: 10_901}, {...thanosCall, authority: 'paris-thanos-sidecar0'})).headers['x-answered-by']
      const serve = async (host: string): Promise<() => void> => {
        const {close} = await serveEcho({host, port: 11_901}, host, {shows: identity(parisOwner), ca: [issuer.certificate]})
        closing.push(close)
        return close
      }
      it('keeps an address that passes its check while the name does not resolve, and follows the name when the address is dead', async () => {
        const closeFirst = await serve(first)
        await serve(second)
        dns.set(NAME, {A: at(first)})
        await start('atlas', local, often)
        await until('the first address', async () => (await answeredBy()) === first)
        for (const records of wrong) {
          dns.set(NAME, {A: records, AAAA: records})
          const before = dns.queries().length
          await until(`queries that are answered with ${records}`, () => dns.queries().length >= before + 4)
          expect(await answeredBy(), records).to.equal(first)
        }

        dns.set(NAME, {A: at(second)})
        closeFirst()
        await until('the second address alone', async () => (await answeredBy()) === second && (await answeredBy()) === second)
      })
    })
  })

/** Names are looked up every second, also after a failure; in the product every 5 to 30 s. */
function often(config: string): string {
  return config
    .replaceAll(/"dns_refresh_rate":"\d+s"/g, '"dns_refresh_rate":"1s"')
    .replaceAll(/"dns_jitter":"\d+s"/g, '"dns_jitter":"0.1s"')
    .replaceAll('"max_interval":"10s"', '"max_interval":"1s"')
}

const resolver = {
  name: 'envoy.network.dns_resolver.cares',
  typed_config: {
    '@type': 'type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig',
    resolvers: [{socket_address: {address: dnsAt.host, port_value: dnsAt.port}}],
    // As in the product (envoy/bootstrap.ts).
    query_timeout_seconds: 2,
    query_tries: 2,
  },
}
