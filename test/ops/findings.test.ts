/** What in a running network needs a person, and what does not yet. */
import {expect} from 'chai'
import {reduceAll} from '../../src/lib/model/change.js'
import type {Fleet} from '../../src/lib/model/fleet.js'
import {type Owner, parseClusterName} from '../../src/lib/model/names.js'
import {addressesOf} from '../../src/lib/model/open-files.js'
import {defaultPages} from '../../src/lib/model/page.js'
import type {ProxyReport, ReplicaReport, Report} from '../../src/lib/model/report.js'
import {agingCredentials, endingCredentials} from '../../src/lib/ops/credential-findings.js'
import {findingsOf} from '../../src/lib/ops/findings.js'
import {planReplicas} from '../../src/lib/ops/replicas.js'
import {planRemoval, planRestore, planRevocation} from '../../src/lib/ops/revoke.js'
import {type Status, status, statusOf} from '../../src/lib/ops/status.js'
import type {Heartbeat, StateStore} from '../../src/lib/store/store.js'
import {type TestDependencies, reconciled, testDependencies, testFleet, testSettings} from '../helpers/dependencies.js'
import {testCluster} from '../helpers/fleet.js'

const paris = parseClusterName('paris')
const HOUR = 3600
const DAY = 24 * HOUR

/** The end of a fleet's first two hours. */
function settled(names: readonly string[] = ['paris']): {dependencies: TestDependencies; fleet: Fleet} {
  const dependencies = testDependencies()
  const fleet = testFleet(dependencies, names)
  dependencies.pass(2 * HOUR)
  return {dependencies, fleet}
}

/** A connected proxy with the first credential of its owner. */
function proxyOf(fleet: Fleet, cluster: Owner, differing: Partial<ProxyReport> = {}): ProxyReport {
  const sha256 = fleet.records.get(cluster)?.credentials[0]?.sha256 ?? expect.fail(`${cluster} has no credential`)
  const connectedSince = '2026-11-23T00:00:00.000Z'
  const stream = {sequence: 1, variant: 'delta', path: 'relay', connectedSince, types: [], equalIds: 1} as const
  return {cluster, id: `${cluster}-0`, ...stream, credential: {sha256}, ...differing}
}

const kindsOf = (fleet: Fleet, proxies: readonly ProxyReport[], now: Date): readonly string[] =>
  findingsOf(fleet, proxies, now).map(({kind, cluster}) => `${kind} ${cluster ?? ''}`)

