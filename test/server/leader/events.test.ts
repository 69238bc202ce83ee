/** Which Kubernetes Events the leader records, and on which objects. */
import {expect} from 'chai'
import {type Change, reduceAll} from '../../../src/lib/model/change.js'
import type {Fleet} from '../../../src/lib/model/fleet.js'
import {OBSERVABILITY, type Owner, parseClusterName} from '../../../src/lib/model/names.js'
import type {OpsDependencies} from '../../../src/lib/ops/dependencies.js'
import type {ProxyReport, Report} from '../../../src/lib/model/report.js'
import {planCredentialRevocation, planRestore, planRevocation} from '../../../src/lib/ops/revoke.js'
import type {StateStore} from '../../../src/lib/store/store.js'
import {EVENTS_PER_MINUTE, openEventRecorder} from '../../../src/server/leader/events.js'
import {silentLog} from '../../../src/server/log.js'
import {recordsOf} from '../../envoy/fixture.js'
import {testCluster} from '../../helpers/fleet.js'
import {goatlasAuthority} from '../../helpers/goatlas.js'
import {reconciled, testFleet, testDependencies, testSettings} from '../../helpers/dependencies.js'

const [paris, lyon] = [parseClusterName('paris'), parseClusterName('lyon')]
const fleet = testFleet(testDependencies(), [paris, lyon])

function proxy(cluster: Owner, differing: Partial<ProxyReport> = {}): ProxyReport {
  const at = '2026-11-23T00:00:00.000Z'
  return {
    cluster,
    id: `${cluster}-0`,
    sequence: 1,
    variant: 'delta',
    path: 'relay',
    connectedSince: at,
    types: [],
    credential: {sha256: ''},
    equalIds: 1,
    ...differing,
  }
}

function report(replica: string, ...proxies: readonly ProxyReport[]): Change {
  return {kind: 'report', replica, value: {report: {proxies} as unknown as Report, leftovers: [], digest: ''}}
}

const alive = (...replicas: readonly string[]): Change => ({kind: 'replicas', value: replicas})

/** The Events of these changes, one after the other, as `OBJECT REASON MESSAGE`. */
function eventsOf(before: Fleet, ...given: readonly (OpsDependencies | readonly Change[])[]): readonly string[] {
  const steps = given.filter(step => Array.isArray(step)) as readonly (readonly Change[])[]
  const [clock = testDependencies()] = given.filter(step => !Array.isArray(step)) as readonly OpsDependencies[]
  const lines: string[] = []
  const store = {
    recordEvent: async (object: string, {reason, message}: {reason: string; message: string}) => {
      lines.push(`${object} ${reason} ${message}`)
    },
  } as unknown as StateStore
  const recorder = openEventRecorder(store, silentLog, clock)
  recorder.begin(before)
  let known = before
  for (const changes of steps) {
    const after = reduceAll(known, changes)
    recorder.changed({before: known, after, changes})
    known = after
  }

  return lines
}

