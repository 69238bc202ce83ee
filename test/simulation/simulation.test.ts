/** The deterministic simulation: 400 seeds, the faults that it finds when they are planted, and seeds with real keys and a real store. */
import {expect} from 'chai'
import {historyOf, playTwice, simulateSeeds} from '../../scripts/tasks/simulate.mjs'
import {plantedFaults} from './leader.js'

/** A planted fault shows within so many seeds. */
const SEEDS = 20

describe('the simulation', function () {
  this.timeout(600_000)

  it('of 400 seeds breaks no promise', async () => {
    const {seeds, rotations, failed} = await simulateSeeds({first: 1, seeds: 400})
    const history = failed === undefined ? '' : await historyOf({seed: failed.seed})
    expect(failed, history.split('\n').slice(-100, -2).join('\n')).to.equal(undefined)
    expect(seeds).to.equal(400)
    expect(rotations, 'rotations come to their end').to.be.greaterThan(400)
  })

  for (const planted of plantedFaults)
    it(`finds a planted fault (${planted}), and tells it again the same way`, async () => {
      const {failed} = await simulateSeeds({first: 1, seeds: SEEDS, planted})
      expect(failed).not.to.equal(undefined)
      const {seed, failure} = failed!
      const history = await historyOf({seed, planted})
      expect(history.trimEnd()).to.match(/VIOLATION: /)
      expect(history).to.contain(failure)
      expect(await historyOf({seed, planted})).to.equal(history)
    })

  it('comes to the same state by the same history with real keys, real ADS sessions and a directory', async () => {
    const {failure, answered, refused, attempts, conflicts} = await playTwice({seed: SEED_WITH_ALL, events: 150})
    expect(failure).to.equal(undefined)
    expect(answered, 'responses that Envoys have answered').to.be.greaterThan(50)
    expect(refused, 'responses that Envoys have refused').to.be.greaterThan(0)
    expect(attempts, 'attempts to write').to.be.greaterThan(300)
    expect(conflicts, 'conflicts').to.be.greaterThan(0)
  })
})

/** In it Envoys refuse secrets, leaders come into conflict, the store is put back, and people name certificates by their fingerprints. */
const SEED_WITH_ALL = 66
