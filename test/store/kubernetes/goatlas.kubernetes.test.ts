/** Objects of goatlas on a real API server: Atlas replaces each in one write, and none of goatlas's ownership marks is left. */
import {expect} from 'chai'
import {derivedOf} from '../../../src/lib/manifest/derived.js'
import type {Change} from '../../../src/lib/model/change.js'
import {parseAddress} from '../../../src/lib/model/address.js'
import {parseClusterName} from '../../../src/lib/model/names.js'
import {defaultSettings} from '../../../src/lib/model/settings.js'
import {planDerived} from '../../../src/lib/ops/derive.js'
import {knownOwners} from '../../../src/lib/ops/reconcile.js'
import type {StateStore} from '../../../src/lib/store/store.js'
import {goatlasAuthority} from '../../helpers/goatlas.js'
import {type FaultProxy, faultProxy} from '../../helpers/kubernetes/fault-proxy.js'
import {createGoatlas} from '../../helpers/kubernetes/goatlas.js'
import type {Kubernetes} from '../../helpers/kubernetes/kubernetes.js'
import {sharedKubernetes} from '../../helpers/kubernetes/shared.js'
import {testDependencies} from '../../helpers/dependencies.js'
import {rejectedBy} from '../../helpers/thrown.js'
import {openNamespace, resources} from './place.js'

interface Stored {
  readonly metadata: {
    readonly uid: string
    readonly resourceVersion: string
    readonly labels?: Readonly<Record<string, string>>
    readonly annotations?: Readonly<Record<string, string>>
    readonly ownerReferences?: readonly {readonly name: string; readonly uid: string; readonly controller?: boolean}[]
  }
  readonly spec?: {readonly selector: object; readonly ports: readonly object[]; readonly clusterIP: string}
  readonly data?: Readonly<Record<string, string>>
}

const one = parseClusterName('downstream1')
const sidecar = 'Service/downstream1-thanos-sidecar0'
const values = 'Secret/downstream1-envoy-values'

