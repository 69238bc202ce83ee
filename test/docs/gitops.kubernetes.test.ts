/**
 * The examples of docs/how-to/gitops.md with the real Kustomize, on a real API server with the real CRDs: what changes a printed file, and the
 * Services that an ApplicationSet and Flux's Kustomizations stand for, which register their clusters.
 */
import {readFile, writeFile} from 'node:fs/promises'
import path from 'node:path'
import {fileURLToPath} from 'node:url'
import {expect} from 'chai'
import {dump, load, loadAll} from 'js-yaml'
import {renderRelease} from '../../src/lib/manifest/formats.js'
import type {Manifest} from '../../src/lib/manifest/manifest.js'
import {decodeRegistration} from '../../src/lib/manifest/registration.js'
import {defaultRelease} from '../../src/lib/manifest/release.js'
import {valuesOf} from '../../src/lib/manifest/values.js'
import {renderAddresses} from '../../src/lib/model/address.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import {inFolder} from '../helpers/atlas.js'
import {installCrds} from '../helpers/kubernetes/crds.js'
import type {Kubernetes} from '../helpers/kubernetes/kubernetes.js'
import type {Ran} from '../helpers/ran.js'
import {sharedKubernetes} from '../helpers/kubernetes/shared.js'
import {testSettings} from '../helpers/dependencies.js'

const page = fileURLToPath(new URL('../../docs/how-to/gitops.md', import.meta.url))

describe('docs/how-to/gitops.md', function () {
  // The CRDs are large.
  this.timeout(300_000)

  it('the Kustomize example changes what it says, and a server takes the result', async () => {
    const kubernetes = await sharedKubernetes()
    await installCrds(kubernetes)
    const namespace = await kubernetes.newNamespace('gitops')
    const paris = parseClusterName('paris')
    const release = {...defaultRelease, namespace, version: '0.1.0'}
    await inFolder(async folder => {
      await writeFile(path.join(folder, 'kustomization.yaml'), await block('clusters/paris/kustomization.yaml'))
      await writeFile(
        path.join(folder, 'atlas-envoy.yaml'),
        renderRelease(testSettings, paris, {format: 'helm-release', release, interval: '10m'}),
      )
      const {code, stdout, stderr} = await kubernetes.kubectl(['kustomize', folder])
      expect(code, stderr).to.equal(0)
      const objects = loadAll(stdout) as {kind: string; spec: Record<string, unknown>}[]
      const specOf = (kind: string): Record<string, unknown> | undefined => objects.find(object => object.kind === kind)?.spec
      expect(specOf('HelmRelease')?.['values']).to.deep.equal({...valuesOf(testSettings, paris), service: {type: 'NodePort'}})
      expect(specOf('OCIRepository')?.['secretRef']).to.deep.equal({name: 'registry'})
      const applied = await kubernetes.kubectl(['apply', '--server-side', '--validate=strict', '-f', '-'], {input: stdout})
      expect(applied.code, applied.stderr).to.equal(0)
    })
  })
  it('an ApplicationSet, and Kustomizations of Flux, stand for Services that register their clusters without a remark', async () => {
    const kubernetes = await sharedKubernetes()
    await installCrds(kubernetes)
    const [set] = loadAll(await block('registrations.yaml')) as [ApplicationSet]
    const flux = loadAll(await block('flux/registrations.yaml')) as Kustomization[]
    const applications = applicationsOf(set)
    const sources: Record<string, readonly Source[]> = {
      argocd: applications.map(({spec}) => ({path: spec.source.path, patches: spec.source.kustomize.patches})),
      flux: flux.filter(({kind}) => kind === 'Kustomization').map(({spec}) => spec),
    }
    for (const [tool, objects] of Object.entries({argocd: [set, ...applications], flux})) {
      const namespace = await kubernetes.newNamespace(tool)
      const moved = objects.map(object => ({...object, metadata: {...object.metadata, namespace}}))
      const input = moved.map(object => dump(object)).join('---\n')
      const {code, stderr} = await kubernetes.kubectl(['apply', '--server-side', '--validate=strict', '-f', '-'], {input})
      expect(code, stderr).to.equal(0)
    }

    for (const [tool, of] of Object.entries(sources)) {
      const namespace = await kubernetes.newNamespace('registrations')
      for (const source of of) {
        const {code, stdout, stderr} = await render(kubernetes, source)
        expect(code, stderr).to.equal(0)
        const applied = await kubernetes.kubectl(['apply', '--server-side', '--validate=strict', '--namespace', namespace, '-f', '-'], {
          input: stdout,
        })
        expect(applied.code, applied.stderr).to.equal(0)
      }

      const {body} = await kubernetes.request<{items: Manifest[]}>('GET', `/api/v1/namespaces/${namespace}/services`)
      const clusters = body.items.map(item => decodeRegistration({...item, apiVersion: 'v1', kind: 'Service'}))
      expect(
        clusters.map(({name, addresses, replicas, groups, remarks}) => [name, renderAddresses(addresses), replicas, groups, remarks]),
        tool,
      ).to.deep.equal([
        ['paris', '198.51.100.4', 2, tool === 'argocd' ? ['europe'] : [], undefined],
        ['tokyo', 'tokyo.example.com,203.0.113.9', 2, tool === 'argocd' ? ['asia'] : [], undefined],
      ])
    }
  })
})

interface Source {
  readonly path: string
  readonly patches: readonly object[]
}

interface Application {
  readonly metadata: {readonly name: string}
  readonly spec: {readonly source: {readonly path: string; readonly kustomize: {readonly patches: readonly object[]}}}
}

interface ApplicationSet {
  readonly metadata: object
  readonly spec: {
    readonly generators: readonly {readonly list: {readonly elements: readonly Readonly<Record<string, string>>[]}}[]
    readonly template: Application
  }
}

interface Kustomization {
  readonly kind: string
  readonly metadata: object
  readonly spec: Source
}

/** As the ApplicationSet controller makes them from a list: `{{ .key }}` is the element's value, and a key that is missing is an error. */
function applicationsOf({spec}: ApplicationSet): readonly Application[] {
  const elements = spec.generators.flatMap(({list}) => list.elements)
  return elements.map(element => {
    const text = JSON.stringify(spec.template).replaceAll(/\{\{ \.(\w+) \}\}/g, (_, key: string) => {
      const value = element[key]
      if (value === undefined) throw new Error(`an element has no ${key}`)
      return JSON.stringify(value).slice(1, -1)
    })
    return {apiVersion: 'argoproj.io/v1alpha1', kind: 'Application', ...(JSON.parse(text) as Application)}
  })
}

/** What Argo CD and Flux make of a path of the repository: its Kustomization with their patches. */
async function render(kubernetes: Kubernetes, {path: at, patches}: Source): Promise<Ran> {
  let ran: Ran | undefined
  await inFolder(async folder => {
    const name = path.basename(at)
    await writeFile(path.join(folder, 'service.yaml'), await block(`${name}/service.yaml`))
    const base = load(await block(`${name}/kustomization.yaml`)) as object
    await writeFile(path.join(folder, 'kustomization.yaml'), dump({...base, patches}))
    ran = await kubernetes.kubectl(['kustomize', folder])
  })
  return ran ?? expect.fail('nothing was rendered')
}

/** The YAML block of the page that is this file. */
async function block(file: string): Promise<string> {
  const blocks = [...(await readFile(page, 'utf8')).matchAll(/```yaml\n([\s\S]*?)```/g)].map(match => match[1] ?? '')
  const found = blocks.filter(text => text.startsWith(`# ${file}\n`))
  expect(found, file).to.have.length(1)
  return found[0] ?? ''
}
