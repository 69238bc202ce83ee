/** The references between a chart's objects: the pods of each selector, and NetworkPolicies that admit the ports of the Services. */
import {expect} from 'chai'
import {openDirectory} from '../../src/lib/store/open.js'
import {atlas, inFolder} from '../helpers/atlas.js'
import {charts, ciNames, findObject, type KubernetesObject, objectsOf, type Pod, podsOf} from './support/rendered.js'

type Labels = Readonly<Record<string, string>>

interface Policy {
  readonly podSelector: {readonly matchLabels: Labels}
  readonly policyTypes: readonly string[]
  readonly ingress: readonly {readonly ports: readonly {readonly port: number}[]; readonly from?: readonly unknown[]}[]
}

interface Ports {
  readonly ports: readonly {readonly name: string; readonly port: number; readonly targetPort: number | string}[]
}

for (const chart of charts)
  for (const ci of ciNames(chart))
    describe(`chart ${chart} with the values of ci/${ci}`, () => {
      let objects: readonly KubernetesObject[]
      let pods: readonly Pod[]
      before(async () => {
        objects = await objectsOf({chart, ci})
        pods = podsOf(objects)
      })
      const of = (...kinds: string[]): readonly KubernetesObject[] => objects.filter(({kind}) => kinds.includes(kind))

      it('each workload owns its own pods and no other', () => {
        for (const {kind, metadata, spec} of of('Deployment', 'StatefulSet')) {
          const {matchLabels} = spec!['selector'] as {matchLabels: Labels}
          expect(selected(matchLabels, pods), `${kind} ${metadata.name}`).to.have.length(1)
        }
      })

      it('each Service and PodDisruptionBudget selects pods that serve, never a hook or a test', () => {
        const selectors = [
          ...of('Service').map(({metadata, spec}) => [metadata.name, spec!['selector'] as Labels] as const),
          ...of('PodDisruptionBudget').map(
            ({metadata, spec}) => [metadata.name, (spec!['selector'] as {matchLabels: Labels}).matchLabels] as const,
          ),
        ]
        for (const [name, labels] of selectors) {
          const found = selected(labels, pods).map(({metadata}) => metadata.name)
          expect(found, name).to.have.length(name.endsWith('-metrics') && !name.includes('envoy') ? 2 : 1)
          expect(found.join(' '), name).to.not.match(/job|test/)
        }
      })

      it('a workload with several replicas has a PodDisruptionBudget, and one with a single replica has none', () => {
        for (const {metadata, spec} of of('Deployment', 'StatefulSet')) {
          const budget = of('PodDisruptionBudget').find(each => each.metadata.name === metadata.name)
          expect(budget !== undefined, metadata.name).to.equal((spec!['replicas'] as number) > 1)
          if (budget !== undefined) expect(budget.spec).to.include({maxUnavailable: 1})
        }
      })

      it('every pod that serves has one NetworkPolicy of both directions, which admits only the ports of Services and probes', () => {
        for (const pod of servingPods(pods)) {
          const mine = of('NetworkPolicy').filter(({spec}) => matches((spec as unknown as Policy).podSelector.matchLabels, pod))
          expect(mine, pod.metadata.name).to.have.length(1)
          const {policyTypes, ingress} = mine[0]!.spec as unknown as Policy
          expect(policyTypes).to.deep.equal(['Ingress', 'Egress'])
          const open = ingress.flatMap(({ports}) => ports.map(({port}) => port))
          const offered = of('Service')
            .filter(({spec}) => matches(spec!['selector'] as Labels, pod))
            .flatMap(({spec}) => (spec as unknown as Ports).ports.map(({targetPort}) => numberOf(targetPort, pod)))
          expect(open).to.include.members(offered)
        }
      })
    })

