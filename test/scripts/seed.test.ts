/** Every random choice of a run follows its seed. */
import {expect} from 'chai'
import fc from 'fast-check'
import {seed} from '../../scripts/lanes/seed.mjs'
import {randomSource} from '../helpers/random.js'

describe('the seed of a run', () => {
  it('is set in the copy of fast-check that test files import', () => {
    expect(fc.readConfigureGlobal().seed).to.equal(seed)
  })

  it('gives equal numbers to sources of one name, and other numbers to sources of another', () => {
    const numbersOf = (name: string): readonly number[] => Array.from({length: 100}, randomSource(name))
    expect(numbersOf('a')).to.deep.equal(numbersOf('a')).and.not.to.deep.equal(numbersOf('b'))
    for (const number of numbersOf('a')) expect(number).to.be.within(0, 1)
    expect(new Set(numbersOf('a')).size).to.equal(100)
  })
})
