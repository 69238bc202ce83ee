/** When the clock of a machine is believed, and what commands do while it is wrong: none signs by it, and each names the reason. */
import {expect} from 'chai'
import {renderAdded} from '../../src/lib/cli/text/cluster.js'
import {type Change, reduceAll} from '../../src/lib/model/change.js'
import {emptyFleet} from '../../src/lib/model/fleet.js'
import {defaultStack, targetsOf} from '../../src/lib/model/stack.js'
import {addCluster} from '../../src/lib/ops/cluster/add.js'
import {removeCluster} from '../../src/lib/ops/cluster/remove.js'
import {type ClockReading, type ClockState, likelyTime, newestTime, renderDoubt, stepClock} from '../../src/lib/ops/clock.js'
import {planReconcile} from '../../src/lib/ops/reconcile.js'
import {init} from '../../src/lib/ops/init.js'
import {rotateLeaves} from '../../src/lib/ops/rotate.js'
import {isUnsignedReason, unsignedReasons} from '../../src/lib/ops/signing.js'
import {testDependencies, testFleet, testSettings} from '../helpers/dependencies.js'
import {testStore} from '../server/support/store.js'

const input = {request: {}, defaults: targetsOf(defaultStack)}
const flags = {'dry-run': false} as Parameters<typeof renderAdded>[1]

describe('with a wrong clock', () => {
  it('init makes no root before the release of Atlas, and writes nothing', async () => {
    const store = testStore()
    const error: unknown = await init(store, {}, testDependencies('1970-01-01T00:00:10.000Z')).catch((thrown: unknown) => thrown)
    expect(error).to.have.property('code', 'failed')
    expect(error).to.have.property('message').that.contains('the clock of this machine shows 1970-01-01T00:00:10.000Z')
    expect(store.fleet().settings).to.equal(undefined)
    expect((await init(store, {}, testDependencies())).created).to.equal(true)
  })

  it('an hour behind: add registers and names the reason instead of next steps; remove removes', async () => {
    const [store, dependencies] = [testStore(), testDependencies()]
    await init(store, {}, dependencies)
    await addCluster(store, 'lyon', input, dependencies)
    dependencies.pass(-3600)
    const added = await addCluster(store, 'paris', input, dependencies)
    expect(store.fleet().registrations.has(added.cluster.name)).to.equal(true)
    const text = renderAdded(added, flags, {version: '1.0.0', mayReadKey: true})
    expect(text).to.contain('Warning: the clock of this machine is 50m behind the newest time in the store: nothing is signed')
    expect(text).not.to.contain('Next:')
    const error: unknown = await rotateLeaves(store, [], dependencies).catch((thrown: unknown) => thrown)
    expect(error).to.have.property('message').that.contains('behind the newest time in the store: nothing is signed')
    await removeCluster(store, 'lyon', dependencies)
    expect([...store.fleet().registrations.keys()]).to.deep.equal(['paris'])

    dependencies.pass(3600)
    const again = await addCluster(store, 'paris', input, dependencies)
    expect(again.unsigned).to.deep.equal([])
    expect(renderAdded(again, flags, {version: '1.0.0', mayReadKey: true})).not.to.contain('Warning')
    expect(store.fleet().credentials.has(added.cluster.name)).to.equal(true)
  })
})

describe('a reason why nothing is signed', () => {
  it('is known among the warnings of a leader', () => {
    const dependencies = testDependencies()
    const fleet = testFleet(dependencies)
    const ended = {...dependencies, now: () => new Date('2099-01-01')}
    const reasons = [
      ...unsignedReasons(emptyFleet, dependencies),
      ...unsignedReasons({...fleet, authority: new Map()}, dependencies),
      ...unsignedReasons(fleet, ended),
      ...(['moved', 'server', 'store'] as const).map(kind => renderDoubt({kind, ahead: -3_600_000}, undefined)),
    ]
    expect(reasons).to.have.length(8)
    expect(reasons.filter(reason => !isUnsignedReason(reason))).to.deep.equal([])
    const other = 'the issuer certificate ends on 2027-01-01T00:00:00.000Z; nothing can be signed with it after that'
    expect(isUnsignedReason(other)).to.equal(false)
  })
})

describe('a new installation', () => {
  it('whose clock is doubted, or whose root cannot sign yet, makes nothing at first, and all of it later', () => {
    const dependencies = testDependencies()
    const root = testFleet(dependencies).authority.get('root')
    const changes: Change[] = [
      {kind: 'settings', value: testSettings},
      {kind: 'authority', part: 'root', value: root},
    ]
    const fleet = reduceAll(emptyFleet, changes)
    const signing = (plan: readonly Change[]): readonly string[] => plan.map(({kind}) => kind).filter(kind => kind !== 'endpoints')
    const doubted = {...dependencies, clockDoubt: () => 'it is wrong'}
    expect(signing(planReconcile(fleet, doubted))).to.deep.equal([])
    dependencies.pass(-3600)
    expect(signing(planReconcile(fleet, dependencies))).to.deep.equal([])
    dependencies.pass(3600)
    expect(signing(planReconcile(fleet, dependencies))).to.include.members(['authority', 'trust', 'server', 'identity', 'credential'])
  })
})

