/** In which order, and how many at a time, certificates are renewed that are due for a whole fleet at once. */
import {expect} from 'chai'
import {identitySecret} from '../../src/lib/envoy/secret.js'
import {type Fleet, registeredNames} from '../../src/lib/model/fleet.js'
import type {Owner} from '../../src/lib/model/names.js'
import type {ProxyReport} from '../../src/lib/model/report.js'
import {planReconcile} from '../../src/lib/ops/reconcile.js'
import {type RenewalFacts, type RenewalPlan, planRenewals} from '../../src/lib/ops/renewals.js'
import {reduceAll} from '../../src/lib/model/change.js'
import {defaultRenewalTimes, openRenewals} from '../../src/server/leader/renewals.js'
import {type TestDependencies, testDependencies, testFleet, testSettings} from '../helpers/dependencies.js'

const day = 86_400
const times = defaultRenewalTimes

describe('renewals', () => {
  let dependencies: TestDependencies
  let fleet: Fleet
  let facts: RenewalFacts
  beforeEach(() => {
    dependencies = testDependencies()
    fleet = testFleet(
      dependencies,
      Array.from({length: 30}, (_, index) => `c${index}`),
    )
    facts = {proxies: [], evidence: undefined, isClockConfirmed: true, renewedBefore: new Set(), acknowledgeMs: 120_000}
  })

  const plan = (): RenewalPlan => planRenewals(fleet, testSettings, dependencies.now(), facts)

  /** One pass. @returns whose identities are new */
  function pass(): readonly Owner[] {
    const changes = planReconcile(fleet, dependencies, {renewals: plan()})
    fleet = reduceAll(fleet, changes)
    return changes.flatMap(change => (change.kind === 'identity' ? [change.owner] : []))
  }

  /** An Envoy of each owner is connected, and has acknowledged the identity that the owner has now. */
  function connect(owners: readonly Owner[]): void {
    const others = facts.proxies.filter(({cluster}) => !owners.includes(cluster))
    facts = {...facts, proxies: [...others, ...owners.map(owner => proxyOf(owner, versionOf(owner)))]}
  }

  function versionOf(owner: Owner): string {
    const identity = fleet.identities.get(owner)
    if (identity === undefined) throw new Error(`${owner} has no identity`)
    return identitySecret(identity).version
  }

  const all = (): readonly Owner[] => ['atlas', ...registeredNames(fleet)]

  it('are none while nothing is due', () => {
    expect(plan()).to.deep.equal({owners: new Set(), others: true, isWaiting: false, late: []})
  })

  it('that are due for all go on in tenths, each after the one before is acknowledged', () => {
    connect(all())
    dependencies.pass(22 * day)
    const seen: Owner[] = []
    for (let slice = 1; seen.length < 31; slice += 1) {
      const renewed = pass()
      expect(renewed).to.have.length(Math.min(3, 31 - seen.length))
      expect(pass(), 'not before it is acknowledged').to.deep.equal([])
      expect(plan().isWaiting).to.equal(seen.length + renewed.length < 31)
      connect(renewed)
      seen.push(...renewed)
    }

    expect(new Set(seen).size).to.equal(31)
    expect(plan().isWaiting).to.equal(false)
  })

  it('do not wait for clusters without a connected Envoy', () => {
    dependencies.pass(22 * day)
    const seen = Array.from({length: 11}, () => pass())
    expect(seen.flat()).to.have.length(31)
    expect(seen.every(slice => slice.length <= 3)).to.equal(true)
  })

  it('go on although one Envoy does not acknowledge in time, and stop where half of a tenth does not', async () => {
    connect(all())
    dependencies.pass(22 * day)
    const first = pass()
    connect(first.slice(1))
    expect(pass()).to.deep.equal([])
    dependencies.pass(120)
    const second = pass()
    expect(second).to.have.length(3)
    connect(second.slice(1))
    dependencies.pass(120)
    expect(pass()).to.deep.equal([])
    expect(plan().late).to.deep.equal([first[0], second[0]].sort())
    const gate = openRenewals(
      {isClockConfirmed: () => true, evidence: () => ({proxies: facts.proxies, absent: [], servers: []}), evidenceAhead: () => []},
      dependencies,
      times,
    )
    await gate.take(fleet)
    expect(gate.failure()).to.contain(
      `renewals wait: ${[first[0], second[0]].sort().join(', ')} did not acknowledge a new identity within 2m`,
    )
    expect(gate.wait()).to.be.greaterThan(0)
  })

  it('that can not wait go on all the same, a tenth in two minutes', () => {
    connect(all())
    dependencies.pass(31 * day)
    const seen: Owner[] = []
    for (let slice = 1; slice <= 11; slice += 1) {
      seen.push(...pass())
      dependencies.pass(120)
    }

    expect(new Set(seen).size).to.equal(31)
  })

  it('before the clock is confirmed are a tenth of the clusters, and neither the observability cluster nor the server', () => {
    facts = {...facts, isClockConfirmed: false}
    dependencies.pass(40 * day)
    const {server} = fleet
    const renewed = pass()
    expect(renewed).to.have.length(3)
    facts = {...facts, renewedBefore: new Set(renewed)}
    expect(pass()).to.deep.equal([])
    expect(plan().isWaiting).to.equal(true)
    expect(fleet.server).to.equal(server)
    facts = {...facts, isClockConfirmed: true}
    pass()
    expect(fleet.server).not.to.equal(server)
  })

  it('before the clock is confirmed are planned again, of the same clusters, where nothing was written', async () => {
    dependencies.pass(40 * day)
    const gate = openRenewals({isClockConfirmed: () => false, evidence: () => undefined, evidenceAhead: () => []}, dependencies, times)
    const first = await gate.take(fleet)
    expect(first.owners.size).to.equal(3)
    expect(await gate.take(fleet), 'the commit failed').to.deep.equal(first)
    const [written, ...others] = [...first.owners]
    fleet = reduceAll(fleet, planReconcile(fleet, dependencies, {renewals: {owners: new Set([written as Owner]), others: false}}))
    expect([...(await gate.take(fleet)).owners]).to.deep.equal(others)
  })

  for (const size of [2, 10, 29])
    it(`of a fleet of ${size} clusters go on although one cluster never acknowledges, and stop at two`, () => {
      fleet = testFleet(
        dependencies,
        Array.from({length: size}, (_, index) => `c${index}`),
      )
      connect(all())
      dependencies.pass(22 * day)
      const [first, second] = registeredNames(fleet)
      const never = [first, second].flatMap(name => (name === undefined ? [] : [proxyOf(name, 'never')]))
      facts = {...facts, proxies: never.slice(0, 1)}
      expect(plan()).to.deep.include({late: []})
      expect(plan().owners.size).to.equal(Math.max(1, Math.floor(size / 10)))
      facts = {...facts, proxies: never}
      expect(plan().owners.size).to.equal(0)
      expect(plan().late).to.deep.equal([first, second].sort())
    })

  it('of a small fleet are one at a time', () => {
    fleet = testFleet(dependencies, ['paris', 'lyon'])
    dependencies.pass(22 * day)
    expect(plan().owners.size).to.equal(1)
  })
})

function proxyOf(cluster: Owner, version: string): ProxyReport {
  return {
    ...{cluster, id: `${cluster}-0`, sequence: 1, variant: 'delta', path: 'relay', connectedSince: '2026-11-23T00:00:00.000Z'},
    ...{types: [], credential: {sha256: 'a'}, identity: {version}, equalIds: 1},
  }
}
