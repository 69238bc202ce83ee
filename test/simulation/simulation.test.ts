/** The deterministic simulation: 400 seeds, the faults that it finds when they are planted, and seeds with real keys and a real store. */
import {expect} from 'chai'
import {mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {historyOf, simulateSeeds} from '../../scripts/tasks/simulate.mjs'
import {AtlasError} from '../../src/lib/model/errors.js'
import {emptyFleet} from '../../src/lib/model/fleet.js'
import {symbolicSigner} from '../../src/lib/pki/symbolic.js'
import {openDirectory} from '../../src/lib/store/open.js'
import {plantedFaults} from './leader.js'
import {simulate} from './simulate.js'
import {stateOf} from './state.js'
import type {Attempt} from './store.js'

/** A planted fault shows within so many seeds. */
const SEEDS = 200

describe('the simulation', function () {
  this.timeout(300_000)

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

  it('comes to the same state with real keys, in a directory', async () => {
    const seed = 7
    const real = simulate(seed, {events: EVENTS, signer: symbolicSigner, recordsAttempts: true})
    expect(real.failure).to.equal(undefined)
    const state = stateOf(real.network.store.fleet)
    const symbolic = await historyOf({seed, events: EVENTS})
    expect(symbolic.trimEnd().split('\n').at(-1), 'of symbolic certificates').to.equal(state)

    const directory = await mkdtemp(path.join(tmpdir(), 'atlas-simulation-'))
    try {
      expect(await repeated(real.network.store.attempts ?? [], directory)).to.equal(state)
    } finally {
      await rm(directory, {recursive: true})
    }
  })
})

const EVENTS = 150

/** Repeats what was written, and every conflict, in a directory. @returns the state that is read from it */
async function repeated(attempts: readonly Attempt[], directory: string): Promise<string> {
  const store = openDirectory({directory, create: true})
  const fleets = [emptyFleet]
  for (const {base, isConflict, groups} of attempts) {
    const newest = fleets.at(-1) ?? emptyFleet
    if (isConflict) {
      const error: unknown = await store.commit(fleets[base] ?? emptyFleet, groups.flat()).catch((reason: unknown) => reason)
      expect(error).to.be.instanceOf(AtlasError)
      expect((error as AtlasError).code).to.equal('conflict')
    } else {
      let present = newest
      for (const changes of groups) {
        present = await store.commit(present, changes)
        fleets.push(present)
      }
    }
  }

  const loaded = await store.load()
  expect([...loaded.faults]).to.deep.equal([])
  return stateOf(loaded)
}
