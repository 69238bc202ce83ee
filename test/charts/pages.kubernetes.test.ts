/** The way to the web pages: what an Ingress and an HTTPRoute lead to and for which names, the settings that go to `init`, and ports of chart envoy. */
import {expect} from 'chai'
import {charts, ciNames, findObject, type KubernetesObject, objectsOf, podsOf} from './support/rendered.js'

const HOSTS = ['web.example.com', '*.prom.web.example.com', '*.alertmanager.web.example.com', '*.thanos.web.example.com']

interface IngressSpec {
  readonly ingressClassName?: string
  readonly tls?: readonly {readonly hosts: readonly string[]; readonly secretName?: string}[]
  readonly rules: readonly {
    readonly host: string
    readonly http: {readonly paths: readonly {readonly path: string; readonly backend: unknown}[]}
  }[]
}

interface RouteSpec {
  readonly hostnames: readonly string[]
  readonly parentRefs: unknown
  readonly rules: readonly {readonly filters?: readonly unknown[]; readonly backendRefs: readonly unknown[]; readonly timeouts?: unknown}[]
}

describe('web pages in chart atlas', () => {
  it('have neither Ingress nor HTTPRoute, unless values ask for them', async () => {
    const objects = await objectsOf({chart: 'atlas', ci: 'default', set: ['webDomain=web.example.com']})
    expect(objects.filter(({kind}) => kind === 'Ingress' || kind === 'HTTPRoute')).to.deep.equal([])
  })

  it('have the host names of the web domain, a wildcard for each kind, on port 10904 of the internal Service', async () => {
    const objects = await objectsOf({chart: 'atlas', ci: 'pages'})
    const ingress = specOf<IngressSpec>(objects, 'Ingress')
    expect(ingress).to.include({ingressClassName: 'traefik'})
    expect(ingress.tls).to.deep.equal([{hosts: HOSTS, secretName: 'web-pages'}])
    expect(ingress.rules.map(({host}) => host)).to.deep.equal(HOSTS)
    for (const {http} of ingress.rules)
      expect(http.paths).to.deep.equal([
        {path: '/', pathType: 'Prefix', backend: {service: {name: 'atlas-internal', port: {name: 'pages'}}}},
      ])
    const {ports} = findObject(objects, 'Service', 'atlas-internal').spec as unknown as {ports: {name: string; port: number}[]}
    expect(ports).to.deep.include({name: 'pages', port: 10_904, targetPort: 10_904, protocol: 'TCP'})
    const route = specOf<RouteSpec>(objects, 'HTTPRoute')
    expect(route.hostnames).to.deep.equal(HOSTS)
    expect(route.rules).to.deep.equal([{backendRefs: [{name: 'atlas-internal', port: 10_904}], timeouts: {request: '660s'}}])
  })

  it('take host names, paths, class, TLS, filters and a login proxy as values', async () => {
    const objects = await objectsOf({chart: 'atlas', ci: 'all'})
    const ingress = specOf<IngressSpec>(objects, 'Ingress')
    expect(findObject(objects, 'Ingress', 'network-pages').metadata.annotations).to.have.property('nginx.ingress.kubernetes.io/auth-url')
    expect(ingress.rules.map(({host}) => host)).to.deep.equal(['web.example.com', '*.prom.web.example.com'])
    expect(ingress.rules[0]?.http.paths.map(({path}) => path)).to.deep.equal(['/', '/status.json'])
    for (const {backend} of ingress.rules.flatMap(({http}) => http.paths))
      expect(backend).to.deep.equal({service: {name: 'login', port: {number: 4180}}})
    expect(ingress.tls?.map(({hosts, secretName}) => [secretName, ...hosts])).to.deep.equal([
      ['start-page', 'web.example.com'],
      ['prom-pages', '*.prom.web.example.com'],
    ])
    const route = specOf<RouteSpec>(objects, 'HTTPRoute')
    expect(route.parentRefs).to.deep.equal([{name: 'web', namespace: 'gateways', sectionName: 'https'}])
    expect(route.hostnames).to.deep.equal(['*.thanos.web.example.com'])
    expect(route.rules[0]?.filters).to.have.length(1)
    expect(route.rules[0]?.backendRefs).to.deep.equal([{name: 'login', port: 4180}])
  })

  it('leave out the timeouts of the HTTPRoute where a gateway refuses them', async () => {
    for (const set of ['httpRoute.timeouts=null', 'httpRoute.timeouts.request=null'])
      expect(specOf<RouteSpec>(await objectsOf({chart: 'atlas', ci: 'pages', set: [set]}), 'HTTPRoute').rules[0], set).to.have.all.keys(
        'backendRefs',
      )
  })

  it('reach init: web domain, paths, and clients with their ports', async () => {
    const initArgs = async (ci: string): Promise<string> => {
      const pods = podsOf(await objectsOf({chart: 'atlas', ci}))
      const mine = pods.filter(({metadata}) => metadata.labels?.['app.kubernetes.io/component'] === 'init')
      return mine.flatMap(({spec}) => spec.containers.flatMap(({args}) => args)).join(' ')
    }
    const all = await initArgs('all')
    expect(all).to.include('--web-domain web.example.com --pages-by-path')
    expect(all).to.include('--internal-tls 10901 --internal-tls 10902 --internal-tls 10904 --client thanos --client ingress:10902,10904')
    expect(await initArgs('default')).to.not.match(/--(web-domain|pages-by-path|client|internal-tls)/)
  })
})

