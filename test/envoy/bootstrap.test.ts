import {expect} from 'chai'
import {buildBootstrap, type BootstrapOptions} from '../../src/lib/envoy/bootstrap.js'
import {bootstrapPaths, sdsFiles} from '../../src/lib/envoy/credential-files.js'
import {parseAddresses} from '../../src/lib/model/address.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import {type NodeClaim, parseNode} from '../../src/lib/model/node.js'
import {defaultSettings} from '../../src/lib/model/settings.js'
import {thrownBy} from '../helpers/thrown.js'

const settings = {...defaultSettings, addresses: parseAddresses('192.0.2.1')}
const paris: BootstrapOptions = {owner: parseClusterName('paris'), nodeId: 'paris-0', directory: '/srv/envoy'}

interface Json {
  readonly node: NodeClaim
  readonly admin: unknown
  readonly bootstrap_extensions: unknown
  readonly typed_dns_resolver_config: {readonly typed_config: object}
  readonly static_resources: {readonly listeners: readonly {readonly address: {readonly socket_address: unknown}}[]}
}

describe('envoy/bootstrap', () => {
  const built = (options: Partial<BootstrapOptions> = {}, of = settings): Json =>
    JSON.parse(buildBootstrap(of, {...paris, ...options})) as Json

  it('is byte-stable', () => {
    expect(buildBootstrap(settings, paris)).to.equal(buildBootstrap(structuredClone(settings), {...paris}))
  })

  it('holds the node metadata that parseNode reads', () => {
    const ports = new Map([
      [10_900, 20_900],
      [10_901, 20_901],
    ])
    const upstreamTls = {directory: '/srv/envoy/upstream', certificates: new Map([['openshift', {isClient: true}]])}
    const claim = built({bindAddress: '::', localAddress: '10.0.0.7', ports, openFiles: 65_536, workers: 4, upstreamTls})
    const addresses = {bindAddress: '::', localAddress: '10.0.0.7', ports, upstreamTls}
    expect(parseNode(claim.node)).to.deep.equal({cluster: 'paris', id: 'paris-0', ...addresses, openFiles: 65_536, workers: 4})
  })

  it('names the limit of its heap, chosen or not, where the heap grows with the fleet', () => {
    const named = (options: Partial<BootstrapOptions>) => parseNode(built(options).node).maxHeapBytes
    expect(named({owner: 'atlas'})).to.equal(1024 ** 3)
    expect(named({owner: 'atlas', maxHeapBytes: 3 * 1024 ** 3})).to.equal(3 * 1024 ** 3)
    expect(named({maxHeapBytes: 3 * 1024 ** 3})).to.equal(undefined)
  })

  it('connects a downstream Envoy to the observability Envoy, by every address, and pins its name', () => {
    const text = buildBootstrap({...settings, addresses: parseAddresses('192.0.2.1,atlas.example.com'), adsPort: 443}, paris)
    expect(text)
      .to.match(/"address": "192.0.2.1",\s+"port_value": 443/)
      .and.match(/"address": "atlas.example.com",\s+"port_value": 443/)
    expect(text).to.include('spiffe://atlas.internal/observability').and.include('"sni": "observability.atlas.internal"')
  })

  it('connects the observability Envoy to the ADS servers, and pins their name', () => {
    const text = buildBootstrap({...settings, addresses: []}, {...paris, owner: 'atlas'})
    expect(text).to.match(/"address": "atlas-ads.atlas.svc.cluster.local",\s+"port_value": 6305/)
    expect(text).to.include('spiffe://atlas.internal/ads"').and.include('"sni": "ads.atlas.internal"')
  })

  it('names the command to run when there is no address for downstream clusters', () => {
    const error = thrownBy(() => buildBootstrap({...settings, addresses: []}, paris))
    expect(error.code).to.equal('failed')
    expect(error.hint).to.include('atlas init --address')
  })

  it('reconnects sooner in the observability Envoy, which all others wait for', () => {
    expect(JSON.stringify(built({owner: 'atlas'}))).to.include('{"base_interval":"0.200s","max_interval":"1s"}')
    expect(JSON.stringify(built())).to.include('{"base_interval":"0.200s","max_interval":"4s"}')
  })

  it('takes no secret from ADS, which would crash Envoy', () => {
    expect(JSON.stringify(built().static_resources)).to.not.include('"ads":{}')
  })

  it('has the admin pages on a Unix socket of its user, beside the bootstrap unless another path is chosen, and never at a TCP address', () => {
    expect(built().admin).to.deep.equal({address: {pipe: {path: '/srv/envoy/admin.sock', mode: 0o600}}, ignore_global_conn_limit: true})
    expect(built({adminSocket: '/run/a.sock'}).admin).to.have.nested.property('address.pipe.path', '/run/a.sock')
    expect(JSON.stringify(built({adminSocket: '/run/a.sock'}))).to.not.include('/srv/envoy/admin.sock')
  })

  it('refuses a path that is too long for a socket, and names the flag', () => {
    const longest = `/${'é'.repeat(51)}`
    expect(built({adminSocket: longest}).admin).to.have.nested.property('address.pipe.path', longest)
    const error = thrownBy(() => built({directory: `/${'d'.repeat(92)}`}))
    expect(error.code).to.equal('invalid')
    expect(error.message).to.include('104 bytes, and a Unix socket takes 103')
    expect(error.hint).to.include('--admin PATH')
  })

  it('serves two of these pages by TCP, at the local address unless another one is chosen', () => {
    const at = (options: Partial<BootstrapOptions>) => built(options).static_resources.listeners.map(({address}) => address.socket_address)
    expect(at({})).to.deep.equal([{address: '127.0.0.1', port_value: 9902}])
    expect(at({localAddress: '10.0.0.7'})).to.deep.equal([{address: '10.0.0.7', port_value: 9902}])
    expect(at({localAddress: '10.0.0.7', stats: {host: '::', port: 1}})).to.deep.equal([{address: '::', port_value: 1, ipv4_compat: true}])
    const [listener] = built().static_resources.listeners
    const paths = [...JSON.stringify(listener).matchAll(/"path":"([^"]*)"/g)].map(([, path]) => path)
    expect(paths).to.deep.equal(['/ready', '/stats/prometheus'])
    expect(JSON.stringify(listener)).to.not.include('"prefix"')
  })

  it('gives up a name server that does not answer after about 6 s', () => {
    expect(built().typed_dns_resolver_config.typed_config).to.include({query_timeout_seconds: '2', query_tries: 2})
  })

  it('carries the extension of its side of reverse tunnels, without fields', () => {
    const [name, type] = ['envoy.bootstrap.reverse_tunnel', 'type.googleapis.com/envoy.extensions.bootstrap.reverse_tunnel']
    expect(built().bootstrap_extensions).to.deep.equal([
      {
        name: `${name}.downstream_socket_interface`,
        typed_config: {'@type': `${type}.downstream_socket_interface.v3.DownstreamReverseConnectionSocketInterface`},
      },
    ])
    expect(built({owner: 'atlas'}).bootstrap_extensions).to.deep.equal([
      {
        name: `${name}.upstream_socket_interface`,
        typed_config: {'@type': `${type}.upstream_socket_interface.v3.UpstreamReverseConnectionSocketInterface`},
      },
    ])
  })

  it('names its files by path, below one folder, in the order in which they are to be written', () => {
    const files = sdsFiles('/srv/envoy')
    expect(Object.keys(files)).to.deep.equal([bootstrapPaths.sdsCredential, bootstrapPaths.sdsRoots])
    const all = `${buildBootstrap(settings, paris)}${Object.values(files).join('')}`
    for (const path of [
      bootstrapPaths.certificate,
      bootstrapPaths.key,
      bootstrapPaths.roots,
      bootstrapPaths.sdsCredential,
      bootstrapPaths.sdsRoots,
    ])
      expect(all, path).to.include(`"/srv/envoy/${path}"`)
    expect(Object.values(bootstrapPaths).map(path => path.split('/')[0])).to.deep.equal([
      'certs',
      'certs',
      'certs',
      'sds',
      'sds',
      'envoy.json',
    ])
    expect(all).to.not.include('BEGIN')
  })
})
