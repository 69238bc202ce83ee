/** How often a report on proxies is written. */
import {expect} from 'chai'
import {objectKeyOf} from '../../../src/lib/manifest/kinds.js'
import {type Fleet, emptyFleet} from '../../../src/lib/model/fleet.js'
import {parseClusterName} from '../../../src/lib/model/names.js'
import type {Report} from '../../../src/lib/model/report.js'
import {silentLog} from '../../../src/server/log.js'
import {openReportPublisher} from '../../../src/server/proxies/publish-report.js'
import {testStore} from '../support/store.js'

const [paris, rome] = [parseClusterName('paris'), parseClusterName('rome')]

describe('the report on proxies', () => {
  it('is written at once after a NACK, and a bounded number of times after a storm of one cluster', async () => {
    const store = testStore()
    const fleet: Fleet = {...emptyFleet, revisions: new Map([[objectKeyOf('report', 'a'), '1']])}
    let texts = 0
    const report = (): Report => ({
      ...{format: 1, at: '', startedAt: '', address: '', ready: true, reasons: [], store: {description: '', reachable: true}},
      ...{proxies: [], withoutProxy: [], refusals: [], unrepaired: [], faults: []},
      warnings: [`NACK ${(texts += 1)}`],
    })
    const publisher = openReportPublisher({
      ...{
        fleet: {stored: () => fleet},
        store,
        replica: 'a',
        times: {reportMs: 3_600_000},
        log: silentLog,
        report,
        proxies: () => [],
        leftovers: () => [],
      },
    })
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
})
