/** Both major versions of Helm render the charts the same, for every example of values, and by the rules for all objects. */
import {expect} from 'chai'
import {objectNames, SHARDS} from '../../src/lib/model/names.js'
import {
  type Chart,
  charts,
  chartFolder,
  ciNames,
  helmAlone,
  type KubernetesObject,
  majors,
  objectsOf,
  podsOf,
  template,
  valueArgs,
} from './support/rendered.js'

const required = [
  'cluster=paris',
  'existingSecret=paris-envoy-ads',
  'ads.addresses={192.0.2.1:10900}',
  'ads.serverName=a',
  'ads.serverUri=spiffe://a/b',
]

for (const chart of charts)
  describe(`chart ${chart}`, () => {
    for (const ci of ciNames(chart))
      describe(`with the values of ci/${ci}`, () => {
        for (const major of majors)
          it(`passes helm ${major} lint --strict`, async () => {
            const {code, stdout} = await helmAlone(['lint', '--strict', chartFolder(chart), ...valueArgs({chart, ci})], {major})
            expect(stdout)
              .to.include('0 chart(s) failed')
              .and.not.match(/\[(WARNING|ERROR)\]/)
            expect(code).to.equal(0)
          })

        it('is rendered the same by both majors, byte for byte', async () => {
          const [three, four] = await Promise.all(majors.map(async major => objectsOf({chart, ci, major})))
          expect(four).to.deep.equal(three)
          expect(await template({chart, ci})).to.deep.equal(await template({chart, ci}))
        })

        it('names and labels everything by the rules', async () => {
          const objects = await objectsOf({chart, ci})
          expect(objects.length).to.be.greaterThan(3)
          for (const object of objects) expectLabelled(object)
          const names = objects.map(({kind, metadata}) => `${kind} ${metadata.namespace ?? ''}/${metadata.name}`)
          expect(new Set(names).size).to.equal(names.length)
        })

        it('gives no pod a right that it does not need', async () => {
          const pods = podsOf(await objectsOf({chart, ci}))
          for (const {metadata, spec} of pods) {
            const usesApi = !/envoy|coredns/.test(metadata.labels!['app.kubernetes.io/component']!) && chart === 'atlas'
            expect([metadata.name, spec.automountServiceAccountToken]).to.deep.equal([metadata.name, usesApi])
            for (const container of spec.containers) {
              expect(container.securityContext.readOnlyRootFilesystem).to.equal(true)
              expect(container.securityContext.capabilities.drop).to.deep.equal(['ALL'])
              expect(container.resources.limits).to.have.property('memory')
              expect(container.image)
                .to.match(/:[v0-9a-z]+/)
                .and.not.include('latest')
            }
          }
        })
      })

    it('needs Kubernetes 1.32 or later', async () => {
      const {code, stderr} = await helmAlone([
        'template',
        'a',
        chartFolder(chart),
        '--kube-version',
        '1.31.0',
        ...valueArgs({chart, ci: 'default'}),
      ])
      expect(code).to.equal(1)
      expect(stderr).to.include('>=1.32.0-0')
    })
  })

describe('the DNS zone', () => {
  const isOff = async (...set: string[]): Promise<readonly boolean[]> =>
    podsOf(await objectsOf({chart: 'atlas', ci: 'default', set}))
      .flatMap(({spec}) => spec.containers)
      .flatMap(({args = []}) => (args.includes('controller') ? [args.includes('--no-dns-zone')] : []))

  it('is kept, unless values say that nothing reads it', async () => {
    expect(await isOff()).to.deep.equal([false])
    expect(await isOff('dnsZone.enabled=false')).to.deep.equal([true])
  })

  it("can't be missing where the chart's CoreDNS serves it", async () => {
    const {code, stderr} = await template({chart: 'atlas', set: ['coredns.enabled=true', 'dnsZone.enabled=false'], major: 4})
    expect(code).to.equal(1)
    expect(stderr).to.include('coredns.enabled needs the zone: set dnsZone.enabled=true, or coredns.enabled=false')
  })
})

