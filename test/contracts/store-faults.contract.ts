/** Promise 6 in every state store: a broken object affects only itself, and unknown fields are kept. */
import {expect} from 'chai'
import type {Manifest} from '../../src/lib/manifest/manifest.js'
import {shardOf} from '../../src/lib/manifest/layout.js'
import {type Change, reduce, reduceAll} from '../../src/lib/model/change.js'
import {type Fleet, type Subject, clusterOf, isRegistered} from '../../src/lib/model/fleet.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import {planReconcile} from '../../src/lib/ops/reconcile.js'
import {plain} from '../helpers/fleet-changes.js'
import {testCluster} from '../helpers/fleet.js'
import {rejectedBy} from '../helpers/thrown.js'
import {testFleet, testDependencies} from '../helpers/dependencies.js'
import {until} from '../store/recorder.js'
import {type Place, type Stage, fleet, identityKey, moved, objectAt, others, paris, recordKey, settings, stageOf} from './place.js'

const dependencies = testDependencies()
const withLabel = (manifest: Manifest, label: string, value: string): Manifest => ({
  ...manifest,
  metadata: {...manifest.metadata, labels: {...manifest.metadata.labels, [label]: value}},
})
const withAnnotation = (manifest: Manifest, note: string, value: string): Manifest => ({
  ...manifest,
  metadata: {...manifest.metadata, annotations: {...manifest.metadata.annotations, [note]: value}},
})
const withData = (manifest: Manifest, key: string, value: string): Manifest => ({...manifest, data: {...manifest.data, [key]: value}})
/** Another cluster whose entries are in the same shards as those of paris. */
const neighbour = parseClusterName(
  Array.from({length: 1000}, (_, index) => `c-${index}`).find(name => shardOf(name) === shardOf('paris')) ?? '',
)
const withNeighbour = testFleet(testDependencies(), ['paris', 'lyon', neighbour], settings())

/** One thing broken: the edit, the subjects at fault then, the path in the message, and its text. */
interface Break {
  readonly what: string
  readonly object: string
  readonly edit: (manifest: Manifest) => Manifest
  readonly subject: Subject
  readonly key: string
  readonly says: string
}

const breaks: readonly Break[] = [
  {
    what: 'an address that is none',
    object: 'Service/paris',
    edit: manifest => withAnnotation(manifest, 'goatlas.io/addresses', '300.1.2.3'),
    subject: 'registration/paris',
    key: 'metadata.annotations["goatlas.io/addresses"]',
    says: '300.1.2.3',
  },
  {
    what: 'a number of replicas that is none',
    object: 'Service/paris',
    edit: manifest => withLabel(manifest, 'goatlas.io/replicas', 'many'),
    subject: 'registration/paris',
    key: 'metadata.labels["goatlas.io/replicas"]',
    says: 'many',
  },
  {
    what: 'an identity that is no PEM',
    object: identityKey('paris'),
    edit: manifest => withData(manifest, 'paris', 'bm9uZQ=='),
    subject: 'identity/paris',
    key: 'data.paris',
    says: 'PEM',
  },
  {
    what: 'an identity that is no base64',
    object: identityKey('paris'),
    edit: manifest => withData(manifest, 'paris', '%%%'),
    subject: 'identity/paris',
    key: 'data.paris',
    says: 'base64',
  },
  {
    what: 'the key of another certificate',
    object: 'Secret/paris-envoy-ads',
    edit: manifest => withData(manifest, 'tls.key', Buffer.from(others.credentials.get(paris)?.key.reveal() ?? '').toString('base64')),
    subject: 'credential/paris',
    key: 'data.tls.crt',
    says: 'not the one of the certificate',
  },
  {
    what: 'a credential without its roots',
    object: 'Secret/paris-envoy-ads',
    edit: manifest => withData(manifest, 'ca.crt', ''),
    subject: 'credential/paris',
    key: 'data.ca.crt',
    says: 'there is nothing',
  },
  {
    what: 'a Secret with the name of a client’s that another program made',
    object: 'Secret/atlas-client-thanos',
    edit: manifest => withLabel(manifest, 'app.kubernetes.io/managed-by', 'Helm'),
    subject: 'client/thanos',
    key: 'metadata.labels["app.kubernetes.io/managed-by"]',
    says: 'not one that Atlas made',
  },
  {
    what: 'a record that is no JSON',
    object: recordKey('paris'),
    edit: manifest => withData(manifest, 'paris', '{'),
    subject: 'record/paris',
    key: 'data.paris',
    says: 'JSON',
  },
  {
    what: 'a root that is cut off',
    object: 'Secret/atlas-ca',
    edit: manifest => withData(manifest, 'ca.pem', (manifest.data?.['ca.pem'] ?? '').slice(0, 200)),
    subject: 'authority/root',
    key: 'data.ca.pem',
    says: 'must',
  },
  {
    what: 'a trust bundle without issuers',
    object: 'ConfigMap/atlas-trust-bundle',
    edit: manifest => withData(manifest, 'issuers.pem', ''),
    subject: 'trust',
    key: 'data.issuers.pem',
    says: 'certificate',
  },
  {
    what: 'a port in the settings that is none',
    object: 'ConfigMap/atlas-fleet',
    edit: manifest => withData(manifest, 'ads-port', '99999'),
    subject: 'settings',
    key: 'data.ads-port',
    says: '99999',
  },
  {
    what: 'the server’s certificate, gone',
    object: 'Secret/atlas-ads-tls',
    edit: manifest => withData(manifest, 'tls.crt', ''),
    subject: 'server',
    key: 'data.tls.crt',
    says: 'there is nothing',
  },
]

