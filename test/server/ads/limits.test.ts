/** What one cluster may ask for. */
import {expect} from 'chai'
import {parseClusterName} from '../../../src/lib/model/names.js'
import {openLimiter} from '../../../src/server/ads/limits.js'

const [paris, rome] = [parseClusterName('paris'), parseClusterName('rome')]
const limits = {streamsPerCluster: 2, streamsOfObservability: 3, requestsPerSecond: 10, requestBurst: 5}

describe('limits', () => {
  it('bound the streams of each cluster by itself', () => {
    const limiter = openLimiter(limits)
    expect([limiter.open(paris), limiter.open(paris), limiter.open(paris), limiter.open(rome)]).to.deep.equal([true, true, false, true])
    limiter.close(paris)
    expect(limiter.open(paris)).to.equal(true)
    expect([1, 2, 3, 4].map(() => limiter.open('atlas'))).to.deep.equal([true, true, true, false])
  })

  it('bound the requests of a cluster: a burst, then a rate', () => {
    const limiter = openLimiter(limits)
    limiter.open(paris)
    const waits = (now: number, count: number): readonly number[] => Array.from({length: count}, () => limiter.request(paris, now))
    expect(waits(1000, 7)).to.deep.equal([0, 0, 0, 0, 0, 100, 200])
    expect(waits(1100, 1)).to.deep.equal([200])
    expect(waits(60_000, 5)).to.deep.equal([0, 0, 0, 0, 0])
  })

  it('are not escaped by opening streams anew, nor by a clock that goes back', () => {
    const limiter = openLimiter(limits)
    limiter.open(paris)
    for (let count = 0; count < 5; count += 1) limiter.request(paris, 1000)
    limiter.close(paris)
    limiter.open(paris)
    expect(limiter.request(paris, 500)).to.be.above(0)
    expect(limiter.request(rome, 1000)).to.equal(0)
  })
})
