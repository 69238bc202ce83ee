/** The order in which a commit is written: what concerns one owner, or all of them, stays in order, and every part of it is legal. */
import {expect} from 'chai'
import fc from 'fast-check'
import {type StoredChange, isStored, objectOf, ownersOf} from '../../src/lib/manifest/encode.js'
import {shardOf} from '../../src/lib/manifest/layout.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import {planReconcile} from '../../src/lib/ops/reconcile.js'
import {reduceAll} from '../../src/lib/model/change.js'
import {type Group, batchesOf} from '../../src/lib/store/batches.js'
import {plain} from '../helpers/fleet-changes.js'
import {testCluster} from '../helpers/fleet.js'
import {testFleet, testDependencies} from '../helpers/dependencies.js'

/** Two that share a shard, and one that does not. */
const neighbour = Array.from({length: 1000}, (_, index) => `c-${index}`).find(name => shardOf(name) === shardOf('paris')) ?? ''
const owners = ['paris', neighbour, 'lyon'].map(name => parseClusterName(name))

/** Distinguished by their index in the list. */
const changes = fc
  .array(
    fc.oneof(
      {
        weight: 8,
        arbitrary: fc.tuple(
          fc.constantFrom(...owners),
          fc.constantFrom('registration', 'record', 'identity', 'credential', 'sidecar', 'values', 'answer'),
        ),
      },
      {weight: 1, arbitrary: fc.tuple(fc.constant(undefined), fc.constantFrom('trust', 'settings', 'endpoints', 'zone', 'request'))},
    ),
    {maxLength: 40},
  )
  .map(list => list.map(([owner, kind]): StoredChange => changeOf(owner, kind)))

function changeOf(owner: (typeof owners)[number] | undefined, kind: string): StoredChange {
  switch (kind) {
    case 'registration':
      return {kind, name: owner!, value: undefined}
    case 'sidecar':
      return {kind: 'derived', object: `Service/${owner}-thanos-sidecar0`, value: undefined}
    case 'values':
      return {kind: 'derived', object: `Secret/${owner}-envoy-values`, value: undefined}
    case 'zone':
      return {kind: 'derived', object: 'ConfigMap/atlas-coredns', value: undefined}
    case 'request':
      return {kind, id: 'some', value: undefined}
    case 'answer':
      return {kind: 'request', id: `of-${owner}`, value: {kind: 'remove', owners: [owner!, owners[0]!], requestedAt: '', state: 'done'}}
    case 'trust':
    case 'settings':
    case 'endpoints':
      return {kind, value: undefined}
    default:
      return {kind: kind as 'record', owner: owner!, value: undefined}
  }
}

function areOrdered(a: ReturnType<typeof ownersOf>, b: ReturnType<typeof ownersOf>): boolean {
  return a === 'all' || b === 'all' || a.some(owner => b.includes(owner))
}

interface Place {
  readonly batch: number
  readonly group: Group
  readonly index: number
}

function placesOf(all: readonly StoredChange[]): readonly Place[] {
  const places = new Map<StoredChange, Place>()
  for (const [batch, groups] of batchesOf(all).entries())
    for (const group of groups) for (const [index, change] of group.changes.entries()) places.set(change, {batch, group, index})
  return all.map(change => places.get(change)!)
}

describe('the batches of a commit', () => {
  it('hold every change once, each in a write of its own object, and an object at most once each', () => {
    fc.assert(
      fc.property(changes, all => {
        const batches = batchesOf(all)
        const written = batches.flatMap(batch => batch.flatMap(group => group.changes))
        expect(written).to.have.length(all.length).and.to.have.members(all)
        for (const batch of batches) {
          expect(batch.length).to.be.above(0)
          expect(new Set(batch.map(({key}) => key)).size).to.equal(batch.length)
          for (const {key, changes: own} of batch) for (const change of own) expect(objectOf(change)).to.equal(key)
        }
      }),
    )
  })

  it('keep the order of what concerns one owner, or all of them', () => {
    fc.assert(
      fc.property(changes, all => {
        const places = placesOf(all)
        for (const [later, second] of all.entries())
          for (const [earlier, first] of all.slice(0, later).entries()) {
            if (!areOrdered(ownersOf(first), ownersOf(second))) continue
            const [before, after] = [places[earlier]!, places[later]!]
            const isTogether = before.group === after.group
            expect(isTogether ? before.index < after.index : before.batch < after.batch, `${earlier} before ${later}`).to.equal(true)
          }
      }),
    )
  })

  it('are few where owners have nothing to do with each other', () => {
    const all = owners.flatMap(owner => ['record', 'identity', 'credential'].map(kind => changeOf(owner, kind)))
    expect(batchesOf(all)).to.have.length(3)
    expect(batchesOf(all).map(batch => batch.flatMap(group => group.changes).length)).to.deep.equal([3, 3, 3])
  })

  it('cut off after any of them, or with one owner’s left out from any of them on, leave a fleet that reconcile completes to the same', () => {
    const dependencies = testDependencies()
    const names = ['paris', neighbour, 'lyon', 'rome']
    const base = reduceAll(
      testFleet(dependencies, []),
      names.map(name => ({kind: 'registration', name: testCluster(name).name, value: testCluster(name)})),
    )
    const plan = planReconcile(base, dependencies)
    const batches = batchesOf(plan.filter(change => isStored(change)))
    const whole = (fleet: typeof base): unknown => {
      const after = reduceAll(fleet, planReconcile(fleet, dependencies))
      expect(planReconcile(after, dependencies)).to.deep.equal([])
      expect(after.faults.size).to.equal(0)
      // Which certificates they are depends on how often was signed; that they are there does not.
      return [after.records, after.identities, after.credentials].map(held => [...held.keys()].sort())
    }

    const wanted = whole(base)
    expect(batches.length).to.be.within(3, 12)
    for (let cut = 0; cut <= batches.length; cut += 1)
      for (const without of [undefined, ...names]) {
        const written = batches.flatMap((batch, index) =>
          batch.flatMap(({changes: own}) =>
            own.filter(change => index < cut || (without !== undefined && !ownersOf(change).includes(without))),
          ),
        )
        const fleet = reduceAll(base, written)
        for (const [owner, credential] of fleet.credentials)
          expect(fleet.records.get(owner)?.credentials.length, `${owner} has no credential that is not on record`).to.be.above(
            0,
            credential.certificate,
          )
        expect(whole(fleet)).to.deep.equal(wanted)
        if (cut === batches.length) expect(plain(fleet)).to.deep.equal(plain(reduceAll(base, plan)))
      }
  })
})
