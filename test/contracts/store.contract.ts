/** The contract of every state store. */
import {expect} from 'chai'
import {type Change, reduceAll} from '../../src/lib/model/change.js'
import {type Fleet, emptyFleet} from '../../src/lib/model/fleet.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import {addCluster} from '../../src/lib/ops/cluster/add.js'
import {planReconcile, reconcile} from '../../src/lib/ops/reconcile.js'
import {cryptoSigner} from '../../src/lib/pki/signer.js'
import {testCluster} from '../helpers/fleet.js'
import {changesOf, plain} from '../helpers/fleet-changes.js'
import {rejectedBy} from '../helpers/thrown.js'
import {testFleet, testDependencies} from '../helpers/dependencies.js'
import {type Place, fleet, identityKey, lyon, moved, objectAt, others, paris, recordKey, settings, stageOf} from './place.js'
import {serverAt, unmoved} from '../helpers/server.js'

const dependencies = testDependencies()

/** @param create a new, empty place @param isCluster whether it is a Kubernetes namespace: that has its name, and many servers */
export function storeContract(name: string, create: () => Promise<Place>, {isCluster = false}: {readonly isCluster?: boolean} = {}): void {
  describe(`${name}: the contract of a state store`, () => {
    const stage = stageOf(create)

    describe('load and commit', () => {
      it('an empty store is an empty fleet', async () => {
        expect(plain(await stage.store.load())).to.deep.equal(plain(emptyFleet))
      })

      it('loads every kind of change as it was written, in this store and in another', async () => {
        const committed = await stage.store.commit(await stage.store.load(), changesOf(fleet))
        expect(plain(committed)).to.deep.equal(plain(fleet))
        expect(plain(await stage.store.load())).to.deep.equal(plain(fleet))
        const other = await stage.place.open().load()
        expect(plain(other)).to.deep.equal(plain(fleet))
        expect([...other.revisions].sort()).to.deep.equal([...committed.revisions].sort())
        expect(planReconcile(other, dependencies)).to.deep.equal([])
      })

      for (const change of changesOf(fleet)) {
        it(`removes an entry that it wrote: ${change.kind}${'owner' in change ? ` of ${change.owner}` : ''}`, async () => {
          const removal = {...change, value: undefined} as Change
          const expected = plain(reduceAll(fleet, [removal]))
          const after = await stage.store.commit(await stage.filled(), [removal])
          expect(plain(after)).to.deep.equal(expected)
          expect(plain(await stage.place.open().load())).to.deep.equal(expected)
        })
      }

      it('removing an entry that does not exist does nothing', async () => {
        const base = await stage.filled()
        const changes: readonly Change[] = [
          {kind: 'registration', name: parseClusterName('nobody'), value: undefined},
          {kind: 'credential', owner: parseClusterName('nobody'), value: undefined},
        ]
        expect(plain(await stage.store.commit(base, changes))).to.deep.equal(plain(fleet))
      })

      it('an empty commit returns its base', async () => {
        const base = await stage.filled()
        expect(await stage.store.commit(base, [])).to.equal(base)
      })

      it('does not write unchanged objects', async () => {
        const base = await stage.filled()
        const keys = [...base.revisions.keys()]
        const before = await Promise.all(keys.map(async key => stage.place.version(key)))
        const again = await stage.store.commit(base, changesOf(fleet))
        expect(await Promise.all(keys.map(async key => stage.place.version(key)))).to.deep.equal(before)
        expect([...again.revisions]).to.deep.equal([...base.revisions])
      })

      it('does not write an object whose keys are merely in another order', async () => {
        await stage.filled()
        const manifest = await objectAt(stage.place, 'Service/paris')
        const reversed = <T extends object>(value: T): T => Object.fromEntries(Object.entries(value).reverse()) as T
        await stage.place.put('Service/paris', {
          ...reversed(manifest),
          metadata: {...reversed(manifest.metadata), labels: reversed(manifest.metadata.labels ?? {})},
        })
        const version = await stage.place.version('Service/paris')
        const base = await stage.store.load()
        await stage.store.commit(base, [{kind: 'registration', name: paris, value: base.registrations.get(paris)}])
        expect(await stage.place.version('Service/paris')).to.deep.equal(version)
      })

      if (!isCluster)
        it('writes the namespace that is chosen, also where there was another one before', async () => {
          const base = await stage.filled()
          await stage.store.commit(base, [{kind: 'settings', value: {...settings(), namespace: 'monitoring'}}])
          expect((await stage.place.open().load()).settings?.namespace).to.equal('monitoring')
        })
    })

    describe('conflict', () => {
      it('refuses a commit on an object that another store has changed since', async () => {
        const base = await stage.filled()
        const other = stage.place.open()
        await other.commit(await other.load(), [moved('198.51.100.8')])
        const error = await rejectedBy(stage.store.commit(base, [moved('198.51.100.9')]))
        expect(error.code).to.equal('conflict')
        expect(error.message).to.contain('Service/paris')
        expect((await stage.place.open().load()).registrations.get(paris)?.addresses[0]?.host).to.equal('198.51.100.8')
      })

      it('refuses to write an object that was created or deleted meanwhile', async () => {
        const base = await stage.filled()
        const name = parseClusterName('nice')
        await stage.place.open().commit(await stage.place.open().load(), [{kind: 'registration', name, value: testCluster('nice')}])
        const made = await rejectedBy(stage.store.commit(base, [{kind: 'registration', name, value: testCluster('nice', {replicas: 2})}]))
        expect(made.code).to.equal('conflict')
        await stage.place.put('Service/lyon', undefined)
        expect((await rejectedBy(stage.store.commit(base, [moved('198.51.100.9', lyon)]))).code).to.equal('conflict')
      })

      it('commits where other objects have changed', async () => {
        const base = await stage.filled()
        const other = stage.place.open()
        await other.commit(await other.load(), [moved('198.51.100.8')])
        await stage.store.commit(base, [moved('198.51.100.9', lyon)])
        const after = await stage.store.load()
        expect([paris, lyon].map(each => after.registrations.get(each)?.addresses[0]?.host)).to.deep.equal(['198.51.100.8', '198.51.100.9'])
      })

      it('writes nothing at all where any object of it has changed', async () => {
        const base = await stage.filled()
        const other = stage.place.open()
        await other.commit(await other.load(), [moved('198.51.100.8', lyon)])
        const changes = [moved('198.51.100.1'), moved('198.51.100.2', lyon), {kind: 'endpoints', value: {text: 'x'}} as const]
        expect((await rejectedBy(stage.store.commit(base, changes))).code).to.equal('conflict')
        const after = await stage.place.open().load()
        expect([paris, lyon].map(each => after.registrations.get(each)?.addresses[0]?.host)).to.deep.equal(['198.51.100.4', '198.51.100.8'])
        expect(after.endpoints).to.deep.equal(fleet.endpoints)
      })

      it('a fleet from a watch is as good a base as a loaded one', async () => {
        await stage.filled()
        const watch = await stage.watching()
        await stage.store.commit(watch.fleet, [moved('198.51.100.8')])
        await stage.store.commit(watch.fleet, [moved('198.51.100.9')])
        expect((await stage.store.load()).registrations.get(paris)?.addresses[0]?.host).to.equal('198.51.100.9')
      })

      it('clusters added by two stores at once: one key each, no update lost', async function () {
        this.timeout(180_000)
        const writers = [stage.place.open(), stage.place.open()]
        const real = {now: () => new Date(), signer: cryptoSigner}
        await stage.store.commit(await stage.store.load(), changesOf(testFleet(testDependencies(), [])).slice(0, 4))
        const {services} = testCluster('any')
        const names = Array.from({length: isCluster ? 12 : 50}, (_, index) => `c-${index}`)
        const issued = new Map<string, Set<string>>()
        const note = (found: Fleet): void => {
          for (const [owner, {certificate}] of found.credentials)
            issued.set(owner, (issued.get(owner) ?? new Set<string>()).add(certificate))
        }

        await Promise.all(
          writers.map(async (writer, index) => {
            // Both add half of the names.
            for (const cluster of names.filter((_, count) => count % 4 >= 2 || count % 4 === index)) {
              const added = await addCluster(writer, cluster, {request: {}, defaults: services}, real)
              note(added.after)
            }
          }),
        )
        const after = await reconcile(stage.place.open(), real)
        note(after)
        const expected = ['atlas', ...names].sort()
        for (const held of [after.identities, after.credentials, after.records]) expect([...held.keys()].sort()).to.deep.equal(expected)
        expect([...after.registrations.keys()].sort()).to.deep.equal([...names].sort())
        expect([...after.records.values()].filter(({credentials}) => credentials.length !== 1)).to.deep.equal([])
        expect([...issued.values()].filter(certificates => certificates.size !== 1)).to.deep.equal([])
        expect([...after.faults]).to.deep.equal([])
      })
    })

    describe('what is not Atlas’s', () => {
      it('labels, annotations, keys and entries that it does not know survive', async () => {
        await stage.filled()
        const foreign = {'team.example/owner': 'network'}
        for (const key of ['Service/paris', 'ConfigMap/atlas-fleet', 'Secret/paris-envoy-ads', identityKey('paris'), recordKey('paris')]) {
          const manifest = await stage.place.get(key)
          if (manifest === undefined) throw new Error(`no ${key}`)
          const {metadata, data, ...rest} = manifest
          await stage.place.put(key, {
            ...rest,
            metadata: {
              ...metadata,
              labels: {...metadata.labels, ...foreign},
              annotations: {...metadata.annotations, ...foreign},
              finalizers: ['example.org/keep'],
            },
            ...(key !== 'Service/paris' && {data: {...data, 'NOT-ATLAS': 'AP+A/w=='}}),
            ...(key === 'Service/paris' && {spec: {...rest.spec, sessionAffinity: 'None'}}),
          })
        }

        const base = await stage.store.load()
        expect([...base.faults]).to.deep.equal([])
        await stage.store.commit(base, [
          moved('198.51.100.9'),
          {kind: 'settings', value: {...settings(), adsPort: 443}},
          {kind: 'credential', owner: paris, value: others.credentials.get(paris)},
          {kind: 'identity', owner: paris, value: others.identities.get(paris)},
          {kind: 'record', owner: paris, value: others.records.get(paris)},
        ])
        for (const key of ['Service/paris', 'ConfigMap/atlas-fleet', 'Secret/paris-envoy-ads', identityKey('paris'), recordKey('paris')]) {
          const manifest = await stage.place.get(key)
          expect(manifest?.metadata.labels, key).to.include(foreign)
          expect(manifest?.metadata.annotations, key).to.include(foreign)
          expect(manifest?.metadata['finalizers'], key).to.deep.equal(['example.org/keep'])
          if (key === 'Service/paris') expect(manifest?.spec, key).to.include({sessionAffinity: 'None', clusterIP: 'None'})
          else expect(manifest?.data, key).to.include({'NOT-ATLAS': 'AP+A/w=='})
        }
      })

      it('stringData that an operator wrote no longer counts after a write', async () => {
        await stage.filled()
        for (const key of [identityKey('paris'), 'Secret/paris-envoy-ads']) {
          const {data, ...rest} = (await stage.place.get(key)) ?? {data: {}, apiVersion: 'v1', kind: 'Secret', metadata: {name: 'none'}}
          const texts = Object.entries(data ?? {}).map(([field, text]) => [field, Buffer.from(text, 'base64').toString()])
          await stage.place.put(key, {...rest, stringData: Object.fromEntries(texts)})
        }

        const base = await stage.store.load()
        expect(plain(base)).to.deep.equal(plain(fleet))
        const changes: readonly Change[] = [
          {kind: 'identity', owner: paris, value: others.identities.get(paris)},
          {kind: 'credential', owner: paris, value: others.credentials.get(paris)},
        ]
        await stage.store.commit(base, changes)
        expect(plain(await stage.place.open().load())).to.deep.equal(plain(reduceAll(fleet, changes)))
      })
    })

    if (!isCluster)
      describe('hold', () => {
        it('one server at a time, named to the second and to every command', async () => {
          await stage.filled()
          expect(await stage.store.holder()).to.equal(undefined)
          const held = await stage.store.hold(serverAt('http://127.0.0.1:6309'), unmoved)
          const error = await rejectedBy(stage.place.open().hold(serverAt('http://127.0.0.1:7000'), unmoved))
          expect(error.code).to.equal('conflict')
          expect(error.message).to.contain('http://127.0.0.1:6309')
          expect(await stage.place.open().holder()).to.deep.equal({admin: 'http://127.0.0.1:6309'})
          await held.release()
          expect(await stage.store.holder()).to.equal(undefined)
          const next = await stage.place.open().hold(serverAt('http://127.0.0.1:7000'), unmoved)
          await next.release()
        })

        it('a second release takes nothing from the next server', async () => {
          await stage.filled()
          const held = await stage.store.hold(serverAt('http://127.0.0.1:6309'), unmoved)
          await held.release()
          const next = await stage.store.hold(serverAt('http://127.0.0.1:7000'), unmoved)
          await held.release()
          expect(await stage.store.holder()).to.deep.equal({admin: 'http://127.0.0.1:7000'})
          await next.release()
        })
      })
  })
}
