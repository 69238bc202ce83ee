/** A revoked cluster gets nothing until a person restores it, whatever happens meanwhile; one credential can be revoked alone. */
import {expect} from 'chai'
import {deniedAdsClients, deniedSenders} from '../../src/lib/envoy/rbac.js'
import {type Change, reduce, reduceAll} from '../../src/lib/model/change.js'
import {type Fleet, clusterOf, clustersOf} from '../../src/lib/model/fleet.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import {clusterEntry, clusterNames} from '../../src/lib/ops/cluster/list.js'
import {joining} from '../../src/lib/ops/cluster/values.js'
import {findingsOf} from '../../src/lib/ops/findings.js'
import {planReconcile} from '../../src/lib/ops/reconcile.js'
import {planCredentialRevocation, planRemoval, planRestore, planRevocation} from '../../src/lib/ops/revoke.js'
import {planLeaves, allOwners} from '../../src/lib/ops/rotate.js'
import {planStart} from '../../src/lib/ops/rotation/start.js'
import {waitingFor} from '../../src/lib/ops/rotation/waiting.js'
import {statusOf} from '../../src/lib/ops/status.js'
import {readKey} from '../../src/lib/pki/read.js'
import {type TestDependencies, reconciled, testDependencies, testFleet, testSettings} from '../helpers/dependencies.js'
import {testCluster} from '../helpers/fleet.js'
import {memoryStore} from '../helpers/memory-store.js'
import {changesOf} from '../helpers/fleet-changes.js'
import {rejectedBy, thrownBy} from '../helpers/thrown.js'

const DAY = 86_400
/** With an issuer that ends after everything that these tests wait for. */
const longLived = {...testSettings, lifetimes: {...testSettings.lifetimes, issuer: 3650 * DAY}}
const paris = parseClusterName('paris')
const gone: Change = {kind: 'registration', name: paris, value: undefined}
const registered: Change = {kind: 'registration', name: paris, value: testCluster('paris')}

function urisOf(fleet: Fleet): readonly string[] {
  return [fleet.identities.get(paris), fleet.credentials.get(paris)].flatMap(key => (key === undefined ? [] : readKey(key).uris))
}

function revoked(before: Fleet, dependencies: TestDependencies, {reissue = false} = {}): Fleet {
  return reconciled(reduceAll(before, planRevocation(before, paris, {reissue}, dependencies)), dependencies)
}

