import {expect} from 'chai'
import fc from 'fast-check'
import {loadAll} from 'js-yaml'
import {
  type ReleaseFormat,
  parseArgoDestination,
  parseInterval,
  renderCredential,
  renderRelease,
  renderSecrets,
} from '../../src/lib/manifest/formats.js'
import {type Manifest, secretText} from '../../src/lib/manifest/manifest.js'
import {type Release, parseChart, parseChartVersion, parseReleaseName} from '../../src/lib/manifest/release.js'
import {renderValues, valuesOf} from '../../src/lib/manifest/values.js'
import {parseAddresses} from '../../src/lib/model/address.js'
import type {Owner} from '../../src/lib/model/names.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import {expectGolden} from '../helpers/golden.js'
import {thrownBy} from '../helpers/thrown.js'
import {testFleet, testSettings, testDependencies} from '../helpers/dependencies.js'
import {names, settings as anySettings} from './arbitrary.js'
import {readable} from './objects.js'

const settings = {...testSettings, addresses: parseAddresses('obs.example.net,203.0.113.7,2001:db8::7')}
const paris = parseClusterName('paris')
const fleet = testFleet(testDependencies(), ['paris'], settings)
const credential = fleet.credentials.get(paris)!
const release: Release = {chart: 'oci://ghcr.io/goatlas-io/charts/envoy', version: '0.1.0', name: 'atlas-envoy', namespace: 'atlas'}
const argo = {destination: {name: 'paris'}, namespace: 'argocd', project: 'default'}

/** The values that a tool hands to Helm. */
function embedded(text: string): unknown {
  const object = loadAll(text).at(-1) as {kind: string; spec: Record<string, unknown>}
  const {spec} = object
  if (object.kind === 'HelmChart') return loadAll(spec['valuesContent'] as string)[0]
  if (object.kind === 'HelmRelease') return spec['values']
  return (spec['source'] as {helm: {valuesObject: unknown}}).helm.valuesObject
}

const releases: readonly ReleaseFormat[] = [
  {format: 'helm-chart', release},
  {format: 'helm-release', release, interval: '10m'},
  {format: 'argo-application', release, argo},
]

describe('manifest: formats', () => {
  for (const wanted of releases)
    it(`golden file of ${wanted.format}`, () =>
      expectGolden(`manifest/format-${wanted.format}.yaml`, renderRelease(settings, paris, wanted)))

  it('golden files of the Secret alone and of both Secrets', () => {
    expectGolden('manifest/format-secret.yaml', readable(renderCredential(paris, credential, 'observability')))
    expectGolden('manifest/format-manifest.yaml', readable(renderSecrets(settings, paris, credential, 'observability')))
  })

  it('the Secret that is printed is the one that the values name, in the namespace that was asked for', () => {
    const [secret] = loadAll(renderCredential(paris, credential, 'observability')) as Manifest[]
    expect(secret?.metadata.name).to.equal(valuesOf(settings, paris)['existingSecret'])
    expect(secret?.metadata.namespace).to.equal('observability')
    expect(secretText(secret!, 'tls.key')).to.equal(credential.key.reveal())
  })

  it('both Secrets: the key stands in data alone, the values in clear', () => {
    const text = renderSecrets(settings, paris, credential, 'observability')
    const [secret, values, ...rest] = loadAll(text) as Manifest[]
    expect(rest).to.deep.equal([])
    expect([secret, values].map(each => `${each?.metadata.namespace}/${each?.metadata.name}`)).to.deep.equal([
      'observability/paris-envoy-ads',
      'observability/paris-envoy-values',
    ])
    expect(secret).not.to.have.property('stringData')
    expect(values).not.to.have.property('data')
    expect(values?.stringData).to.deep.equal({'values.yaml': renderValues(settings, paris)})
  })

  it("the observability Envoy's own release goes to the cluster that Argo CD runs in, by URL if asked", () => {
    const text = renderRelease(settings, 'atlas', {
      format: 'argo-application',
      release: {...release, namespace: 'monitoring'},
      argo: {...argo, destination: parseArgoDestination('https://kubernetes.default.svc')},
    })
    const [application] = loadAll(text) as {metadata: object; spec: {destination: object}}[]
    expect(application?.metadata).to.deep.equal({name: 'atlas-envoy', namespace: 'argocd'})
    expect(application?.spec.destination).to.deep.equal({server: 'https://kubernetes.default.svc', namespace: 'monitoring'})
  })

  it('a version with build metadata gets the tag that Helm pushes it under', () => {
    const text = renderRelease(settings, paris, {format: 'helm-release', release: {...release, version: '1.0.0-rc.1+7'}, interval: '1h'})
    expect(text).to.contain('tag: 1.0.0-rc.1_7')
  })

  it('whatever the settings, values come back from every format as they are, the same bytes every time, without a key', () => {
    const owners: fc.Arbitrary<Owner> = fc.oneof(names, fc.constant('atlas' as const))
    const keyLines = credential.key
      .reveal()
      .split('\n')
      .filter(line => line.length > 20)
    expect(keyLines).not.to.deep.equal([])
    fc.assert(
      fc.property(anySettings, owners, (some, owner) => {
        const values = valuesOf(some, owner)
        const texts = releases.map(wanted => renderRelease(some, owner, wanted))
        for (const [index, text] of texts.entries()) {
          expect(embedded(text)).to.deep.equal(values)
          expect(renderRelease(some, owner, releases[index]!)).to.equal(text)
        }

        const [secret, handed] = loadAll(renderSecrets(some, owner, credential, 'atlas')) as Manifest[]
        const rendered = handed?.stringData?.['values.yaml'] ?? ''
        expect(loadAll(rendered)).to.deep.equal([values])
        expect(secret?.metadata.name).to.equal(values['existingSecret'])
        for (const text of [...texts, rendered]) {
          expect(text).not.to.contain('PRIVATE KEY')
          expect(text).not.to.match(/[A-Za-z0-9+/]{64}/)
          for (const line of keyLines) expect(text.includes(line)).to.equal(false)
        }
      }),
      {numRuns: 60},
    )
  })
})

