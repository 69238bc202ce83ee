/** Packets that are dropped on the way, with a Thanos Query in front: its machines are in a network of their own, where a route leads to no machine. */
import {fileURLToPath} from 'node:url'
import {expect} from 'chai'
import {runInOwnNetwork} from '../helpers/own-network.js'
import type {Dropped} from './dropped-probe.js'

const probe = fileURLToPath(new URL('dropped-probe.ts', import.meta.url))

describe('e2e: dropped packets', function () {
  this.timeout(600_000)
  let seen: readonly Dropped[]

  before(async () => {
    seen = await runInOwnNetwork<Dropped>(probe, '', {resolver: '127.0.0.1'})
    expect(seen.map(({to}) => to)).to.deep.equal(['the downstream Envoy', 'the sidecar'])
  })

  it('between the Envoys, or in front of a sidecar, leave the other clusters answered within seconds, from the first query on', () => {
    for (const {to, others, slowest} of seen) {
      expect(others, to).to.deep.equal(['paris-0', 'paris-1'])
      // `--store.response-timeout=5s` of that Thanos Query, and what a busy machine needs.
      expect(slowest, to).to.be.below(10_000)
    }
  })

  it('make Thanos Query report that endpoint, with the reason, and no other; queries wait for it no longer then', () => {
    for (const {to, unhealthy, reason, afterwards} of seen) {
      expect(unhealthy, to).to.deep.equal(['lyon-thanos-sidecar0'])
      expect(reason, to).to.match(/Unavailable|DeadlineExceeded|deadline/)
      expect(afterwards, to).to.be.below(2000)
    }
  })

  it('that arrive again bring the cluster back without an operator’s help', () => {
    for (const {to, back} of seen) expect(back, to).to.be.below(60_000)
  })
})