describe('store/kubernetes: objects of goatlas', () => {
  let kubernetes: Kubernetes
  let proxy: FaultProxy
  let namespace: string
  let store: StateStore

  before(async () => {
    kubernetes = await sharedKubernetes()
    proxy = await faultProxy(kubernetes)
  })
  after(async () => proxy.close())

  beforeEach(async () => {
    namespace = await kubernetes.newNamespace('takeover')
    await createGoatlas(kubernetes, namespace, goatlasAuthority({bits: 2048}))
    store = await openNamespace(proxy.kubeconfig, namespace)
    const settings = {...defaultSettings, namespace, thanosNamespace: namespace, addresses: [parseAddress('203.0.113.7')]}
    await store.commit(await store.load(), [{kind: 'settings', value: settings}])
    proxy.reset()
  })
  afterEach(() => store.close())

  const pathOf = (key: string): string => {
    const [kind = '', name = ''] = key.split('/')
    return `/api/v1/namespaces/${namespace}/${resources[kind] ?? ''}/${name}`
  }
  const stored = async (key: string): Promise<Stored> => (await kubernetes.request<Stored>('GET', pathOf(key))).body
  const patch = async (key: string, body: object): Promise<void> => {
    const {status} = await kubernetes.request('PATCH', pathOf(key), body, {contentType: 'application/strategic-merge-patch+json'})
    expect(status).to.equal(200)
  }

  /** Writes these derived objects, whether or not a proxy has acknowledged. */
  async function write(...objects: readonly string[]): Promise<void> {
    const fleet = await store.load()
    const settings = fleet.settings ?? expect.fail('no settings')
    const wanted = new Map([...knownOwners(fleet)].flatMap(owner => [...derivedOf(fleet, settings, owner)]))
    await store.commit(
      fleet,
      objects.map((object): Change => ({kind: 'derived', object, value: wanted.get(object) ?? expect.fail(`no ${object}`)})),
    )
  }

  const writesOf = (key: string): readonly string[] =>
    proxy
      .requests({path: pathOf(key)})
      .filter(({method}) => method !== 'GET')
      .map(({method}) => method)

  function expectOurs({metadata, spec}: Stored): void {
    expect(spec).to.deep.include({
      clusterIP: 'None',
      selector: {'goatlas.io/envoy': 'observability'},
      ports: [{name: 'thanos', port: 10_901, targetPort: 10_901, protocol: 'TCP'}],
    })
    expect(metadata.labels).to.deep.equal({
      'app.kubernetes.io/managed-by': 'atlas',
      'goatlas.io/format': '1',
      'goatlas.io/thanos-sidecar': 'downstream1',
    })
    expect(metadata.annotations).to.equal(undefined)
  }

  it('a Service is switched in one write: it never has both selectors', async () => {
    const [before, registration] = [await stored(sidecar), await stored('Service/downstream1')]
    await write(sidecar)
    const after = await stored(sidecar)
    expectOurs(after)
    expect(writesOf(sidecar)).to.deep.equal(['PUT'])
    expect(after.metadata.uid).to.equal(before.metadata.uid)
    expect(after.metadata.ownerReferences).to.deep.equal([
      {apiVersion: 'v1', kind: 'Service', name: 'downstream1', uid: registration.metadata.uid, controller: true, blockOwnerDeletion: false},
    ])
  })

  it('what goatlas or an operator puts back is removed again, and then nothing is left to do', async () => {
    const {metadata, spec} = await stored(sidecar)
    await write(sidecar)
    for (const meddling of [
      {metadata: {labels: metadata.labels, annotations: metadata.annotations}},
      {spec: {selector: spec?.selector}},
      {spec: {ports: spec?.ports}},
      {metadata: {annotations: metadata.annotations}, spec: {selector: spec?.selector, ports: spec?.ports}},
      {metadata: {labels: {'app.kubernetes.io/managed-by': 'Helm'}}},
    ]) {
      await patch(sidecar, meddling)
      proxy.reset()
      await write(sidecar)
      expect(writesOf(sidecar)).to.deep.equal(['PUT'])
      expectOurs(await stored(sidecar))
      const {resourceVersion} = (await stored(sidecar)).metadata
      proxy.reset()
      await write(sidecar)
      expect(writesOf(sidecar)).to.deep.equal([])
      expect((await stored(sidecar)).metadata.resourceVersion).to.equal(resourceVersion)
    }
  })

  it('values: the keys of the fleet are removed, also their copy in the annotation of goatlas', async () => {
    const before = await stored(values)
    await patch(values, {metadata: {labels: {team: 'metrics'}, annotations: {'example.com/note': 'kept'}}, stringData: {notes: 'kept'}})
    await write(values)
    const {metadata, data} = await stored(values)
    expect(before.metadata.annotations).to.have.property('objectset.rio.cattle.io/applied')
    expect(metadata.annotations).to.deep.equal({'example.com/note': 'kept'})
    expect(metadata.labels).to.deep.equal({team: 'metrics', 'app.kubernetes.io/managed-by': 'atlas', 'goatlas.io/format': '1'})
    expect(Object.keys(data ?? {})).to.have.members(['values.yaml', 'notes'])
    expect(Buffer.from(data?.['values.yaml'] ?? '', 'base64').toString()).to.contain('existingSecret: downstream1-envoy-ads')
  })

  it('a zone of the same name is written, and the Corefile beside it stays', async () => {
    const {data} = await stored('ConfigMap/atlas-atlas-coredns')
    const labels = {'app.kubernetes.io/managed-by': 'Helm', 'objectset.rio.cattle.io/hash': '5a1c'}
    const path = `/api/v1/namespaces/${namespace}/configmaps`
    await kubernetes.request('POST', path, {metadata: {name: 'atlas-coredns', labels}, data})
    const fleet = await store.load()
    const settings = fleet.settings ?? expect.fail('no settings')
    const {written} = planDerived(fleet, settings, {owners: [], withEndpoints: true}, testDependencies())
    await store.commit(fleet, written)
    const after = await stored('ConfigMap/atlas-coredns')
    expect(after.data?.['Corefile']).to.equal(data?.['Corefile'])
    expect(after.data?.['atlas.zone']).to.contain('_thanos._tcp.sidecars.thanos.atlas. 60 IN SRV 10 100 10901 downstream1-thanos-sidecar0.')
    expect(after.metadata.labels).to.deep.equal({'app.kubernetes.io/managed-by': 'atlas', 'goatlas.io/format': '1'})
    const reloaded = await store.load()
    expect(planDerived(reloaded, settings, {owners: [], withEndpoints: true}, testDependencies()).written).to.deep.equal([])
    // Where nothing is to read the zone, its ConfigMap is deleted, but not with what another writer has put there.
    const {removed} = planDerived(reloaded, settings, {owners: [], withEndpoints: true, withZone: false}, testDependencies())
    expect(removed).to.have.length(1)
    expect((await rejectedBy(store.commit(reloaded, removed))).message).to.equal(
      'ConfigMap "atlas-coredns" is not deleted: beside the zone it holds "Corefile"',
    )
    expect((await stored('ConfigMap/atlas-coredns')).data).to.deep.equal(after.data)
  })

  it('a Service without a registration becomes no owner', async () => {
    const path = `/api/v1/namespaces/${namespace}/services`
    // or the garbage collector would delete it
    await patch(values, {metadata: {ownerReferences: null}})
    await kubernetes.request('DELETE', `${path}/${one}`)
    for (const name of ['atlas', one]) await kubernetes.request('POST', path, {metadata: {name}, spec: {ports: [{port: 80}]}})
    await write('Secret/atlas-envoy-values')
    expect((await stored('Secret/atlas-envoy-values')).metadata.ownerReferences).to.equal(undefined)
    const fleet = await store.load()
    await store.commit(fleet, [{kind: 'derived', object: values, value: fleet.derived.get('Secret/atlas-envoy-values')}])
    expect((await stored(values)).metadata.ownerReferences).to.equal(undefined)
  })
})
