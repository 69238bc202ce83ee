import {expect} from 'chai'
import {mkdtemp, rm} from 'node:fs/promises'
import {createServer} from 'node:http'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {adsBytesReceived, certificatesOf, differing, isReady, plainSerial, dumpedResources} from '../../../src/demo/lab/envoy-admin.js'

describe('demo/envoy-admin', () => {
  const pages: Record<string, unknown> = {
    '/certs': {
      certificates: [
        {cert_chain: [{serial_number: '00AB', subject_alt_names: [{uri: 'spiffe://a'}, {dns: 'b'}]}, {serial_number: '77'}]},
        {cert_chain: [{serial_number: 'ab'}]},
        {ca_cert: []},
      ],
    },
    '/config_dump': {
      configs: [
        {'@type': 'type.googleapis.com/envoy.admin.v3.BootstrapConfigDump', bootstrap: {node: {}}},
        {
          '@type': 'type.googleapis.com/envoy.admin.v3.ClustersConfigDump',
          dynamic_active_clusters: [{version_info: '1', cluster: {'@type': 'x', name: 'thanos/paris'}, last_updated: 'now'}],
        },
        {
          '@type': 'type.googleapis.com/envoy.admin.v3.ScopedRoutesConfigDump',
          dynamic_scoped_route_configs: [{name: 'thanos', scoped_route_configs: [{name: 'thanos/lyon'}, {name: 'thanos/paris'}]}],
        },
      ],
    },
    '/stats': {stats: [{name: 'cluster.xds.upstream_cx_rx_bytes_total', value: 12}]},
  }
  const server = createServer((request, response) => response.end(JSON.stringify(pages[(request.url ?? '').split('?')[0] ?? ''])))
  let folder: string
  let admin: {socketPath: string}
  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'atlas-admin-'))
    admin = {socketPath: path.join(folder, 'admin.sock')}
    await new Promise<void>(resolve => {
      server.listen(admin.socketPath, resolve)
    })
  })
  after(async () => {
    server.close()
    server.closeAllConnections()
    await rm(folder, {recursive: true, force: true})
  })

  it('tells whether Envoy is ready, over the Unix socket', async () => {
    expect(await isReady(admin)).to.equal(true)
    const error = await isReady({socketPath: `${admin.socketPath}.no`}).then(() => undefined, String)
    expect(error).to.include('ENOENT')
  })

  it('reads leaf certificates, each once', async () => {
    expect(await certificatesOf(admin)).to.deep.equal([{serial: 'ab', uris: []}])
    expect(plainSerial('00AB')).to.equal('ab')
  })

  it('reads resources by kind and name, scoped routes one by one', async () => {
    expect([...(await dumpedResources(admin)).keys()]).to.deep.equal([
      'Clusters thanos/paris',
      'ScopedRoutes thanos/lyon',
      'ScopedRoutes thanos/paris',
    ])
  })

  it('finds resources that changed, were added or were removed', () => {
    const before = new Map(Object.entries({same: '1', changed: '1', gone: '1'}))
    const after = new Map(Object.entries({same: '1', changed: '2', come: '1'}))
    expect(differing(before, after)).to.deep.equal(['changed', 'come', 'gone'])
  })

  it('reads how many bytes came over ADS', async () => {
    expect(await adsBytesReceived(admin)).to.equal(12)
  })
})
