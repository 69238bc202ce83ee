/** The documents of the web pages: one build for all who ask, the reports of all servers, and an API server that does not answer. */
import {mock} from 'node:test'
import {expect} from 'chai'
import {AtlasError} from '../../../src/lib/model/errors.js'
import type {ReplicaReport, Report} from '../../../src/lib/model/report.js'
import type {ShownStatus} from '../../../src/lib/ops/status.js'
import type {Heartbeat} from '../../../src/lib/store/store.js'
import {type DocumentSources, type Documents, openDocuments} from '../../../src/server/pages/documents.js'
import {testDependencies, testFleet} from '../../helpers/dependencies.js'

const dependencies = testDependencies()
const now = dependencies.now()
const fleet = testFleet(dependencies)

const reportOf = (address: string): Report => ({
  ...{format: 1, at: now.toISOString(), startedAt: now.toISOString(), address, ready: true, reasons: [], warnings: []},
  ...{store: {description: 'a namespace', reachable: true}, proxies: [], withoutProxy: [], refusals: [], unrepaired: [], faults: []},
})
const stored = (address: string): ReplicaReport => ({report: reportOf(address), leftovers: [], digest: ''})
const beat = (replica: string | undefined): Heartbeat => ({
  ...{replica, holder: `${replica ?? 'atlas-1'}_x`, renewedAt: now.toISOString(), seconds: 10, warnings: []},
})

function documentsOf(
  differing: Partial<DocumentSources> = {},
  heartbeats: () => Promise<readonly Heartbeat[]> = async () => [],
): Documents {
  return openDocuments({
    store: {isShared: false, heartbeats, serverTime: () => undefined},
    fleet: {isReachable: () => true, stored: () => fleet},
    replica: 'atlas-ads-1',
    report: () => reportOf('10.0.0.2:6305'),
    nextStep: finding => `look at ${finding.kind}`,
    inStore: command => command,
    now: () => now,
    ...differing,
  })
}

const statusIn = async (documents: Documents): Promise<ShownStatus> => JSON.parse(await documents.json()) as ShownStatus

describe('the documents of the web pages', () => {
  afterEach(() => mock.restoreAll())

  it('are built once for all who ask at the same time, and again after a failure', async () => {
    // A document is kept for some seconds, which do not pass here.
    mock.method(performance, 'now', () => 0)
    let [builds, fails] = [0, true]
    const documents = documentsOf({
      report() {
        builds += 1
        if (fails) throw new AtlasError('failed', 'no report')
        return reportOf('10.0.0.2:6305')
      },
    })
    const failed = await Promise.allSettled([documents.page(), documents.page(), documents.json()])
    expect(failed.map(({status}) => status)).to.deep.equal(['rejected', 'rejected', 'rejected'])
    expect(builds).to.equal(1)
    fails = false
    const [first, second, json] = await Promise.all([documents.page(), documents.page(), documents.json()])
    expect(builds).to.equal(2)
    expect(first).to.equal(second)
    expect(json).to.include('10.0.0.2:6305')
    await documents.page()
    expect(builds).to.equal(2)
  })

  describe('in a store that servers share', () => {
    const shared = {
      ...fleet,
      replicas: ['atlas-ads-0', 'atlas-ads-1'],
      reports: new Map([
        ['atlas-ads-0', stored('10.0.0.1:6305')],
        ['atlas-ads-1', stored('10.9.9.9:1')],
      ]),
    }
    const inShared = (heartbeats: () => Promise<readonly Heartbeat[]>, isReachable = true): Documents =>
      documentsOf({
        store: {isShared: true, heartbeats, serverTime: () => now.getTime()},
        fleet: {isReachable: () => isReachable, stored: () => shared},
      })

    it("have the others' last reports and this server's own as of now", async () => {
      const {servers, leader, warnings} = await statusIn(inShared(async () => [beat(undefined), beat('atlas-ads-0'), beat('atlas-ads-1')]))
      expect(servers.map(({replica, address}) => [replica, address])).to.deep.equal([
        ['atlas-ads-0', '10.0.0.1:6305'],
        ['atlas-ads-1', '10.0.0.2:6305'],
      ])
      expect([leader, warnings]).to.deep.equal(['atlas-1', []])
    })

    it('say that it is unknown who is alive where Leases can not be listed, and ask for none while the store is out of reach', async () => {
      const refused = await statusIn(inShared(async () => Promise.reject(new AtlasError('unreachable', 'no'))))
      const unreachable = await statusIn(inShared(async () => new Promise(() => undefined), false))
      for (const {warnings, servers} of [refused, unreachable]) {
        expect(warnings.join()).to.include('Leases cannot be read')
        expect(servers).to.have.length(2)
      }
    })

    it('are there although listing the Leases takes for ever', async () => {
      expect((await statusIn(inShared(async () => new Promise(() => undefined)))).warnings.join()).to.include('Leases cannot be read')
    })
  })

  it('name the command to run next for each finding', async () => {
    const {findings} = await statusIn(documentsOf({report: () => ({...reportOf('x'), warnings: ['something']})}))
    expect(findings.find(({kind}) => kind === 'warning')).to.include({message: 'something', next: 'look at warning'})
  })
})
