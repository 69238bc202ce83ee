/** Back-off: doubles, has an end, and is spread by jitter. */
import {expect} from 'chai'
import {backOff, withJitter} from '../../src/lib/model/back-off.js'

describe('back-off', () => {
  const times = {first: 100, longest: 1000}

  it('waits for nothing before the first failure, then doubles up to the longest delay', () => {
    expect([0, 1, 2, 3, 4, 5, 6].map(failures => backOff(failures, times))).to.deep.equal([0, 100, 200, 400, 800, 1000, 1000])
  })

  it('stays at the longest delay however many failures there are', () => {
    for (const failures of [30, 1100, Number.MAX_SAFE_INTEGER]) expect(backOff(failures, times)).to.equal(1000)
  })

  it('is never longer than the longest delay, the first one included', () => {
    expect(backOff(1, {first: 100, longest: 50})).to.equal(50)
  })

  it('is shortened by jitter, by a half at most', () => {
    expect([0, 0.5, 1].map(random => withJitter(1000, random))).to.deep.equal([1000, 750, 500])
  })
})
