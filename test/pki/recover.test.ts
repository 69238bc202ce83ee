import {expect} from 'chai'
import {reduce, reduceAll} from '../../src/lib/model/change.js'
import type {Fleet} from '../../src/lib/model/fleet.js'
import {generationIn, parseClusterName} from '../../src/lib/model/names.js'
import {planReconcile} from '../../src/lib/ops/reconcile.js'
import {recordOrRecovered, withRecovered} from '../../src/lib/pki/recover.js'
import {planRemoval} from '../../src/lib/ops/revoke.js'
import {readKey} from '../../src/lib/pki/read.js'
import {testCluster} from '../helpers/fleet.js'
import {reconciled, testFleet, testDependencies} from '../helpers/dependencies.js'

const paris = parseClusterName('paris')
const fault = {object: 'ConfigMap/atlas-records-22', key: 'the whole object', message: 'broken'}

describe('pki/recover', () => {
  const dependencies = testDependencies()
  /** Paris was removed and added again. */
  const removed = reduceAll(testFleet(dependencies), planRemoval(testFleet(dependencies), paris, dependencies))
  const second = reconciled(reduce(removed, {kind: 'registration', name: paris, value: testCluster('paris')}), dependencies)
  const without = (fleet: Fleet, subjects: readonly ('credential' | 'identity' | 'record')[]): Fleet =>
    reduceAll(
      fleet,
      subjects.map(kind => ({kind, owner: paris, value: undefined})),
    )

  it('recovers a lost record from the certificates in the store', () => {
    const {generation, registration, credentials, denied} = recordOrRecovered(without(second, ['record']), paris)
    expect({generation, registration: registration?.name}).to.deep.equal({generation: 2, registration: 'paris'})
    expect(denied.map(({name}) => name)).to.deep.equal(second.records.get(paris)?.denied.map(({name}) => name))
    for (const [index, {until}] of denied.entries()) expect(until > (second.records.get(paris)?.denied[index]?.until ?? '')).to.equal(true)
    expect(credentials.map(({sha256, state}) => ({sha256, state}))).to.deep.equal([
      {
        sha256: second.credentials.get(paris) === undefined ? '' : readKey(second.credentials.get(paris) ?? expect.fail()).sha256,
        state: 'valid',
      },
    ])
    expect(recordOrRecovered(without(second, ['record', 'identity']), paris).generation).to.equal(2)
    expect(recordOrRecovered(without(second, ['record', 'credential']), paris)).to.deep.include({generation: 2, credentials: []})
  })

  it('takes the later of two generations, and no credential of the earlier one', () => {
    const first = testFleet(dependencies)
    const mixed: Fleet = {...without(second, ['record']), credentials: first.credentials}
    expect(recordOrRecovered(mixed, paris)).to.deep.include({generation: 2, credentials: []})
  })

  it('adds the recovered record to the fleet, and changes nothing else', () => {
    expect(withRecovered(second)).to.equal(second)
    const fleet = reduce(without(second, ['record']), {kind: 'fault', subject: 'record/paris', value: fault})
    expect(withRecovered(fleet).records.get(paris)?.generation).to.equal(2)
    expect({...withRecovered(fleet), records: undefined}).to.deep.equal({...fleet, records: undefined})
    expect(withRecovered(without(second, ['record', 'identity', 'credential'])).records.has(paris)).to.equal(false)
  })

  it('a broken record is not overwritten; one that is gone is written again with its generation', () => {
    const broken = reduce(without(second, ['record']), {kind: 'fault', subject: 'record/paris', value: fault})
    expect(planReconcile(broken, dependencies)).to.deep.equal([])
    const again = reconciled(without(second, ['record']), dependencies)
    const {denied, credentials, ...rest} = again.records.get(paris) ?? expect.fail('no record')
    expect(rest).to.deep.equal({owner: 'paris', generation: 2, registration: testCluster('paris')})
    expect([denied.length, credentials.length]).to.deep.equal([2, 1])
    expect(again.identities).to.deep.equal(second.identities)
  })

  it('a removal raises the generation that the certificates show', () => {
    const [record] = planRemoval(without(second, ['record']), paris, dependencies)
    expect(record?.kind === 'record' && record.value?.generation).to.equal(3)
  })

  it('reads a generation from names of identities and credentials, in their one spelling', () => {
    const domain = 'atlas.internal'
    expect(generationIn('spiffe://atlas.internal/downstream/paris/12', domain, paris)).to.equal(12)
    expect(generationIn('spiffe://atlas.internal/ads-client/paris/1', domain, paris)).to.equal(1)
    expect(generationIn('spiffe://atlas.internal/ads-client/atlas/3', domain, 'atlas')).to.equal(3)
    for (const uri of [
      'downstream/paris/0',
      'downstream/paris/01',
      'downstream/paris/',
      'downstream/paris/1/2',
      'downstream/lyon/1',
      'observability',
    ])
      expect(generationIn(`spiffe://atlas.internal/${uri}`, domain, paris), uri).to.equal(undefined)
  })
})
