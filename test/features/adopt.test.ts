/** Taking over a 2021 installation, through a store: `init` on the objects that program left, and what follows. */
import {expect} from 'chai'
import {encodeOnto} from '../../src/lib/manifest/encode.js'
import {type Manifest, keyOf} from '../../src/lib/manifest/manifest.js'
import {valuesOf} from '../../src/lib/manifest/values.js'
import {parseYaml, renderYaml} from '../../src/lib/manifest/yaml.js'
import {renderZone} from '../../src/lib/manifest/zone.js'
import {parseAddresses} from '../../src/lib/model/address.js'
import type {Fleet} from '../../src/lib/model/fleet.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import {defaultSettings} from '../../src/lib/model/settings.js'
import {defaultStack, targetsOf} from '../../src/lib/model/stack.js'
import {addCluster} from '../../src/lib/ops/cluster/add.js'
import {remarksOn} from '../../src/lib/ops/goatlas/remarks.js'
import {type InitResult, init} from '../../src/lib/ops/init.js'
import {planReconcile, reconcile} from '../../src/lib/ops/reconcile.js'
import {cryptoSigner} from '../../src/lib/pki/signer.js'
import {parseCertificates} from '../../src/lib/pki/pem.js'
import {readKey} from '../../src/lib/pki/read.js'
import {type MemoryStore, memoryStore} from '../helpers/memory-store.js'
import {type GoatlasAuthority, goatlasAuthority} from '../helpers/goatlas.js'
import {goatlasObjects, goatlasZone} from '../helpers/goatlas-objects.js'
import {rejectedBy} from '../helpers/thrown.js'
import {endpointsIn} from '../helpers/zone.js'
import {readCertificate} from '../helpers/pki.js'

const at = (time: string) => ({now: () => new Date(time), signer: cryptoSigner})
const dependencies = at('2026-11-24T12:00:00Z')
const choices = {addresses: parseAddresses('203.0.113.7')}
const [first, second, third] = ['downstream1', 'downstream2', 'downstream3'].map(name => parseClusterName(name)) as [
  ReturnType<typeof parseClusterName>,
  ReturnType<typeof parseClusterName>,
  ReturnType<typeof parseClusterName>,
]

