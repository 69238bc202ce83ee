/** Writes to a real API server: on condition of the known version, by force for derived objects, and past objects that are refused. */
import {expect} from 'chai'
import {type Change, reduceAll} from '../../../src/lib/model/change.js'
import {parseAddress} from '../../../src/lib/model/address.js'
import type {AtlasError} from '../../../src/lib/model/errors.js'
import {type Fleet, emptyFleet} from '../../../src/lib/model/fleet.js'
import {reconcile} from '../../../src/lib/ops/reconcile.js'
import {openAccess} from '../../../src/lib/store/kubernetes/access.js'
import {openClient} from '../../../src/lib/store/kubernetes/client.js'
import {writeObject} from '../../../src/lib/store/kubernetes/writer.js'
import {RefusedCommit} from '../../../src/lib/store/commit.js'
import type {StateStore} from '../../../src/lib/store/store.js'
import {changesOf} from '../../helpers/fleet-changes.js'
import {testCluster} from '../../helpers/fleet.js'
import type {Seen} from '../../helpers/kubernetes/fault-proxy.js'
import {rejectedBy} from '../../helpers/thrown.js'
import {type TestDependencies, testFleet, testSettings, testDependencies} from '../../helpers/dependencies.js'
import {sleep, until} from '../recorder.js'
import {openNamespace} from './place.js'
import {type StoredAs, stageOf} from './stage.js'

const registered = (name: string, address = '198.51.100.4'): Change => {
  const cluster = testCluster(name, {addresses: [parseAddress(address)]})
  return {kind: 'registration', name: cluster.name, value: cluster}
}