describe('ops/findings', () => {
  it('a network in which every cluster is connected has none', () => {
    const {dependencies, fleet} = settled()
    expect(kindsOf(fleet, [proxyOf(fleet, 'atlas'), proxyOf(fleet, paris)], dependencies.now())).to.deep.equal([])
  })

  it('a page at a local address is one where pages are on, until the registration allows it; that of Thanos is none', () => {
    const {dependencies, fleet} = settled()
    const services = {
      ...testCluster('paris').services,
      prometheus: {host: 'localhost', port: 9090},
      thanos: {host: '127.0.0.1', port: 10_901},
    }
    const found = (webDomain: string | undefined, allowLocalTargets = false) => {
      const value = {...testCluster('paris', {services}), pages: {...defaultPages, allowLocalTargets}}
      const changed = reduceAll(fleet, [
        {kind: 'settings', value: {...testSettings, webDomain}},
        {kind: 'registration', name: paris, value},
      ])
      return findingsOf(changed, [proxyOf(fleet, 'atlas'), proxyOf(fleet, paris)], dependencies.now())
    }
    expect(found(undefined)).to.deep.equal([])
    expect(found('web.example', true)).to.deep.equal([])
    expect(found('web.example').map(({kind, cluster, object}) => [kind, cluster, object])).to.deep.equal([
      ['registration', 'paris', 'Service/paris'],
    ])
    expect(found('web.example')[0]?.message).to.match(
      /the prom page is refused, because "localhost:9090" is a name of the machine.*allow-local-targets/,
    )
  })

  it('a registered cluster without a proxy is one from the hour after its first credential on; the observability cluster too', () => {
    const dependencies = testDependencies()
    const fleet = testFleet(dependencies, ['paris', 'rome'])
    dependencies.pass(HOUR - 60)
    expect(kindsOf(fleet, [], dependencies.now())).to.deep.equal([])
    dependencies.pass(60)
    expect(kindsOf(fleet, [proxyOf(fleet, parseClusterName('rome'))], dependencies.now())).to.deep.equal([
      'not connected atlas',
      'not connected paris',
    ])
  })

  it('what only the 2021 program let pass is named where its installation was not adopted', () => {
    const {dependencies, fleet} = settled()
    const value = testCluster('paris', {remarks: ['a has no effect'], remarksOf2021: ['b has no effect']})
    const remarked = reduceAll(fleet, [{kind: 'registration', name: paris, value}])
    const proxies = [proxyOf(fleet, 'atlas'), proxyOf(fleet, paris)]
    expect(findingsOf(remarked, proxies, dependencies.now()).map(({message}) => message)).to.deep.equal([
      'paris: a has no effect',
      'paris: b has no effect',
    ])
  })

  it('a cluster whose credential was revoked and issued again is one after an hour, until an Envoy comes with the new one', () => {
    const {dependencies, fleet: before} = settled()
    const revoked = reduceAll(before, planRevocation(before, paris, {reissue: false}, dependencies))
    expect(kindsOf(revoked, [proxyOf(revoked, 'atlas')], dependencies.now())).to.deep.equal(['revoked paris'])
    const atlas = proxyOf(before, 'atlas')
    const both = [
      reduceAll(revoked, planRestore(revoked, paris)),
      reduceAll(before, planRevocation(before, paris, {reissue: true}, dependencies)),
    ]
    for (const fleet of both.map(each => reconciled(each, dependencies))) {
      const old = proxyOf(before, paris)
      const later = (seconds: number): Date => new Date(dependencies.now().getTime() + seconds * 1000)
      const found = (proxies: readonly ProxyReport[], now = later(HOUR)) => findingsOf(fleet, [atlas, ...proxies], now)
      const expected = {
        kind: 'credential' as const,
        cluster: paris,
        message: 'no Envoy of paris is connected with its present credential, and its earlier one is revoked',
      }
      expect(found([], later(HOUR - 60))).to.deep.equal([])
      expect(found([])).to.deep.equal([expected])
      expect(found([old])).to.deep.equal([expected])
      const newest = fleet.records.get(paris)?.credentials.at(-1)?.sha256 ?? ''
      expect(found([old, proxyOf(fleet, paris, {credential: {sha256: newest}})])).to.deep.equal([])
      expect(found([], later(7 * DAY)).map(({kind}) => kind)).to.deep.equal(['not connected'])
    }
  })

  it('a cluster that was removed, and is registered again, has an hour like any new one', () => {
    const {dependencies, fleet: before} = settled()
    const removed = reduceAll(before, planRemoval(before, paris, dependencies))
    dependencies.pass(DAY)
    const fleet = reconciled(reduceAll(removed, [{kind: 'registration', name: paris, value: testCluster('paris')}]), dependencies)
    const atlas = proxyOf(before, 'atlas')
    expect(kindsOf(fleet, [atlas], dependencies.now())).to.deep.equal([])
    dependencies.pass(HOUR)
    expect(kindsOf(fleet, [atlas], dependencies.now())).to.deep.equal(['credential paris'])
  })

  it('a credential that was refused because Envoys had come with a later one is no revoked one', () => {
    const {dependencies, fleet} = settled()
    const record = fleet.records.get(paris) ?? expect.fail('there is no record')
    const [first = expect.fail('there is no credential')] = record.credentials
    const now = dependencies.now().toISOString()
    const credentials = [
      {...first, sha256: '00', state: 'revoked' as const, retiredAt: now},
      {...first, notBefore: now},
    ]
    const retired = reduceAll(fleet, [{kind: 'record', owner: paris, value: {...record, credentials}}])
    expect(kindsOf(retired, [proxyOf(fleet, 'atlas')], dependencies.now())).to.deep.equal([])
  })

  it('a cluster whose registration cannot be read is still one without a proxy', () => {
    const {dependencies, fleet} = settled()
    const fault = {object: 'Service/paris', key: 'metadata', message: 'unreadable'}
    const broken = reduceAll(fleet, [
      {kind: 'registration', name: paris, value: undefined},
      {kind: 'fault', subject: 'registration/paris', value: fault},
    ])
    expect(kindsOf(broken, [proxyOf(broken, 'atlas')], dependencies.now())).to.deep.equal(['not connected paris'])
  })

  it('a cluster without an address, and a suspended one, are none', () => {
    const {dependencies, fleet} = settled()
    const atlas = proxyOf(fleet, 'atlas')
    const pending = reduceAll(fleet, [{kind: 'registration', name: paris, value: testCluster('paris', {addresses: []})}])
    expect(kindsOf(pending, [atlas], dependencies.now())).to.deep.equal([])
    const suspended = reduceAll(fleet, [{kind: 'registration', name: paris, value: undefined}])
    expect(kindsOf(suspended, [atlas], dependencies.now())).to.deep.equal([])
  })

  it('what a proxy rejects, and a proxy that is not updated, are named with the message', () => {
    const {dependencies, fleet} = settled()
    const types = [{type: 'Listener', state: 'nack', sent: 1, acknowledged: 0, nack: 'Address already in use'}] as const
    const proxies = [proxyOf(fleet, 'atlas', {frozen: 'its identity cannot be read'}), proxyOf(fleet, paris, {types})]
    expect(findingsOf(fleet, proxies, dependencies.now()).map(({message}) => message)).to.deep.equal([
      'atlas atlas-0 is not updated: its identity cannot be read',
      'paris paris-0 rejected Listener: Address already in use',
    ])
  })

  it('an Envoy with known security faults is named once for its cluster and version; one of an unknown version is not', () => {
    const {dependencies, fleet} = settled()
    const versions = ['1.38.3', '1.38.3', '1.40.0', undefined]
    const proxies = versions.map((version, index) =>
      proxyOf(fleet, paris, {id: `paris-${index}`, ...(version !== undefined && {envoyVersion: version})}),
    )
    expect(findingsOf(fleet, [proxyOf(fleet, 'atlas'), ...proxies], dependencies.now())).to.deep.equal([
      {kind: 'envoy', cluster: 'paris', message: 'paris runs Envoy 1.38.3, which has known security faults; 1.38.4 or later is needed'},
    ])
  })

  it('an Envoy whose fleet needs more open files than its limit is named, and one without a limit from 1,024 on', () => {
    const {dependencies, fleet} = settled()
    const grown = (addresses: number): Fleet =>
      reduceAll(fleet, [
        {
          kind: 'registration',
          name: paris,
          value: testCluster('paris', {
            addresses: Array.from({length: addresses}, (_each, index) => ({
              kind: 'ipv4',
              host: `10.0.${String(index >> 8)}.${String(index & 255)}`,
            })),
          }),
        },
      ])
    const found = (of: Fleet, differing: Partial<ProxyReport>): readonly string[] =>
      findingsOf(of, [proxyOf(of, 'atlas', {path: 'direct', ...differing}), proxyOf(of, paris)], dependencies.now()).map(
        ({message}) => message,
      )
    expect(found(grown(274), {})).to.deep.equal([])
    expect(found(grown(275), {})).to.deep.equal([
      'atlas atlas-0 needs about 1026 open files (275 addresses, 2 workers, 1 connections in), and its bootstrap names no limit, and the usual one is 1024',
    ])
    expect(found(grown(275), {openFiles: 65_536})).to.deep.equal([])
    expect(found(grown(275), {openFiles: 4096, workers: 16})).to.deep.equal([
      'atlas atlas-0 needs about 4876 open files (275 addresses, 16 workers, 1 connections in), and its limit is 4096',
    ])
    const named = testCluster('paris', {addresses: [{kind: 'dns', host: 'paris.example'}], replicas: 3})
    const withNames = reduceAll(fleet, [{kind: 'registration', name: paris, value: named}])
    expect([addressesOf(withNames, 'atlas'), addressesOf(withNames, paris)]).to.deep.equal([2, 6])
  })

  it('an observability Envoy whose fleet needs more heap than its limit is named, if its bootstrap names the limit', () => {
    const {dependencies, fleet} = settled()
    const grown = (count: number): Fleet =>
      reduceAll(
        fleet,
        Array.from({length: count}, (_each, index) => {
          const cluster = testCluster(`c-${index}`)
          return {kind: 'registration', name: cluster.name, value: cluster} as const
        }),
      )
    const found = (of: Fleet, maxHeapBytes?: number): readonly string[] => {
      const limit = maxHeapBytes === undefined ? {} : {maxHeapBytes}
      return findingsOf(of, [proxyOf(of, 'atlas', {openFiles: 65_536, ...limit}), proxyOf(of, paris, limit)], dependencies.now())
        .filter(({kind}) => kind === 'memory')
        .map(({message}) => message)
    }
    expect(found(grown(4200), 1024 ** 3)).to.deep.equal([])
    expect(found(grown(4300), 1024 ** 3)).to.deep.equal([
      'atlas atlas-0 needs about 930 MiB of heap for 4301 clusters, and refuses requests near its limit of 1024 MiB',
    ])
    expect(found(grown(4300), 2 * 1024 ** 3)).to.deep.equal([])
    expect(found(grown(4300))).to.deep.equal([])
    const withPages = reduceAll(grown(2500), [
      {kind: 'settings', value: {...(fleet.settings ?? expect.fail('no settings')), pagesByPath: true}},
    ])
    expect([found(grown(2500), 1024 ** 3).length, found(withPages, 1024 ** 3).length]).to.deep.equal([0, 1])
  })

  for (const [what, strip] of [
    ['', false],
    [', in a record of an earlier version of Atlas too', true],
  ] as const)
    it(`a proxy with a credential past half of its life is named once there is a newer one${what}`, () => {
      const dependencies = testDependencies()
      const first = testFleet(dependencies)
      const [atlas, old] = [proxyOf(first, 'atlas'), proxyOf(first, paris)]
      const agingAt = (fleet: Fleet): readonly string[] => {
        const record = fleet.records.get(paris) ?? expect.fail('no record')
        const credentials = record.credentials.map(({notBefore: _, ...credential}) => credential)
        const read = strip ? reduceAll(fleet, [{kind: 'record', owner: paris, value: {...record, credentials}}]) : fleet
        return agingCredentials(read, [old], dependencies.now()).map(({message}) => message)
      }

      dependencies.pass(testSettings.lifetimes.credential / 2 - DAY)
      expect(agingAt(reconciled(first, dependencies))).to.deep.equal([])
      dependencies.pass(2 * DAY + testSettings.lifetimes.credential / 20)
      expect(agingAt(first), 'before a newer one is issued, nobody can apply it').to.deep.equal([])
      const renewed = reconciled(first, dependencies)
      expect(agingAt(renewed)).to.deep.equal([
        'paris paris-0 still uses a credential that ends on 2028-11-22T00:00:00.000Z; a newer one is issued and not applied',
      ])
      const [, newer] = renewed.records.get(paris)?.credentials ?? []
      const applied = proxyOf(renewed, paris, {credential: {sha256: newer?.sha256 ?? ''}})
      expect(agingCredentials(renewed, [atlas, applied], dependencies.now()).map(({cluster}) => cluster)).to.deep.equal(['atlas'])
    })
})