describe('the plaintext ports of the observability Envoy', () => {
  it('are admitted only from this namespace and from that of Thanos, unless values allow more', async () => {
    const from = async (set: readonly string[]): Promise<unknown> => {
      const {spec} = findObject(await objectsOf({chart: 'atlas', ci: 'default', set}), 'NetworkPolicy', 'atlas-envoy')
      const rules = (spec as unknown as Policy).ingress.filter(({ports}) => ports.some(({port}) => [10_901, 10_902, 10_904].includes(port)))
      expect(rules.map(({ports}) => ports.map(({port}) => port))).to.deep.equal([[10_901], [10_902, 10_904]])
      expect(rules[1]?.from).to.deep.equal(rules[0]?.from)
      return rules[0]?.from
    }
    const thanos = {namespaceSelector: {matchLabels: {'kubernetes.io/metadata.name': 'monitoring'}}}
    expect(await from([])).to.deep.equal([{podSelector: {}}])
    expect(await from(['thanosNamespace=monitoring'])).to.deep.equal([{podSelector: {}}, thanos])
    expect(await from(['networkPolicy.internalFrom[0].podSelector.matchLabels.a=b'])).to.deep.equal([
      {podSelector: {matchLabels: {a: 'b'}}},
    ])
  })

  it('for web pages are admitted only from the peers of pagesFrom, if there are any', async () => {
    const set = [
      'networkPolicy.pagesFrom[0].podSelector.matchLabels.app=login',
      'networkPolicy.internalFrom[0].podSelector.matchLabels.a=b',
    ]
    const {spec} = findObject(await objectsOf({chart: 'atlas', ci: 'default', set}), 'NetworkPolicy', 'atlas-envoy')
    const from = (port: number) =>
      (spec as unknown as Policy).ingress.filter(({ports}) => ports.some(each => each.port === port)).map(rule => rule.from)
    expect(from(10_901)).to.deep.equal([[{podSelector: {matchLabels: {a: 'b'}}}]])
    for (const port of [10_902, 10_904]) expect(from(port)).to.deep.equal([[{podSelector: {matchLabels: {app: 'login'}}}]])
  })

  it('are never in a Service that leaves the cluster', async () => {
    for (const type of ['LoadBalancer', 'NodePort', 'ClusterIP']) {
      const objects = await objectsOf({chart: 'atlas', ci: 'default', set: [`service.external.type=${type}`]})
      const targets = (name: string): readonly unknown[] =>
        (findObject(objects, 'Service', name).spec as unknown as Ports).ports.map(port => port.targetPort)
      expect(targets('atlas-external')).to.deep.equal([10_900, 10_903])
      expect(targets('atlas-internal')).to.deep.equal([10_901, 10_902, 10_904])
      expect(findObject(objects, 'Service', 'atlas-internal').spec).to.include({type: 'ClusterIP'})
      expect(findObject(objects, 'Service', 'atlas-external').metadata.labels).to.include({'goatlas.io/service': 'external'})
    }
  })
})

describe('the ports of the servers for configuration and for the start page', () => {
  it('are open to the observability Envoy alone', async () => {
    const objects = await objectsOf({chart: 'atlas', ci: 'default', set: ['bindAddress=0.0.0.0']})
    const {ingress} = findObject(objects, 'NetworkPolicy', 'atlas-ads').spec as unknown as Policy
    expect(ingress.filter(({ports}) => ports.some(({port}) => port !== 6309))).to.deep.equal([
      {
        ports: [
          {port: 6305, protocol: 'TCP'},
          {port: 6306, protocol: 'TCP'},
        ],
        from: [{podSelector: {matchLabels: {'goatlas.io/envoy': 'observability'}}}],
      },
    ])
    const {ports} = findObject(objects, 'Service', 'atlas-ads').spec as unknown as Ports
    expect(ports.map(({name, port, targetPort}) => [name, port, targetPort])).to.deep.equal([
      ['ads', 6305, 'ads'],
      ['pages', 6306, 'pages'],
    ])
    const [container] = podsOf(objects).find(({metadata}) => metadata.labels?.['app.kubernetes.io/component'] === 'ads')!.spec.containers
    expect(container.args.join(' ')).to.include('--listen 0.0.0.0:6305 --pages-listen 0.0.0.0:6306 ')
  })
})

