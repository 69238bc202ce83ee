/**
 * The examples of a page of docs/how-to: values that the charts take, objects that a real API server takes, and that both lead to Services
 * and ports that are there.
 */
import {readFileSync} from 'node:fs'
import {fileURLToPath} from 'node:url'
import {expect} from 'chai'
import {dump, loadAll} from 'js-yaml'
import {applyAll} from '../charts/support/apply.js'
import {type Chart, findObject, type KubernetesObject, objectsOf, podsOf} from '../charts/support/rendered.js'
import {installCrds} from '../helpers/kubernetes/crds.js'
import type {Kubernetes} from '../helpers/kubernetes/kubernetes.js'
import {sharedKubernetes} from '../helpers/kubernetes/shared.js'

/** The YAML examples of a page. */
export function examplesOf(page: string): readonly string[] {
  const text = readFileSync(fileURLToPath(new URL(`../../docs/how-to/${page}`, import.meta.url)), 'utf8')
  return [...text.matchAll(/```yaml\n([\s\S]*?)```/g)].map(match => match[1] ?? '')
}

/** The chart whose values an example has; undefined for one of objects. */
export function chartOf(block: string): Chart | undefined {
  return /^# values of chart (atlas|envoy)\n/.exec(block)?.[1] as Chart | undefined
}

/** The charts under their usual names, to which the examples lead. */
export const standing = {
  atlas: {chart: 'atlas', ci: 'default', release: 'atlas', namespace: 'atlas'},
  envoy: {chart: 'envoy', ci: 'default', release: 'atlas-envoy', namespace: 'atlas-envoy'},
} as const

/** Describes the examples of a page, each by its number. */
export function describeExamples(page: string): void {
  const blocks = examplesOf(page)
  describe(`docs/how-to/${page}`, () => {
    let kubernetes: Kubernetes
    before(async () => {
      kubernetes = await sharedKubernetes()
      await installCrds(kubernetes)
    })

    it('has values for charts and objects', () => {
      expect(blocks.map(chartOf)).to.include.members(['atlas', undefined])
      expect(
        backendsIn(blocks.filter(block => chartOf(block) === undefined).flatMap(block => loadAll(block) as KubernetesObject[])),
      ).to.not.deep.equal([])
    })

    for (const [index, block] of blocks.entries()) {
      const chart = chartOf(block)
      if (chart !== undefined)
        it(`example ${index + 1}: chart ${chart} takes these values, and changes what it renders; what leads to Services is taken too`, async () => {
          const [before, after] = [await objectsOf(standing[chart]), await objectsOf({...standing[chart], values: block})]
          expect(after).to.not.deep.equal(before)
          await take(after.filter(({kind}) => kind === 'Ingress' || kind === 'HTTPRoute'))
        })
      else
        it(`example ${index + 1}: a real API server takes these objects, and the Services that they name are there`, async () => {
          await take(loadAll(block) as KubernetesObject[])
        })
    }

    /** In a namespace of its own: the examples have namespaces that people know. */
    async function take(objects: readonly KubernetesObject[]): Promise<void> {
      if (objects.length === 0) return
      const there = await kubernetes.newNamespace('examples', {'pod-security.kubernetes.io/enforce': 'restricted'})
      const moved = objects.map(object => ({...object, metadata: {...object.metadata, namespace: there}}))
      const pods = podsOf(moved).map(pod => ({...pod, metadata: {...pod.metadata, namespace: there}}))
      await applyAll(kubernetes, [...moved, ...pods])
      const own = blocks.filter(block => chartOf(block) === undefined).flatMap(block => loadAll(block) as KubernetesObject[])
      const known = [...own, ...(await objectsOf(standing.atlas)), ...(await objectsOf(standing.envoy))]
      for (const {name, port} of backendsIn(objects)) {
        const {ports} = findObject(known, 'Service', name).spec as {ports: {name: string; port: number}[]}
        expect(
          ports.map(each => (typeof port === 'number' ? each.port : each.name)),
          name,
        ).to.include(port)
      }
    }
  })
}

/** What Services routes, ingresses and proxies lead to. */
function backendsIn(objects: readonly KubernetesObject[]): readonly {readonly name: string; readonly port: number | string}[] {
  const text = objects.map(object => dump(object, {flowLevel: 0, lineWidth: -1})).join('\n')
  const patterns = [
    /backendRefs: \[\{name: ([-\w]+), port: (\d+)\}\]/g,
    /service: \{name: ([-\w]+), port: \{(?:name|number): (\w+)\}\}/g,
    /http:\/\/([-\w]+)\.atlas\.svc(?:\.cluster\.local)?:(\d+)/g,
  ]
  return patterns
    .flatMap(pattern => [...text.matchAll(pattern)])
    .map(([, name = '', port = '']) => ({name, port: /^\d+$/.test(port) ? Number(port) : port}))
}