describe('the clock of a machine', () => {
  const [start, minute, heldMs] = [Date.parse('2026-11-23'), 60_000, 600_000]
  let state: ClockState | undefined
  let reading: ClockReading
  beforeEach(() => {
    state = undefined
    reading = {wall: start, steady: 5000, server: undefined, newest: undefined}
  })

  /** Time passes, then the clock is set, and looked at. @returns the doubt, in words */
  function look({minutes = 0, set = 0, ...rest}: {minutes?: number; set?: number} & Partial<ClockReading> = {}): string | undefined {
    reading = {...reading, wall: reading.wall + (minutes + set) * minute, steady: reading.steady + minutes * minute, ...rest}
    state = stepClock(state, reading, {heldMs})
    return state.doubt && renderDoubt(state.doubt, heldMs)
  }

  it('is believed at the start, and confirmed after 10 minutes', () => {
    expect(look({newest: start - 1})).to.equal(undefined)
    expect(state?.isConfirmed).to.equal(false)
    expect(look({minutes: 10})).to.equal(undefined)
    expect(state?.isConfirmed).to.equal(true)
  })

  it('is doubted at the start where it shows a time before the newest one in the store, until it is set or has held', () => {
    const newest = start + 120 * minute
    expect(look({newest})).to.equal(
      'the clock of this machine is 2h behind the newest time in the store: nothing is signed or dropped until it has kept its time for 10m, or is set',
    )
    expect(look({minutes: 9})).to.contain('is 2h behind')
    expect(look({minutes: 1})).to.equal(undefined)
    state = undefined
    expect(look()).to.contain('behind the newest time')
    expect(look({set: 120})).to.equal(undefined)
  })

  it('is doubted when it was set by more than 5 minutes, until it is set back or has held the new time for 10', () => {
    look()
    expect(look({minutes: 1, set: 5})).to.equal(undefined)
    expect(look({set: 1})).to.contain('was set 6m ahead: nothing is signed or dropped until it has kept its time for 10m')
    expect(look({minutes: 9})).to.contain('was set 6m ahead')
    expect(look({set: -6})).to.equal(undefined)
    expect(look({minutes: 1, set: -60})).to.contain('was set 1h back')
    expect(look({minutes: 5, set: 120})).to.contain('was set 59m 59s ahead'.slice(0, 7))
    expect(look({minutes: 9})).not.to.equal(undefined)
    expect(look({minutes: 1})).to.equal(undefined)
  })

  it('is not doubted for small corrections that add up over a year, nor because the machine was suspended', () => {
    for (let day = 0; day < 365; day += 1) expect(look({minutes: 1440, set: 0.1})).to.equal(undefined)
    expect(look({minutes: 60 * 24 * 30})).to.equal(undefined)
  })

  it('is judged by the API server where there is one, also at the start, and at once', () => {
    expect(look({server: start - 6 * minute})).to.equal(
      "the clock of this machine is 6m ahead of the Kubernetes API server's: nothing is signed or dropped until they agree",
    )
    expect(look({minutes: 60, server: start + 54 * minute})).to.contain('6m ahead of')
    expect(likelyTime(state!, reading)).to.equal(start + 54 * minute)
    expect(look({set: -6})).to.equal(undefined)
    expect(state?.isConfirmed).to.equal(true)
    expect(look({minutes: 1, set: -60, server: start + 55 * minute})).to.contain("1h behind the Kubernetes API server's")
  })

  it('shows what time it likely is while it is doubted', () => {
    look()
    look({minutes: 1, set: 50_000})
    expect(likelyTime(state!, reading)).to.equal(start + minute)
  })

  it('is compared with the newest time of all that is stored', () => {
    const dependencies = testDependencies()
    const fleet = testFleet(dependencies)
    const issued = dependencies.now().getTime()
    expect(newestTime(fleet)).to.equal(issued - 10 * minute)
    const suspended = {owner: 'x', generation: 1, credentials: [], denied: [], suspendedSince: '2027-01-01T00:00:00.000Z'}
    expect(newestTime({...fleet, records: new Map([['x', suspended]]) as never})).to.equal(Date.parse('2027-01-01'))
    expect(newestTime({...fleet, authority: new Map(), identities: new Map(), credentials: new Map(), server: undefined})).to.equal(
      undefined,
    )
  })
})
