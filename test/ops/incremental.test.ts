/** What is brought up to date by what differs from the last fleet is what a fleet gives on its own. */
import {expect} from 'chai'
import fc from 'fast-check'
import {renderEndpoints} from '../../src/lib/manifest/endpoints.js'
import {renderZone} from '../../src/lib/manifest/zone.js'
import {parseAddresses} from '../../src/lib/model/address.js'
import {type Change, reduceAll} from '../../src/lib/model/change.js'
import {type Fleet, registeredNames} from '../../src/lib/model/fleet.js'
import {indexBy} from '../../src/lib/model/index-by.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import {nextDue} from '../../src/lib/ops/due.js'
import {knownOwners, planReconcile} from '../../src/lib/ops/reconcile.js'
import {testDependencies, testFleet} from '../helpers/dependencies.js'
import {testCluster} from '../helpers/fleet.js'

const dependencies = testDependencies()
const names = ['paris', 'lyon', 'nice', 'metz'].map(name => parseClusterName(name))
const first = reconciledWithDerived(testFleet(dependencies, ['paris', 'lyon', 'nice']))
const name = fc.constantFrom(...names)

const change: fc.Arbitrary<Change> = fc.oneof(
  fc.tuple(name, fc.integer({min: 1, max: 3}), fc.constantFrom('', '192.0.2.1', '192.0.2.2')).map(([of, replicas, address]): Change => {
    const addresses = address === '' ? [] : parseAddresses(address)
    return {kind: 'registration', name: of, value: testCluster(of, {replicas, addresses})}
  }),
  name.map((of): Change => ({kind: 'registration', name: of, value: undefined})),
  name.map((owner): Change => ({kind: 'record', owner, value: undefined})),
  name.map((owner): Change => ({kind: 'identity', owner, value: undefined})),
  name.map((of): Change => {
    const value = {object: `Service/${of}`, key: 'metadata.labels', message: 'broken'}
    return {kind: 'fault', subject: `registration/${of}`, value}
  }),
  fc
    .tuple(name, fc.nat(4))
    .map(([of, days]): Change => ({
      kind: 'record',
      owner: of,
      value: {owner: of, generation: 2, credentials: [], denied: [{name: 'x', until: `2027-01-0${String(days + 1)}T00:00:00Z`}]},
    })),
)

function reconciledWithDerived(fleet: Fleet): Fleet {
  return reduceAll(fleet, planReconcile(fleet, dependencies, {withDerived: true}))
}

/** All that is kept from one fleet to the next. */
function results(fleet: Fleet) {
  return {
    endpoints: {text: renderEndpoints(fleet)},
    zone: renderZone(fleet, undefined, dependencies.now()),
    due: nextDue(fleet, dependencies.now()),
    names: registeredNames(fleet),
    owners: knownOwners(fleet),
    missing: planReconcile(fleet, dependencies, {withDerived: true}).map(({kind}) => kind),
  }
}

describe('ops: what is kept from one fleet to the next', () => {
  it('is what a fleet without a past gives', () => {
    fc.assert(
      fc.property(fc.array(fc.array(change, {minLength: 1, maxLength: 3}), {minLength: 1, maxLength: 8}), steps => {
        const fleets = [first]
        for (const changes of steps) fleets.push(reconciledWithDerived(reduceAll(fleets.at(-1) ?? first, changes)))
        const kept = fleets.map(fleet => results(fleet))
        // Settings of another identity: nothing is kept.
        const fresh = fleets.map(fleet => results({...fleet, settings: fleet.settings && {...fleet.settings}}))
        expect(kept).to.deep.equal(fresh)
      }),
      {numRuns: 40},
    )
  })

  it('an index has the groups of its last map', () => {
    fc.assert(
      fc.property(fc.array(fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), fc.nat(2)), {maxLength: 6}), maps => {
        const index = indexBy((_: string, value: number) => value)
        for (const entries of maps.map(each => new Map(Object.entries(each)))) {
          const groups = new Map<number, Set<string>>()
          for (const [key, value] of entries) groups.set(value, (groups.get(value) ?? new Set()).add(key))
          expect(new Map(index(entries))).to.deep.equal(groups)
        }
      }),
    )
  })
})