describe('store/kubernetes: writes', () => {
  const stage = stageOf()
  let dependencies: TestDependencies
  let store: StateStore

  /** An initialised namespace with these clusters registered, and nothing issued yet. */
  async function begin(names: readonly string[]): Promise<void> {
    dependencies = testDependencies()
    const settings = {...testSettings, namespace: stage.namespace, thanosNamespace: stage.namespace}
    const direct = await openNamespace(stage.kubernetes.kubeconfig, stage.namespace)
    await direct.commit(await direct.load(), [...changesOf(testFleet(dependencies, [], settings)), ...names.map(name => registered(name))])
    direct.close()
    store = await stage.open()
  }

  const version = async (resource: string, name: string): Promise<string | undefined> =>
    (await stage.get(resource, name))?.metadata.resourceVersion
  const patch = async (resource: string, name: string, body: object): Promise<StoredAs> => {
    const options = {contentType: 'application/merge-patch+json'}
    const {status, body: after} = await stage.kubernetes.request<StoredAs>('PATCH', stage.path(resource, name), body, options)
    expect(status).to.equal(200)
    return after
  }
  const isWhole = (fleet: Fleet, name: string): boolean =>
    [fleet.records, fleet.identities, fleet.credentials].every(held => (held as ReadonlyMap<string, unknown>).has(name)) &&
    fleet.derived.has(`Service/${name}-thanos-sidecar0`) &&
    fleet.derived.has(`Secret/${name}-envoy-values`)

  it('a store without derived objects reads all registrations, and neither Services of sidecars nor the zone', async () => {
    await begin(['paris', 'rome'])
    await reconcile(store, dependencies)
    const all = await store.load()
    expect(isWhole(all, 'paris')).to.equal(true)
    const lean = await openNamespace(stage.kubernetes.kubeconfig, stage.namespace, {withDerived: false})
    const read = await lean.load()
    lean.close()
    expect(read.registrations).to.deep.equal(all.registrations)
    expect(all.derived.size).to.be.greaterThan(4)
    expect([...read.derived.keys()].filter(key => !key.startsWith('Secret/'))).to.deep.equal([])
  })

  it('writes sixteen objects at a time; a refused object delays only its owner, and is written later', async () => {
    const names = Array.from({length: 24}, (_, index) => `c-${index}`)
    await begin(names)
    let [open, most, waiting] = [0, 0, 0]
    // Credentials wait for each other: on a slow machine they come one by one.
    const {promise: together, resolve: release} = Promise.withResolvers<undefined>()
    const refusal = {
      message: 'secrets "c-7-envoy-ads" is forbidden: admission webhook "keys.example.net" denied the request: not on Mondays',
    }
    stage.proxy.play(async seen => {
      if (seen.method === 'GET') return undefined
      // Answered at once, and followed by another one.
      if (seen.body.includes('"c-7-envoy-ads"')) return {kind: 'answer', status: 403, body: {kind: 'Status', code: 403, ...refusal}}
      open += 1
      most = Math.max(most, open)
      if (/"c-\d+-envoy-ads"/.test(seen.body)) {
        waiting += 1
        if (waiting === 1) setTimeout(() => release(undefined), 20_000).unref()
        if (waiting === 15) void sleep(50).then(() => release(undefined))
        await together
      }

      setTimeout(() => (open -= 1), 40)
      return {kind: 'delay', ms: 50}
    })
    const error = await rejectedBy(reconcile(store, dependencies))
    expect(error).to.be.instanceOf(RefusedCommit)
    expect(error.message).to.match(
      /can't create secrets "c-7-envoy-ads" in namespace .*: the API server refused it: .*"keys\.example\.net" denied the request: not on Mondays/,
    )
    expect(most).to.be.within(8, 16)
    const fleet = await (await stage.open()).load()
    for (const name of names) expect(isWhole(fleet, name), name).to.equal(name !== 'c-7')
    expect(fleet.endpoints?.text).to.include('c-0-').and.include('c-23-')
    stage.proxy.play()
    const after = await reconcile(await stage.open(), dependencies)
    expect(names.every(name => isWhole(after, name))).to.equal(true)
    stage.proxy.reset()
    await reconcile(await stage.open(), dependencies)
    expect(
      stage.proxy.requests().filter(({method}) => method !== 'GET'),
      'nothing is written when nothing changed',
    ).to.deep.equal([])
  })

  it('loses every race in good order: what another writer has created, changed or deleted meanwhile stays', async () => {
    await begin(['paris', 'lyon', 'rome'])
    const fleet = await store.load()
    const conflict = async (change: Change, meddle: (seen: Seen) => Promise<unknown>): Promise<string> => {
      let isDone = false
      stage.proxy.play(async seen => {
        if (seen.method !== 'GET' && !isDone) {
          isDone = true
          await meddle(seen)
        }

        return undefined
      })
      const error = await rejectedBy(store.commit(fleet, [change]))
      expect([error.code, isDone]).to.deep.equal(['conflict', true])
      return error.message
    }

    // Create: another writer was faster.
    const made = {apiVersion: 'v1', metadata: {name: 'berlin'}, spec: {clusterIP: 'None'}}
    expect(await conflict(registered('berlin'), async () => stage.kubernetes.request('POST', stage.path('services'), made))).to.match(
      /can't create services "berlin" .*: it exists already/,
    )
    expect((await stage.get('services', 'berlin'))?.metadata.labels).to.equal(undefined)
    // Replace: another writer has changed it, or deleted it.
    await conflict(registered('paris', '10.0.0.1'), async () => stage.move('paris', '10.9.9.9'))
    expect((await stage.get('services', 'paris'))?.metadata.annotations).to.include({'goatlas.io/addresses': '10.9.9.9'})
    expect(await conflict(registered('rome', '10.0.0.1'), async () => stage.remove('services', 'rome'))).to.match(
      /another writer has changed it/,
    )
    expect(await stage.get('services', 'rome')).to.equal(undefined)
    // Delete: another writer has changed it, or deleted it already, which is as good.
    const gone: Change = {kind: 'registration', name: testCluster('lyon').name, value: undefined}
    await conflict(gone, async () => stage.move('lyon', '10.9.9.9'))
    expect((await stage.get('services', 'lyon'))?.metadata.annotations).to.include({'goatlas.io/addresses': '10.9.9.9'})
    const fresh = await store.load()
    stage.proxy.play(async ({method}) => {
      if (method === 'DELETE') await stage.remove('services', 'lyon')
      return undefined
    })
    await store.commit(fresh, [gone])
    // Apply: another writer has changed it.
    stage.proxy.play()
    await reconcile(store, dependencies)
    const values: Change = {kind: 'derived', object: 'Secret/paris-envoy-values', value: '{"labels":{},"text":"other"}'}
    const held = await store.load()
    stage.proxy.play(async ({method}) => {
      if (method === 'PATCH') await patch('secrets', 'paris-envoy-values', {metadata: {annotations: {note: 'of a stranger'}}})
      return undefined
    })
    expect((await rejectedBy(store.commit(held, [values]))).code).to.equal('conflict')
    expect((await stage.get('secrets', 'paris-envoy-values'))?.metadata.annotations).to.deep.equal({note: 'of a stranger'})
  })

  it('repairs its own fields of an object, keeps those of other programs, and sets the owner', async () => {
    await begin(['paris'])
    await reconcile(store, dependencies)
    const [sidecar, registration] = [await stage.get('services', 'paris-thanos-sidecar0'), await stage.get('services', 'paris')]
    const managers = sidecar?.metadata.managedFields?.map(({manager, operation}) => `${manager} ${operation}`)
    expect(managers).to.deep.equal(['atlas-controller Apply'])
    expect(sidecar?.metadata.ownerReferences?.map(({uid}) => uid)).to.deep.equal([registration?.metadata.uid])
    await patch('services', 'paris-thanos-sidecar0', {
      metadata: {annotations: {note: 'of a stranger'}, labels: {team: 'green', 'goatlas.io/format': null}},
      spec: {
        publishNotReadyAddresses: true,
        selector: {app: 'elsewhere', 'goatlas.io/envoy': 'none'},
        ports: [
          {name: 'thanos', port: 10_901, targetPort: 1},
          {name: 'more', port: 9, targetPort: 9},
        ],
      },
    })
    await patch('secrets', 'paris-envoy-values', {data: {'values.yaml': 'Z2FyYmFnZQ==', mine: 'bWluZQ=='}})
    await patch('configmaps', 'atlas-coredns', {data: {'atlas.zone': 'garbage', Corefile: '. {}'}})
    const zone = (await stage.get('configmaps', 'atlas-coredns'))?.metadata.resourceVersion
    await reconcile(await stage.open(), dependencies)
    const after = await stage.get('services', 'paris-thanos-sidecar0')
    expect(after?.spec).to.deep.include({publishNotReadyAddresses: true, selector: {'goatlas.io/envoy': 'observability'}})
    expect(after?.spec?.['ports']).to.deep.equal([{name: 'thanos', port: 10_901, targetPort: 10_901, protocol: 'TCP'}])
    expect(after?.metadata.annotations).to.deep.equal({note: 'of a stranger'})
    expect(after?.metadata.labels).to.include({team: 'green', 'goatlas.io/format': '1'})
    const values = (await stage.get('secrets', 'paris-envoy-values'))?.data
    expect(Buffer.from(values?.['values.yaml'] ?? '', 'base64').toString()).to.include('cluster: paris')
    expect(values?.['mine']).to.equal('bWluZQ==')
    const map = await stage.get('configmaps', 'atlas-coredns')
    expect(map?.data?.['atlas.zone']).to.include('paris-thanos-sidecar0')
    expect(map?.data?.['Corefile']).to.equal('. {}')
    expect(map?.metadata.resourceVersion).not.to.equal(zone)
  })

  it('takes over no Service of another program: that cluster waits and is named, the others do not', async () => {
    const theirs = {metadata: {name: 'paris-thanos-sidecar0'}, spec: {selector: {app: 'theirs'}, ports: [{port: 80}]}}
    await begin(['paris', 'lyon'])
    await stage.kubernetes.request('POST', stage.path('services'), theirs)
    const before = await version('services', 'paris-thanos-sidecar0')
    const error = await rejectedBy(reconcile(store, dependencies))
    expect(error.message).to.equal('Service "paris-thanos-sidecar0" is there already and belongs to another program')
    expect(error.hint).to.include('rename that Service, or the cluster')
    const fleet = await (await stage.open()).load()
    expect([isWhole(fleet, 'lyon'), fleet.credentials.has(testCluster('paris').name)]).to.deep.equal([true, true])
    expect(await version('services', 'paris-thanos-sidecar0')).to.equal(before)
  })

  it('leaves an object that is being deleted: it is created again afterwards, and such a registration counts as deleted', async () => {
    const hold = {metadata: {finalizers: ['example.net/hold']}}
    await begin(['paris', 'lyon'])
    await reconcile(store, dependencies)
    await patch('services', 'paris-thanos-sidecar0', hold)
    await stage.remove('services', 'paris-thanos-sidecar0')
    stage.proxy.reset()
    await reconcile(await stage.open(), dependencies)
    expect(stage.proxy.requests().filter(({method}) => method !== 'GET')).to.deep.equal([])
    const going = await stage.get('services', 'paris-thanos-sidecar0')
    await patch('services', 'paris-thanos-sidecar0', {metadata: {finalizers: null}})
    await reconcile(await stage.open(), dependencies)
    const again = await stage.get('services', 'paris-thanos-sidecar0')
    expect(again?.metadata.uid).not.to.be.oneOf([undefined, going?.metadata.uid])

    await patch('services', 'lyon', hold)
    await stage.remove('services', 'lyon')
    const fleet = await reconcile(await stage.open(), dependencies)
    const lyon = testCluster('lyon').name
    expect([fleet.registrations.has(lyon), fleet.records.get(lyon)?.suspendedSince]).to.deep.equal([
      false,
      dependencies.now().toISOString(),
    ])
    const error = await rejectedBy(store.commit(await store.load(), [registered('lyon', '10.0.0.1')]))
    expect([error.code, error.message]).to.deep.equal([
      'failed',
      'Service "lyon" is being deleted, and what is written into it would be lost',
    ])
    expect(error.hint).to.include('example.net/hold')
    await patch('services', 'lyon', {metadata: {finalizers: null}})
    await store.commit(await store.load(), [registered('lyon', '10.0.0.1')])
    expect((await reconcile(await stage.open(), dependencies)).records.get(lyon)?.suspendedSince).to.equal(undefined)
  })

  it('explains other refusals of the API server, and never quotes the object', async () => {
    await begin([])
    const client = openClient(await openAccess({kubeconfig: stage.kubernetes.kubeconfig, namespace: stage.namespace}))
    const write = async (name: string, text: string): Promise<AtlasError> => {
      const manifest = {apiVersion: 'v1', kind: 'ConfigMap', metadata: {name}, data: {text}}
      const how = {
        base: undefined,
        isDerived: false,
        namespace: stage.namespace,
        present: undefined,
        owner: undefined,
        permit: () => undefined,
      }
      return rejectedBy(writeObject(client, `ConfigMap/${name}`, manifest, how))
    }

    const secret = 'LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0t'
    const large = await write('large', secret.repeat(30_000))
    expect(large.code).to.equal('failed')
    expect(large.message)
      .to.match(
        /can't create configmaps "large" in namespace "[^"]+": it is larger than the 1 MiB \(1048576 bytes\) that an object may hold/,
      )
      .and.not.include('LS0t')
    const huge = await write('huge', 'x'.repeat(4_000_000))
    expect([huge.code, huge.message]).to.deep.equal([
      'failed',
      `can't create configmaps "huge" in namespace "${stage.namespace}": it is larger than the API server accepts`,
    ])
    const quota = {metadata: {name: 'few'}, spec: {hard: {'count/configmaps': '1'}}}
    await stage.kubernetes.request('POST', stage.path('resourcequotas'), quota)
    const status = {status: {hard: {'count/configmaps': '1'}, used: {'count/configmaps': '1'}}}
    const full = await stage.kubernetes.request('PATCH', `${stage.path('resourcequotas', 'few')}/status`, status, {
      contentType: 'application/merge-patch+json',
    })
    expect(full.status).to.equal(200)
    let exceeded = await write('one', '').catch(() => undefined)
    await until(async () => {
      exceeded ??= await write(`one-${Math.random().toString(36).slice(2)}`, '').catch(() => undefined)
      return exceeded !== undefined
    })
    expect(exceeded?.message).to.match(
      /can't create configmaps .*: the API server refused it: .*exceeded quota: few, requested: count\/configmaps=1/,
    )
    expect(exceeded?.hint).to.equal(`kubectl -n ${stage.namespace} describe resourcequota`)
    await stage.kubernetes.request('DELETE', `/api/v1/namespaces/${stage.namespace}`)
    const ending = await write('late', '')
    expect([ending.code, ending.message]).to.deep.equal([
      'failed',
      `can't create configmaps "late" in namespace "${stage.namespace}": the namespace is being deleted`,
    ])
    client.close()
    const nowhere = await openNamespace(stage.kubernetes.kubeconfig, 'nowhere-at-all')
    const changes = changesOf(reduceAll(emptyFleet, [{kind: 'settings', value: testSettings}]))
    const missing = await rejectedBy(nowhere.commit(await nowhere.load(), changes))
    expect([missing.code, missing.message, missing.hint]).to.deep.equal([
      'not-found',
      'namespace "nowhere-at-all" does not exist',
      'kubectl create namespace nowhere-at-all',
    ])
    nowhere.close()
  })
})
