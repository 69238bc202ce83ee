/** When Services of the 2021 program are taken over, and when not. The objects of a cluster that cannot be read are left alone. */
import {expect} from 'chai'
import {derivedOf, derivedText} from '../../../src/lib/manifest/derived.js'
import {keyOf} from '../../../src/lib/manifest/manifest.js'
import {type Change, reduceAll} from '../../../src/lib/model/change.js'
import type {Fleet, Subject} from '../../../src/lib/model/fleet.js'
import {OBSERVABILITY, type Owner, parseClusterName} from '../../../src/lib/model/names.js'
import type {ProxyReport, Report, TypeReport} from '../../../src/lib/model/report.js'
import {planDerived} from '../../../src/lib/ops/derive.js'
import {nextDue} from '../../../src/lib/ops/due.js'
import {knownOwners} from '../../../src/lib/ops/reconcile.js'
import {goatlasObjects} from '../../helpers/goatlas-objects.js'
import {goatlasAuthority} from '../../helpers/goatlas.js'
import {testFleet, testSettings, testDependencies} from '../../helpers/dependencies.js'

const [one, two] = [parseClusterName('downstream1'), parseClusterName('downstream2')]
const START = '2026-11-23T00:00:00.000Z'
const sidecar = 'Service/downstream1-thanos-sidecar0'
/** From the acknowledgement to the end of a round of the health check: 5 s and 15 % of jitter, and 2 s for the answer. */
const ROUND = 7.75

const types: readonly TypeReport[] = (['Secret', 'Cluster', 'Listener', 'RouteConfiguration'] as const).map(type => ({
  type,
  state: 'synced',
  sent: 1,
  acknowledged: 1,
}))

function proxy(cluster: Owner, differing: Partial<ProxyReport> = {}): ProxyReport {
  return {
    cluster,
    id: `${cluster}-0`,
    sequence: 1,
    variant: 'delta',
    path: cluster === OBSERVABILITY ? 'direct' : 'relay',
    connectedSince: START,
    types,
    credential: {sha256: ''},
    equalIds: 1,
    ...differing,
  }
}

function report(replica: string, proxies: readonly ProxyReport[]): Change {
  return {kind: 'report', replica, value: {report: {at: START, proxies} as unknown as Report, leftovers: [], digest: ''}}
}

/** A fleet with the derived objects that the 2021 program left, after `changes`. */
function fleetWith(...changes: readonly Change[]): Fleet {
  const left = goatlasObjects(authority, ['derived']).map((manifest): Change => ({
    kind: 'derived',
    object: keyOf(manifest),
    value: derivedText(manifest),
  }))
  return reduceAll(testFleet(testDependencies(START), [one, two], {...testSettings, namespace: 'monitoring'}), [
    ...left,
    {kind: 'replicas', value: ['ads-0']},
    ...changes,
  ])
}

/** The objects that are written and removed, `seconds` after the start. */
function plannedAt(fleet: Fleet, seconds: number): {readonly written: readonly string[]; readonly removed: readonly string[]} {
  const dependencies = testDependencies(START)
  dependencies.pass(seconds)
  const {written, removed} = planDerived(
    fleet,
    fleet.settings ?? testSettings,
    {owners: knownOwners(fleet), withEndpoints: true},
    dependencies,
  )
  const objects = (changes: readonly Change[]): readonly string[] =>
    changes.map(change => (change.kind === 'derived' ? change.object : change.kind))
  return {written: objects(written), removed: objects(removed)}
}

const takesOver = (fleet: Fleet, seconds = 60): boolean => plannedAt(fleet, seconds).written.includes(sidecar)
const fault = (subject: Subject): Change => ({kind: 'fault', subject, value: {object: 'Service/x', key: 'metadata', message: 'broken'}})

const authority = goatlasAuthority({bits: 2048})
const moved = report('ads-0', [proxy(OBSERVABILITY), proxy(one)])

