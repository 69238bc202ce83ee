/** How often a report on proxies is written. */
import {expect} from 'chai'
import {setTimeout as sleep} from 'node:timers/promises'
import {objectKeyOf} from '../../../src/lib/manifest/kinds.js'
import {parseClusterName} from '../../../src/lib/model/names.js'
import type {Readiness, Report} from '../../../src/lib/model/report.js'
import {silentLog} from '../../../src/server/log.js'
import {DEFAULT_REPLICA} from '../../../src/server/options.js'
import {type ReportPublisher, openReportPublisher} from '../../../src/server/proxies/publish-report.js'
import {eventually, nodeOf, startNetwork, types} from '../support/network.js'
import {type TestStore, testStore} from '../support/store.js'

const [paris, rome] = [parseClusterName('paris'), parseClusterName('rome')]

/** Any report, with this readiness. */
const reportWith = (readiness: Readiness): Report => ({
  ...{format: 1, at: '', startedAt: '', address: '', store: {description: '', reachable: true}},
  ...{proxies: [], withoutProxy: [], refusals: [], unrepaired: [], faults: []},
  ...readiness,
})

/** A server whose report has its place in the store already. */
const publisherFor = (store: TestStore, reportMs: number, readiness: () => Readiness): ReportPublisher => {
  store.write({kind: 'revision', object: objectKeyOf('report', 'a'), value: '1'})
  return openReportPublisher({
    ...{fleet: {stored: store.fleet}, store, replica: 'a', times: {reportMs}, log: silentLog, readiness},
    report: () => reportWith(readiness()),
    proxies: () => [],
    leftovers: () => [],
  })
}

describe('the report on proxies', () => {
  it('is written at once after a NACK, and a bounded number of times after a storm of one cluster', async () => {
    const store = testStore()
    let texts = 0
    const publisher = publisherFor(store, 3_600_000, () => ({ready: true, reasons: [], warnings: [`NACK ${(texts += 1)}`]}))
    const storm = async (cluster: typeof paris, nacks: number): Promise<number> => {
      const before = store.commits
      for (let count = 0; count < nacks; count += 1) {
        publisher.mayDiffer({refusedBy: cluster})
        await new Promise(resolve => setImmediate(resolve))
        await new Promise(resolve => setImmediate(resolve))
      }
      return store.commits - before
    }

    expect(await storm(paris, 300)).to.be.within(2, 6)
    expect(await storm(rome, 1)).to.equal(1)
    await publisher.stop()
  })

  it('follows a warning that begins or ends by time alone, and is not written while nothing differs', async () => {
    const store = testStore()
    let readiness: Readiness = {ready: true, reasons: [], warnings: []}
    const publisher = publisherFor(store, 20, () => readiness)
    const reported = (): readonly string[] | undefined => store.fleet().reports.get('a')?.report.warnings
    publisher.started?.(store.fleet())
    publisher.mayDiffer('other')
    await eventually(() => reported() !== undefined, 'the first report')

    readiness = {...readiness, warnings: ['a certificate ends soon']}
    await eventually(() => reported()?.[0] === 'a certificate ends soon', 'the warning is reported')
    const {commits} = store
    await sleep(100)
    expect(store.commits).to.equal(commits)

    readiness = {...readiness, warnings: []}
    await eventually(() => reported()?.length === 0, 'the end of the warning is reported')
    await publisher.stop()
    readiness = {...readiness, warnings: ['too late']}
    const written = store.commits
    await sleep(100)
    expect(store.commits).to.equal(written)
  })
})

describe('the report of a served fleet in a shared store', function () {
  this.timeout(60_000)

  it('has a warning that no change causes, and a connection that is refused, though nothing else happens', async () => {
    const network = await startNetwork(['paris'], {times: {reportMs: 50}})
    try {
      const {store} = network
      for (const object of [objectKeyOf('report', DEFAULT_REPLICA), objectKeyOf('request'), objectKeyOf('answer')])
        store.write({kind: 'revision', object, value: '1'})
      Object.assign(store, {isShared: true})
      await network.restart()
      const reported = (): Report | undefined => store.fleet().reports.get(DEFAULT_REPLICA)?.report
      await eventually(() => reported()?.ready === true, 'the first report')
      let [commits, quietSince] = [store.commits, performance.now()]
      await eventually(() => {
        if (store.commits !== commits) [commits, quietSince] = [store.commits, performance.now()]
        return performance.now() - quietSince > 300
      }, 'nothing is written for 300 ms')

      const last = performance.now() - 100_000
      Object.assign(store, {heardAt: () => last})
      await eventually(() => reported()?.warnings.some(text => text.includes('has not answered')) === true, 'the silence is reported')
      Object.assign(store, {heardAt: () => undefined})
      await eventually(() => reported()?.warnings.length === 0, 'its end is reported')

      const refused = network.direct('paris', {'x-forwarded-client-cert': 'anything'}).delta()
      refused.send({node: nodeOf('paris'), typeUrl: types.cluster})
      await refused.status
      await eventually(() => reported()?.refusals[0]?.reason === 'xfcc-on-direct', 'the refusal is reported')
    } finally {
      await network.stop()
    }
  })
})
