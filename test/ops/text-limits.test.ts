/** Beyond a limit the last complete zone and endpoints stay, and everything else is written. */
import {expect} from 'chai'
import {parseAddress} from '../../src/lib/model/address.js'
import {type Change, reduceAll} from '../../src/lib/model/change.js'
import type {Fleet} from '../../src/lib/model/fleet.js'
import {ZONE} from '../../src/lib/ops/derive.js'
import {planReconcile} from '../../src/lib/ops/reconcile.js'
import {textsTooLong} from '../../src/lib/ops/text-limits.js'
import {testFleet, testDependencies, testSettings} from '../helpers/dependencies.js'
import {testCluster} from '../helpers/fleet.js'

const dependencies = testDependencies()
/** Service names of 59 characters, so that few replicas are enough. */
const large = testCluster('x'.repeat(42), {addresses: [parseAddress('198.51.100.4')], replicas: 400})
const settings = {
  ...testSettings,
  clusterDomain: `${'c'.repeat(60)}.${'c'.repeat(60)}.example`,
  endpointTemplate: `${'{service}'.repeat(55)}:10901`,
}

const reconciled = (fleet: Fleet, withZone = true): Fleet => reduceAll(fleet, planned(fleet, withZone))
const planned = (fleet: Fleet, withZone = true): readonly Change[] => planReconcile(fleet, dependencies, {withDerived: true, withZone})
const tooLong = (fleet: Fleet, withZone = true): readonly string[] => [...textsTooLong(fleet, {withZone}).keys()]

describe('ops: texts that are too long for Thanos Query', () => {
  const small = reconciled(testFleet(dependencies, ['paris'], settings))
  const grown = reduceAll(small, [{kind: 'registration', name: large.name, value: large}])

  it('keep their last complete versions, while each cluster gets all that is its own', () => {
    expect(tooLong(small)).to.deep.equal([])
    const after = reconciled(grown)
    expect(after.derived.get(ZONE)).to.equal(small.derived.get(ZONE))
    expect(after.endpoints).to.deep.equal(small.endpoints)
    expect(after.credentials.has(large.name)).to.equal(true)
    expect([...after.derived.keys()].filter(object => object.startsWith('Service/xxx'))).to.have.length(400)
    expect(tooLong(after)).to.deep.equal(['name sidecars.thanos.atlas.', 'endpoints'])
    expect(planned(after), 'nothing is tried again').to.deep.equal([])
  })

  it('a cluster that is added or removed meanwhile does not depend on them', () => {
    const lyon = testCluster('lyon')
    const after = reconciled(reduceAll(reconciled(grown), [{kind: 'registration', name: lyon.name, value: lyon}]))
    expect(after.derived.has('Service/lyon-thanos-sidecar0')).to.equal(true)
    expect(after.identities.has(lyon.name)).to.equal(true)
    expect(after.endpoints).to.deep.equal(small.endpoints)
  })

  it('are written once they are short enough again', () => {
    const value = {...large, replicas: 2}
    const after = reconciled(reduceAll(reconciled(grown), [{kind: 'registration', name: large.name, value}]))
    expect(tooLong(after)).to.deep.equal([])
    for (const text of [after.derived.get(ZONE), after.endpoints?.text]) expect(text).to.include(`${large.name}-thanos-sidecar1`)
  })

  it('a new mark of ownership is put on endpoints that stay', () => {
    const unmarked = {...grown, endpoints: {text: small.endpoints?.text ?? ''}}
    expect(reconciled(unmarked).endpoints).to.deep.equal(small.endpoints)
  })

  it('a group that is not too long is written, and one that is keeps its own', () => {
    const groups = ['big', 'small']
    const lyon = testCluster('lyon', {groups: ['small']})
    const listed = reduceAll(grown, [
      {kind: 'settings', value: {...settings, groups}},
      {kind: 'registration', name: large.name, value: {...large, groups: ['big']}},
      {kind: 'registration', name: lyon.name, value: lyon},
    ])
    const after = reconciled(listed)
    expect([...after.groupEndpoints.keys()]).to.deep.equal(['small'])
    expect(after.groupEndpoints.get('small')?.text).to.include('lyon-thanos-sidecar0')
    expect(after.derived.get(ZONE)).to.include('_thanos._tcp.small.thanos.atlas. 60 IN SRV').and.not.to.include('.big.')
    expect(tooLong(after)).to.deep.equal(['name sidecars.thanos.atlas.', 'name big.thanos.atlas.', 'endpoints', 'endpoints of group big'])
  })

  it('in a directory, endpoints have no limit', () => {
    const after = reduceAll(grown, planReconcile(grown, dependencies))
    expect(after.endpoints?.text.length).to.be.above(1_048_576)
  })

  it('a zone that nothing reads is not judged, and is removed', () => {
    expect(tooLong(grown, false)).to.deep.equal(['endpoints'])
    expect(planned(small, false)).to.deep.equal([{kind: 'derived', object: ZONE, value: undefined}])
    const without = reconciled(small, false)
    expect(without.derived.has(ZONE)).to.equal(false)
    expect(planned(without, false)).to.deep.equal([])
    expect(reconciled(without).derived.has(ZONE), 'read again').to.equal(true)
  })

  it('a zone that Atlas has not written stays where nothing is to read it', () => {
    const foreign = reduceAll(small, [{kind: 'derived', object: ZONE, value: '{"labels":{},"text":"of a person"}'}])
    expect(planned(foreign, false)).to.deep.equal([])
  })
})