describe('ops/status', () => {
  const report = (fleet: Fleet, differing: Partial<Report> = {}): Report => ({
    ...{format: 1, at: '', startedAt: '', address: '', ready: true, reasons: [], warnings: [], store: {description: '', reachable: true}},
    ...{proxies: [proxyOf(fleet, 'atlas'), proxyOf(fleet, paris)], withoutProxy: [], refusals: [], unrepaired: [], faults: []},
    ...differing,
  })

  it('a fault and the warning of a server are findings; a server that is not ready yet, and a refused client, are none', () => {
    const {dependencies, fleet} = settled()
    const fault = {subject: 'registration/rome', object: 'Service/rome', key: 'metadata', message: 'unreadable'}
    const refusal = {at: '', reason: 'generation', message: 'an old credential', peer: ''}
    const find = (differing: Partial<Report>): readonly string[] =>
      statusOf(fleet, [{replica: 'a', report: report(fleet, differing)}], dependencies.now()).findings.map(({message}) => message)
    expect(find({})).to.deep.equal([])
    expect(find({ready: false, reasons: ['the server is still starting'], refusals: [refusal]})).to.deep.equal([])
    expect(find({faults: [fault], warnings: ['the store can not be read']})).to.deep.equal([
      'Service/rome cannot be read, metadata: unreadable',
      'server a: the store can not be read',
    ])
  })

  describe('of servers that share a store', () => {
    const {dependencies, fleet} = settled()
    const leader: Heartbeat = {replica: undefined, holder: 'c_1', renewedAt: dependencies.now().toISOString(), seconds: 15, warnings: []}
    const statusIn = async (stored: Fleet, leases: () => readonly Heartbeat[] | undefined): Promise<Status> => {
      const store = {
        ...{isShared: true, description: '', namespace: 'atlas', load: async () => stored},
        heartbeats: async () => leases() ?? Promise.reject(new Error('no right')),
        serverTime: () => undefined,
      } as unknown as StateStore
      return status(store, async () => expect.fail('no server is asked'), {admin: undefined, now: dependencies.now(), watchedMs: 1})
    }
    /** @param later the Leases while they are watched; as before by default */
    const statusWith = async (heartbeats: readonly Heartbeat[] | undefined, replicas = ['a'], later = heartbeats): Promise<Status> => {
      let looks = 0
      const reports = new Map(replicas.map(name => [name, {report: report(fleet), leftovers: [], digest: ''}]))
      return statusIn({...fleet, replicas, reports}, () => ((looks += 1) === 1 ? heartbeats : later))
    }

    it('where none has reported, the error names those that are alive', async () => {
      const messageWith = async (heartbeats: readonly Heartbeat[] | undefined): Promise<string> =>
        statusWith(heartbeats, []).then(() => expect.fail('a status without a report'), String)
      const alive = {...leader, replica: 'a', holder: 'a_1'}
      expect(await messageWith([leader, alive, {...alive, replica: 'gone', holder: ''}])).to.match(/has reported yet; these are alive: a$/)
      const ahead = {...alive, replica: 'b', holder: 'b_1', renewedAt: '2026-11-23T02:00:20.000Z'}
      expect(await messageWith([leader, alive, ahead])).to.match(/these are alive: a, b$/)
      const dead = (['2026-11-23T02:00:21.000Z', '2026-11-23T03:00:00.000Z', '2026-11-23T01:59:39.000Z'] as const).map(renewedAt => ({
        ...ahead,
        renewedAt,
      }))
      for (const heartbeat of dead) expect(await messageWith([leader, alive, heartbeat])).to.match(/these are alive: a$/)
      for (const heartbeats of [[leader], undefined]) expect(await messageWith(heartbeats)).to.match(/no server runs on/)
    })

    it('Envoys that were connected to a server which has gone silent, and come to no other, are named; those that left it before are not', async () => {
      const now = dependencies.now()
      const at = now.toISOString()
      const serving = (proxies: readonly ProxyReport[], differing: Partial<Report> = {}): ReplicaReport => ({
        report: {...report(fleet, {at, startedAt: at, absent: [], ...differing}), proxies},
        leftovers: [],
        digest: '',
      })
      const gone = [{cluster: paris, id: 'paris-1', since: at}]
      const silent = serving([proxyOf(fleet, 'atlas'), proxyOf(fleet, paris)], {absent: gone})
      const reports = new Map([
        ['a', serving([])],
        ['b', silent],
      ])
      const living: Fleet = {...fleet, replicas: ['a', 'b'], reports}
      const ended = reduceAll(living, planReplicas(living, ['a'], dependencies, {shared: true}))
      let heartbeats: readonly Heartbeat[] = [leader]
      const warned = async (each: Fleet): Promise<readonly string[]> =>
        (await statusIn(each, () => heartbeats)).findings.flatMap(({kind, message, server}) =>
          kind === 'warning' ? [`${server ?? ''}: ${message}`] : [],
        )
      expect(await warned(living)).to.deep.equal([])
      expect(await warned(ended)).to.have.length(1)
      expect((await warned(ended))[0]).to.match(
        /^b: server b does not renew its Lease any more, and Envoys .* other server: atlas, paris\. If it runs/,
      )
      const back = (...proxies: readonly ProxyReport[]): Fleet => ({
        ...ended,
        reports: new Map([...ended.reports, ['a', serving(proxies)]]),
      })
      expect((await warned(back(proxyOf(fleet, paris))))[0]).to.match(/other server: atlas\. /)
      expect(await warned(back(proxyOf(fleet, 'atlas'), proxyOf(fleet, paris))), 'paris-1 had left before').to.deep.equal([])
      const moved = serving([], {absent: [{cluster: paris, id: 'paris-0', since: new Date(now.getTime() + 1000).toISOString()}]})
      expect((await warned({...ended, reports: new Map([...ended.reports, ['a', moved]])}))[0], 'paris-0 came to a, and left it').to.match(
        /other server: atlas\. /,
      )
      heartbeats = [leader, {...leader, replica: 'b', holder: ''}]
      expect(await warned(ended), 'it has given its Lease back').to.deep.equal([])
    })

    it('the warnings of a leader that serves no Envoys are shown, and are findings', async () => {
      const {warnings, findings} = await statusWith([{...leader, warnings: ['nothing is signed']}])
      expect(warnings).to.deep.equal(['leader c: nothing is signed'])
      expect(findings).to.deep.equal([{kind: 'warning', server: 'c', message: 'leader c: nothing is signed'}])
    })

    it('a leader that serves Envoys has them in its report, once', async () => {
      expect((await statusWith([{...leader, warnings: ['nothing is signed']}], ['c'])).warnings).to.deep.equal([])
    })

    it('without a leader, that is the finding, and what the last one warned of is left out', async () => {
      const ended = {...leader, renewedAt: '2026-11-23T01:00:00.000Z', warnings: ['nothing is signed']}
      const {findings} = await statusWith([ended])
      expect(findings.map(({kind}) => kind)).to.deep.equal(['no leader'])
    })

    it('a leader whose clock is hours behind or ahead is the leader while it renews its Lease; one that does not is none', async () => {
      const renewed = (time: string): Heartbeat => ({...leader, renewedAt: time})
      for (const [before, after] of [
        ['2026-11-23T01:00:00.000Z', '2026-11-23T01:00:02.000Z'],
        ['2027-01-01T00:00:00.000Z', '2027-01-01T00:00:02.000Z'],
      ] as const) {
        const alive = await statusWith([renewed(before)], ['a'], [renewed(after)])
        expect([alive.leader, alive.findings]).to.deep.equal(['c', []])
        const dead = await statusWith([renewed(before)])
        expect([dead.leader, dead.findings.map(({kind}) => kind)]).to.deep.equal([undefined, ['no leader']])
      }
    })

    it('an account that may not read Leases is told so, which is no finding', async () => {
      const {warnings, findings} = await statusWith(undefined)
      expect([warnings.length, findings]).to.deep.equal([1, []])
    })
  })
})

describe('the warning of credentials that end soon', () => {
  it('names clusters whose Envoys come with a replaced credential in the last sixth of its life, five by name', () => {
    const own = testDependencies()
    const names = ['c1', 'c2', 'c3', 'c4', 'c5', 'c6', 'c7']
    const first = testFleet(own, names)
    own.pass(400 * 86_400)
    const renewed = reconciled(first, own)
    const connected = names.map(parseClusterName).map(cluster => ({cluster, credential: first.records.get(cluster)?.credentials[0]}))
    expect(endingCredentials(renewed, () => connected, own.now())).to.equal(undefined)
    own.pass(215 * 86_400)
    expect(
      endingCredentials(first, () => connected, own.now()),
      'no newer one is issued',
    ).to.equal(undefined)
    expect(endingCredentials(renewed, () => connected, own.now())).to.match(
      /^Envoys come with an ADS credential that ends soon and was replaced: c1 \(until .*\), .*c5 \(until .*\) and 2 more; "atlas status" has the command for each$/,
    )
  })
})
