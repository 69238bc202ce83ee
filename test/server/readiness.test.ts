/** Whether a server is ready, and what it warns of, from facts alone. */
import {expect} from 'chai'
import {type Fleet, emptyFleet} from '../../src/lib/model/fleet.js'
import {readKey} from '../../src/lib/pki/read.js'
import type {CurrentFleet} from '../../src/server/fleet/current-fleet.js'
import {type ReadinessFacts, defaultReadinessTimes, readinessOf} from '../../src/server/readiness.js'
import {testDependencies, testFleet} from '../helpers/dependencies.js'
import {need} from './support/network.js'

const dependencies = testDependencies()
const fleet = testFleet(dependencies)

function known(served: Fleet, differing: Partial<CurrentFleet> = {}): CurrentFleet {
  return {
    served: () => served,
    stored: () => served,
    protection: () => new Map(),
    isKnown: () => true,
    isReachable: () => true,
    firstReadFailure: () => undefined,
    follow: async () => undefined,
    ...differing,
  }
}

function facts(differing: Partial<ReadinessFacts> = {}): ReadinessFacts {
  return {
    role: 'all',
    phase: 'serving',
    fleet: known(fleet),
    storeHeardAt: undefined,
    lacksCertificate: false,
    problems: [],
    clock: dependencies,
    times: defaultReadinessTimes,
    ...differing,
  }
}

describe('readiness', () => {
  it('without reasons and warnings', () => {
    expect(readinessOf(facts())).to.deep.equal({ready: true, reasons: [], warnings: []})
  })

  it('waits for the first read, and states why it fails', () => {
    const unknown = {isKnown: () => false, isReachable: () => false}
    const notYet = readinessOf(facts({phase: 'starting', fleet: known(emptyFleet, unknown)}))
    expect(notYet).to.deep.equal({ready: false, reasons: ['the store has not been read yet'], warnings: []})
    const failing = known(emptyFleet, {...unknown, firstReadFailure: () => 'no route to host'})
    expect(readinessOf(facts({phase: 'starting', fleet: failing})).reasons).to.deep.equal(['waiting for the store: no route to host'])
  })

  it('is not there while the server starts or stops, or has no certificate', () => {
    expect(readinessOf(facts({phase: 'starting'})).reasons).to.deep.equal(['the server is still starting'])
    expect(readinessOf(facts({phase: 'stopping'})).reasons).to.deep.equal(['the server is stopping'])
    expect(readinessOf(facts({lacksCertificate: true})).reasons).to.deep.equal([
      'there is no certificate to serve with yet; the leader issues it',
    ])
  })

  it('warns of a store that can not be read, or has sent nothing for long, and stays', () => {
    const away = readinessOf(facts({fleet: known(fleet, {isReachable: () => false})}))
    expect(away).to.deep.equal({ready: true, reasons: [], warnings: ['the store can not be read; serving the last known fleet']})
    const silent = readinessOf(facts({storeHeardAt: performance.now() - 200_000}))
    expect(silent.warnings.join()).to.match(/^the store has not answered for \d+ s; serving the last known fleet$/)
    expect(readinessOf(facts({storeHeardAt: performance.now() - 80_000})).warnings).to.deep.equal([])
  })

  it('warns of a signing certificate from two thirds of its life on, where the server may read it', () => {
    const {notBefore, notAfter} = readKey(need(fleet.authority.get('issuer')))
    const at = (part: number): Date => new Date(notBefore.getTime() + (notAfter.getTime() - notBefore.getTime()) * part)
    expect(readinessOf(facts({clock: {now: () => at(0.66)}})).warnings).to.deep.equal([])
    expect(readinessOf(facts({clock: {now: () => at(0.67)}})).warnings).to.deep.equal([
      `the issuer certificate ends on ${notAfter.toISOString()}; nothing can be signed with it after that`,
    ])
    expect(readinessOf(facts({clock: {now: () => at(0.67)}, role: 'ads'})).warnings).to.deep.equal([])
  })

  it('warns of a clock that is doubted in every role, and of no certificate by such a clock', () => {
    const clock = {now: () => new Date('2099-01-01'), clockDoubt: () => 'the clock is wrong'}
    for (const role of ['all', 'ads'] as const) expect(readinessOf(facts({role, clock})).warnings).to.deep.equal(['the clock is wrong'])
  })

  it('warns of a missing root, and of every other problem', () => {
    const without = {...fleet, authority: new Map([...fleet.authority].filter(([part]) => part !== 'root'))}
    expect(readinessOf(facts({fleet: known(without), problems: [undefined, 'a', undefined, 'b']})).warnings).to.deep.equal([
      'the root (Secret atlas-ca) is missing or broken: nothing can be signed',
      'a',
      'b',
    ])
  })
})