describe('taking over a 2021 installation', function () {
  this.timeout(120_000)
  let goatlas: GoatlasAuthority
  before(() => {
    goatlas = goatlasAuthority()
  })

  function namespaceWith(...more: readonly Manifest[]): MemoryStore {
    const store = memoryStore()
    for (const manifest of [...goatlasObjects(goatlas), ...more]) store.put(keyOf(manifest), manifest)
    return store
  }

  async function adopted(store = namespaceWith()): Promise<{store: MemoryStore; fleet: Fleet; result: InitResult}> {
    const result = await init(store, choices, dependencies)
    return {store, result, fleet: await store.load()}
  }

  const rootOf = (fleet: Fleet): string => fleet.authority.get('root')?.certificate ?? expect.fail('there is no root')

  it('lists what it takes over, and what operators should look at', async () => {
    const {result} = await adopted()
    expect(result.created).to.equal(false)
    expect(result.adopted).to.deep.equal({
      root: {subject: 'C=US, O=goatlas.io, OU=Atlas, L=Washington, ST=DC', notAfter: '2031-10-30T12:00:00.000Z'},
      clusters: [first, second, third],
      assumed: [second],
      unread: [],
    })
    expect(result.settings).to.include({namespace: 'monitoring', thanosNamespace: 'monitoring'})
  })

  it('says nothing of what that program let pass', async () => {
    const {fleet} = await adopted()
    const cluster = fleet.registrations.get(third) ?? expect.fail('it is not registered')
    expect(cluster.remarksOf2021).to.have.length(2)
    expect(remarksOn(fleet, cluster)).to.deep.equal([])
    expect(remarksOn({...fleet, trust: undefined}, cluster)).to.have.length(2)
  })

  it('a dry run lists the same and writes nothing', async () => {
    const store = namespaceWith()
    const objects = goatlasObjects(goatlas)
    const {adopted: would, changes} = await init(store, choices, dependencies, {dryRun: true})
    expect(would).to.deep.equal((await adopted()).result.adopted)
    expect(changes.map(({kind}) => kind)).to.include.members(['authority', 'settings', 'trust', 'credential'])
    for (const manifest of objects) expect(store.get(keyOf(manifest))).to.deep.equal(manifest)
    expect(store.get('ConfigMap/atlas-fleet')).to.equal(undefined)
  })

  it('run again it changes nothing', async () => {
    const {store, fleet} = await adopted()
    const again = await init(store, {}, dependencies)
    expect(again).to.deep.include({changes: [], created: false})
    expect(again).not.to.have.property('adopted')
    expect(rootOf(await store.load())).to.equal(rootOf(fleet))
  })

  it('the root keeps key and name; the old certificate stays behind the new one, and both are in the trust bundle, the old one first', async () => {
    const {store, fleet} = await adopted()
    const [renewed, old] = parseCertificates(rootOf(fleet)).map(String)
    expect(old).to.equal(String(parseCertificates(goatlas.ca.certificate)[0]))
    expect(fleet.trust?.roots).to.deep.equal([old, renewed])
    expect(fleet.authority.get('root')?.key.reveal()).to.equal(goatlas.ca.key.reveal())
    for (const owner of ['atlas', first, second, third] as const)
      expect(fleet.credentials.get(owner)?.roots, owner).to.equal(`${old ?? ''}${renewed ?? ''}`)
    expect(store.get('Secret/atlas-ca')).to.include({type: 'Opaque'})
  })

  it('a lost trust bundle is written again with both roots', async () => {
    const {store, fleet} = await adopted()
    store.put('ConfigMap/atlas-trust-bundle', undefined)
    expect((await reconcile(store, dependencies)).trust?.roots).to.deep.equal(fleet.trust?.roots)
  })

  it('only certificates with the key and name of the root are trusted, whatever else its file holds', async () => {
    const {store, fleet} = await adopted()
    const foreign = goatlasAuthority({bits: 2048})
    const secret = store.get('Secret/atlas-ca')
    const file = Buffer.from(`${rootOf(fleet)}${foreign.ca.certificate}${goatlas.client.certificate}`).toString('base64')
    store.put('Secret/atlas-ca', {...secret, data: {...secret?.data, 'ca.pem': file}})
    store.put('ConfigMap/atlas-trust-bundle', undefined)
    expect((await reconcile(store, dependencies)).trust?.roots).to.deep.equal(fleet.trust?.roots)
  })

  it('D9: a root that the 2021 program has replaced comes into no bundle', async () => {
    const earlier = goatlasAuthority({bits: 2048})
    const store = namespaceWith()
    const secret = store.get('Secret/atlas-ca')
    const kept = Buffer.from(earlier.ca.certificate).toString('base64')
    store.put('Secret/atlas-ca', {...secret, data: {...secret?.data, 'ca-1600000000.pem': kept}})
    const {fleet} = await adopted(store)
    expect(fleet.trust?.roots).to.have.length(2)
    expect(store.get('Secret/atlas-ca')?.data).to.include({'ca-1600000000.pem': kept})
  })

  it('the 2021 marks of ownership are removed from objects that Atlas writes, its other labels are kept', async () => {
    const {store} = await adopted()
    const written = store.get('Secret/atlas-ca')
    expect(JSON.stringify(written?.metadata)).not.to.contain('objectset')
    expect(written?.metadata.labels).to.include({
      'goatlas.io/ca': 'true',
      'goatlas.io/ca-revision': '1',
      'app.kubernetes.io/managed-by': 'atlas',
    })
  })

  it('registrations stay as they are, in every byte', async () => {
    const {store, fleet} = await adopted()
    for (const manifest of goatlasObjects(goatlas, ['registrations'])) expect(store.get(keyOf(manifest))).to.deep.equal(manifest)
    const {registrations} = fleet
    expect([...registrations.values()].map(({name, replicas}) => [name, replicas])).to.deep.equal([
      [first, 1],
      [second, 2],
      [third, 1],
    ])
    expect(registrations.get(first)?.addresses.map(({host}) => host)).to.deep.equal(['1.1.1.1'])
    expect(registrations.get(third)?.addresses.map(({host}) => host)).to.deep.equal(['198.51.100.3', '198.51.100.33'])
    expect(registrations.get(third)?.services.thanos).to.deep.equal({host: 'thanos.metrics.svc.cluster.local', port: 10_901})
  })

  it('one replica is expected where the 2021 program expected it; several have an address each (D20)', async () => {
    const {fleet} = await adopted()
    const hostOf = (name: typeof first): string | undefined => fleet.registrations.get(name)?.services.thanos.host
    expect(hostOf(first)).to.equal('prometheus-operated.monitoring.svc.cluster.local')
    expect(hostOf(second)).to.contain('{replica}')
  })

  it('every cluster has identity, credential, endpoint, and its records in the zone', async () => {
    const {fleet} = await adopted()
    expect([...fleet.identities.keys()]).to.have.members(['atlas', first, second, third])
    expect([...fleet.credentials.keys()]).to.have.members(['atlas', first, second, third])
    const zone = renderZone(fleet, goatlasZone, dependencies.now())
    for (const name of ['_thanos._tcp.sidecars.thanos.atlas.', '_grpc._tcp.sidecars.thanos.atlas.'])
      expect(endpointsIn(zone, name)).to.include.members([...endpointsIn(goatlasZone, name)])
    for (const endpoint of endpointsIn(zone, '_thanos._tcp.sidecars.thanos.atlas.')) expect(fleet.endpoints?.text).to.contain(endpoint)
  })

  it('changed by cluster add, a registration states every setting, and keeps labels and annotations of others', async () => {
    const {store} = await adopted()
    const request = {replicas: 2, services: targetsOf({...defaultStack, release: 'prometheus'})}
    await addCluster(store, second, {request, defaults: targetsOf(defaultStack)}, dependencies)
    await addCluster(store, third, {request: {groups: ['edge']}, defaults: targetsOf(defaultStack)}, dependencies)
    const [was, is] = [goatlasObjects(goatlas, ['registrations'])[2], store.get(`Service/${third}`)]
    expect(is?.metadata.labels).to.include({
      team: 'metrics',
      'goatlas.io/cluster': third,
      'goatlas.io/replicas': '1',
      'goatlas.io/format': '1',
    })
    expect(is?.metadata.annotations).to.include({...was?.metadata.annotations, 'goatlas.io/addresses': '198.51.100.3,198.51.100.33'})
    expect(is?.spec).to.deep.equal(was?.spec)
    expect((await store.load()).registrations.get(second)?.services.thanos.host).to.match(
      /^prometheus-prometheus-kube-prometheus-\w+-\{replica}\./,
    )
  })

  it('resumes after a crash anywhere, with one new root', async () => {
    const dry = await init(namespaceWith(), choices, dependencies, {dryRun: true})
    for (let cut = 0; cut <= dry.changes.length; cut += 3) {
      const store = namespaceWith()
      await store.commit(await store.load(), dry.changes.slice(0, cut))
      await init(store, choices, dependencies)
      const fleet = await store.load()
      expect(planReconcile(fleet, dependencies), `cut at ${cut}`).to.deep.equal([])
      expect(fleet.trust?.roots, `cut at ${cut}`).to.have.length(2)
      expect(fleet.settings?.namespace, `cut at ${cut}`).to.equal('monitoring')
    }
  })

  it('a server signs nothing with the 2021 root before init has adopted it; afterwards it does', async () => {
    const store = namespaceWith()
    await store.commit(await store.load(), [{kind: 'settings', value: {...defaultSettings, ...choices, namespace: 'monitoring'}}])
    const before = await reconcile(store, dependencies)
    expect(before.trust).to.equal(undefined)
    expect(before.identities.size + before.credentials.size).to.equal(0)
    const {adopted: taken} = await init(store, {}, dependencies)
    expect(taken?.clusters).to.have.length(3)
    const fleet = await store.load()
    expect(fleet.trust?.roots).to.have.length(2)
    expect(planReconcile(fleet, dependencies)).to.deep.equal([])
  })

  it('a root that has ended, or is broken, is not adopted, and nothing is written', async () => {
    const store = namespaceWith()
    const late = await rejectedBy(init(store, choices, at('2031-11-01T00:00:00Z')))
    expect(late.message).to.contain('Secret atlas-ca').and.to.contain('ended on 2031-10-30')
    expect(store.get('ConfigMap/atlas-fleet')).to.equal(undefined)
    const secret = store.get('Secret/atlas-ca')
    store.put('Secret/atlas-ca', {...secret, data: {...secret?.data, 'ca-key.pem': Buffer.from('nothing').toString('base64')}})
    expect((await rejectedBy(init(store, choices, dependencies))).message).to.contain('Secret/atlas-ca')
    expect(store.get('ConfigMap/atlas-fleet')).to.equal(undefined)
  })

  describe('the defects of that program, on what it left', () => {
    const service = (
      name: string,
      metadata: Partial<Manifest['metadata']> = {},
      spec: Manifest['spec'] = {clusterIP: 'None'},
    ): Manifest => ({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: {name, namespace: 'monitoring', labels: {'goatlas.io/cluster': 'true'}, ...metadata},
      spec,
    })
    const served = async (...more: readonly Manifest[]): Promise<Fleet> => (await adopted(namespaceWith(...more))).fleet

    it('D16: nothing assumes the namespace "monitoring", nor a cluster domain', async () => {
      const objects = goatlasObjects(goatlas).map(manifest => ({...manifest, metadata: {...manifest.metadata, namespace: 'observing'}}))
      const store = memoryStore()
      for (const manifest of objects) store.put(keyOf(manifest), manifest)
      await init(store, {...choices, namespace: 'observing', clusterDomain: 'corp.example'}, dependencies)
      const fleet = await store.load()
      const host = 'downstream1-thanos-sidecar0.observing.svc.corp.example'
      expect(fleet.endpoints?.text).to.contain(`${host}:10901`)
      expect(renderZone(fleet, goatlasZone, dependencies.now()))
        .to.contain(`${host}.`)
        .and.not.to.contain('monitoring')
      expect(readKey(fleet.identities.get('atlas') ?? expect.fail('no identity')).dns).to.include('*.observing.svc.corp.example')
      expect(store.get('ConfigMap/atlas-fleet')?.metadata.namespace).to.equal('observing')
    })

    it('D17: a registration that cluster add makes has a name', async () => {
      const {fleet} = await adopted()
      const made = encodeOnto(undefined, {kind: 'registration', name: first, value: fleet.registrations.get(first)}, 'monitoring')
      expect(made?.metadata).to.deep.include({name: first, namespace: 'monitoring'})
    })

    it('D18: without externalIPs a cluster is pending, a malformed selector is ignored, and all others are served', async () => {
      const fleet = await served(
        service('bare'),
        service('empty', {}, {clusterIP: 'None', externalIPs: []}),
        service('odd', {annotations: {'goatlas.io/envoy-selectors': 'app,,release=a=b'}}, {externalIPs: ['198.51.100.9']}),
      )
      for (const name of ['bare', 'empty']) expect(fleet.registrations.get(parseClusterName(name))?.addresses, name).to.deep.equal([])
      expect(fleet.registrations.get(parseClusterName('odd'))?.addresses).to.have.length(1)
      expect(fleet.faults.size).to.equal(0)
      expect(fleet.identities.has(third)).to.equal(true)
    })

    it('D19: a cluster called "atlas" is refused by name, and takes nothing from the observability cluster', async () => {
      const fleet = await served(service('atlas', {}, {externalIPs: ['198.51.100.9']}))
      expect(fleet.faults.get('object/Service/atlas')?.message).to.contain('observability cluster')
      expect(readKey(fleet.identities.get('atlas') ?? expect.fail('no identity')).uris).to.deep.equal([
        'spiffe://atlas.internal/observability',
      ])
      expect(fleet.registrations.has('atlas' as typeof first)).to.equal(false)
    })

    it('D22: a broken cluster affects no other, whatever its place in the order', async () => {
      const broken = ['aaa', 'downstream2', 'zzz'].map(name => service(name, {}, {externalIPs: ['not an address']}))
      const {store, fleet, result} = await adopted(namespaceWith(...broken))
      expect(result.adopted?.clusters).to.deep.equal([first, third])
      expect(result.adopted?.unread.map(({object}) => object)).to.have.members(['Service/aaa', 'Service/downstream2', 'Service/zzz'])
      for (const name of [first, third]) expect(fleet.credentials.has(name)).to.equal(true)
      expect(endpointsIn(renderZone(fleet, goatlasZone, dependencies.now()), '_thanos._tcp.sidecars.thanos.atlas.')).to.have.length(4)
      expect(store.get(`Service/${second}`)).to.deep.equal(broken[1])
    })

    it('D20: two replicas behind one address are not taken over in silence', async () => {
      const two = service(
        'downstream2',
        {labels: {'goatlas.io/cluster': '', 'goatlas.io/replicas': '2'}, annotations: {'goatlas.io/thanos-service': 'thanos.metrics.svc'}},
        {externalIPs: ['198.51.100.2']},
      )
      const {result} = await adopted(namespaceWith(two))
      expect(result.adopted?.unread.map(({message}) => message).join()).to.contain('is the same for all of them')
    })

    it('D23: removing the label suspends the cluster at once, and takes it out of zone and endpoints', async () => {
      const {store} = await adopted()
      const {labels: _, ...unlabelled} = goatlasObjects(goatlas, ['registrations'])[0]?.metadata ?? expect.fail('no fixture')
      store.put(`Service/${first}`, {...store.get(`Service/${first}`), metadata: unlabelled})
      const fleet = await reconcile(store, dependencies)
      expect(fleet.records.get(first)?.suspendedSince).to.equal('2026-11-24T12:00:00.000Z')
      for (const text of [fleet.endpoints?.text, renderZone(fleet, goatlasZone, dependencies.now())]) expect(text).not.to.contain(first)
    })

    it('D23: no number of Alertmanagers is frozen into values', async () => {
      const {fleet} = await adopted()
      expect(JSON.stringify(valuesOf(fleet.settings ?? defaultSettings, first))).not.to.match(/alertmanager/i)
    })

    it('D31: the values of the observability cluster are YAML, and hold the address and the name of the ADS server, over TLS', async () => {
      const {fleet} = await adopted()
      const settings = fleet.settings ?? expect.fail('no settings')
      const values = valuesOf(settings, 'atlas')
      expect(parseYaml(renderYaml(values))).to.deep.equal(values)
      expect(values).to.deep.include({
        existingSecret: 'atlas-envoy-ads',
        ads: {
          addresses: ['atlas-ads.monitoring.svc.cluster.local:6305'],
          serverName: 'ads.atlas.internal',
          serverUri: 'spiffe://atlas.internal/ads',
        },
      })
    })

    it('D31: the annotations for ports are read, and so is that for Alertmanager', async () => {
      const annotations = {
        'goatlas.io/thanos-service-port': '20901',
        'goatlas.io/prometheus-service-port': '20090',
        'goatlas.io/alertmanager-service': 'alertmanager.metrics.svc.cluster.local',
        'goatlas.io/alertmanager-service-port': '20093',
      }
      const fleet = await served(service('ported', {annotations}, {externalIPs: ['198.51.100.9']}))
      const {thanos, prometheus, alertmanager} = fleet.registrations.get(parseClusterName('ported'))?.services ?? expect.fail('not read')
      expect([thanos.port, prometheus.port]).to.deep.equal([20_901, 20_090])
      expect(alertmanager).to.deep.equal({host: 'alertmanager.metrics.svc.cluster.local', port: 20_093})
    })

    it('D13: certificates made within a second have serials of their own, the re-issued root too', async () => {
      const {fleet} = await adopted()
      const keys = [...fleet.identities.values(), ...fleet.credentials.values(), ...fleet.authority.values()]
      const serials = keys.map(key => readKey(key).serial)
      expect(new Set(serials).size).to.equal(serials.length)
      expect(fleet.trust?.issuers.map(issuer => readCertificate(issuer).issuer)).to.deep.equal([
        'C=US, O=goatlas.io, OU=Atlas, L=Washington, ST=DC',
      ])
    })
  })
})