describe('ops/goatlas/takeover', () => {
  it('values are written at once; Services of a cluster that has not moved are never written', () => {
    const {written, removed} = plannedAt(fleetWith(), 86_400)
    expect(written).to.include.members(['Secret/downstream1-envoy-values', 'Secret/atlas-envoy-values', 'ConfigMap/atlas-coredns'])
    expect(written.filter(object => object.startsWith('Service/'))).to.deep.equal([])
    expect(removed).to.deep.equal([])
  })

  it("a cluster's Services are taken over one round of the health check after its proxy has acknowledged; those of other clusters are not", () => {
    const fleet = fleetWith(moved)
    expect(takesOver(fleet, ROUND - 0.01)).to.equal(false)
    expect(plannedAt(fleet, ROUND).written.filter(object => object.startsWith('Service/'))).to.deep.equal([sidecar])
    expect(nextDue(fleet, new Date(START))?.getTime()).to.equal(Date.parse(START) + ROUND * 1000)
  })

  it('the round begins with the last acknowledgement of the first proxy that is ready', () => {
    const later = new Date(Date.parse(START) + 30_000).toISOString()
    const sent = proxy(one, {lastChange: later})
    expect(takesOver(fleetWith(report('ads-0', [proxy(OBSERVABILITY), sent])), 30)).to.equal(false)
    expect(takesOver(fleetWith(report('ads-0', [proxy(OBSERVABILITY), sent])), 38)).to.equal(true)
    expect(takesOver(fleetWith(report('ads-0', [proxy(OBSERVABILITY), sent, proxy(one, {id: 'b'})])), 30)).to.equal(true)
  })

  for (const [what, differing] of [
    ['has not acknowledged everything', {types: types.map(each => (each.type === 'Cluster' ? {...each, state: 'stale'} : each))}],
    ['has refused something', {types: types.map(each => (each.type === 'Listener' ? {...each, state: 'nack'} : each))}],
    ['has no listener yet', {types: types.map(each => (each.type === 'Listener' ? {...each, sent: 0, acknowledged: 0} : each))}],
    ['has no certificate yet', {types: types.filter(({type}) => type !== 'Secret')}],
    ['is frozen', {frozen: 'its identity can not be read'}],
  ] as readonly (readonly [string, Partial<ProxyReport>])[])
    it(`they are not taken over while the proxy ${what}`, () => {
      expect(takesOver(fleetWith(report('ads-0', [proxy(OBSERVABILITY), proxy(one, differing)])))).to.equal(false)
    })

  it('they are not taken over while the observability Envoy is not connected', () => {
    expect(takesOver(fleetWith(report('ads-0', [proxy(one)])))).to.equal(false)
    expect(
      takesOver(
        fleetWith(report('ads-0', [proxy(one)]), report('ads-1', [proxy(OBSERVABILITY)]), {kind: 'replicas', value: ['ads-0', 'ads-1']}),
      ),
    ).to.equal(true)
  })

  it('they are not taken over by the report of a dead server replica', () => {
    expect(takesOver(fleetWith(moved, {kind: 'replicas', value: ['ads-1']}))).to.equal(false)
    expect(takesOver(fleetWith(moved, {kind: 'replicas', value: undefined}))).to.equal(false)
  })

  for (const subject of [`registration/${one}`, `object/Service/${one}`, `record/${one}`] as const)
    it(`with a fault in ${subject} nothing of the cluster is taken over or removed`, () => {
      expect(takesOver(fleetWith(moved, fault(subject)))).to.equal(false)
      const own = fleetWith(moved)
      const ours = [...derivedOf(own, own.settings ?? testSettings, one)].map(([object, value]): Change => ({
        kind: 'derived',
        object,
        value,
      }))
      const unknown: readonly Change[] = [
        {kind: 'registration', name: one, value: undefined},
        {kind: 'record', owner: one, value: undefined},
      ]
      expect(plannedAt(fleetWith(...ours, ...unknown, fault(subject)), 60).removed).to.deep.equal([])
      expect(plannedAt(fleetWith(...ours, ...unknown), 60).removed).to.have.members(
        ours.map(change => change.kind === 'derived' && change.object),
      )
    })

  it('objects of the 2021 program are never removed, not even those of a cluster that is gone', () => {
    const gone: readonly Change[] = [
      {kind: 'registration', name: one, value: undefined},
      {kind: 'record', owner: one, value: undefined},
    ]
    expect(plannedAt(fleetWith(moved, ...gone), 60).removed).to.deep.equal([])
  })

  it("after the takeover they stay Atlas's, whatever happens to the proxy, and that program's marks on them are removed", () => {
    const fleet = fleetWith(moved)
    const value = derivedOf(fleet, fleet.settings ?? testSettings, one).get(sidecar)
    const after = fleetWith(report('ads-0', []), {kind: 'derived', object: sidecar, value})
    expect(takesOver(after)).to.equal(false)
    expect(nextDue(after, new Date(START))?.getTime()).to.be.greaterThan(Date.parse(START) + 3_600_000)
    const marked = JSON.stringify({...(JSON.parse(value ?? '') as object), owned2021: true})
    expect(takesOver(fleetWith({kind: 'derived', object: sidecar, value: marked}))).to.equal(true)
  })
})
