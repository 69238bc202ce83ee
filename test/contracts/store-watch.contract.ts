/** What every state store reports to its watchers. */
import {expect} from 'chai'
import {encodeOnto} from '../../src/lib/manifest/encode.js'
import {parseAddress} from '../../src/lib/model/address.js'
import type {Change} from '../../src/lib/model/change.js'
import {type ClusterName, parseClusterName} from '../../src/lib/model/names.js'
import {testCluster} from '../helpers/fleet.js'
import {plain} from '../helpers/fleet-changes.js'
import {rejectedBy} from '../helpers/thrown.js'
import {sleep, until} from '../store/recorder.js'
import {type Place, SETTLED, fleet, identityKey, lyon, moved, others, paris, stageOf} from './place.js'

/** @param create a new, empty place */
export function watchContract(name: string, create: () => Promise<Place>): void {
  describe(`${name}: the contract of a watch`, () => {
    const stage = stageOf(create)

    it('needs an installation', async () => {
      expect((await rejectedBy(stage.watching())).code).to.equal('not-found')
    })

    it('begins with what is stored', async () => {
      await stage.filled()
      expect(plain((await stage.watching()).fleet)).to.deep.equal(plain(fleet))
    })

    it('reports its own store’s commits at once, exactly once, to every watch', async () => {
      const base = await stage.filled()
      const [first, second] = [await stage.watching(), await stage.watching()]
      const after = await stage.store.commit(base, [moved('198.51.100.9'), {kind: 'endpoints', value: {text: 'endpoints: []\n'}}])
      for (const watch of [first, second]) {
        expect(watch.changes.map(({kind}) => kind)).to.deep.equal(['registration', 'endpoints'])
        expect(plain(watch.fleet)).to.deep.equal(plain(after))
      }

      await sleep(SETTLED)
      expect(first.changes).to.have.length(2)
      expect([...first.fleet.revisions].sort()).to.deep.equal([...after.revisions].sort())
    })

    it('reports another store’s commits, and other programs’ changes, exactly once', async () => {
      await stage.filled()
      const watch = await stage.watching()
      const other = stage.place.open()
      await other.commit(await other.load(), [moved('198.51.100.9')])
      await until(() => watch.changes.length > 0)
      await stage.place.put('Service/lyon', undefined)
      await until(() => watch.changes.length > 1)
      await sleep(SETTLED)
      expect(watch.changes).to.deep.equal([moved('198.51.100.9'), {kind: 'registration', name: lyon, value: undefined}])
      expect(plain(watch.fleet)).to.deep.equal(plain(await stage.place.open().load()))
    })

    it('hides nothing that another store writes while a commit of its own store goes on', async () => {
      const base = await stage.filled()
      const watch = await stage.watching()
      const names = Array.from({length: 150}, (_, index) => parseClusterName(`many-${String(index)}`))
      const registered = (name: ClusterName, address: string): Change => ({
        kind: 'registration',
        name,
        value: testCluster(name, {addresses: [parseAddress(address)]}),
      })
      const [first, last] = [parseClusterName('many-0'), parseClusterName('many-149')]
      const commit = stage.store.commit(
        base,
        names.map(name => registered(name, '198.51.100.1')),
      )
      const other = stage.place.open()
      let found = await other.load()
      while (!found.registrations.has(first)) found = await other.load()
      await other.commit(found, [registered(first, '198.51.100.2')])
      await commit
      const addressOf = (name: ClusterName): string | undefined => watch.fleet.registrations.get(name)?.addresses[0]?.host
      await until(() => addressOf(first) === '198.51.100.2')
      await sleep(SETTLED)
      expect([addressOf(first), addressOf(last)]).to.deep.equal(['198.51.100.2', '198.51.100.1'])
      // What is based on what the watch shows is no conflict.
      await stage.store.commit(watch.fleet, [registered(first, '198.51.100.3')])
    })

    it('reports only the entry that changed, and nothing when only the formatting differs', async () => {
      await stage.filled()
      const watch = await stage.watching()
      const {settings} = fleet
      const manifest = await stage.place.get('Service/paris')
      if (manifest === undefined || settings === undefined) throw new Error('not filled')
      await stage.place.put('Service/paris', {...manifest, metadata: {...manifest.metadata, resourceVersion: '17'}})
      const change: Change = {kind: 'identity', owner: paris, value: others.identities.get(paris)}
      const shard = encodeOnto(await stage.place.get(identityKey('paris')), change, 'atlas')
      await stage.place.put(identityKey('paris'), shard)
      await until(() => watch.changes.length > 0)
      await sleep(SETTLED)
      expect(watch.changes.map(each => ('owner' in each ? `${each.kind}/${each.owner}` : each.kind))).to.deep.equal(['identity/paris'])
    })

    it('reports nothing after it was ended', async () => {
      const base = await stage.filled()
      const watch = await stage.watching()
      watch.stop()
      await stage.store.commit(base, [moved('198.51.100.9')])
      await sleep(SETTLED)
      expect(watch.changes).to.deep.equal([])
    })

    it('without atlas-fleet it fails once, changes nothing, and recovers with all that happened meanwhile', async () => {
      await stage.filled()
      const watch = await stage.watching()
      const manifest = await stage.place.get('ConfigMap/atlas-fleet')
      await stage.place.put('ConfigMap/atlas-fleet', undefined)
      await until(() => watch.failures.length > 0)
      await stage.place.put('Service/lyon', undefined)
      await sleep(SETTLED)
      expect(watch.failures.map(({message}) => message)).to.have.length(1)
      expect(watch.failures[0]?.message).to.contain('atlas-fleet')
      expect(watch.changes).to.deep.equal([])
      expect(plain(watch.fleet)).to.deep.equal(plain(fleet))
      await stage.place.put('ConfigMap/atlas-fleet', manifest)
      await until(() => watch.recoveries > 0 && watch.changes.length > 0)
      expect(watch.changes).to.deep.equal([{kind: 'registration', name: lyon, value: undefined}])
      await sleep(SETTLED)
      expect([watch.failures.length, watch.recoveries, watch.changes.length]).to.deep.equal([1, 1, 1])
    })

    it('a place that can not be read is a failure, never an empty fleet', async () => {
      await stage.filled()
      const watch = await stage.watching()
      await stage.place.lose()
      await until(() => watch.failures.length > 0)
      expect((await rejectedBy(stage.store.load())).code).to.equal('unreachable')
      await sleep(SETTLED)
      expect(watch.failures.map(({code}) => code)).to.deep.equal(['unreachable'])
      expect(plain(watch.fleet)).to.deep.equal(plain(fleet))
      await stage.place.restore()
      await until(() => watch.recoveries > 0)
      await sleep(SETTLED)
      expect(watch.changes).to.deep.equal([])
      await stage.store.commit(await stage.store.load(), [moved('198.51.100.9')])
      expect(watch.changes).to.have.length(1)
    })
  })
}
