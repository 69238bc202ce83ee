import {expect} from 'chai'
import {parseAddresses} from '../../src/lib/model/address.js'
import type {Cluster} from '../../src/lib/model/cluster.js'
import {testCluster} from '../helpers/fleet.js'
import {build, fleetOf, nodeOf, recordsOf, textOf} from './fixture.js'

const atlas = nodeOf('atlas')
const paris = testCluster('paris')
const lyon = testCluster('lyon', {addresses: parseAddresses('lyon.example.com')})
const nice = testCluster('nice', {replicas: 3})
const fleet = fleetOf([paris, lyon, nice])

describe('envoy: addresses, names and durations', () => {
  const cluster = (
    differing: Partial<Cluster>,
  ): {type?: string; cluster_type?: unknown; load_assignment: unknown; wait_for_warm_on_init?: boolean} =>
    JSON.parse(textOf(build(fleetOf([{...paris, ...differing}]), atlas), 'cluster', 'thanos/paris'))
  const sockets = (of: {load_assignment: unknown}): readonly string[] =>
    [...JSON.stringify(of.load_assignment).matchAll(/"address":"([^"]+)","port_value":(\d+)/g)].map(
      ([, host, port]) => `${String(host)} ${String(port)}`,
    )

  it('connects to IP addresses as they are', () => {
    const built = cluster({addresses: parseAddresses('192.0.2.1,2001:db8::1')})
    expect(built.type).to.equal('STATIC')
    expect(sockets(built)).to.deep.equal(['192.0.2.1 11901', '2001:db8::1 11901'])
    expect(built).to.not.have.property('wait_for_warm_on_init')
  })

  it('lets Envoy resolve where a DNS name is among them, and a changed cluster waits for the answer', () => {
    const built = cluster({addresses: parseAddresses('192.0.2.1,paris.example.com')})
    expect(JSON.stringify(built.cluster_type)).to.include('envoy.clusters.dns').and.include('"dns_lookup_family":"ALL"')
    expect(sockets(built)).to.deep.equal(['192.0.2.1 11901', 'paris.example.com 11901'])
    expect(built.wait_for_warm_on_init).to.equal(undefined)
  })

  it('connects to the port that the registration names', () => {
    expect(sockets(cluster({ports: new Map([[11_901, 443]])}))).to.deep.equal(['198.51.100.4 443'])
  })

  it('listens on the addresses and ports in the node metadata', () => {
    const snapshot = build(
      fleet,
      nodeOf('atlas', {'atlas.bind_address': '::', 'atlas.local_address': '10.0.0.7', 'atlas.ports': {'10900': 1900}}),
    )
    expect(textOf(snapshot, 'listener', 'ads')).to.include('{"address":"::","port_value":1900,"ipv4_compat":true}')
    expect(textOf(snapshot, 'listener', 'thanos')).to.include('{"address":"10.0.0.7","port_value":10901}')
    const downstream = build(fleet, nodeOf('paris', {'atlas.bind_address': '127.0.3.1', 'atlas.ports': {'11901': 31_901}}))
    expect(textOf(downstream, 'listener', 'thanos')).to.include('{"address":"127.0.3.1","port_value":31901}')
  })

  it('distinguishes replica 1 from replica 10, at both ends', () => {
    const many = fleetOf([testCluster('paris', {replicas: 11})])
    const domains = ['paris-thanos-sidecar1', 'paris-thanos-sidecar1:*', 'paris-thanos-sidecar1.*']
    const downstream = JSON.parse(textOf(build(many, nodeOf('paris')), 'route', 'thanos'))
    expect(downstream.virtual_hosts[1]).to.deep.include({name: 'sidecar/1', domains})
    expect(downstream.virtual_hosts[1].routes[1].route.cluster).to.equal('sidecar/1')
    const scope = JSON.parse(textOf(build(many, atlas), 'scope', 'thanos/paris'))
    expect(scope.route_configuration.virtual_hosts[0].domains).to.include.members(domains).and.have.length(33)
    expect(scope.key).to.deep.equal({fragments: [{string_key: 'paris'}]})
  })

  it('routes each replica to its own sidecar', () => {
    const snapshot = build(fleetOf([testCluster('paris', {replicas: 2})]), nodeOf('paris'))
    expect(textOf(snapshot, 'cluster', 'sidecar/1')).to.include('prometheus-k8s-1.prometheus-operated')
  })

  it('pins the name of the peer in each direction, with the generation', () => {
    const snapshot = build({...fleet, records: recordsOf({owner: 'paris', generation: 5})}, atlas)
    expect(textOf(snapshot, 'cluster', 'thanos/paris'))
      .to.include('"exact":"spiffe://atlas.internal/downstream/paris/5"')
      .and.include('"sni":"paris.downstream.atlas.internal"')
    expect(textOf(snapshot, 'cluster', 'ads-servers')).to.include('"exact":"spiffe://atlas.internal/ads"')
    expect(textOf(build(fleet, nodeOf('paris')), 'listener', 'thanos')).to.include('"exact":"spiffe://atlas.internal/observability"')
  })

  it('takes every duration from the settings, and lets streams outlive connections by a tenth', () => {
    const {settings} = fleet
    if (settings === undefined) throw new Error('the fixture has settings')
    const timeouts = {
      connect: 1.5,
      adsConnection: 20,
      thanosConnection: 10,
      keepaliveInterval: 3,
      keepaliveTimeout: 2,
      healthInterval: 0.5,
      healthTimeout: 0.25,
    }
    const other = build({...fleet, settings: {...settings, timeouts}}, atlas)
    expect(textOf(other, 'cluster', 'thanos/paris'))
      .to.include('"connect_timeout":"1.500s"')
      .and.include('"interval":"0.500s"')
      .and.include('"max_connection_duration":"10s"')
    expect(textOf(other, 'scope', 'thanos/paris'))
      .to.include('"timeout":"0s"')
      .and.include('"max_stream_duration":{"max_stream_duration":"11s"}')
    expect(textOf(other, 'route', 'ads')).to.include('"max_stream_duration":{"max_stream_duration":"22s"}')
    expect(textOf(other, 'listener', 'ads'))
      .to.include('"max_connection_duration":"20s"')
      .and.include('{"interval":"3s","timeout":"2s"}')
  })

  it('sends no HTTP/2 pings to sidecars, whose servers end connections that ping', () => {
    expect(textOf(build(fleet, nodeOf('paris')), 'cluster', 'sidecar/0'))
      .to.include('tcp_keepalive')
      .and.not.include('connection_keepalive')
  })
})
