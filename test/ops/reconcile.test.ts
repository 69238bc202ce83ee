import {expect} from 'chai'
import {type Change, reduce, reduceAll} from '../../src/lib/model/change.js'
import {type Fleet, emptyFleet} from '../../src/lib/model/fleet.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import {nextDue} from '../../src/lib/ops/due.js'
import {planReconcile} from '../../src/lib/ops/reconcile.js'
import {planRemoval} from '../../src/lib/ops/revoke.js'
import {unsignedReasons} from '../../src/lib/ops/signing.js'
import {readKey} from '../../src/lib/pki/read.js'
import {testCluster} from '../helpers/fleet.js'
import {reconciled, testFleet, testSettings, testDependencies} from '../helpers/dependencies.js'
import {readCertificate} from '../helpers/pki.js'

const DAY = 86_400
const [paris, lyon] = [parseClusterName('paris'), parseClusterName('lyon')]
/** With an issuer that ends after everything that these tests wait for. */
const longLived = {...testSettings, lifetimes: {...testSettings.lifetimes, issuer: 3650 * DAY}}
const fault = {object: 'Secret/atlas-identities-00', key: 'data.paris', message: 'broken'}

describe('ops/reconcile', () => {
  it('issues all that is missing, and then plans nothing', () => {
    const dependencies = testDependencies()
    const fleet = testFleet(dependencies, ['paris', 'lyon'])
    expect([...fleet.authority.keys()].sort()).to.deep.equal(['credentialIssuer', 'issuer', 'root'])
    expect([...fleet.identities.keys()]).to.deep.equal(['atlas', 'lyon', 'paris'])
    expect([...fleet.credentials.keys()]).to.deep.equal(['atlas', 'lyon', 'paris'])
    expect(fleet.server).not.to.equal(undefined)
    expect(fleet.endpoints?.text).to.contain('paris-thanos-sidecar0.atlas.svc.cluster.local:10901')
    expect(planReconcile(fleet, dependencies)).to.deep.equal([])
  })

  it('every credential is on record, and is recorded before it is written', () => {
    const dependencies = testDependencies()
    const fleet = reduce(testFleet(dependencies, []), {kind: 'registration', name: paris, value: testCluster('paris')})
    const changes = planReconcile(fleet, dependencies)
    const [record, credential] = [
      changes.findLastIndex(change => change.kind === 'record'),
      changes.findIndex(change => change.kind === 'credential'),
    ]
    expect(record).to.be.greaterThan(-1).and.to.be.lessThan(credential)
    const after = reduceAll(fleet, changes)
    const out = after.credentials.get(paris)
    if (out === undefined) throw new Error('no credential')
    expect(after.records.get(paris)?.credentials.map(entry => entry.sha256)).to.deep.equal([readKey(out).sha256])
  })

  it('every prefix of a plan is completed by the next one: a crash anywhere resumes, with one key per cluster', () => {
    const dependencies = testDependencies()
    const fleet = reduce(testFleet(dependencies, ['lyon']), {kind: 'registration', name: paris, value: testCluster('paris')})
    const changes = planReconcile(fleet, dependencies)
    for (let cut = 0; cut <= changes.length; cut += 1) {
      const resumed = reconciled(reduceAll(fleet, changes.slice(0, cut)), dependencies)
      expect(planReconcile(resumed, dependencies), `cut at ${cut}`).to.deep.equal([])
      expect(resumed.identities.has(paris) && resumed.credentials.has(paris), `cut at ${cut}`).to.equal(true)
    }
  })

  it('without a root nothing is signed', () => {
    const dependencies = testDependencies()
    const fleet = reduce(reduce(emptyFleet, {kind: 'settings', value: testSettings}), {
      kind: 'registration',
      name: paris,
      value: testCluster('paris'),
    })
    expect(planReconcile(fleet, dependencies)).to.deep.equal([])
    expect(planReconcile(emptyFleet, dependencies)).to.deep.equal([])
  })

  it('renews leaves at two thirds of their life, and not before; nextDue() says when', () => {
    const dependencies = testDependencies()
    let fleet = testFleet(dependencies)
    const first = serial(fleet)
    const due = nextDue(fleet, dependencies.now())
    if (due === undefined) throw new Error('nothing is due')
    const days = (due.getTime() - dependencies.now().getTime()) / 1000 / DAY
    expect(days).to.be.within(19.9, 22)
    dependencies.pass(19 * DAY)
    expect(planReconcile(fleet, dependencies)).to.deep.equal([])
    dependencies.pass(3 * DAY)
    fleet = reconciled(fleet, dependencies)
    expect(serial(fleet)).not.to.equal(first)
    expect(planReconcile(fleet, dependencies)).to.deep.equal([])
  })

  it('renews an ADS credential at half its life; the old one stays on record until it ends', () => {
    const dependencies = testDependencies()
    let fleet = testFleet(dependencies, ['paris'], longLived)
    const first = fleet.credentials.get(paris)
    dependencies.pass(300 * DAY)
    fleet = reconciled(fleet, dependencies)
    expect(fleet.credentials.get(paris)).to.equal(first)
    dependencies.pass(120 * DAY)
    fleet = reconciled(fleet, dependencies)
    expect(fleet.credentials.get(paris)).not.to.equal(first)
    expect(fleet.records.get(paris)?.credentials).to.have.length(2)
    dependencies.pass(330 * DAY)
    fleet = reconciled(fleet, dependencies)
    expect(fleet.records.get(paris)?.credentials, 'kept for 30 days after its end').to.have.length(2)
    dependencies.pass(31 * DAY)
    fleet = reconciled(fleet, dependencies)
    expect(fleet.records.get(paris)?.credentials).to.have.length(1)
  })

  for (const subject of ['identity/paris', 'credential/paris', 'record/paris', 'trust', 'server', 'authority/issuer'] as const) {
    it(`leaves a broken ${subject} as it is (unknown is not replaced)`, () => {
      const dependencies = testDependencies()
      const fleet = reduce(testFleet(dependencies), {kind: 'fault', subject, value: fault})
      const kinds = planReconcile(fleet, dependencies).map(change => change.kind)
      const touched: Change['kind'] = subject.startsWith('authority') ? 'authority' : (subject.split('/')[0] as Change['kind'])
      expect(kinds).not.to.include(touched)
    })
  }

  it('while the trust bundle was never readable, nothing is signed, and no certificate counts as foreign', () => {
    const dependencies = testDependencies()
    const fleet = testFleet(dependencies)
    const broken = reduceAll({...fleet, trust: undefined}, [
      {kind: 'fault', subject: 'trust', value: {...fault, object: 'ConfigMap/atlas-trust-bundle'}},
    ])
    expect(planReconcile(broken, dependencies)).to.deep.equal([])
    expect(planReconcile({...fleet, trust: undefined}, dependencies).map(({kind}) => kind)).to.deep.equal(['trust'])
  })

  it('a broken registration keeps its record and its certificates', () => {
    const dependencies = testDependencies()
    const fleet = reduce(testFleet(dependencies), {kind: 'fault', subject: 'registration/paris', value: fault})
    expect(planReconcile(fleet, dependencies)).to.deep.equal([])
    expect(fleet.records.get(paris)?.registration?.name).to.equal('paris')
  })

  it('a cluster whose registration is gone is suspended for 7 days, and restored when it comes back', () => {
    const dependencies = testDependencies()
    const before = testFleet(dependencies)
    let fleet = reconciled(reduce(before, {kind: 'registration', name: paris, value: undefined}), dependencies)
    expect(fleet.records.get(paris)?.suspendedSince).to.equal('2026-11-23T00:00:00.000Z')
    expect(fleet.credentials.get(paris)).to.equal(before.credentials.get(paris))
    expect(fleet.endpoints?.text).not.to.contain('paris')
    dependencies.pass(6 * DAY)
    expect(planReconcile(fleet, dependencies)).to.deep.equal([])
    const restored = reconciled(reduce(fleet, {kind: 'registration', name: paris, value: testCluster('paris')}), dependencies)
    expect(restored.records.get(paris)).to.deep.equal(before.records.get(paris))
    expect(restored.endpoints?.text).to.contain('paris')

    dependencies.pass(2 * DAY)
    fleet = reconciled(fleet, dependencies)
    expect(fleet.credentials.has(paris)).to.equal(false)
    expect(fleet.records.get(paris)?.generation).to.equal(2)
    expect(planReconcile(fleet, dependencies)).to.deep.equal([])
  })

  it('a removed cluster is denied by name until 30 days after its certificates end; its generation is kept for good', () => {
    const dependencies = testDependencies()
    const before = testFleet(dependencies, ['paris', 'lyon'], longLived)
    let fleet = reconciled(reduceAll(before, planRemoval(before, paris, dependencies)), dependencies)
    const record = fleet.records.get(paris)
    expect(record?.generation).to.equal(2)
    expect(record?.credentials.map(entry => entry.state)).to.deep.equal(['revoked'])
    expect(record?.denied.map(entry => entry.name)).to.deep.equal([
      'spiffe://atlas.internal/downstream/paris/1',
      'spiffe://atlas.internal/ads-client/paris/1',
    ])
    const ends = new Map(record?.denied.map(entry => [entry.name, Date.parse(entry.until)]))
    const identity = before.identities.get(paris)
    const credential = before.credentials.get(paris)
    if (identity === undefined || credential === undefined) throw new Error('paris has no certificates')
    expect(ends.get('spiffe://atlas.internal/downstream/paris/1')).to.be.at.least(readKey(identity).notAfter.getTime())
    expect(ends.get('spiffe://atlas.internal/ads-client/paris/1')).to.be.at.least(readKey(credential).notAfter.getTime())
    for (const held of [fleet.registrations, fleet.identities, fleet.credentials])
      expect([...held.keys()].filter(key => key === paris)).to.deep.equal([])
    expect(fleet.credentials.has(lyon)).to.equal(true)

    dependencies.pass(755 * DAY)
    fleet = reconciled(fleet, dependencies)
    expect(fleet.records.get(paris), 'all certificates ended less than 30 days ago').to.deep.equal({...record, denied: [record?.denied[1]]})
    dependencies.pass(10_000 * DAY)
    fleet = reconciled(fleet, dependencies)
    expect(fleet.records.get(paris)).to.deep.equal({owner: 'paris', generation: 2, credentials: [], denied: []})
    const again = reduce(fleet, {kind: 'registration', name: paris, value: testCluster('paris')})
    dependencies.pass(-10_755 * DAY)
    const later = reconciled(again, dependencies).identities.get(paris)
    expect(later && readKey(later).uris).to.deep.equal(['spiffe://atlas.internal/downstream/paris/2'])
  })

  it('a cluster that is added again after its removal has names of the next generation', () => {
    const dependencies = testDependencies()
    const before = testFleet(dependencies)
    const removed = reconciled(reduceAll(before, planRemoval(before, paris, dependencies)), dependencies)
    const again = reconciled(reduce(removed, {kind: 'registration', name: paris, value: testCluster('paris')}), dependencies)
    const identity = again.identities.get(paris)
    if (identity === undefined) throw new Error('no identity')
    expect(readKey(identity).uris).to.deep.equal(['spiffe://atlas.internal/downstream/paris/2'])
    expect(again.records.get(paris)?.denied).to.have.length(2)
  })

  it('a removal that was killed anywhere ends as a removal; afterwards the same cluster can be registered again', () => {
    const dependencies = testDependencies()
    const at = (value: string | undefined): Change => ({kind: 'revision', object: 'Service/paris', value})
    const before = reduce(testFleet(dependencies), at('7'))
    const changes = planRemoval(before, paris, dependencies)
    for (let cut = 1; cut <= changes.length; cut += 1) {
      const killed = reduceAll(before, changes.slice(0, cut))
      const isDeleted = !killed.registrations.has(paris)
      const fleet = reconciled(isDeleted ? reduce(killed, at(undefined)) : killed, dependencies)
      for (const held of [fleet.registrations, fleet.identities, fleet.credentials])
        expect((held as ReadonlyMap<string, unknown>).has(paris), `cut at ${cut}`).to.equal(false)
      const {removing, generation, denied} = fleet.records.get(paris) ?? {}
      expect({removing, generation, denied: denied?.length}, `cut at ${cut}`).to.deep.equal({removing: undefined, generation: 2, denied: 2})
      const again = reduceAll(fleet, [{kind: 'registration', name: paris, value: testCluster('paris')}, at('9')])
      expect(reconciled(again, dependencies).credentials.has(paris), `cut at ${cut}`).to.equal(true)
    }

    // Registered again before a leader has finished the removal: it is another registration, at another revision.
    const raced = reduceAll(reduceAll(before, changes.slice(0, 2)), [
      {kind: 'registration', name: paris, value: testCluster('paris')},
      at('9'),
    ])
    const identity = reconciled(raced, dependencies).identities.get(paris)
    expect(identity && readKey(identity).uris).to.deep.equal(['spiffe://atlas.internal/downstream/paris/2'])
  })

  it('after the issuer has ended nothing is signed, and nothing is lost', () => {
    const dependencies = testDependencies()
    const fleet = testFleet(dependencies)
    dependencies.pass(400 * DAY)
    expect(planReconcile(fleet, dependencies).filter(change => change.kind === 'identity' || change.kind === 'server')).to.deep.equal([])
  })

  it('what was issued while the clock was ahead is due when the clock is right again, though its owners were settled', () => {
    const dependencies = testDependencies()
    let fleet = testFleet(dependencies, ['paris', 'lyon'])
    dependencies.pass(25 * DAY)
    fleet = reconciled(fleet, dependencies)
    expect(planReconcile(fleet, dependencies), 'settled by the wrong clock').to.deep.equal([])
    dependencies.pass(-25 * DAY)
    expect(nextDue(fleet, dependencies.now())).to.deep.equal(dependencies.now())
    fleet = reconciled(fleet, dependencies)
    for (const key of [fleet.server, ...fleet.identities.values()])
      expect(key && readKey(key).notBefore.getTime()).to.be.at.most(dependencies.now().getTime())
    expect(planReconcile(fleet, dependencies)).to.deep.equal([])
    expect(nextDue(fleet, dependencies.now())?.getTime()).to.be.greaterThan(dependencies.now().getTime())
  })

  it('a suspension that a clock ahead began counts from the time at which the clock is right again', () => {
    const dependencies = testDependencies()
    let fleet = testFleet(dependencies)
    dependencies.pass(100 * DAY)
    fleet = reconciled(reduce(fleet, {kind: 'registration', name: paris, value: undefined}), dependencies)
    dependencies.pass(-100 * DAY)
    fleet = reconciled(fleet, dependencies)
    expect(fleet.records.get(paris)?.suspendedSince).to.equal(dependencies.now().toISOString())
    dependencies.pass(8 * DAY)
    expect(reconciled(fleet, dependencies).records.get(paris)?.generation).to.equal(2)
  })

  it('with the clock behind the root, a removal is planned in full, and the reason is named', () => {
    const dependencies = testDependencies()
    const before = testFleet(dependencies, ['paris', 'lyon'])
    dependencies.pass(-3600)
    const fleet = reconciled(reduceAll(before, planRemoval(before, paris, dependencies)), dependencies)
    expect(fleet.records.get(paris)?.credentials.map(({state}) => state)).to.deep.equal(['revoked'])
    expect(fleet.endpoints?.text).not.to.contain('paris')
    expect(fleet.server, 'what cannot be signed is left as it is').to.equal(before.server)
    const reasons = unsignedReasons(fleet, dependencies)
    expect(reasons).to.have.length(3)
    expect(reasons[1]).to.match(/^the issuer \(Secret atlas-issuer\) cannot sign: it is valid from 2026-11-22T23:50:00.000Z only/)
  })

  it('an issuer with a wrong key costs only what it signs', () => {
    const dependencies = testDependencies()
    const before = testFleet(dependencies)
    const [issuer, root] = [before.authority.get('issuer'), before.authority.get('root')]
    if (issuer === undefined || root === undefined) throw new Error('no authority')
    const wrong = {certificate: issuer.certificate, key: root.key}
    const broken = reduceAll(before, [
      {kind: 'authority', part: 'issuer', value: wrong},
      {kind: 'registration', name: lyon, value: testCluster('lyon')},
    ])
    const fleet = reconciled(broken, dependencies)
    expect(fleet.credentials.has(lyon), 'the credential issuer still signs').to.equal(true)
    expect(fleet.identities.has(lyon)).to.equal(false)
    expect(unsignedReasons(fleet, dependencies).join()).to.contain("it has another certificate's private key")
  })

  it('the trust bundle holds every issuer that signs', () => {
    const fleet = testFleet(testDependencies())
    const {roots = [], issuers = [], credentialIssuers = []} = fleet.trust ?? {}
    const names = [...roots, ...issuers, ...credentialIssuers].map(pem => readCertificate(pem).subject)
    expect(names.map(name => name.replace(/ [0-9a-f]{8}/, ''))).to.have.length(3)
    expect(issuers).to.deep.equal([fleet.authority.get('issuer')?.certificate])
  })
})

function serial(fleet: Fleet): string | undefined {
  const identity = fleet.identities.get(paris)
  return identity === undefined ? undefined : readKey(identity).serial
}
