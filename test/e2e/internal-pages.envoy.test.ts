/** 10902 and 10904 in mutual TLS beside 10901: which client opens which port, over HTTP/1.1 and HTTP/2, and when their connections end. */
import http2 from 'node:http2'
import {expect} from 'chai'
import {issuersIn} from '../../src/demo/lab/certificates.js'
import {probeTls, probeUntilAlert, tlsOptions} from '../../src/demo/lab/tls-probe.js'
import {dependencies} from '../../src/lib/cli/base-command.js'
import type {CertifiedKey} from '../../src/lib/model/authority.js'
import type {Fleet} from '../../src/lib/model/fleet.js'
import {internalPorts, parseInternalClient} from '../../src/lib/model/internal-ports.js'
import {parseClientName} from '../../src/lib/model/names.js'
import {defaultStack, targetsOf} from '../../src/lib/model/stack.js'
import {addCluster} from '../../src/lib/ops/cluster/add.js'
import {init} from '../../src/lib/ops/init.js'
import {ask, serveRecording} from '../helpers/http1.js'
import {visit} from '../helpers/http2.js'
import {until, untilReachable} from './look.js'
import {type EnvoyPort, probeLogged} from './mtls-ports.js'
import {type Network, closeNetwork, openNetwork} from './network.js'

const DOMAIN = 'web.example'
const HOST = `paris.prom.${DOMAIN}`
const THANOS_HOST = `paris.thanos.${DOMAIN}`
const names = ['thanos', 'ingress', 'stores'] as const

describe('e2e: internal TLS of web pages', function () {
  this.timeout(240_000)
  let network: Network
  let fleet: Fleet

  before(async () => {
    const clients = ['thanos', 'ingress:10904', 'stores:10902'].map(client => parseInternalClient(client))
    network = await openNetwork({clusters: ['paris'], settings: {webDomain: DOMAIN, clients, timeouts: {thanosConnection: 3}}})
    const block = network.spareAddress(0).replace(/\.200$/, '')
    const [prometheus, sidecar] = [
      {host: `${block}.100`, port: 9090},
      {host: `${block}.10`, port: 10_902},
    ]
    for (const [name, at] of Object.entries({prom: prometheus, sidecar})) network.onClose((await serveRecording(at, name)).close)
    const services = {prometheus, thanos: {host: `${block}.1{replica}`, port: 10_901}}
    const input = {request: {services, pages: {allowLocalTargets: true}}, defaults: targetsOf(defaultStack)}
    await addCluster(network.store, 'paris', input, dependencies)
    await untilReachable(network)
    await init(network.store, {internalTls: internalPorts}, dependencies)
    await until(network, 'the certificates of the clients', async () => {
      fleet = await network.store.load()
      return fleet.clients.size === names.length
    })
    for (const [name, port] of [
      ['thanos', 10_901],
      ['stores', 10_902],
      ['ingress', 10_904],
    ] as const)
      await until(network, `${port} to admit its client`, () => opensTo(target(port), clientIn(name)))
  })
  after(() => closeNetwork(network))

  function target(port: number): EnvoyPort {
    return {host: network.address, port, servername: 'observability.atlas.internal', ca: issuersIn(fleet), envoy: network.observability}
  }

  function clientIn(name: (typeof names)[number]): CertifiedKey {
    return fleet.clients.get(parseClientName(name)) ?? expect.fail(`there is no certificate of ${name}`)
  }

  async function opensTo(at: EnvoyPort, certificate: CertifiedKey): Promise<boolean> {
    return (await probeTls(at, {certificate}).catch(() => ({bytes: 0}))).bytes > 0
  }

  it('D7: a client opens its own port and no other, and none opens without a certificate or in plaintext', async () => {
    for (const [name, own] of [
      ['thanos', 10_901],
      ['stores', 10_902],
      ['ingress', 10_904],
    ] as const)
      for (const port of internalPorts) {
        const {bytes, failure} = await probeLogged(network, target(port), {certificate: clientIn(name)})
        expect(bytes > 0, `${name} at ${port}`).to.equal(port === own)
        if (port !== own) expect(failure, `${name} at ${port}`).to.match(/SAN_matcher/)
      }

    for (const port of internalPorts) {
      expect(await probeUntilAlert(target(port), {}), String(port)).to.include({bytes: 0, alert: 'certificate required'})
      const plain = await ask({host: network.address, port}, '/', {headers: {host: HOST}}).then(
        ({status}) => status,
        () => 'no answer',
      )
      expect(plain, String(port)).to.equal('no answer')
    }
  })

  it('answers HTTP/1.1, with and without ALPN, as ingress controllers speak it, and HTTP/2', async () => {
    for (const [port, name, host, body] of [
      [10_904, 'ingress', HOST, 'prom'],
      [10_902, 'stores', THANOS_HOST, 'sidecar'],
    ] as const) {
      const tls = tlsOptions(target(port), {certificate: clientIn(name)})
      const at = {host: network.address, port}
      await until(network, `the page at ${port}`, async () => (await ask(at, '/', {headers: {host}, tls})).body === body)
      for (const protocols of [{}, {ALPNProtocols: ['http/1.1']}])
        expect(await ask(at, '/', {headers: {host}, tls: {...tls, ...protocols}})).to.include({status: 200, body})
      const {servername, ca} = target(port)
      expect(await visit(at, {authority: host, tls: {shows: clientIn(name), ca, servername}})).to.include({status: 200, body})
    }
  })

  it('ends each connection after its maximum duration', async () => {
    const session = http2.connect(`https://${network.address}:10904`, tlsOptions(target(10_904), {certificate: clientIn('ingress')}))
    session.on('error', () => undefined)
    const code = await new Promise<number>(resolve => session.once('goaway', resolve))
    session.destroy()
    expect(code).to.equal(http2.constants.NGHTTP2_NO_ERROR)
  })
})
