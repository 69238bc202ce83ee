/** The examples of docs/how-to/expose.md: values that the charts take, objects that a real API server takes and that lead where they say. */
import {readFileSync} from 'node:fs'
import {fileURLToPath} from 'node:url'
import {expect} from 'chai'
import {dump, loadAll} from 'js-yaml'
import {applyAll} from '../charts/support/apply.js'
import {type Chart, findObject, type KubernetesObject, objectsOf, podsOf} from '../charts/support/rendered.js'
import {installCrds} from '../helpers/kubernetes/crds.js'
import type {Kubernetes} from '../helpers/kubernetes/kubernetes.js'
import {sharedKubernetes} from '../helpers/kubernetes/shared.js'

const page = readFileSync(fileURLToPath(new URL('../../docs/how-to/expose.md', import.meta.url)), 'utf8')
const blocks = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map(match => match[1] ?? '')
const chartOf = (block: string): Chart | undefined => /^# values of chart (atlas|envoy)\n/.exec(block)?.[1] as Chart | undefined

/** Where the examples lead: the charts under their usual names. */
const standing = {
  atlas: {chart: 'atlas', ci: 'default', release: 'atlas', namespace: 'atlas'},
  envoy: {chart: 'envoy', ci: 'default', release: 'atlas-envoy', namespace: 'atlas-envoy'},
} as const

describe('docs/how-to/expose.md', () => {
  let kubernetes: Kubernetes
  before(async () => {
    kubernetes = await sharedKubernetes()
    await installCrds(kubernetes)
  })

  it('has examples of both kinds, for both charts', () => {
    expect(new Set(blocks.map(chartOf))).to.deep.equal(new Set(['atlas', 'envoy', undefined]))
  })

  for (const [index, block] of blocks.entries()) {
    const chart = chartOf(block)
    if (chart !== undefined)
      it(`example ${index + 1}: chart ${chart} takes these values, and changes what it renders`, async () => {
        const [before, after] = [await objectsOf(standing[chart]), await objectsOf({...standing[chart], values: block})]
        expect(after).to.not.deep.equal(before)
      })
    else
      it(`example ${index + 1}: a real API server takes these objects, and the Services that they name are there`, async () => {
        // the examples have namespaces that people know; here each test has one of its own
        const there = await kubernetes.newNamespace('expose', {'pod-security.kubernetes.io/enforce': 'restricted'})
        const objects = loadAll(block) as KubernetesObject[]
        const moved = objects.map(object => ({...object, metadata: {...object.metadata, namespace: there}}))
        const pods = podsOf(moved).map(pod => ({...pod, metadata: {...pod.metadata, namespace: there}}))
        await applyAll(kubernetes, [...moved, ...pods])
        const known = [...objects, ...(await objectsOf(standing.atlas)), ...(await objectsOf(standing.envoy))]
        const named = backendsIn(objects)
        expect(named).to.not.deep.equal([])
        for (const {name, port} of named) {
          const {ports} = findObject(known, 'Service', name).spec as {ports: {name: string; port: number}[]}
          expect(
            ports.map(each => (typeof port === 'number' ? each.port : each.name)),
            name,
          ).to.include(port)
        }
      })
  }
})

/** What Services routes, ingresses and proxies lead to. */
function backendsIn(objects: readonly KubernetesObject[]): readonly {readonly name: string; readonly port: number | string}[] {
  const text = objects.map(object => dump(object, {flowLevel: 0})).join('\n')
  const routes = [...text.matchAll(/backendRefs: \[\{name: ([-a-z]+), port: (\d+)\}\]/g)].map(([, name = '', port]) => ({
    name,
    port: Number(port),
  }))
  const ingresses = [...text.matchAll(/service: \{name: ([-a-z]+), port: \{name: ([a-z]+)\}\}/g)].map(([, name = '', port = '']) => ({
    name,
    port,
  }))
  const proxies = [...text.matchAll(/http:\/\/([-a-z]+)\.atlas\.svc:(\d+)/g)].map(([, name = '', port]) => ({name, port: Number(port)}))
  return [...routes, ...ingresses, ...proxies]
}