describe('the ports of web pages in chart envoy', () => {
  it('are those of its Service and NetworkPolicy beside 11901, unless values list others', async () => {
    const ports = async (ci: string) => {
      const objects = await objectsOf({chart: 'envoy', ci})
      const service = specOf<{ports: {name: string; port: number; nodePort?: number}[]}>(objects, 'Service')
      const {ingress} = specOf<{ingress: {ports: {port: number}[]}[]}>(objects, 'NetworkPolicy')
      return {service: service.ports, policy: ingress[0]?.ports.map(({port}) => port), pods: podsOf(objects)}
    }
    const {service, policy} = await ports('default')
    expect(service.map(({name, port}) => [name, port])).to.deep.equal([
      ['thanos', 11_901],
      ['thanos-pages', 11_902],
      ['alertmanager', 11_903],
      ['prometheus', 11_904],
    ])
    expect(policy).to.deep.equal([11_901, 11_902, 11_903, 11_904])
    expect((await ports('nodeport')).service.map(({nodePort}) => nodePort)).to.deep.equal([31_901, 31_902, 31_903, 31_904])
    const hostPorts = (await ports('hostport')).pods.flatMap(({spec}) =>
      spec.containers.flatMap(container =>
        ((container.ports ?? []) as readonly {readonly hostPort?: number}[]).map(({hostPort}) => hostPort),
      ),
    )
    expect(hostPorts).to.include.members([11_901, 11_902, 11_903, 11_904])
  })

  it('of an observability Envoy are open to the peers of pagesFrom', async () => {
    const set = ['networkPolicy.pagesFrom[0].podSelector.matchLabels.app=login']
    const {ingress} = specOf<{ingress: {ports: {port: number}[]; from?: unknown}[]}>(
      await objectsOf({chart: 'envoy', ci: 'observability', set}),
      'NetworkPolicy',
    )
    const rules = ingress.filter(({ports}) => ports.some(({port}) => port === 10_902 || port === 10_904))
    expect(rules).to.deep.equal([
      {
        ports: [
          {port: 10_902, protocol: 'TCP'},
          {port: 10_904, protocol: 'TCP'},
        ],
        from: [{podSelector: {matchLabels: {app: 'login'}}}],
      },
    ])
  })

  it('and its other plaintext ports are closed by a list without a peer, which Kubernetes would read as every source', async () => {
    const rulesOf = async (values: string, ci = 'observability') =>
      specOf<{ingress: {ports: {port: number}[]; from?: unknown[]}[]}>(await objectsOf({chart: 'envoy', ci, values}), 'NetworkPolicy')
        .ingress
    for (const [list, ports] of Object.entries({metricsFrom: [9902], thanosFrom: [10_901], pagesFrom: [10_902, 10_904]}))
      for (const empty of ['[]', 'null']) {
        const open = (await rulesOf(`networkPolicy: {${list}: ${empty}}`)).flatMap(rule => rule.ports.map(({port}) => port))
        for (const port of [9902, 10_901, 10_902, 10_904])
          expect(open.includes(port), `${list}: ${empty}, ${port}`).to.equal(!ports.includes(port))
      }

    const rules = await rulesOf('networkPolicy: {metricsFrom: [], thanosFrom: [], pagesFrom: []}')
    expect(rules.map(({ports}) => ports.map(({port}) => port))).to.deep.equal([[10_900, 10_903]])
  })
})

describe('NetworkPolicies of both charts', () => {
  it('have no rule with an empty list of sources', async () => {
    for (const chart of charts)
      for (const ci of ciNames(chart)) {
        const policies = (await objectsOf({chart, ci})).filter(({kind}) => kind === 'NetworkPolicy')
        expect(policies).to.not.deep.equal([])
        for (const {metadata, spec} of policies)
          for (const {from} of (spec as {ingress: {from?: unknown}[]}).ingress)
            expect(from, `${chart} ${ci} ${metadata.name}`).to.satisfy(
              (list: unknown) => list === undefined || (list as unknown[]).length > 0,
            )
      }
  })
})

/** The spec of the first object of a kind, in either chart. */
/** Of the first object of that kind; the Service for alerts is another test's. */
function specOf<T>(objects: readonly KubernetesObject[], kind: string): T {
  const found = objects.find(object => object.kind === kind && !object.metadata.name.endsWith('-alerts')) ?? expect.fail(`no ${kind}`)
  return found.spec as unknown as T
}
