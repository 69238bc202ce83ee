import {expect} from 'chai'
import {buildAhead, buildSnapshot} from '../../src/lib/envoy/build.js'
import {parseAddresses} from '../../src/lib/model/address.js'
import {type Change, reduce, reduceAll} from '../../src/lib/model/change.js'
import type {Cluster} from '../../src/lib/model/cluster.js'
import type {Fleet} from '../../src/lib/model/fleet.js'
import type {Node} from '../../src/lib/model/node.js'
import {resourcesOf} from '../../src/lib/xds/snapshot.js'
import {typeUrls} from '../../src/lib/xds/type-url.js'
import {settings} from './fleets.js'
import type {Settings} from '../../src/lib/model/settings.js'
import {testCluster} from '../helpers/fleet.js'
import {resourceJson} from '../helpers/envoy-json.js'
import {broken, build, changed, find, fleetOf, identityOf, names, nodeOf, recordsOf, registered, snapshotOf, textOf} from './fixture.js'

const atlas = nodeOf('atlas')
const paris = testCluster('paris')
const lyon = testCluster('lyon', {addresses: parseAddresses('lyon.example.com')})
const nice = testCluster('nice', {replicas: 3})
const fleet = fleetOf([paris, lyon, nice])

describe('envoy/build: what a node gets', () => {
  it('gives the observability Envoy five listeners, a cluster and a scope for each downstream cluster, and three secrets', () => {
    const snapshot = build(fleet, atlas)
    expect(names(snapshot, 'cluster')).to.deep.equal(['ads-servers', 'pages-servers', 'thanos/lyon', 'thanos/nice', 'thanos/paris'])
    expect(names(snapshot, 'listener')).to.deep.equal(['ads', 'thanos', 'alerts', 'pages', 'thanos-pages'])
    expect(names(snapshot, 'route')).to.deep.equal(['ads', 'alerts'])
    expect(names(snapshot, 'scope')).to.deep.equal(['pages', 'thanos/lyon', 'thanos/nice', 'thanos/paris'])
    expect(names(snapshot, 'secret')).to.have.members(['identity', 'trust', 'ads-trust'])
  })

  it('gives the observability Envoy a cluster for each kind of page, and a scope for each way to it that the settings choose', () => {
    const kinds = ['alertmanager', 'prom', 'thanos']
    const [byPath, byHost] = [kinds.map(kind => `page/${kind}/paris`), kinds.map(kind => `page-host/${kind}/paris`)]
    const choices: readonly [Partial<Settings>, readonly string[]][] = [
      [{pagesByPath: true}, byPath],
      [{webDomain: 'web.example'}, byHost],
      [{pagesByPath: true, webDomain: 'web.example'}, [...byPath, ...byHost]],
    ]
    for (const [chosen, scopes] of choices) {
      const snapshot = build(fleetOf([paris], {settings: {...settings, ...chosen}}), atlas)
      expect(names(snapshot, 'cluster')).to.have.members(['ads-servers', 'pages-servers', 'thanos/paris', ...byPath])
      expect(names(snapshot, 'scope')).to.have.members(['pages', 'thanos/paris', ...scopes])
    }
  })

  it('checks the health of a downstream cluster at 11901 alone: the clusters of its pages have no health check of their own', () => {
    const several = testCluster('paris', {addresses: parseAddresses('192.0.2.1,192.0.2.2')})
    const snapshot = build(fleetOf([several], {settings: {...settings, pagesByPath: true, webDomain: 'web.example.com'}}), atlas)
    const isChecked = names(snapshot, 'cluster').filter(name => 'health_checks' in resourceJson(find(snapshot, 'cluster', name)))
    expect(isChecked).to.deep.equal(['thanos/paris'])
    expect(names(snapshot, 'cluster')).to.include.members(['page/alertmanager/paris', 'page/prom/paris', 'page/thanos/paris'])
  })

  it('costs 2.4 kB of clusters and 2.5 kB of scopes for each downstream cluster with pages by path and by host name', () => {
    const bytes = (kind: 'cluster' | 'scope'): number => {
      const snapshot = build(fleetOf([paris], {settings: {...settings, pagesByPath: true, webDomain: 'web.example.com'}}), atlas)
      const own = names(snapshot, kind).filter(name => name.endsWith('paris'))
      return own.reduce((sum, name) => sum + find(snapshot, kind, name).body.length, 0)
    }
    expect(bytes('cluster')).to.be.lessThan(2400)
    expect(bytes('scope')).to.be.lessThan(2500)
  })

  it('refuses a page at a port on which that Envoy listens instead of a standard one', () => {
    const services = {...testCluster('paris').services, prometheus: {host: 'prometheus.x', port: 21_904}}
    const own = fleetOf([testCluster('paris', {services})])
    expect(names(build(own, nodeOf('paris')), 'cluster')).to.include('page/prom')
    const moved = build(own, nodeOf('paris', {'atlas.ports': {'11904': 21_904}}))
    expect(names(moved, 'cluster')).to.include('page/alertmanager').and.not.include('page/prom')
    expect(textOf(moved, 'route', 'page/prom')).to.include('allow-local-targets')
  })

  it('gives a downstream Envoy its listeners, a cluster for each replica and page, its own identity and no other', () => {
    const snapshot = build(fleet, nodeOf('nice'))
    const kinds = ['page/alertmanager', 'page/prom', 'page/thanos']
    const ofReplicas = [0, 1, 2].flatMap(replica => [`sidecar/${replica}`, `page/prom/${replica}`, `page/thanos/${replica}`])
    expect(names(snapshot, 'cluster')).to.have.members([...ofReplicas, ...kinds])
    expect(names(snapshot, 'listener')).to.have.members(['thanos', 'alerts', ...kinds])
    expect(names(snapshot, 'route')).to.have.members(['thanos', 'alerts', ...kinds])
    expect(names(snapshot, 'scope')).to.deep.equal([])
    expect(names(snapshot, 'secret')).to.have.members(['identity', 'trust'])
    const keys = JSON.stringify(names(snapshot, 'secret').map(name => resourceJson(find(snapshot, 'secret', name))))
    expect(keys).to.include('the private key of nice').and.not.include('of paris').and.not.include('of atlas')
  })

  it('trusts issuers, never roots, and ADS credentials only at the ADS listener', () => {
    const snapshot = build(fleet, atlas)
    expect(textOf(snapshot, 'secret', 'trust'))
      .to.include('the issuer')
      .and.not.include('root')
    expect(textOf(snapshot, 'secret', 'ads-trust'))
      .to.include('the credential issuer')
      .and.not.include('root')
    const [door] = JSON.parse(textOf(snapshot, 'listener', 'ads')).filter_chains
    expect(JSON.stringify(door.transport_socket)).to.include('"name":"ads-trust"')
    expect(JSON.stringify(build(fleet, nodeOf('nice')))).to.not.include('ads-trust')
  })

  it('joins several anchors, each ending in a line break', () => {
    const trust = {roots: ['r'], issuers: ['one', 'two\n'], credentialIssuers: ['three']}
    expect(resourceJson(find(build({...fleet, trust}, atlas), 'secret', 'trust'))).to.deep.include({
      validation_context: {trusted_ca: {inline_string: 'one\ntwo\n'}},
    })
  })

  it('refers to nothing that is not in the same snapshot', () => {
    for (const node of [atlas, nodeOf('paris'), nodeOf('nice')]) {
      const snapshot = build(fleet, node)
      const all = JSON.stringify(
        Object.values(typeUrls).flatMap(url => [...resourcesOf(snapshot, url).values()].map(each => resourceJson(each))),
      )
      const asked = (pattern: RegExp) => [...new Set([...all.matchAll(pattern)].map(match => match[1] as string))]
      expect(asked(/"name":"([\w-]+)","sds_config"/g)).to.have.members(names(snapshot, 'secret'))
      expect(asked(/"route":\{"cluster":"([^"]+)"/g)).to.have.members(names(snapshot, 'cluster'))
      expect(asked(/"route_config_name":"([^"]+)"/g)).to.have.members(names(snapshot, 'route'))
    }
  })

  it('leaves a cluster without an address out until it has one, while its own Envoy is ready', () => {
    const pending = {...paris, addresses: []}
    const before = fleetOf([pending, nice])
    expect(names(build(before, atlas), 'cluster')).to.deep.equal(['ads-servers', 'pages-servers', 'thanos/nice'])
    expect(names(build(before, atlas), 'scope')).to.deep.equal(['pages', 'thanos/nice'])
    expect(names(build(before, nodeOf('paris')), 'cluster')).to.include.members(['sidecar/0', 'page/prom'])
    expect(changed(build(before, atlas), build(reduce(before, registered(paris)), atlas))).to.deep.equal([
      'cluster thanos/paris',
      'scope thanos/paris',
    ])
  })
})

describe('envoy/build: a change costs its own resources only', () => {
  const before = build(fleet, atlas)

  const cases: Record<string, {changes: readonly Change[]; costs: readonly string[]; node?: Node}> = {
    'an address: its cluster': {changes: [registered({...paris, addresses: parseAddresses('192.0.2.1')})], costs: ['cluster thanos/paris']},
    'one more cluster: itself': {changes: [registered(testCluster('metz'))], costs: ['cluster thanos/metz', 'scope thanos/metz']},
    'a cluster removed: itself': {
      changes: [{kind: 'registration', name: paris.name, value: undefined}],
      costs: ['cluster thanos/paris', 'scope thanos/paris'],
    },
    'a revocation: the pin, and the denied names': {
      changes: [
        {
          kind: 'record',
          owner: paris.name,
          value: {
            owner: paris.name,
            generation: 2,
            credentials: [],
            denied: [{name: 'spiffe://atlas.internal/ads-client/paris/1', until: '2028-01-01T00:00:00Z'}],
          },
        },
      ],
      costs: ['cluster thanos/paris', 'route ads', 'route alerts'],
    },
    'its own identity: one secret': {
      changes: [{kind: 'identity', owner: 'atlas', value: identityOf('a new atlas')}],
      costs: ['secret identity'],
    },
    "another's identity: nothing": {changes: [{kind: 'identity', owner: paris.name, value: identityOf('a new paris')}], costs: []},
    'one more issuer: trust': {
      changes: [
        {kind: 'trust', value: {roots: ['r'], issuers: ['the issuer\n', 'the next\n'], credentialIssuers: ['the credential issuer\n']}},
      ],
      costs: ['secret trust'],
    },
    'a fault of an object that it does not need: nothing': {changes: [broken('server', 'Secret/atlas-ads-tls', 'tls.crt')], costs: []},
    'the registration of another cluster, at a downstream Envoy: nothing': {
      changes: [registered({...lyon, replicas: 1, groups: ['x']})],
      costs: [],
      node: nodeOf('paris'),
    },
    'replicas, at the Envoy of its cluster: the new cluster and the routes, no listener': {
      changes: [registered({...paris, replicas: 2})],
      costs: [
        ...['cluster page/prom', 'cluster page/prom/1', 'cluster page/thanos', 'cluster page/thanos/1', 'cluster sidecar/1'],
        ...['route page/prom', 'route page/thanos', 'route thanos'],
      ],
      node: nodeOf('paris'),
    },
  }

  for (const [says, {changes, costs, node = atlas}] of Object.entries(cases))
    it(says, () => {
      const [was, after] = [build(fleet, node), reduceAll(fleet, changes)]
      const is = snapshotOf(buildSnapshot(after, node, was))
      expect(changed(was, is)).to.deep.equal(costs)
    })

  it('reuses the objects of unchanged resources without the last snapshot', () => {
    const after = build(reduce(fleet, registered({...paris, replicas: 4})), atlas)
    expect(changed(before, after)).to.deep.equal(['cluster thanos/paris', 'scope thanos/paris'])
  })

  it('can be built ahead, a few clusters at a time', () => {
    const large = fleetOf(Array.from({length: 50}, (_, index) => testCluster(`c${String(index)}`)))
    expect([...buildAhead(large)]).to.have.length(2)
    expect([...buildAhead({...large, settings: undefined})]).to.deep.equal([])
  })

  it('shares whole maps with the last snapshot where nothing changed', () => {
    const after = snapshotOf(buildSnapshot(reduce(fleet, {kind: 'identity', owner: 'atlas', value: identityOf('x')}), atlas, before))
    expect(resourcesOf(after, typeUrls.cluster)).to.equal(resourcesOf(before, typeUrls.cluster))
    expect(resourcesOf(after, typeUrls.secret)).to.not.equal(resourcesOf(before, typeUrls.secret))
  })

  it('shares trust and routes between the nodes of one cluster', () => {
    const [one, other] = [build(fleet, nodeOf('paris')), build(fleet, {...nodeOf('paris'), id: 'paris-1'})]
    expect(changed(one, other)).to.deep.equal([])
    expect(find(build(fleet, nodeOf('nice')), 'secret', 'trust')).to.equal(find(one, 'secret', 'trust'))
    expect(find(build(fleet, nodeOf('nice')), 'listener', 'thanos')).to.equal(find(one, 'listener', 'thanos'))
  })

  it('never changes a listener when a cluster is added, removed, revoked, broken or without an address', () => {
    const others: readonly Fleet[] = [
      fleetOf([]),
      fleetOf([lyon]),
      reduce(fleet, broken('registration/paris', 'Service/paris', 'spec')),
      {...fleet, records: recordsOf({owner: 'metz', generation: 7})},
    ]
    for (const other of others)
      for (const name of names(before, 'listener'))
        expect(find(build(other, atlas), 'listener', name).body).to.deep.equal(find(before, 'listener', name).body)
  })

  it('gives equal fleets equal bytes, in whichever order they were made', () => {
    const again = fleetOf([{...nice}, {...lyon}, {...paris}], {
      settings: structuredClone(fleet.settings),
      trust: structuredClone(fleet.trust),
    })
    for (const node of ['atlas', 'paris', 'lyon', 'nice'].map(name => nodeOf(name))) {
      const [one, other] = [build(fleet, node), build(again, node)]
      for (const typeUrl of Object.values(typeUrls))
        expect([...resourcesOf(other, typeUrl).values()].map(({name, version, body}) => ({name, version, body}))).to.deep.equal(
          [...resourcesOf(one, typeUrl).values()].map(({name, version, body}) => ({name, version, body})),
        )
    }
  })

  it('adds a cluster to the observability Envoy with about 1 kB, at any fleet size', () => {
    const cost = (of: Fleet, cluster: Cluster): number => {
      const [was, is] = [build(of, atlas), build(reduce(of, registered(cluster)), atlas)]
      const bytes = (['cluster', 'scope'] as const).map(type => find(is, type, `thanos/${cluster.name}`).body.length)
      expect(changed(was, is)).to.have.length(2)
      return bytes.reduce((sum, each) => sum + each, 0)
    }
    const many = fleetOf(Array.from({length: 300}, (_, index) => testCluster(`c${String(index)}`)))
    expect(cost(many, paris))
      .to.equal(cost(fleetOf([]), paris))
      .and.to.be.lessThan(1100)
  })
})
