/** What `cluster values` prints is taken by a real API server with the schemas of Flux, k3s and Argo CD, and read by both Helms as it was meant. */
import {mkdtemp, mkdir, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {expect} from 'chai'
import {load} from 'js-yaml'
import {type ReleaseFormat, renderCredential, renderRelease, renderSecrets} from '../../src/lib/manifest/formats.js'
import {defaultRelease} from '../../src/lib/manifest/release.js'
import {renderValues, valuesOf} from '../../src/lib/manifest/values.js'
import {parseAddresses} from '../../src/lib/model/address.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import {installCrds} from '../helpers/kubernetes/crds.js'
import {blocksOf} from '../helpers/page.js'
import type {Kubernetes} from '../helpers/kubernetes/kubernetes.js'
import {sharedKubernetes} from '../helpers/kubernetes/shared.js'
import {majors, template} from '../charts/support/rendered.js'
import {testFleet, testSettings, testDependencies} from '../helpers/dependencies.js'

/** Names that some reader of YAML takes for something else than text. */
const names = ['paris', 'y', 'n', 'on', 'no', 'null', 'true', 'e1', 'nan', 'inf'].map(name => parseClusterName(name))
const settings = {
  ...testSettings,
  trustDomain: '1.e3',
  addresses: parseAddresses('obs.example.net,203.0.113.7,2001:db8::7,0x1f.0b11'),
  adsPort: 443,
}
const fleet = testFleet(testDependencies(), names, settings)
const paris = parseClusterName('paris')
const credential = fleet.credentials.get(paris)!

interface Stored {
  readonly metadata: {readonly name: string; readonly annotations?: Readonly<Record<string, string>>}
  readonly spec: Record<string, unknown>
  readonly type?: string
  readonly data?: Record<string, string>
}

describe('cluster values, on a real API server', () => {
  let kubernetes: Kubernetes
  let namespace: string

  before(async () => {
    kubernetes = await sharedKubernetes()
    namespace = await kubernetes.newNamespace('formats')
    await installCrds(kubernetes)
  })

  async function said(args: readonly string[], input?: string): Promise<string> {
    const {code, stdout, stderr} = await kubernetes.kubectl(args, input === undefined ? {} : {input})
    expect(code, stderr).to.equal(0)
    return stdout
  }

  const stored = async (kind: string, name: string, where = namespace): Promise<Stored> =>
    JSON.parse(await said(['get', kind, name, '-n', where, '-o', 'json'])) as Stored

  const wanted = (format: ReleaseFormat['format']): ReleaseFormat => {
    const release = {...defaultRelease, version: '0.1.0', name: `atlas-envoy-${namespace.slice(-8)}`, namespace}
    if (format === 'helm-chart') return {format, release}
    if (format === 'helm-release') return {format, release, interval: '10m'}
    return {format, release, argo: {destination: {name: 'paris'}, namespace, project: 'default'}}
  }

  /** The values that the tool hands to Helm, as the API server gives them back. */
  const handedOver: Record<ReleaseFormat['format'], () => Promise<unknown>> = {
    'argo-application': async () =>
      ((await stored('applications.argoproj.io', 'paris-envoy')).spec['source'] as {helm: {valuesObject: unknown}}).helm.valuesObject,
    'helm-chart': async () => {
      const {name} = wanted('helm-chart').release
      return load((await stored('helmcharts.helm.cattle.io', name, 'kube-system')).spec['valuesContent'] as string)
    },
    'helm-release': async () => (await stored('helmreleases.helm.toolkit.fluxcd.io', wanted('helm-release').release.name)).spec['values'],
  }

  for (const format of ['helm-chart', 'helm-release', 'argo-application'] as const)
    it(`${format}: every field is known to its schema, and the values come back as they are`, async () => {
      const text = renderRelease(settings, paris, wanted(format))
      await said(['create', '--validate=strict', '-f', '-'], text)
      expect(await handedOver[format]()).to.deep.equal(valuesOf(settings, paris))
      // server-side apply of the same text by another changes nothing and conflicts with nothing
      await said(['apply', '--server-side', '--validate=strict', '-f', '-'], text)
    })

  for (const major of majors)
    it(`what each hands to Helm ${major} renders chart envoy just as the plain values do`, async () => {
      const {name, namespace: where} = wanted('helm-chart').release
      const render = async (values: string): Promise<string> => {
        const {code, stdout, stderr} = await template({chart: 'envoy', release: name, namespace: where, values, major})
        expect(code, stderr).to.equal(0)
        return stdout
      }
      const plain = await render(renderValues(settings, paris))
      expect(plain).to.contain('secretName: paris-envoy-ads').and.to.contain('obs.example.net')
      for (const [format, values] of Object.entries(handedOver))
        expect(await render(JSON.stringify(await values())), format).to.equal(plain)
    })

  it('the schemas do refuse: a misspelt field, a wrong type, both ways to name a chart', async () => {
    const text = renderRelease(settings, paris, wanted('helm-release'))
    for (const [from, to] of [
      ['layerSelector:', 'layerSelectors:'],
      ['retries: -1', 'retries: many'],
      ['operation: copy', 'operation: move'],
      ['chartRef:\n', 'chart: {spec: {chart: x, sourceRef: {kind: HelmRepository, name: x}}}\n  chartRef:\n'],
    ] as const) {
      expect(text).to.contain(from)
      const {code} = await kubernetes.kubectl(['apply', '--server-side', '--dry-run=server', '--validate=strict', '-f', '-'], {
        input: text.replace(from, to),
      })
      expect(code, to).to.equal(1)
    }
  })

  it('secret and manifest: the Secrets stand in the namespace of the release, the key in the one, the values in the other', async () => {
    await said(['apply', '--server-side', '--validate=strict', '-f', '-'], renderCredential(paris, credential, namespace))
    await said(['apply', '--server-side', '--validate=strict', '-f', '-'], renderSecrets(settings, paris, credential, namespace))
    const [key, values] = [await stored('secret', 'paris-envoy-ads'), await stored('secret', 'paris-envoy-values')]
    expect(key.type).to.equal('kubernetes.io/tls')
    expect(textIn(key, 'tls.key')).to.equal(credential.key.reveal())
    expect(textIn(key, 'ca.crt')).to.equal(credential.roots)
    expect(Object.keys(values.data ?? {})).to.deep.equal(['values.yaml'])
    expect(textIn(values, 'values.yaml')).to.equal(renderValues(settings, paris))
  })

  it('secret: applied as it is printed, no annotation holds the key; the command of secrets-in-gitops.md removes one', async () => {
    const [block] = (await blocksOf('how-to/secrets-in-gitops.md')).filter(({text}) => text.includes(' annotate secret '))
    const annotate = (block?.text ?? '').trim().replace('--context paris --namespace atlas ', '').split(' ').slice(1)
    const secret = renderCredential(paris, credential, namespace)
    const annotations = async (): Promise<string> => JSON.stringify((await stored('secret', 'paris-envoy-ads')).metadata.annotations ?? {})
    const serverSide = ['apply', '--server-side', '-f', '-']
    await kubernetes.kubectl(['delete', 'secret', 'paris-envoy-ads', '-n', namespace, '--ignore-not-found'])
    await said(['apply', '-f', '-'], secret)
    expect(await annotations())
      .to.contain('last-applied-configuration')
      .and.to.contain('tls.key')
    await said(serverSide, secret)
    expect(await annotations(), 'it is kept').to.contain('tls.key')
    await said([...annotate, '-n', namespace])
    expect(await annotations()).not.to.contain('tls.key')
    await said(serverSide, secret)
    expect(await annotations()).not.to.contain('last-applied')
  })
})

describe('cluster values, in Helm', () => {
  let folder: string
  let kubernetes: Kubernetes
  before(async () => {
    kubernetes = await sharedKubernetes()
    folder = await mkdtemp(path.join(tmpdir(), 'atlas-formats-'))
    await mkdir(path.join(folder, 'templates'))
    await writeFile(path.join(folder, 'Chart.yaml'), 'apiVersion: v2\nname: echo\nversion: 0.1.0\n')
    await writeFile(path.join(folder, 'templates', 'echo.yaml'), 'values: {{ .Values | toJson }}\n')
  })

  after(async () => rm(folder, {recursive: true, force: true}))

  for (const major of majors)
    it(`Helm ${major} reads every value as what it is, whatever the names`, async () => {
      for (const owner of ['atlas', ...names] as const) {
        const {code, stdout, stderr} = await kubernetes.helm(['template', 'x', folder, '-f', '-'], {
          input: renderValues(settings, owner),
          major,
        })
        expect(code, stderr).to.equal(0)
        expect((load(stdout) as {values: unknown}).values, owner).to.deep.equal(valuesOf(settings, owner))
      }
    })
})

function textIn({data}: Stored, key: string): string {
  return Buffer.from(data?.[key] ?? '', 'base64').toString()
}