describe('Events', () => {
  it('Registered: once, when the credential is there, with the address', () => {
    const credential = fleet.credentials.get(paris)
    const before = reduceAll(fleet, [{kind: 'credential', owner: paris, value: undefined}])
    const issued: Change = {kind: 'credential', owner: paris, value: credential}
    const lines = eventsOf(before, [issued], [issued])
    expect(lines).to.deep.equal([
      'Service/paris Registered its Envoy may join with the ADS credential in Secret paris-envoy-ads; the observability Envoy connects to 198.51.100.4, port 11901',
    ])
  })

  it('Moved: when the address or port changes, and after no other change', () => {
    const register = (differing: Parameters<typeof testCluster>[1]): readonly Change[] => [
      {kind: 'registration', name: paris, value: testCluster('paris', differing)},
    ]
    const lines = eventsOf(
      fleet,
      register({replicas: 2}),
      register({addresses: []}),
      register({}),
      register({ports: new Map([[11_901, 443]])}),
    )
    expect(lines).to.deep.equal([
      'Service/paris Moved the observability Envoy connects to it once it has an address: atlas cluster add paris --address HOST',
      'Service/paris Moved the observability Envoy connects to 198.51.100.4, port 11901',
      'Service/paris Moved the observability Envoy connects to 198.51.100.4, port 443',
    ])
  })

  it('NoEffect: for each new remark, and for a group that is not listed, with the list that is needed', () => {
    const settings: Change = {kind: 'settings', value: {...testSettings, groups: ['asia']}}
    const register = (differing: Parameters<typeof testCluster>[1]): readonly Change[] => [
      {kind: 'registration', name: paris, value: testCluster('paris', differing)},
    ]
    const lines = eventsOf(
      reduceAll(fleet, [settings]),
      register({remarks: ['a']}),
      register({remarks: ['a', 'b']}),
      register({groups: ['asia', 'europe']}),
      register({groups: ['europe'], replicas: 2}),
    )
    expect(lines).to.deep.equal([
      'Service/paris NoEffect a',
      'Service/paris NoEffect b',
      'Service/paris NoEffect not listed in the settings, so without an endpoints file and a DNS name: group europe; run atlas init --groups asia,europe, and before that set groups: [asia,europe] in the values of chart atlas',
    ])
  })

  it('NoEffect: for what only the 2021 program let pass, where its installation was not adopted', () => {
    const register = (remarksOf2021: readonly string[]): readonly Change[] => [
      {kind: 'registration', name: paris, value: testCluster('paris', {remarksOf2021})},
    ]
    const roots = [goatlasAuthority({bits: 2048}).ca.certificate]
    const adopted = reduceAll(fleet, [{kind: 'trust', value: {roots, issuers: [], credentialIssuers: []}}])
    expect(eventsOf(adopted, register(['b']))).to.deep.equal([])
    expect(eventsOf(fleet, register(['b']), register(['b', 'c']))).to.deep.equal(['Service/paris NoEffect b', 'Service/paris NoEffect c'])
  })

  it('NoEffect: also of a registration that was written before this leader began, in the same Events', () => {
    const settings: Change = {kind: 'settings', value: {...testSettings, groups: ['asia']}}
    const registered = (remarks: readonly string[]): Change => ({
      kind: 'registration',
      name: paris,
      value: testCluster('paris', {remarks, groups: ['asia', 'europe']}),
    })
    const seen = eventsOf(reduceAll(fleet, [settings]), [registered(['a'])], [registered(['a', 'b'])])
    const found = eventsOf(reduceAll(fleet, [settings, registered(['a', 'b'])]))
    const noEffect = (lines: readonly string[]): readonly string[] => lines.filter(line => line.includes(' NoEffect ')).sort()
    expect(noEffect(found)).to.have.length(3)
    expect(noEffect(found)).to.deep.equal(noEffect(seen))
  })

  it('Suspended and Removed on the settings, since the Service is deleted; Restored on the Service', () => {
    const registration = testCluster('paris')
    const record = (differing: object): readonly Change[] => [
      {kind: 'record', owner: paris, value: recordsOf({owner: 'paris', ...differing}).get(paris)},
    ]
    const suspended = record({registration, suspendedSince: '2026-11-23T00:00:00.000Z'})
    const lines = eventsOf(fleet, record({registration}), suspended, suspended, record({registration}), suspended, record({generation: 2}))
    expect(lines.map(line => line.split(' ').slice(0, 3).join(' '))).to.deep.equal([
      'ConfigMap/atlas-fleet Suspended paris:',
      'Service/paris Restored registered',
      'ConfigMap/atlas-fleet Suspended paris:',
      'ConfigMap/atlas-fleet Removed paris:',
    ])
  })

  it('Revoked, Restored and CredentialRevoked on the Service', () => {
    const dependencies = testDependencies()
    const revoked = planRevocation(fleet, paris, {reissue: false}, dependencies)
    const after = reduceAll(fleet, revoked)
    const restored = planRestore(after, paris)
    const later = reduceAll(after, restored)
    const lines = eventsOf(fleet, revoked, restored, planRevocation(later, paris, {reissue: true}, dependencies))
    expect(lines.map(line => line.split(' ').slice(0, 2).join(' '))).to.deep.equal([
      'Service/paris Revoked',
      'Service/paris Restored',
      'Service/paris Revoked',
    ])
    expect(lines[0]).to.include('atlas cluster restore paris')
    const [sha256 = ''] = fleet.records.get(lyon)?.credentials.map(credential => credential.sha256) ?? []
    const [line] = eventsOf(fleet, planCredentialRevocation(fleet, lyon, {text: sha256, reissue: true}))
    expect(line).to.equal(`Service/lyon CredentialRevoked refused from now on: its ADS credential ${sha256}`)
  })

  it('EnvoyConnected for the first Envoy and EnvoyLost for the last, by the reports of living servers', () => {
    const lines = eventsOf(
      fleet,
      [alive('a', 'b'), report('a', proxy(paris))],
      [report('b', proxy(paris), proxy(paris, {id: 'paris-1'}))],
      [report('a')],
      // its report stays, and counts no more
      [alive('a')],
      [report('a', proxy(OBSERVABILITY, {id: 'atlas-0'}))],
    )
    expect(lines).to.deep.equal([
      'Service/paris EnvoyConnected paris-0 is connected',
      'Service/paris EnvoyLost no Envoy of this cluster is connected; one that still runs keeps its configuration',
      'ConfigMap/atlas-fleet EnvoyConnected atlas: atlas-0 is connected',
    ])
  })

  it('CredentialNotReplaced: once, while an Envoy comes with a credential past half of its life that was replaced', () => {
    const dependencies = testDependencies()
    const first = testFleet(dependencies, [paris, lyon])
    const sha256 = first.records.get(paris)?.credentials[0]?.sha256 ?? expect.fail('no credential')
    dependencies.pass(400 * 86_400)
    const renewed = reconciled(first, dependencies)
    const old = proxy(paris, {credential: {sha256}})
    const newer = proxy(paris, {credential: {sha256: renewed.records.get(paris)?.credentials[1]?.sha256 ?? ''}})
    const lines = eventsOf(
      reduceAll(renewed, [alive('a'), report('a', old)]),
      [report('a', old, proxy(lyon))],
      [report('a', newer)],
      dependencies,
    ).filter(line => line.includes('Credential'))
    expect(lines).to.have.length(1)
    expect(lines[0]).to.match(
      /^Service\/paris CredentialNotReplaced paris paris-0 still uses a credential that ends on .*: apply the newest one there, of "atlas cluster values paris --format secret"$/,
    )
  })

  it('none for Envoys that were connected before, nor for those of a cluster that is deleted', () => {
    const there = reduceAll(fleet, [alive('a'), report('a', proxy(paris), proxy(lyon))])
    const gone: Change = {kind: 'registration', name: lyon, value: undefined}
    expect(eventsOf(there, [report('a', proxy(paris), proxy(lyon))], [gone], [report('a', proxy(paris))])).to.deep.equal([])
  })

  it('EnvoyRefused: once, until the Envoy accepts the resource', () => {
    const refusing = proxy(paris, {types: [{type: 'Listener', state: 'nack', sent: 1, acknowledged: 0, nack: 'no such filter'}]})
    const lines = eventsOf(
      fleet,
      [alive('a'), report('a', proxy(paris))],
      [report('a', refusing)],
      [report('a', refusing)],
      [report('a', proxy(paris))],
    )
    expect(lines.slice(1)).to.deep.equal(['Service/paris EnvoyRefused paris-0 refused Listener: no such filter'])
  })

  it('a bounded number about one cluster a minute, whose Envoy comes and goes, and refuses with another text each time', () => {
    const refusing = (count: number): Change =>
      report('a', proxy(paris, {types: [{type: 'Listener', state: 'nack', sent: 1, acknowledged: 0, nack: `no ${count}`}]}))
    const storm = Array.from({length: 200}, (_, count) => [[refusing(count)], [report('a')]]).flat()
    const lines = eventsOf(fleet, [alive('a')], ...storm, [report('a', proxy(lyon))])
    expect(lines.filter(line => line.startsWith('Service/paris'))).to.have.length(EVENTS_PER_MINUTE)
    expect(lines.filter(line => line.startsWith('Service/lyon'))).to.deep.equal(['Service/lyon EnvoyConnected lyon-0 is connected'])
  })

  it('a bounded number about one object a minute that is broken and repaired again and again', () => {
    const fault = (message: string | undefined): readonly Change[] => [
      {
        kind: 'fault',
        subject: 'registration/paris',
        value: message === undefined ? undefined : {object: 'Service/paris', key: 'x', message},
      },
    ]
    const lines = eventsOf(fleet, ...Array.from({length: 100}, (_, count) => [fault(`bad ${count}`), fault(undefined)]).flat())
    expect(lines).to.have.length(EVENTS_PER_MINUTE)
  })

  it('none when many Envoys connect or disconnect at once', () => {
    const names = Array.from({length: 40}, (_, index) => parseClusterName(`c${index}`))
    const many = testFleet(testDependencies(), names)
    expect(eventsOf(many, [alive('a'), report('a', ...names.map(name => proxy(name)))], [report('a')])).to.deep.equal([])
  })
})
