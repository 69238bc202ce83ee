/** Property: whatever a clock was set to in between, once it is right again everything is as if it had never been wrong. */
import {expect} from 'chai'
import fc from 'fast-check'
import type {OwnerRecord} from '../../src/lib/model/authority.js'
import {type Change, reduceAll} from '../../src/lib/model/change.js'
import {type Fleet, isRegistered} from '../../src/lib/model/fleet.js'
import {type Owner, parseClusterName} from '../../src/lib/model/names.js'
import {type ClockState, newestTime, renderDoubt, stepClock} from '../../src/lib/ops/clock.js'
import {planReconcile} from '../../src/lib/ops/reconcile.js'
import {type Renewals, allRenewals, planRenewals} from '../../src/lib/ops/renewals.js'
import {planRemoval} from '../../src/lib/ops/revoke.js'
import {readKey} from '../../src/lib/pki/read.js'
import {symbolicSigner} from '../../src/lib/pki/symbolic.js'
import {testDependencies, testFleet, testSettings} from '../helpers/dependencies.js'
import {testCluster} from '../helpers/fleet.js'

const [start, minute, heldMs] = [Date.parse('2026-11-23'), 60_000, 600_000]
const [paris, lyon, rome] = [parseClusterName('paris'), parseClusterName('lyon'), parseClusterName('rome')]
const settings = {...testSettings, lifetimes: {...testSettings.lifetimes, suspension: 90 * 86_400}}

/** What happens in a minute or more: the clock is set to differ by `wrong` minutes, then something happens. */
interface Step {
  readonly minutes: number
  readonly wrong: number
  readonly event: 'add rome' | 'nothing' | 'remove lyon' | 'restart' | 'unregister paris'
}

/** A server over a fleet. */
class Simulation {
  fleet: Fleet = testFleet(testDependencies(), ['paris', 'lyon'], settings)
  #state: ClockState | undefined
  #renewed = new Set<Owner>()
  #wrong = 0
  #steady = 0
  readonly #signer = symbolicSigner('simulated')
  readonly #hasServer: boolean

  constructor({hasServer}: {readonly hasServer: boolean}) {
    this.#hasServer = hasServer
  }

  get doubt(): string | undefined {
    return this.#state?.doubt && renderDoubt(this.#state.doubt, heldMs)
  }

