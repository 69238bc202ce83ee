import {expect} from 'chai'
import {parseAddresses} from '../../src/lib/model/address.js'
import {reduce} from '../../src/lib/model/change.js'
import type {Fleet} from '../../src/lib/model/fleet.js'
import {parseInternalClient} from '../../src/lib/model/internal-ports.js'
import {type Settings, defaultSettings} from '../../src/lib/model/settings.js'
import {testCluster} from '../helpers/fleet.js'
import {broken, build, fleetOf, nodeOf, recordsOf, registered, textOf} from './fixture.js'

const atlas = nodeOf('atlas')
const paris = testCluster('paris')
const lyon = testCluster('lyon', {addresses: parseAddresses('lyon.example.com')})
const nice = testCluster('nice', {replicas: 3})
const fleet = fleetOf([paris, lyon, nice])

describe('envoy/rbac: clients that the internal ports admit', () => {
  const clients = ['thanos', 'ruler', 'ingress:10902,10904'].map(name => parseInternalClient(name))
  const node = nodeOf('atlas', {'atlas.local_address': '10.0.0.7'})
  const door = (differing: Partial<Settings>, listener = 'thanos') =>
    JSON.parse(textOf(build(fleetOf([paris], {settings: {...defaultSettings, ...differing}}), node), 'listener', listener))
  const names = (part: unknown): readonly string[] => JSON.stringify(part).match(/spiffe:[^"]+/g) ?? []

  it('every client that reaches its local address, with or without a certificate', () => {
    const {address, filter_chains: chains} = door({clients})
    expect(address.socket_address.address).to.equal('10.0.0.7')
    expect(chains[0]).to.not.have.property('transport_socket')
    expect(door({clients})).to.deep.equal(door({}))
  })

  it('switched to mutual TLS, the named clients alone, in the handshake and once more on each connection', () => {
    const {address, filter_chains: chains} = door({clients, internalTls: [10_901]})
    expect(address.socket_address.address).to.equal('0.0.0.0')
    const admitted = ['spiffe://atlas.internal/client/thanos', 'spiffe://atlas.internal/client/ruler']
    expect(names(chains[0].transport_socket)).to.deep.equal(admitted)
    expect(names(chains[0].filters)).to.deep.equal(admitted)
  })

  it('each port on its own: those named for it, while the others go on in plaintext', () => {
    const ports = [
      [10_902, 'thanos-pages'],
      [10_904, 'pages'],
    ] as const
    for (const [port, name] of ports) {
      const secured = door({clients, internalTls: [port]}, name)
      expect(secured.address.socket_address.address).to.equal('0.0.0.0')
      for (const part of ['transport_socket', 'filters'])
        expect(names(secured.filter_chains[0][part])).to.deep.equal(['spiffe://atlas.internal/client/ingress'])
      const common = secured.filter_chains[0].transport_socket.typed_config.common_tls_context
      expect(common.alpn_protocols).to.deep.equal(['h2', 'http/1.1'])
      expect(JSON.stringify(secured.filter_chains[0].filters)).to.include('"max_connection_duration":"600s"')
      for (const [, other] of [...ports, [10_901, 'thanos']].filter(([each]) => each !== port))
        expect(door({clients, internalTls: [port]}, String(other))).to.deep.equal(door({}, String(other)))
    }
  })
})

describe('envoy/rbac: clients that 10900 denies', () => {
  const denied = (of: Fleet): readonly string[] => {
    const config = JSON.parse(textOf(build(of, atlas), 'route', 'ads')).typed_per_filter_config?.['atlas.denied']
    return (config?.rbac.rules.policies.denied.principals ?? []).map(
      (principal: {custom: {typed_config: {san_matcher: {matcher: {exact: string}}}}}) =>
        principal.custom.typed_config.san_matcher.matcher.exact,
    )
  }
  const name = (rest: string): string => `spiffe://atlas.internal/ads-client/${rest}`
  const until = '2028-01-01T00:00:00.000Z'

  it('none, in a fleet without history: no filter configuration at all', () => {
    expect(denied(fleet)).to.deep.equal([])
    expect(textOf(build(fleet, atlas), 'route', 'ads')).to.not.include('typed_per_filter_config')
  })

  it('the names of earlier generations, each once, and of these only those that 10900 would admit', () => {
    const records = recordsOf({
      owner: 'paris',
      generation: 3,
      denied: [
        {name: name('paris/2'), until},
        {name: name('paris/1'), until},
        {name: 'spiffe://atlas.internal/downstream/paris/2', until},
        {name: name('paris/1'), until},
      ],
    })
    expect(denied({...fleet, records})).to.deep.equal([name('paris/1'), name('paris/2')])
  })

  it('the names of the last 32 earlier generations, though no denial is on record', () => {
    const records = recordsOf({owner: 'paris', generation: 1_000_000})
    const names = denied({...fleet, records})
    expect(names).to.have.length(32).and.include(name('paris/999999'))
    expect(names).not.to.include(name('paris/1000000'))
  })

  it('the current name of a suspended or removed cluster, until its registration is back', () => {
    const records = recordsOf({owner: 'metz', generation: 4, suspendedSince: '2026-11-01T00:00:00.000Z'}, {owner: 'paris', generation: 1})
    const suspended = {...fleet, records}
    const earlier = [name('metz/1'), name('metz/2'), name('metz/3')]
    expect(denied(suspended)).to.deep.equal([...earlier, name('metz/4')])
    expect(denied(reduce(suspended, registered(testCluster('metz'))))).to.deep.equal(earlier)
  })

  it('not a cluster whose registration cannot be read', () => {
    expect(
      denied(reduce({...fleet, records: recordsOf({owner: 'paris'})}, broken('registration/paris', 'Service/paris', 'spec'))),
    ).to.deep.equal([])
  })

  it('never the observability Envoy, which has a record too', () => {
    expect(denied({...fleet, records: recordsOf({owner: 'atlas'})})).to.deep.equal([])
  })
})
