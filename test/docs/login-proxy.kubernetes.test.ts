/** The examples of docs/how-to/login-proxy.md, and what they name in each other. */
import {expect} from 'chai'
import {loadAll} from 'js-yaml'
import {type KubernetesObject, objectsOf, podsOf} from '../charts/support/rendered.js'
import {chartOf, describeExamples, examplesOf, standing} from './examples.js'

describeExamples('login-proxy.md')

const blocks = examplesOf('login-proxy.md')
const objects = blocks.filter(block => chartOf(block) === undefined).flatMap(block => loadAll(block) as KubernetesObject[])

describe('docs/how-to/login-proxy.md, between its examples', () => {
  const renderings = async (): Promise<readonly (readonly KubernetesObject[])[]> =>
    Promise.all(blocks.filter(block => chartOf(block) !== undefined).map(async values => objectsOf({...standing.atlas, values})))

  it('every way in admits to the pages only the peers that its example names', async () => {
    for (const rendered of await renderings()) {
      const policy = rendered.find(({kind, metadata}) => kind === 'NetworkPolicy' && metadata.name === 'atlas-envoy')
      const {ingress} = policy?.spec as unknown as {ingress: {ports: {port: number}[]; from?: object[]}[]}
      const rules = ingress.filter(({ports}) => ports.some(({port}) => port === 10_904))
      expect(rules.map(({from}) => from?.length)).to.deep.equal([1])
      expect(JSON.stringify(rules)).to.match(/ingress-nginx|traefik|oauth2-proxy/)
    }
  })

  it('the proxy that alone may reach the pages is that of the Deployment', () => {
    const [pod] = podsOf(objects.filter(({kind}) => kind === 'Deployment'))
    const proxied = blocks.find(block => block.includes('httpRoute:')) ?? ''
    expect(proxied).to.include(`app.kubernetes.io/name: ${pod?.metadata.labels?.['app.kubernetes.io/name'] ?? 'none'}`)
  })

  it("Traefik's annotation names the Middleware, by namespace and name", async () => {
    const {metadata} = objects.find(({kind}) => kind === 'Middleware') ?? expect.fail('no Middleware')
    const annotated = (await renderings()).flat().flatMap(object => Object.values(object.metadata.annotations ?? {}))
    expect(annotated).to.include(`${metadata.namespace ?? ''}-${metadata.name}@kubernetescrd`)
  })

  it('the listeners of the Gateway are those that the HTTPRoute joins, with its host names', async () => {
    const gateway = objects.find(({kind}) => kind === 'Gateway')?.spec as unknown as {listeners: {name: string; hostname: string}[]}
    const route = (await renderings()).flat().find(({kind}) => kind === 'HTTPRoute')?.spec as unknown as {
      hostnames: string[]
      parentRefs: {sectionName: string}[]
    }
    expect(gateway.listeners.map(({hostname}) => hostname)).to.have.members(route.hostnames)
    expect(gateway.listeners.map(({name}) => name)).to.deep.equal(route.parentRefs.map(({sectionName}) => sectionName))
  })
})