describe('ops: a revoked cluster', () => {
  it('keeps its registration and loses its keys; all its names are denied, and it vanishes for Thanos Query', () => {
    const dependencies = testDependencies()
    const before = testFleet(dependencies, ['paris', 'lyon'])
    const fleet = revoked(before, dependencies)
    const record = fleet.records.get(paris)
    expect(record).to.include({generation: 2, revokedSince: '2026-11-23T00:00:00.000Z'})
    expect(record?.registration).to.deep.equal(before.records.get(paris)?.registration)
    expect(record?.credentials.map(({state}) => state)).to.deep.equal(['revoked'])
    expect(fleet.registrations.get(paris)).to.equal(before.registrations.get(paris))
    expect(urisOf(fleet)).to.deep.equal([])
    const names = (kind: string) => [1, 2].map(generation => `spiffe://atlas.internal/${kind}/paris/${generation}`)
    expect(deniedAdsClients(fleet, testSettings)).to.deep.equal(names('ads-client'))
    expect(deniedSenders(fleet, testSettings)).to.deep.equal(names('downstream'))
    expect([clusterOf(fleet, paris), clustersOf(fleet).map(({name}) => name)]).to.deep.equal([undefined, ['lyon']])
    expect(fleet.endpoints?.text).to.contain('lyon').and.not.to.contain('paris')
    expect(planReconcile(fleet, dependencies)).to.deep.equal([])
  })

  it('is listed, named by status with what to do, and gets no certificate by any command', async () => {
    const dependencies = testDependencies()
    const fleet = revoked(testFleet(dependencies, ['paris', 'lyon']), dependencies)
    expect(clusterEntry(fleet, paris)).to.include({state: 'revoked', revokedSince: '2026-11-23T00:00:00.000Z'})
    const {proxies, withoutProxy} = statusOf(fleet, [], dependencies.now())
    expect(withoutProxy).to.deep.equal(['atlas', 'lyon'])
    const row = proxies.find(({cluster}) => cluster === 'paris')
    expect(row?.state).to.equal('revoked')
    expect(row?.remark).to.include('"atlas cluster restore paris"').and.to.include('"atlas cluster remove paris"')
    expect(findingsOf(fleet, [], dependencies.now()).map(({kind, cluster}) => [kind, cluster])).to.deep.include(['revoked', 'paris'])
    expect(allOwners(fleet)).to.deep.equal(['atlas', 'lyon'])
    expect(thrownBy(() => planLeaves(fleet, [paris], {others: false}, dependencies)).code).to.equal('conflict')
    const store = memoryStore()
    await store.commit(await store.load(), changesOf(fleet))
    const {secret} = await joining(store, 'paris')
    expect(thrownBy(() => secret('envoy')).message).to.match(/^cluster paris is revoked since/)
  })

  it('is waited for by no rotation', () => {
    const dependencies = testDependencies()
    const fleet = revoked(testFleet(dependencies, ['paris', 'lyon']), dependencies)
    const rotating = reduceAll(fleet, planStart(fleet, 'issuer', {...dependencies, skip: []}))
    if (rotating.rotation === undefined) throw new Error('there is no rotation')
    const waiting = waitingFor(
      rotating,
      rotating.rotation,
      {proxies: [], absent: [], servers: []},
      {...dependencies, isAgeAReason: true},
    ).join('; ')
    expect(waiting).to.include('lyon').and.not.to.include('paris')
  })

  it('gets nothing when its registration is applied, deleted for longer than a suspension, and made again', () => {
    const dependencies = testDependencies()
    let fleet = revoked(testFleet(dependencies, ['paris'], longLived), dependencies)
    const without = (): void => {
      expect([urisOf(fleet), clusterNames(fleet)]).to.deep.equal([[], ['paris']])
    }

    fleet = reconciled(reduce(fleet, {kind: 'registration', name: paris, value: {...testCluster('paris'), replicas: 3}}), dependencies)
    without()
    expect(fleet.records.get(paris)?.registration?.replicas).to.equal(3)
    fleet = reconciled(reduce(fleet, gone), dependencies)
    expect(fleet.records.get(paris)).to.have.property('suspendedSince')
    without()
    dependencies.pass(900 * DAY)
    fleet = reconciled(fleet, dependencies)
    without()
    expect(planReconcile(fleet, dependencies)).to.deep.equal([])
    fleet = reconciled(reduce(fleet, registered), dependencies)
    without()
    expect(fleet.records.get(paris)).to.include({generation: 2, revokedSince: '2026-11-23T00:00:00.000Z'})
  })

  it('is restored under the generation that the revocation began; what was revoked stays refused', () => {
    const dependencies = testDependencies()
    const before = testFleet(dependencies)
    const cutOff = revoked(before, dependencies)
    const fleet = reconciled(reduceAll(cutOff, planRestore(cutOff, paris)), dependencies)
    expect(urisOf(fleet)).to.deep.equal(['spiffe://atlas.internal/downstream/paris/2', 'spiffe://atlas.internal/ads-client/paris/2'])
    expect(fleet.records.get(paris)).not.to.have.property('revokedSince')
    expect(fleet.records.get(paris)?.credentials.map(({state}) => state)).to.deep.equal(['revoked', 'valid'])
    expect(deniedAdsClients(fleet, testSettings)).to.deep.equal(['spiffe://atlas.internal/ads-client/paris/1'])
    expect(fleet.endpoints?.text).to.contain('paris')
    expect(planRestore(fleet, paris)).to.deep.equal([])
  })

  it('with reissue gets certificates of the next generation at once', () => {
    const dependencies = testDependencies()
    const fleet = revoked(testFleet(dependencies), dependencies, {reissue: true})
    expect(urisOf(fleet)).to.deep.equal(['spiffe://atlas.internal/downstream/paris/2', 'spiffe://atlas.internal/ads-client/paris/2'])
    expect(fleet.records.get(paris)?.credentials.map(({state}) => state)).to.deep.equal(['revoked', 'valid'])
    expect(fleet.records.get(paris)).not.to.have.property('revokedSince')
  })

  it('can be removed, and added again as a new cluster', () => {
    const dependencies = testDependencies()
    const cutOff = revoked(testFleet(dependencies), dependencies)
    const removed = reconciled(reduceAll(cutOff, planRemoval(cutOff, paris, dependencies)), dependencies)
    expect(clusterNames(removed)).to.deep.equal([])
    expect(removed.records.get(paris)).not.to.have.property('revokedSince')
    expect(urisOf(reconciled(reduce(removed, registered), dependencies))[0]).to.equal('spiffe://atlas.internal/downstream/paris/3')
  })

  it('a revocation, with or without reissue, that was killed anywhere is finished, and does not begin another generation', () => {
    const dependencies = testDependencies()
    const before = testFleet(dependencies)
    for (const reissue of [false, true]) {
      const changes = planRevocation(before, paris, {reissue}, dependencies)
      const whole = [...changes, ...planReconcile(reduceAll(before, changes), dependencies)]
      for (let cut = 1; cut <= whole.length; cut += 1) {
        const killed = reduceAll(before, whole.slice(0, cut))
        const fleet = reconciled(killed, dependencies)
        expect(urisOf(fleet).length, `cut at ${cut}`).to.equal(reissue ? 2 : 0)
        expect(urisOf(fleet).filter(uri => uri.endsWith('/1'))).to.deep.equal([])
        expect(fleet.records.get(paris)?.generation).to.equal(2)
        expect(planReconcile(fleet, dependencies)).to.deep.equal([])
      }
    }

    const again = planRevocation(
      reduceAll(before, planRevocation(before, paris, {reissue: false}, dependencies)),
      paris,
      {reissue: false},
      dependencies,
    )
    expect(again).to.deep.equal([])
  })

  it('is denied until 30 days after its certificates end, and its generation kept for good', () => {
    const dependencies = testDependencies()
    let fleet = revoked(testFleet(dependencies), dependencies)
    const denied = (): number => fleet.records.get(paris)?.denied.length ?? 0
    // The issuer ends after a year, and with it the last identity that it may have signed.
    dependencies.pass(394 * DAY)
    fleet = reconciled(fleet, dependencies)
    expect(denied()).to.equal(2)
    dependencies.pass(2 * DAY)
    fleet = reconciled(fleet, dependencies)
    expect(denied(), 'that of the identity has ended').to.equal(1)
    dependencies.pass(400 * DAY)
    fleet = reconciled(fleet, dependencies)
    expect(denied(), 'that of the credential, too').to.equal(0)
    expect(fleet.records.get(paris)).to.include({generation: 2, revokedSince: '2026-11-23T00:00:00.000Z'})
  })

  it('is denied as long as an identity that was issued before its life was made shorter', () => {
    const dependencies = testDependencies()
    const settings = {...longLived, lifetimes: {...longLived.lifetimes, identity: 180 * DAY}}
    const before = testFleet(dependencies, ['paris'], settings)
    const stolen = before.identities.get(paris) ?? expect.fail('no identity')
    const short: Change = {kind: 'settings', value: {...settings, lifetimes: {...settings.lifetimes, identity: 30 * DAY}}}
    let fleet = reduce(before, short)
    fleet = reduceAll(fleet, planLeaves(fleet, allOwners(fleet), {others: true}, dependencies))
    expect(readKey(fleet.identities.get(paris) ?? expect.fail('no identity')).notAfter.getTime()).to.be.lessThan(
      readKey(stolen).notAfter.getTime() - 140 * DAY * 1000,
    )
    for (const plan of [
      () => planRevocation(fleet, paris, {reissue: false}, dependencies),
      () => planRevocation(fleet, paris, {reissue: true}, dependencies),
      () => planRemoval(fleet, paris, dependencies),
    ]) {
      const cut = reconciled(reduceAll(fleet, plan()), dependencies)
      const [name = ''] = readKey(stolen).uris
      const denial = cut.records.get(paris)?.denied.find(each => each.name === name)
      expect(Date.parse(denial?.until ?? '')).to.be.at.least(readKey(stolen).notAfter.getTime())
      const rest = testDependencies()
      rest.pass(179 * DAY)
      expect(deniedSenders(reconciled(cut, rest), testSettings)).to.include(name)
    }
  })

  it('is denied although a clock that is two years ahead takes its identity, and the issuer of it, for ended', () => {
    const right = testDependencies()
    const before = testFleet(right)
    const stolen = before.identities.get(paris) ?? expect.fail('no identity')
    const wrong = testDependencies()
    wrong.pass(730 * DAY)
    for (const plan of [
      () => planRevocation(before, paris, {reissue: false}, wrong),
      () => planRevocation(before, paris, {reissue: true}, wrong),
      () => planRemoval(before, paris, wrong),
    ]) {
      const cut = reconciled(reduceAll(before, plan()), wrong)
      expect(deniedSenders(cut, testSettings)).to.include(readKey(stolen).uris[0])
    }
  })

  it('is denied by its generation although a clock that was years ahead has dropped all denials', () => {
    const right = testDependencies()
    const before = testFleet(right, ['paris'], longLived)
    const stolen = before.identities.get(paris) ?? expect.fail('no identity')
    for (const plan of [
      () => planRevocation(before, paris, {reissue: true}, right),
      () => planRevocation(before, paris, {reissue: false}, right),
      () => planRemoval(before, paris, right),
    ]) {
      const wrong = testDependencies()
      wrong.pass(1500 * DAY)
      const after = reconciled(reduceAll(before, plan()), wrong)
      expect(after.records.get(paris)?.denied).to.deep.equal([])
      expect(deniedSenders(after, testSettings)).to.include(readKey(stolen).uris[0])
      expect(deniedAdsClients(after, testSettings)).to.include('spiffe://atlas.internal/ads-client/paris/1')
    }
  })

  it('is cut off although its registration cannot be read, and while the clock is doubted', () => {
    const dependencies = testDependencies()
    const before = testFleet(dependencies)
    const fault = {object: 'Service/paris', key: 'metadata.labels', message: 'broken'}
    const broken = reduce(before, {kind: 'fault', subject: 'registration/paris', value: fault})
    const fleet = revoked(broken, dependencies)
    expect([urisOf(fleet), clusterOf(fleet, paris)]).to.deep.equal([[], undefined])
    expect(fleet.endpoints?.text).not.to.contain('paris')
    const doubting = {...dependencies, clockDoubt: () => 'the clock of this machine is wrong'}
    const changes = planRevocation(before, paris, {reissue: false}, doubting)
    expect(urisOf(reduceAll(before, [...changes, ...planReconcile(reduceAll(before, changes), doubting)]))).to.deep.equal([])
  })
})

