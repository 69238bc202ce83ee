/** The limits on all streams of one cluster together. */
import {expect} from 'chai'
import {parseClusterName} from '../../../src/lib/model/names.js'
import {openClusterLimiter} from '../../../src/server/ads/cluster-limits.js'

const [paris, rome] = [parseClusterName('paris'), parseClusterName('rome')]
const limits = {
  streamsPerCluster: 2,
  streamsOfObservability: 3,
  requestsPerSecond: 10,
  requestBurst: 15,
  bytesPerSecond: 1000,
  byteBurst: 5000,
  cpuMsPerSecond: 50,
  cpuBurstMs: 1000,
}

describe('limits', () => {
  it('bound the streams of each cluster on its own', () => {
    const limiter = openClusterLimiter(limits)
    expect([limiter.open(paris, 0), limiter.open(paris, 0), limiter.open(paris, 0), limiter.open(rome, 0)]).to.deep.equal([
      true,
      true,
      false,
      true,
    ])
    limiter.close(paris)
    expect(limiter.open(paris, 60_000)).to.equal(true)
    expect([1, 2, 3, 4].map(count => limiter.open('atlas', count * 60_000))).to.deep.equal([true, true, true, false])
  })

  it('bound the requests of a cluster: a burst, then a rate', () => {
    const limiter = openClusterLimiter(limits)
    limiter.open(paris, 1000)
    const waits = (now: number, count: number): readonly number[] => Array.from({length: count}, () => limiter.request(paris, 1, now))
    expect(waits(1000, 7)).to.deep.equal([0, 0, 0, 0, 0, 100, 200])
    expect(waits(1100, 1)).to.deep.equal([200])
    expect(waits(60_000, 5)).to.deep.equal([0, 0, 0, 0, 0])
  })

  it('hold when streams are closed and opened again, and when the clock goes back', () => {
    const limiter = openClusterLimiter(limits)
    limiter.open(paris, 1000)
    for (let count = 0; count < 5; count += 1) limiter.request(paris, 1, 1000)
    limiter.close(paris)
    limiter.open(paris, 1000)
    expect(limiter.request(paris, 1, 500)).to.be.above(0)
    expect(limiter.request(rome, 1, 1000)).to.equal(0)
  })

  it('bound the bytes of a cluster, but not those of the observability Envoy', () => {
    const limiter = openClusterLimiter(limits)
    limiter.open(paris, 0)
    limiter.open('atlas', 0)
    expect([5000, 500, 500].map(bytes => limiter.request(paris, bytes, 0))).to.deep.equal([0, 500, 1000])
    expect(limiter.request(paris, 0, 1000)).to.equal(0)
    expect(limiter.request('atlas', 1_000_000, 0)).to.equal(0)
    expect(limiter.request(rome, 1_000_000, 0)).to.equal(0)
  })

  it('bound the CPU time of a cluster: what it owes delays its next request, and that of no other, nor of the observability Envoy', () => {
    const limiter = openClusterLimiter(limits)
    for (const cluster of [paris, rome, 'atlas' as const]) limiter.open(cluster, 0)
    limiter.spent(paris, 1000, 0)
    expect(limiter.request(paris, 1, 0)).to.equal(0)
    limiter.spent(paris, 100, 0)
    limiter.spent('atlas', 100_000, 0)
    expect([paris, rome, 'atlas' as const].map(cluster => limiter.request(cluster, 1, 0))).to.deep.equal([2000, 0, 0])
    expect([1000, 2000].map(now => limiter.request(paris, 1, now))).to.deep.equal([1000, 0])
    limiter.spent(paris, 1050, 62_000)
    expect(limiter.request(paris, 1, 62_000), 'a burst is saved up, and no more').to.equal(1000)
  })

  it('keep what a cluster owes of CPU time when its streams are closed and opened again', () => {
    const limiter = openClusterLimiter(limits)
    limiter.open(paris, 0)
    limiter.spent(paris, 2000, 0)
    limiter.close(paris)
    limiter.open(rome, 2000)
    limiter.open(paris, 2000)
    expect(limiter.request(paris, 1, 2000)).to.equal(18_000)
  })

  it('bound how fast streams are opened', () => {
    const limiter = openClusterLimiter(limits)
    const reopened = (now: number): boolean => {
      const isOpen = limiter.open(paris, now)
      if (isOpen) limiter.close(paris)
      return isOpen
    }

    expect([1, 2, 3, 4].map(() => reopened(1000))).to.deep.equal([true, true, false, false])
    expect(reopened(3000)).to.equal(true)
  })
})
