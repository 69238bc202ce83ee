/** The example of docs/how-to/gitops.md that changes what was printed, with the real Kustomize and what is really printed. */
import {readFile, writeFile} from 'node:fs/promises'
import path from 'node:path'
import {fileURLToPath} from 'node:url'
import {expect} from 'chai'
import {load, loadAll} from 'js-yaml'
import {renderRelease} from '../../src/lib/manifest/formats.js'
import {defaultRelease} from '../../src/lib/manifest/release.js'
import {valuesOf} from '../../src/lib/manifest/values.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import {inFolder} from '../helpers/atlas.js'
import {installCrds} from '../helpers/kubernetes/crds.js'
import {sharedKubernetes} from '../helpers/kubernetes/shared.js'
import {testSettings} from '../helpers/dependencies.js'

const page = fileURLToPath(new URL('../../docs/how-to/gitops.md', import.meta.url))

describe('docs/how-to/gitops.md', () => {
  it('the Kustomize example changes what it says, and a server takes the result', async () => {
    const kubernetes = await sharedKubernetes()
    await installCrds(kubernetes)
    const namespace = await kubernetes.newNamespace('gitops')
    const paris = parseClusterName('paris')
    const release = {...defaultRelease, namespace, version: '0.1.0'}
    await inFolder(async folder => {
      await writeFile(path.join(folder, 'kustomization.yaml'), await block('kustomize.config.k8s.io/v1beta1'))
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
})

/** The one YAML block of the page with objects of this version. */
async function block(apiVersion: string): Promise<string> {
  const blocks = [...(await readFile(page, 'utf8')).matchAll(/```yaml\n([\s\S]*?)```/g)].map(match => match[1] ?? '')
  const found = blocks.filter(text => (load(text) as {apiVersion?: string}).apiVersion === apiVersion)
  expect(found).to.have.length(1)
  return found[0] ?? ''
}