  get now(): Date {
    return new Date(start + this.#steady + this.#wrong)
  }

  run({minutes, wrong, event}: Step): void {
    this.#wrong = wrong * minute
    this.look()
    if (event === 'restart') [this.#state, this.#renewed] = [undefined, new Set()]
    else this.#change(this.#changesOf(event))
    this.look()
    // A server looks every few seconds; a minute is often enough here.
    for (let passed = 0; passed < minutes; passed += 1) {
      this.#steady += minute
      this.look()
    }
  }

  look(): void {
    const wall = this.now.getTime()
    const server = this.#hasServer ? start + this.#steady : undefined
    this.#state = stepClock(this.#state, {wall, steady: this.#steady, server, newest: newestTime(this.fleet)}, {heldMs})
    const facts = {
      proxies: [],
      evidence: undefined,
      isClockConfirmed: this.#state.isConfirmed,
      renewedBefore: this.#renewed,
      acknowledgeMs: 120_000,
    }
    const renewals = planRenewals(this.fleet, settings, this.now, facts)
    if (!this.#state.isConfirmed && this.doubt === undefined) for (const owner of renewals.owners) this.#renewed.add(owner)
    this.#change(this.missing(renewals))
  }

  /** What a pass would do now. */
  missing(renewals: Renewals = allRenewals): readonly Change[] {
    return planReconcile(this.fleet, {now: () => this.now, clockDoubt: () => this.doubt, signer: this.#signer}, {renewals})
  }

  #change(changes: readonly Change[]): void {
    this.fleet = reduceAll(this.fleet, changes)
  }

  #changesOf(event: Step['event']): readonly Change[] {
    if (event === 'add rome') return [{kind: 'registration', name: rome, value: testCluster('rome')}]
    if (event === 'unregister paris') return [{kind: 'registration', name: paris, value: undefined}]
    const isThere = this.fleet.registrations.has(lyon)
    return event === 'remove lyon' && isThere ? planRemoval(this.fleet, lyon, {now: () => this.now, signer: this.#signer}) : []
  }
}

/** What protects, and what is promised to clusters: all of a record but for times and the certificates that may be replaced. */
function lasting({owner, generation, registration, suspendedSince, denied}: OwnerRecord) {
  return {owner, generation, registration, isSuspended: suspendedSince !== undefined, denied: denied.map(({name}) => name).sort()}
}

const records = ({fleet}: Simulation) =>
  [...fleet.records.values()].map(record => lasting(record)).sort((a, b) => (a.owner < b.owner ? -1 : 1))
const serials = ({fleet}: Simulation) => [...fleet.identities.values(), ...fleet.credentials.values()].map(key => readKey(key).serial)

/** Runs the steps, then with the right clock for 10 minutes, and for one look of each tenth of the renewals. */
function runBoth(steps: readonly Step[], options: {readonly hasServer: boolean}): {wrong: Simulation; right: Simulation} {
  const [wrong, right] = [new Simulation(options), new Simulation(options)]
  for (const step of steps) {
    wrong.run(step)
    right.run({...step, wrong: 0})
  }

  for (const simulation of [wrong, right]) simulation.run({minutes: 15, wrong: 0, event: 'nothing'})
  return {wrong, right}
}

function expectAsRight({wrong, right}: {wrong: Simulation; right: Simulation}): void {
  expect(wrong.doubt).to.equal(undefined)
  expect(wrong.missing(), 'nothing is due').to.deep.equal([])
  expect(records(wrong)).to.deep.equal(records(right))
  const {identities, credentials, server, registrations} = wrong.fleet
  expect([...registrations.keys()]).to.deep.equal([...right.fleet.registrations.keys()])
  expect([...identities.keys()]).to.deep.equal([...right.fleet.identities.keys()])
  expect([...credentials.keys()]).to.deep.equal([...right.fleet.credentials.keys()])
  // A suspended cluster's certificates are looked at when it is registered again.
  const ofRegistered = [...identities, ...credentials].filter(([owner]) => isRegistered(wrong.fleet, owner)).map(([, key]) => key)
  for (const key of [...ofRegistered, ...(server === undefined ? [] : [server])]) {
    expect(readKey(key).notBefore.getTime()).to.be.at.most(wrong.now.getTime() + 5 * minute)
    expect(readKey(key).notAfter.getTime()).to.be.greaterThan(wrong.now.getTime())
  }
}

const event = fc.constantFrom<Step['event']>('nothing', 'nothing', 'add rome', 'remove lyon', 'unregister paris')
const years = 3 * 365 * 1440
const stepsOf = (minutes: number, wrong: number, events: fc.Arbitrary<Step['event']>): fc.Arbitrary<Step[]> =>
  fc.array(
    fc.record({
      minutes: fc.integer({min: 1, max: minutes}),
      wrong: fc.oneof(fc.constant(0), fc.integer({min: -wrong, max: wrong})),
      event: events,
    }),
    {maxLength: 8},
  )

describe('after any sequence of clock steps', function () {
  this.timeout(180_000)

  it('of up to 29 days, each believed or not, with restarts: all is as with a right clock, but for certificates that were replaced', () => {
    const events = fc.oneof(event, fc.constant<Step['event']>('restart'))
    fc.assert(
      fc.property(stepsOf(40, 29 * 1440, events), steps => {
        expectAsRight(runBoth(steps, {hasServer: false}))
      }),
      {
        numRuns: 40,
        examples: [
          [
            [
              {minutes: 1, wrong: 29780, event: 'restart'},
              {minutes: 1, wrong: 0, event: 'unregister paris'},
            ],
          ],
        ], // seed 20211125, path 19:2:1:8:4:3:1:2:3:3:3
      },
    )
  })

  it('of years, each shorter than 10 minutes: no certificate is replaced either', () => {
    // The right clock in between, so that no wrong time holds for 10 minutes; the first step confirms the right one.
    const steps = stepsOf(4, years, event).map(all => [
      {minutes: 1, wrong: 0, event: 'nothing'} as const,
      ...all.flatMap(step => [step, {minutes: 1, wrong: 0, event: 'nothing'} as const]),
    ])
    fc.assert(
      fc.property(steps, all => {
        const both = runBoth(all, {hasServer: false})
        expectAsRight(both)
        const before = serials(new Simulation({hasServer: false}))
        const kept = serials(both.wrong)
        expect(before.filter(serial => !kept.includes(serial))).to.deep.equal(
          before.filter(serial => !serials(both.right).includes(serial)),
        )
      }),
      {numRuns: 40},
    )
  })

  it('of years, for any time, with an API server: no certificate is replaced either', () => {
    fc.assert(
      fc.property(stepsOf(40, years, event), steps => {
        const both = runBoth(steps, {hasServer: true})
        expectAsRight(both)
        const [kept, right] = [serials(both.wrong), serials(both.right)]
        for (const serial of serials(new Simulation({hasServer: true}))) expect(kept.includes(serial)).to.equal(right.includes(serial))
      }),
      {numRuns: 40},
    )
  })
})