describe('manifest: what a release is called', () => {
  const accepted: readonly [string, (text: string) => unknown, readonly string[]][] = [
    ['a chart', parseChart, [release.chart, 'oci://localhost:5000/envoy', 'oci://[::1]:5000/a/b-c.d__e', 'oci://10.0.0.1/charts/envoy']],
    ['a version', parseChartVersion, ['0.1.0', '1.2.3-rc.1', '1.2.3+build.7', '10.20.30']],
    ['a release', parseReleaseName, ['a', 'atlas-envoy', 'x'.repeat(50)]],
    ['an interval', parseInterval, ['10m', '90s', '24h']],
  ]
  const refused: readonly [string, (text: string) => unknown, readonly string[]][] = [
    [
      'a chart',
      parseChart,
      [
        '',
        'envoy',
        'https://example.net/envoy',
        'oci://ghcr.io',
        'oci://ghcr.io/',
        'oci://ghcr.io/Charts/x',
        'oci://h/x:1.0',
        'oci://h/x@sha256:0',
        `oci://h/${'x'.repeat(255)}`,
        'oci://h/x\ny',
      ],
    ],
    ['a version', parseChartVersion, ['', '1', '1.2', 'v1.2.3', '~1.2.3', '1.x', 'latest', '01.2.3', '1.2.3 ', `1.2.3-${'x'.repeat(128)}`]],
    ['a release', parseReleaseName, ['', '1a', 'Atlas', 'a.b', 'a-', 'x'.repeat(51), 'a\n']],
    ['an interval', parseInterval, ['', '0m', '10', '1d', '10m30s', '-1m', '1.5h']],
    ['a destination', parseArgoDestination, ['', ' ', 'a b', 'https://', 'ftp://x', '-a', 'a\nb']],
  ]
  for (const [what, parse, texts] of accepted)
    it(`accepts ${what}`, () => {
      for (const text of texts) expect(parse(text)).to.equal(text)
    })

  for (const [what, parse, texts] of refused)
    it(`refuses ${what} that can not be`, () => {
      for (const text of texts) expect(thrownBy(() => parse(text)).code, JSON.stringify(text)).to.equal('invalid')
    })

  it('tells a cluster by name from one by URL', () => {
    expect(parseArgoDestination('arn:aws:eks:eu-west-3:1:cluster/paris')).to.deep.equal({name: 'arn:aws:eks:eu-west-3:1:cluster/paris'})
    expect(parseArgoDestination('in-cluster')).to.deep.equal({name: 'in-cluster'})
    expect(parseArgoDestination('https://198.51.100.4:6443')).to.deep.equal({server: 'https://198.51.100.4:6443'})
  })
})