describe('the internal ports that speak mutual TLS', () => {
  const exposed = {chart: 'atlas', ci: 'internal-tls'} as const

  it('are the only ones exposed to clients from outside, which are admitted there and nowhere else', async () => {
    const objects = await objectsOf(exposed)
    const {type, ports} = findObject(objects, 'Service', 'atlas-clients').spec as unknown as Ports & {type: string}
    expect([type, ports.map(({targetPort}) => targetPort)]).to.deep.equal(['LoadBalancer', [10_901]])
    const {ingress} = findObject(objects, 'NetworkPolicy', 'atlas-envoy').spec as unknown as Policy
    const rules = ingress.filter(({from}) => JSON.stringify(from ?? []).includes('198.51.100.0/24'))
    expect(rules.map(rule => rule.ports.map(({port}) => port))).to.deep.equal([[10_901]])
  })

  it('are not described as plaintext, and are passed to an installation', async () => {
    for (const rendering of [exposed, {chart: 'atlas', ci: 'default', set: ['internalTls={10901}', 'clients={thanos}']} as const]) {
      const objects = await objectsOf(rendering)
      const {ports} = findObject(objects, 'Service', 'atlas-internal').spec as unknown as {ports: readonly {appProtocol?: string}[]}
      expect(ports.map(({appProtocol}) => appProtocol)).to.deep.equal([undefined, undefined, undefined])
      const [job] = podsOf(objects).filter(({metadata}) => metadata.name.startsWith('job-'))
      expect(job?.spec.containers[0].args.join(' ')).to.include('--internal-tls 10901 --client thanos')
    }
  })

  it('are exposed only when values set it', async () => {
    const objects = await objectsOf({...exposed, set: ['service.clients.enabled=false']})
    expect(objects.some(({metadata}) => metadata.name === 'atlas-clients')).to.equal(false)
  })
})

describe('further endpoints in the values of chart atlas', () => {
  it('are taken by an installation as the chart passes them, and none are passed by default', async () => {
    const initArgs = async (...set: string[]): Promise<readonly string[]> => {
      const pods = podsOf(await objectsOf({chart: 'atlas', ci: 'default', set}))
      return pods.filter(({metadata}) => metadata.name.startsWith('job-')).flatMap(({spec}) => spec.containers[0].args)
    }
    const tls = 'extraEndpoints[1].client_config.tls_config.ca_file=/etc/store/ca.crt'
    const args = await initArgs(
      'extraEndpoints[0].address=dns+store:10901',
      'extraEndpoints[0].group=true',
      'extraEndpoints[1].address=b:1',
      tls,
    )
    const value = args[args.indexOf('--extra-endpoints') + 1] ?? ''
    await inFolder(async store => {
      const {code, stderr} = await atlas('init', '--store', store, '--address', '203.0.113.7', '--extra-endpoints', value)
      expect(code, stderr).to.equal(0)
      const {settings} = await openDirectory({directory: store}).load()
      expect(settings?.extraEndpoints).to.deep.equal([
        {address: 'dns+store:10901', group: true},
        {address: 'b:1', client_config: {tls_config: {ca_file: '/etc/store/ca.crt'}}},
      ])
    })
    expect(await initArgs()).not.to.include('--extra-endpoints')
  })
})

describe('the port that downstream clusters connect to', () => {
  it("is the load balancer's own, unless values set another", async () => {
    const ports = async (...set: string[]): Promise<readonly number[]> => {
      const objects = await objectsOf({chart: 'atlas', ci: 'default', set})
      return (findObject(objects, 'Service', 'atlas-external').spec as unknown as Ports).ports.map(({port}) => port)
    }
    expect(await ports()).to.deep.equal([10_900, 10_903])
    expect(await ports('adsPort=443')).to.deep.equal([443, 10_903])
    expect(await ports('adsPort=443', 'service.external.ports.ads=1443')).to.deep.equal([1443, 10_903])
    expect(await ports('adsPort=30900', 'service.external.type=NodePort')).to.deep.equal([10_900, 10_903])
  })
})