/** Objects that can't be read at all, and everything that they held. */
const wholes: readonly (readonly [object: string, subjects: readonly Subject[]])[] = [
  ['Service/paris', ['registration/paris']],
  ['Secret/paris-envoy-ads', ['credential/paris']],
  [identityKey('paris'), ['identity/paris', `identity/${neighbour}`]],
  [recordKey('paris'), ['record/paris', `record/${neighbour}`]],
  ['ConfigMap/atlas-fleet', ['settings']],
  ['ConfigMap/atlas-trust-bundle', ['trust']],
  ['ConfigMap/atlas-thanos-endpoints', ['endpoints']],
  ['Secret/atlas-ca', ['authority/root']],
  ['Secret/atlas-issuer', ['authority/issuer']],
  ['Secret/atlas-credential-issuer', ['authority/credentialIssuer']],
  ['Secret/atlas-ads-tls', ['server']],
  ['Secret/atlas-client-thanos', ['client/thanos']],
]

/** @param create a new, empty place @param damaged whether the place can hold unreadable objects: an API server can't */
export function faultsContract(name: string, create: () => Promise<Place>, {damaged = true}: {readonly damaged?: boolean} = {}): void {
  describe(`${name}: broken objects in a state store`, () => {
    const stage = stageOf(create)
    const filled = async (): Promise<Fleet> => stage.filled(withNeighbour)
    const faultsOf = (found: Fleet): readonly Subject[] => [...found.faults.keys()].sort()

    // An API server refuses a Secret that is not base64.
    for (const {what, object, edit, subject, key, says} of breaks.filter(({says: text}) => damaged || text !== 'base64')) {
      it(`${what} affects only ${subject}, which is named, and is repaired`, async () => {
        const base = await filled()
        const watch = await stage.watching()
        const good = await objectAt(stage.place, object)
        await stage.place.put(object, edit(good))
        await until(() => watch.fleet.faults.size > 0)
        const cold = await stage.place.open().load()
        for (const found of [watch.fleet, cold, await stage.store.load()]) {
          expect(faultsOf(found)).to.deep.equal([subject])
          const fault = found.faults.get(subject)
          expect(fault).to.include({object, key})
          expect(fault?.message).to.contain(says)
        }

        const fault = cold.faults.get(subject)
        if (fault === undefined) throw new Error('no fault')
        expect(plain(watch.fleet)).to.deep.equal(plain(reduce(base, {kind: 'fault', subject, value: fault})))
        await stage.place.put(object, good)
        await until(() => watch.fleet.faults.size === 0)
        expect(plain(watch.fleet)).to.deep.equal(plain(base))
        expect(plain(await stage.store.load())).to.deep.equal(plain(base))
        expect(watch.changes).to.have.length(2)
      })
    }

    if (damaged) damagedContract(stage, {filled, faultsOf})

    for (const [object, subjects] of damaged ? wholes : []) {
      it(`${object} unreadable as a whole keeps all that it may have held, in a watch and on a first load, and is repaired`, async () => {
        const base = await filled()
        const watch = await stage.watching()
        const good = await objectAt(stage.place, object)
        await stage.place.damage(object)
        await until(() => watch.fleet.faults.size > 0)
        const cold = await stage.place.open().load()
        for (const found of [watch.fleet, cold, await stage.store.load()]) {
          expect(faultsOf(found)).to.deep.equal([...subjects].sort())
          for (const subject of subjects) expect(found.faults.get(subject)?.object).to.equal(object)
          expect(isRegistered(found, paris)).to.equal(true)
        }

        // Subjects at fault are neither issued again nor suspended nor removed. (Thanos's endpoints follow from the others.)
        for (const found of [watch.fleet, cold])
          expect(planReconcile(found, dependencies).filter(({kind}) => kind !== 'endpoints')).to.deep.equal([])
        // A watch that begins now knows as little as a first load, and is repaired, too.
        const late = await stage.watching(stage.place.open())
        await stage.place.put(object, good)
        await until(() => watch.fleet.faults.size + late.fleet.faults.size === 0)
        for (const found of [watch.fleet, late.fleet, await stage.place.open().load()]) expect(plain(found)).to.deep.equal(plain(base))
      })
    }

    it('a Service with a name that no cluster can have is named, and forgotten when it is gone', async () => {
      await filled()
      const watch = await stage.watching()
      const manifest = await objectAt(stage.place, 'Service/paris')
      const other = {...manifest, metadata: {...manifest.metadata, name: 'x-thanos-sidecar0'}}
      await stage.place.put('Service/x-thanos-sidecar0', other)
      await until(() => watch.fleet.faults.size > 0)
      expect(faultsOf(watch.fleet)).to.deep.equal(['object/Service/x-thanos-sidecar0'])
      await stage.place.put('Service/x-thanos-sidecar0', undefined)
      await until(() => watch.fleet.faults.size === 0)
      expect(plain(watch.fleet)).to.deep.equal(plain(await stage.place.open().load()))
    })

    for (const object of ['Service/paris', 'Secret/paris-envoy-ads', identityKey('paris'), recordKey('paris'), 'ConfigMap/atlas-fleet']) {
      it(`${object} of a newer format is refused by name and never rewritten`, async () => {
        await filled()
        const watch = await stage.watching()
        const newer = withLabel(await objectAt(stage.place, object), 'goatlas.io/format', '2')
        // A newer version may keep its values elsewhere in the object.
        const {data: _, ...rest} = newer
        await stage.place.put(object, object.includes('identities') || object.includes('records') ? rest : newer)
        await until(() => watch.fleet.faults.size > 0)
        const cold = await stage.place.open().load()
        const expected = wholes.find(([key]) => key === object)?.[1] ?? []
        for (const found of [watch.fleet, cold]) {
          expect(faultsOf(found)).to.deep.equal([...expected].sort())
          for (const fault of found.faults.values()) {
            expect(fault.object).to.equal(object)
            expect(fault.message).to.contain('goatlas.io/format').and.to.contain('"2"')
          }
        }

        const version = await stage.place.version(object)
        const writes: readonly Change[] = [
          moved('198.51.100.9'),
          {kind: 'registration', name: paris, value: undefined},
          {kind: 'credential', owner: paris, value: others.credentials.get(paris)},
          {kind: 'identity', owner: paris, value: others.identities.get(paris)},
          {kind: 'record', owner: paris, value: others.records.get(paris)},
          {kind: 'settings', value: {...settings(), adsPort: 443}},
        ]
        const outcomes = await Promise.all(
          writes.map(async change =>
            stage.store.commit(cold, [change]).then(
              () => 'written',
              (error: unknown) => String(error),
            ),
          ),
        )
        expect(outcomes.filter(outcome => outcome.includes('goatlas.io/format'))).to.have.length(object === 'Service/paris' ? 2 : 1)
        expect(await stage.place.version(object)).to.deep.equal(version)
      })
    }

    it('an object of another program, and one without the label, is not Atlas’s', async () => {
      const base = await filled()
      const {registrations: _, ...rest} = plain(base)
      for (const object of ['Service/prometheus', 'ConfigMap/grafana', 'Secret/atlas-envoy', 'Secret/-envoy-ads'].slice(0, 3)) {
        const [kind = '', called = ''] = object.split('/')
        await stage.place.put(object, {
          apiVersion: 'v1',
          kind,
          metadata: {name: called},
          ...(kind === 'Service' ? {spec: {ports: [{port: 80}]}} : {data: {a: 'Yg=='}}),
        })
      }

      const {registrations, ...found} = plain(await stage.place.open().load())
      expect(found).to.deep.equal(rest)
      expect(registrations).to.have.all.keys('paris', 'lyon', neighbour)
    })

    it('a label that registers a cluster counts by its presence', async () => {
      await filled()
      const manifest = withLabel(await objectAt(stage.place, 'Service/paris'), 'goatlas.io/cluster', '')
      await stage.place.put('Service/paris', manifest)
      expect((await stage.place.open().load()).registrations.get(paris)).to.deep.equal(testCluster('paris'))
    })
  })
}