describe('ops: one credential', () => {
  const dependencies = testDependencies()
  const first = testFleet(dependencies, ['paris'], longLived)
  dependencies.pass(400 * DAY)
  const fleet = reconciled(first, dependencies)
  const [old, newest] = (fleet.records.get(paris)?.credentials ?? []).map(({sha256}) => sha256)
  const states = (after: Fleet) => after.records.get(paris)?.credentials.map(({state}) => state)
  const revoke = (text = '', {reissue = false} = {}): Fleet =>
    reconciled(reduceAll(fleet, planCredentialRevocation(fleet, paris, {text, reissue})), dependencies)

  it('an older one is revoked by the beginning of its SHA-256, also as openssl prints it; nothing else changes', () => {
    const after = revoke(old?.slice(0, 16))
    expect(states(after)).to.deep.equal(['revoked', 'valid'])
    expect(after.records.get(paris)?.generation).to.equal(1)
    expect(after.credentials).to.deep.equal(fleet.credentials)
    const printed = old?.toUpperCase().replaceAll(/(..)(?=.)/g, '$1:')
    expect(states(revoke(printed))).to.deep.equal(['revoked', 'valid'])
    expect(planCredentialRevocation(after, paris, {text: old ?? '', reissue: false})).to.deep.equal([])
    const unknown = thrownBy(() => planCredentialRevocation(after, paris, {text: 'ab'.repeat(8), reissue: false}))
    expect(unknown.code).to.equal('not-found')
    expect(unknown.hint, 'where a SHA-256 is seen')
      .to.contain('openssl x509 -in tls.crt -noout -fingerprint -sha256')
      .and.to.contain('"atlas status"')
  })

  it('the newest one needs reissue, and is replaced', () => {
    expect(thrownBy(() => revoke(newest))).to.include({code: 'conflict'})
    const after = revoke(newest, {reissue: true})
    expect(states(after)).to.deep.equal(['valid', 'revoked', 'valid'])
    expect(after.credentials.get(paris)).not.to.equal(fleet.credentials.get(paris))
    expect(planReconcile(after, dependencies)).to.deep.equal([])
  })

  it('one that is not on record is named with those that are; a short or wrong text is refused', () => {
    expect(thrownBy(() => revoke('0'.repeat(16)))).to.include({code: 'not-found'})
    expect(thrownBy(() => revoke('0'.repeat(16))).message)
      .to.include(old)
      .and.to.include(newest)
    for (const text of ['', old?.slice(0, 15), 'g'.repeat(64), `${old ?? ''}0`])
      expect(
        thrownBy(() => revoke(text)),
        text,
      ).to.include({code: 'invalid'})
  })

  it('is not known of a cluster that is not there', async () => {
    const store = memoryStore()
    await store.commit(await store.load(), changesOf(fleet))
    expect((await rejectedBy(joining(store, 'rome'))).code).to.equal('not-found')
  })
})
