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
  readonly static_resources: unknown
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
    const claim = built({bindAddress: '::', localAddress: '10.0.0.7', ports})
    expect(parseNode(claim.node)).to.deep.equal({cluster: 'paris', id: 'paris-0', bindAddress: '::', localAddress: '10.0.0.7', ports})
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

  it('binds admin to a loopback address by default', () => {
    expect(JSON.stringify(built().admin)).to.include('{"address":"127.0.0.1","port_value":9901}')
    expect(JSON.stringify(built({admin: {host: '127.0.3.1', port: 1}}).admin)).to.include('{"address":"127.0.3.1","port_value":1}')
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