/** The cases of unreadable objects. */
function damagedContract(
  stage: Stage,
  {filled, faultsOf}: {readonly filled: () => Promise<Fleet>; readonly faultsOf: (found: Fleet) => readonly Subject[]},
): void {
  it('a registration that can not be read is served from its record', async () => {
    await filled()
    await stage.place.damage('Service/paris')
    const found = await stage.place.open().load()
    expect(found.registrations.has(paris)).to.equal(false)
    expect(clusterOf(found, paris)).to.deep.equal(fleet.registrations.get(paris))
  })

  it('everything of one cluster unreadable at once still shows that the cluster exists', async () => {
    await filled()
    for (const object of ['Service/paris', 'Secret/paris-envoy-ads', identityKey('paris'), recordKey('paris')])
      await stage.place.damage(object)
    const found = await stage.place.open().load()
    expect(faultsOf(found)).to.include.members(['registration/paris', 'credential/paris', 'identity/paris', 'record/paris'])
    expect(planReconcile(found, dependencies).filter(change => 'owner' in change || change.kind === 'registration')).to.deep.equal([])
  })

  it('a Service that can not be read, and of which nothing is known, registers no cluster', async () => {
    await filled()
    await stage.place.put('Service/nice', await objectAt(stage.place, 'Service/paris'))
    await stage.place.damage('Service/nice')
    const found = await stage.place.open().load()
    expect(faultsOf(found)).to.deep.equal(['object/Service/nice'])
    expect(isRegistered(found, parseClusterName('nice'))).to.equal(false)
  })

  it('an object that is removed while it is broken is gone, with its faults', async () => {
    await filled()
    const watch = await stage.watching()
    await stage.place.damage(identityKey('paris'))
    await until(() => watch.fleet.faults.size > 0)
    await stage.place.put(identityKey('paris'), undefined)
    await until(() => watch.fleet.faults.size === 0)
    expect(watch.fleet.identities.has(paris)).to.equal(false)
    expect(plain(watch.fleet)).to.deep.equal(plain(await stage.place.open().load()))
  })

  it('nothing is written into a shard that can not be read; a whole object can be replaced or removed', async () => {
    await filled()
    await stage.place.damage(identityKey('paris'))
    await stage.place.damage('Secret/paris-envoy-ads')
    await stage.place.damage('Service/paris')
    const base = await stage.store.load()
    const identity: Change = {kind: 'identity', owner: paris, value: others.identities.get(paris)}
    const error = await rejectedBy(stage.store.commit(base, [identity]))
    expect(error.code).to.equal('failed')
    expect(error.message).to.match(/identities/)
    const changes: readonly Change[] = [{kind: 'credential', owner: paris, value: others.credentials.get(paris)}, moved('198.51.100.9')]
    const after = await stage.store.commit(base, changes)
    expect(plain(after)).to.deep.equal(plain(reduceAll(base, changes)))
    const removed = await stage.store.commit(after, [{kind: 'registration', name: paris, value: undefined}])
    expect(removed.registrations.has(paris)).to.equal(false)
    expect(plain(await stage.place.open().load()).registrations).to.deep.equal(plain(removed).registrations)
  })
}
