/** What a store that was restored from a backup has lost, and what is given back to it. */
import {expect} from 'chai'
import {reduceAll} from '../../src/lib/model/change.js'
import type {DeniedName} from '../../src/lib/model/authority.js'
import {recordOf} from '../../src/lib/model/fleet.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import {ownersPutBack, planProtected, unitedRecords} from '../../src/lib/ops/protect.js'
import {planRemoval, planRestore, planRevocation} from '../../src/lib/ops/revoke.js'
import {testDependencies, testFleet} from '../helpers/dependencies.js'

const paris = parseClusterName('paris')

describe('ops/protect', () => {
  const dependencies = testDependencies()
  const copy = testFleet(dependencies, ['paris', 'lyon'])
  const later = reduceAll(copy, planRemoval(copy, paris, dependencies))

  it('gives back a revocation, its denied names and the generation; the rest is as it was restored', () => {
    const changes = planProtected(copy, later.records)
    expect(changes.map(change => change.kind === 'record' && change.owner)).to.deep.equal([paris])
    const record = reduceAll(copy, changes).records.get(paris)
    expect(record?.generation).to.equal(2)
    expect(record?.credentials.map(({state}) => state)).to.deep.equal(['revoked'])
    expect(record?.denied).to.deep.equal(later.records.get(paris)?.denied)
    expect(record?.registration).to.deep.equal(copy.records.get(paris)?.registration)
    expect(planProtected(reduceAll(copy, changes), later.records)).to.deep.equal([])
  })

  it('does not shorten a denial that ends later than it did before', () => {
    const denial = (until: string): DeniedName => ({name: 'spiffe://atlas.internal/downstream/paris/1', until})
    const record = recordOf(later, paris)
    const [longer, shorter] = [denial('2028-01-01T00:00:00.000Z'), denial('2027-01-01T00:00:00.000Z')]
    const stored = reduceAll(later, [{kind: 'record', owner: paris, value: {...record, denied: [longer]}}])
    expect(planProtected(stored, new Map([[paris, {...record, denied: [shorter]}]]))).to.deep.equal([])
    const restored = reduceAll(later, [{kind: 'record', owner: paris, value: {...record, denied: [shorter]}}])
    const after = reduceAll(restored, planProtected(restored, stored.records))
    expect(after.records.get(paris)?.denied).to.deep.equal([longer])
  })

  it('a cluster stays revoked, and a restored one does not become revoked again', () => {
    const cutOff = reduceAll(copy, planRevocation(copy, paris, {reissue: false}, dependencies))
    const protectedCopy = reduceAll(copy, planProtected(copy, cutOff.records))
    expect(protectedCopy.records.get(paris)).to.include({generation: 2, revokedSince: '2026-11-23T00:00:00.000Z'})
    expect(ownersPutBack(cutOff, copy, dependencies.now())).to.deep.equal([paris])
    const restored = reduceAll(cutOff, planRestore(cutOff, paris))
    expect(ownersPutBack(cutOff, restored, dependencies.now())).to.deep.equal([])
    expect(planProtected(restored, cutOff.records)).to.deep.equal([])
    const again = reduceAll(restored, planRevocation(restored, paris, {reissue: false}, dependencies))
    for (const earlier of [copy, cutOff, restored])
      expect(reduceAll(earlier, planProtected(earlier, again.records)).records.get(paris))
        .to.include({generation: 3})
        .and.to.have.property('revokedSince')
    const reissued = reduceAll(copy, planRevocation(copy, paris, {reissue: true}, dependencies))
    expect(reduceAll(copy, planProtected(copy, reissued.records)).records.get(paris)).not.to.have.property('revokedSince')
  })

  it('loses nothing where the store is restored twice', () => {
    for (const records of [unitedRecords(later.records, copy.records), unitedRecords(copy.records, later.records)])
      expect(planProtected(copy, records)).to.have.length(1)
  })

  it('changes nothing where nothing was lost, nor a record that cannot be read', () => {
    expect(planProtected(later, copy.records)).to.deep.equal([])
    const fault = {object: 'ConfigMap/atlas-records-00', key: 'data.paris', message: 'broken'}
    expect(planProtected(reduceAll(copy, [{kind: 'fault', subject: 'record/paris', value: fault}]), later.records)).to.deep.equal([])
  })
})
