/** What Thanos Query is told; that it understands it is shown in test/e2e/internal-tls.real.test.ts. */
import {expect} from 'chai'
import {load} from 'js-yaml'
import {renderEndpoints} from '../../src/lib/manifest/endpoints.js'
import {parseInternalClient} from '../../src/lib/model/internal-ports.js'
import type {Settings} from '../../src/lib/model/settings.js'
import {fleetOf} from '../envoy/fixture.js'
import {testCluster} from '../helpers/fleet.js'
import {testSettings} from '../helpers/dependencies.js'

const clusters = [testCluster('paris', {replicas: 2}), testCluster('lyon'), testCluster('nice', {addresses: []})]
const secured: Settings = {...testSettings, clients: [parseInternalClient('thanos')], internalTls: [10_901]}
const textFor = (settings: Settings): string => renderEndpoints(fleetOf(clusters, {settings}))
const endpointsFor = (settings: Settings) => (load(textFor(settings)) as {endpoints: Record<string, unknown>[]}).endpoints

const files = {
  enabled: true,
  cert_file: '/etc/atlas-client/tls.crt',
  key_file: '/etc/atlas-client/tls.key',
  ca_file: '/etc/atlas-client/ca.crt',
}
const names = ['lyon-thanos-sidecar0', 'paris-thanos-sidecar0', 'paris-thanos-sidecar1'].map(name => `${name}.atlas.svc.cluster.local`)

describe('manifest/endpoints', () => {
  it('addresses alone where 10901 speaks plaintext, whichever clients have a certificate', () => {
    const plain = names.map(name => ({address: `${name}:10901`}))
    expect(endpointsFor(testSettings)).to.deep.equal(plain)
    expect(textFor({...secured, internalTls: []})).to.equal(textFor(testSettings))
  })

  it('where it speaks mutual TLS, the files of the client in each, written out once', () => {
    expect(endpointsFor(secured)).to.deep.equal(names.map(name => ({address: `${name}:10901`, client_config: {tls_config: files}})))
    expect(textFor(secured).match(/cert_file/g)).to.have.length(1)
    const [first] = endpointsFor({...secured, clientDirectory: '/etc/query'})
    expect(first).to.have.nested.property('client_config.tls_config.key_file', '/etc/query/tls.key')
  })

  it('of a group: its clusters alone, with a list of none where it has none', () => {
    const fleet = fleetOf([testCluster('paris', {groups: ['europe']}), testCluster('tokyo')], {settings: secured})
    const {endpoints} = load(renderEndpoints(fleet, 'europe')) as {endpoints: unknown[]}
    expect(endpoints).to.deep.equal([{address: `${names[1]}:10901`, client_config: {tls_config: files}}])
    expect(load(renderEndpoints(fleet, 'asia'))).to.deep.equal({endpoints: []})
  })

  it("further endpoints of the user come after Atlas's, in each file", () => {
    const extraEndpoints = [{address: 'dns+store:10901'}, {address: 'other:1', strict: true, client_config: {compression: 'snappy'}}]
    expect(endpointsFor({...secured, extraEndpoints}).slice(-2)).to.deep.equal(extraEndpoints)
    const {endpoints} = load(renderEndpoints(fleetOf(clusters, {settings: {...testSettings, extraEndpoints}}), 'asia')) as {
      endpoints: unknown
    }
    expect(endpoints).to.deep.equal(extraEndpoints)
  })

  it('no server name where the name to connect to, by any resolver, is the certificate\u2019s; else that name', () => {
    const dns = endpointsFor({...secured, endpointTemplate: 'dns://127.0.0.1:5353/{service}.{namespace}.svc.{clusterDomain}:10901'})
    expect(dns.map(each => each['client_config'])).to.deep.equal(names.map(() => ({tls_config: files})))
    const outside = endpointsFor({...secured, endpointTemplate: '{service}.thanos.example.com:443'})
    expect(outside.map(each => each['client_config'])).to.deep.equal(names.map(name => ({tls_config: files, server_name: name})))
  })

  it('without an endpoint there is nothing about TLS', () => {
    expect(renderEndpoints(fleetOf([], {settings: secured}))).to.equal('endpoints: []\n')
  })
})
