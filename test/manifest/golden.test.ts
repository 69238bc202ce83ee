import {expect} from 'chai'
import {objectOf} from '../../src/lib/manifest/encode.js'
import {renderPreview} from '../../src/lib/manifest/preview.js'
import {valuesOf} from '../../src/lib/manifest/values.js'
import {renderYaml} from '../../src/lib/manifest/yaml.js'
import {parseAddresses, parseHostPort} from '../../src/lib/model/address.js'
import {type Change, reduceAll} from '../../src/lib/model/change.js'
import {parsePorts} from '../../src/lib/model/cluster.js'
import {parseInternalClient} from '../../src/lib/model/internal-ports.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import {expectGolden} from '../helpers/golden.js'
import {testCluster} from '../helpers/fleet.js'
import {reconciled, testFleet, testSettings, testDependencies} from '../helpers/dependencies.js'
import {objectsOf, readable} from './objects.js'

const settings = {
  ...testSettings,
  thanosNamespace: 'monitoring',
  addresses: parseAddresses('obs.example.net,203.0.113.7,2001:db8::7'),
  adsServers: [parseHostPort('10.0.0.5:6305'), parseHostPort('[2001:db8::5]:6305')],
  alertmanagers: [parseHostPort('alertmanager-0.monitoring.svc:9093')],
}
const [paris, lyon] = [parseClusterName('paris'), parseClusterName('lyon')]
const dependencies = testDependencies()
const fleet = reconciled(
  reduceAll(testFleet(dependencies, [], settings), [
    {
      kind: 'registration',
      name: paris,
      value: testCluster('paris', {replicas: 2, ports: parsePorts('11901=30901,11904=30904'), groups: ['europe', 'production']}),
    },
    {kind: 'registration', name: lyon, value: testCluster('lyon', {addresses: []})},
  ]),
  dependencies,
)

describe('manifest: golden files', () => {
  for (const [key, manifest] of objectsOf(fleet))
    it(`of ${key}`, () => {
      expectGolden(`manifest/${key.toLowerCase().replace('/', '-')}.yaml`, readable(renderYaml(manifest)))
    })

  it('of a client of the internal ports, and of endpoints in mutual TLS', () => {
    const client = parseInternalClient('thanos')
    const secured = testFleet(testDependencies(), ['lyon', 'paris'], {...settings, clients: [client], internalTls: [10_901]})
    const objects = objectsOf(secured)
    const text = (key: string) => readable(renderYaml(objects.get(key)))
    expectGolden('manifest/secret-atlas-client-thanos.yaml', text('Secret/atlas-client-thanos'))
    expectGolden('manifest/configmap-atlas-thanos-endpoints-tls.yaml', text('ConfigMap/atlas-thanos-endpoints'))
  })

  it('of the values of a downstream cluster and of the observability cluster', () => {
    expectGolden('manifest/values-paris.yaml', renderYaml(valuesOf(settings, paris)))
    expectGolden('manifest/values-atlas.yaml', renderYaml(valuesOf(settings, 'atlas')))
  })

  it('of a preview: no key in it, and what goes is named', () => {
    const changes: readonly Change[] = [
      {kind: 'registration', name: lyon, value: undefined},
      {kind: 'registration', name: paris, value: testCluster('paris')},
      {kind: 'credential', owner: paris, value: fleet.credentials.get(paris)},
      {kind: 'identity', owner: paris, value: fleet.identities.get(paris)},
    ]
    const text = renderPreview(fleet, changes)
    expect(text).not.to.match(/PRIVATE KEY|LS0tLS1/)
    expectGolden('manifest/preview.txt', text)
  })

  it('name every object of step 1, and each by the key of its changes', () => {
    expect([...objectsOf(fleet).keys()].sort()).to.include.members([
      'ConfigMap/atlas-fleet',
      'ConfigMap/atlas-thanos-endpoints',
      'ConfigMap/atlas-trust-bundle',
      'Secret/atlas-ads-tls',
      'Secret/atlas-ca',
      'Secret/atlas-credential-issuer',
      'Secret/atlas-envoy-ads',
      'Secret/atlas-issuer',
      'Secret/paris-envoy-ads',
      'Service/lyon',
      'Service/paris',
    ])
    expect(objectOf({kind: 'identity', owner: 'atlas', value: undefined})).to.match(/^Secret\/atlas-identities-[0-3][0-9]$/)
  })
})