describe('invalid values', () => {
  const cases: readonly [what: string, chart: Chart, set: readonly string[], said: RegExp][] = [
    ['a typo', 'atlas', ['ads.replica=3'], /replica\b/],
    ['a typo at the top', 'envoy', [...required, 'replcas=3'], /replcas/],
    ['a port that can not be', 'atlas', ['adsPort=70000'], /adsPort/],
    ['a type of Service that there is not', 'envoy', [...required, 'service.type=Loadbalancer'], /service.type/],
    ['nothing of what is needed', 'envoy', [], /cluster.*|existingSecret/],
    ['no address', 'envoy', [...required, 'ads.addresses=null'], /addresses/],
    ['an address without a port', 'envoy', [...required, 'ads.addresses={192.0.2.1}'], /addresses/],
    ['an address with a port where none belongs', 'atlas', ['addresses={192.0.2.1:10900}'], /addresses/],
    ['mutual TLS that admits nobody', 'atlas', ['internalTls={10901}'], /clients/],
    ['mutual TLS on a port of which no client is one', 'atlas', ['internalTls={10904}', 'clients={thanos,ingress:10902}'], /clients/],
    ['an internal port that has no mutual TLS', 'atlas', ['internalTls={10903}', 'clients={thanos}'], /internalTls/],
    ['a client of a port that is not internal', 'atlas', ['clients={ingress:443}'], /clients/],
    ['a web domain that is a URL', 'atlas', ['webDomain=https://web.example'], /webDomain/],
    [
      'an ingress that anybody reaches the pages beside',
      'atlas',
      ['webDomain=web.example', 'ingress.enabled=true'],
      /networkPolicy.*pagesFrom/,
    ],
    [
      'an ingress without a host name',
      'atlas',
      ['ingress.enabled=true', 'networkPolicy.pagesFrom[0].podSelector.a=b'],
      /ingress|webDomain/,
    ],
    [
      'a route without a Gateway',
      'atlas',
      ['webDomain=web.example', 'httpRoute.enabled=true', 'networkPolicy.pagesFrom[0].podSelector.a=b'],
      /parentRefs/,
    ],
    ['a client that can not be called so', 'atlas', ['clients={paris/1}'], /clients/],
    ['plaintext that is exposed', 'atlas', ['service.clients.enabled=true', 'clients={thanos}'], /internalTls/],
    ['a key in the values', 'envoy', [...required, 'tls.key=secret'], /tls/],
  ]
  for (const [what, chart, set, said] of cases)
    for (const major of majors)
      it(`are refused by helm ${major}, which names their place: ${what}`, async () => {
        const {code, stderr} = await template({chart, set, major})
        expect(code).to.equal(1)
        expect(stderr)
          .to.match(/values don't meet the specifications of the schema/)
          .and.match(said)
      })
})

describe('objects that Atlas writes at run time', () => {
  it('are in no template: an upgrade never reverts them', async () => {
    const written = new Set([
      ...Object.values(objectNames).flatMap(name => (typeof name === 'string' ? [name] : [])),
      ...Array.from({length: SHARDS}, (_, shard) => [objectNames.identities(shard), objectNames.records(shard)]).flat(),
      ...[
        'atlas-envoy-ads',
        'atlas-envoy-values',
        'atlas-requests',
        'atlas-rotation',
        'atlas-replicas',
        'atlas-coredns',
        'atlas-alertmanagers',
      ],
    ])
    for (const release of ['atlas', 'a'])
      for (const ci of ciNames('atlas')) {
        const mine = (await objectsOf({chart: 'atlas', ci, release})).filter(({kind}) => kind === 'ConfigMap' || kind === 'Secret')
        for (const {kind, metadata} of mine) {
          expect(kind, 'no key in a release').to.equal('ConfigMap')
          expect([...written]).to.not.include(metadata.name)
          expect(metadata.name).to.not.match(/^atlas-proxies-/)
        }
      }
  })

  it('may be missing at the start of a pod: the zone is optional, the credential is not', async () => {
    const pods = podsOf(await objectsOf({chart: 'atlas', ci: 'coredns'}))
    const volumes = pods.flatMap(({spec}) => spec.volumes ?? [])
    expect(volumes.find(({configMap}) => configMap?.name === 'atlas-coredns')).to.have.nested.property('configMap.optional', true)
    const credential = volumes.find(({secret}) => secret?.secretName === 'atlas-envoy-ads')?.secret
    expect(credential).to.include({defaultMode: 0o440}).and.not.have.property('optional')
    expect(credential?.items?.map(({key}) => key)).to.deep.equal(['tls.crt', 'tls.key', 'ca.crt'])
  })
})

describe('a rollout', () => {
  const annotations = async (chart: Chart, set: readonly string[]): Promise<readonly (string | undefined)[]> =>
    podsOf(await objectsOf({chart, ci: 'default', set})).map(({metadata}) => metadata.annotations?.['checksum/config'])

  it('follows a bootstrap that changed, and nothing else', async () => {
    const checksum = async (...set: string[]) => (await annotations('envoy', set)).filter(text => text !== undefined)
    const before = await checksum()
    expect(before).to.have.length(1)
    expect(await checksum('replicas=5', 'service.type=NodePort')).to.deep.equal(before)
    expect(await checksum('ads.serverName=other')).to.not.deep.equal(before)
    expect(await checksum('maxHeapBytes=2147483648')).to.not.deep.equal(before)
  })

  it('restarts no Envoy for a new version of the chart alone', async () => {
    const [pod] = podsOf(await objectsOf({chart: 'envoy', ci: 'default'}))
    expect(JSON.stringify(pod)).to.not.include('helm.sh/chart').and.not.include('app.kubernetes.io/version')
  })
})

/** The recommended labels; a name that every kind accepts. */
function expectLabelled({kind, metadata}: KubernetesObject): void {
  const what = `${kind} ${metadata.name}`
  expect(metadata.name.length, what).to.be.at.most(63)
  expect(metadata.name, what).to.match(/^[a-z]([-a-z0-9]*[a-z0-9])?$/)
  expect(metadata.labels, what).to.include.keys(
    'app.kubernetes.io/name',
    'app.kubernetes.io/instance',
    'app.kubernetes.io/version',
    'app.kubernetes.io/managed-by',
    'helm.sh/chart',
  )
}
