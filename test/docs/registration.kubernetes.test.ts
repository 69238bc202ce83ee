/** The example of docs/reference/registration.md on a real API server: it is taken as it stands, and read back as the cluster that it names. */
import {readFileSync} from 'node:fs'
import {expect} from 'chai'
import {decodeRegistration} from '../../src/lib/manifest/registration.js'
import type {Manifest} from '../../src/lib/manifest/manifest.js'
import {parseYaml} from '../../src/lib/manifest/yaml.js'
import {sharedKubernetes} from '../helpers/kubernetes/shared.js'

const page = readFileSync(new URL('../../docs/reference/registration.md', import.meta.url), 'utf8')
const [, example = ''] = /```yaml\n([\s\S]*?)```/.exec(page) ?? []

describe('docs/reference/registration.md on an API server', () => {
  it('takes the example, a Service without a port, and changes nothing that counts', async () => {
    const kubernetes = await sharedKubernetes()
    const namespace = await kubernetes.newNamespace('registration')
    const manifest = parseYaml(example) as Manifest
    const body = {...manifest, metadata: {...manifest.metadata, namespace}}
    const {status, body: stored} = await kubernetes.request<Manifest>('POST', `/api/v1/namespaces/${namespace}/services`, body)
    expect(status).to.equal(201)
    expect(decodeRegistration(stored)).to.deep.equal(decodeRegistration(manifest))
  })
})
