/** What the leader writes for Thanos Query, through to the answers of real Thanos Queries: by the endpoints file, by DNS, by a group's DNS name. */
import {fileURLToPath} from 'node:url'
import {expect} from 'chai'
import {inSteps} from '../helpers/steps.js'
import {runInOwnNetwork} from '../helpers/own-network.js'
import {type Added, type Looking, RESOLVER, type Seen, type WithGroup} from './discovery-looking.js'

const probe = fileURLToPath(new URL('discovery-probe.ts', import.meta.url))
const looking: Looking = {zone: 1, dns: 1, file: 1, clusters: ['paris', 'lyon', 'tokyo']}

describe('e2e: real Thanos Queries find clusters by file and by DNS', function () {
  inSteps()
  this.timeout(240_000)
  let added: readonly Added[]
  let before: Seen
  let afterwards: Seen
  let grouped: WithGroup | undefined

  it('each cluster is answered for after it was added', async () => {
    const lines = await runInOwnNetwork<Added | Seen | WithGroup>(probe, JSON.stringify(looking), {resolver: RESOLVER})
    added = lines.filter(line => 'added' in line)
    ;[before, afterwards] = lines.filter(line => 'serials' in line) as [Seen, Seen]
    grouped = lines.find(line => 'withGroup' in line)
    expect(added.map(each => each.added)).to.deep.equal(looking.clusters)
    expect(before).to.deep.include({byFile: ['lyon', 'paris', 'tokyo'], byDns: ['lyon', 'paris', 'tokyo']})
  })

  it('a group has its clusters alone', () => {
    expect(before.byGroup).to.deep.equal(['paris'])
  })

  it('a removed cluster is gone everywhere, and with it the DNS name of a group that it was the last of', () => {
    expect(afterwards).to.deep.include({byFile: ['lyon', 'tokyo'], byDns: ['lyon', 'tokyo'], byGroup: []})
  })

  it('each store is listed once and stays, although its name has an A and an AAAA record (thanos#1527)', () => {
    const [all, rest] = [
      {byFile: 'lyon,paris,tokyo', byDns: 'lyon,paris,tokyo', byGroup: 'paris'},
      {byFile: 'lyon,tokyo', byDns: 'lyon,tokyo', byGroup: ''},
    ]
    expect(before.stores).to.deep.equal([all, all, all, all])
    expect(afterwards.stores).to.deep.equal([rest, rest, rest, rest])
  })

  it("a group of the user's own answers with one living member, and Atlas's endpoints within 15 s while it dies (thanos#6810)", () => {
    const {withGroup, dying = [], withDeadGroup} = grouped ?? {}
    expect(withGroup).to.deep.equal(['lyon', 'paris', 'tokyo'])
    expect(withDeadGroup).to.deep.equal(['lyon', 'tokyo'])
    expect(dying.length).to.be.greaterThan(0)
    for (const {clusters, ms} of dying) {
      expect(clusters).to.include.members(['lyon', 'tokyo'])
      expect(ms, 'milliseconds').to.be.below(15_000)
    }
  })

  it('the serial of the zone grew with every change', () => {
    const {serials} = afterwards
    expect(serials.length).to.be.greaterThan(looking.clusters.length)
    expect([...new Set(serials)].sort((a, b) => a - b)).to.deep.equal(serials)
  })
})