describe('the Services that Thanos Query connects to', () => {
  it('select the pods of the observability Envoy by the label that the controller uses', async () => {
    for (const rendering of [
      {chart: 'atlas', ci: 'default'},
      {chart: 'envoy', ci: 'observability'},
    ] as const)
      expect(selected({'goatlas.io/envoy': 'observability'}, podsOf(await objectsOf(rendering)))).to.have.length(1)
    expect(selected({'goatlas.io/envoy': 'observability'}, podsOf(await objectsOf({chart: 'envoy', ci: 'default'})))).to.have.length(0)
  })
})

function selected(labels: Labels, pods: readonly Pod[]): readonly Pod[] {
  return pods.filter(pod => matches(labels, pod))
}

function matches(labels: Labels, {metadata}: Pod): boolean {
  return Object.entries(labels).every(([name, value]) => metadata.labels?.[name] === value)
}

/** Without hooks and tests, which exist only for a time. */
function servingPods(pods: readonly Pod[]): readonly Pod[] {
  return pods.filter(({metadata}) => /^(deployment|statefulset)-/.test(metadata.name))
}

function numberOf(port: number | string, {spec}: Pod): number {
  if (typeof port === 'number') return port
  const found = spec.containers[0].ports?.find(({name}) => name === port)
  if (found === undefined) throw new Error(`no port ${port}`)
  return found.containerPort
}

describe('pods and meshes', () => {
  const marks = {
    labels: {'sidecar.istio.io/inject': 'false', 'istio.io/dataplane-mode': 'none', 'kuma.io/sidecar-injection': 'disabled'},
    annotations: {'sidecar.istio.io/inject': 'false', 'linkerd.io/inject': 'disabled', 'consul.hashicorp.com/connect-inject': 'false'},
  }

  for (const chart of charts)
    for (const ci of ciNames(chart))
      it(`every pod of chart ${chart}, hooks and tests too, is marked so that no mesh injects a sidecar: ci/${ci}`, async () => {
        const pods = podsOf(await objectsOf({chart, ci}))
        expect(pods.length).to.be.at.least(2)
        for (const {metadata} of pods) {
          expect(metadata.labels, metadata.name).to.deep.include(marks.labels)
          expect(metadata.annotations, metadata.name).to.deep.include(marks.annotations)
        }
      })

  it('values replace a mark, for all pods or for some, and leave one out', async () => {
    const set = ['mesh.annotations.linkerd\\.io/inject=null', 'mesh.labels.istio\\.io/dataplane-mode=ambient']
    const own = ['init.podAnnotations.linkerd\\.io/inject=enabled', 'ads.podLabels.istio\\.io/dataplane-mode=none']
    const pods = podsOf(await objectsOf({chart: 'atlas', ci: 'default', set: [...set, ...own]}))
    const of = (component: string): (typeof pods)[number]['metadata'] =>
      pods.find(({metadata}) => metadata.labels?.['app.kubernetes.io/component'] === component)!.metadata
    expect(of('init').annotations?.['linkerd.io/inject']).to.equal('enabled')
    expect(of('ads').annotations).not.to.have.property('linkerd.io/inject')
    expect([of('ads'), of('controller')].map(({labels}) => labels?.['istio.io/dataplane-mode'])).to.deep.equal(['none', 'ambient'])
  })
})

describe('DNS in NetworkPolicies', () => {
  it('is allowed at 53 and at 5353, that of the DNS pods of OpenShift, by UDP and TCP, or at the ports that values set', async () => {
    for (const chart of charts)
      for (const [set, wanted] of [
        [[], [53, 5353]],
        [['networkPolicy.dnsPorts={8053}'], [8053]],
      ] as const) {
        const policies = (await objectsOf({chart, ci: chart === 'atlas' ? 'coredns' : 'default', set})).filter(
          ({kind}) => kind === 'NetworkPolicy',
        )
        const dns = policies.map(({spec}) => (spec as {egress?: {ports: object[]}[]} | undefined)?.egress?.[0]?.ports).filter(Boolean)
        expect(dns.length).to.be.greaterThan(0)
        for (const ports of dns) expect(ports).to.deep.equal(wanted.flatMap(port => ['UDP', 'TCP'].map(protocol => ({port, protocol}))))
      }
  })
})
