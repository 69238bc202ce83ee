/** Which streams a change is pushed to, and when: the debounce, what never waits, and turns short enough for other work. */
import {mock} from 'node:test'
import {expect} from 'chai'
import type {Change} from '../../../src/lib/model/change.js'
import {type Fleet, emptyFleet} from '../../../src/lib/model/fleet.js'
import {type Owner, parseClusterName} from '../../../src/lib/model/names.js'
import {type Pusher, openPusher} from '../../../src/server/proxies/push.js'
import {testCluster} from '../../helpers/fleet.js'
import {eventually} from '../support/network.js'

const sleep = async (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))
const [paris, rome] = [parseClusterName('paris'), parseClusterName('rome')]

describe('pushes', () => {
  let pusher: Pusher
  let current: Fleet
  let updates: [Owner, Fleet][]
  let pushes: number[]
  const times = {gatherMs: 20, gatherMaxMs: 60}

  beforeEach(() => {
    updates = []
    pushes = []
    current = emptyFleet
    pusher = openPusher({served: () => current}, times, {pushed: streams => pushes.push(streams)})
    for (const cluster of ['atlas', paris, rome] as const) pusher.subscribe({cluster, update: fleet => updates.push([cluster, fleet])})
  })

  afterEach(() => {
    pusher.close()
    mock.restoreAll()
  })

  /** A turn ends after some milliseconds, which do not pass: all streams are updated in one. */
  function inOneTurn(): void {
    mock.method(performance, 'now', () => 0)
  }

  function push(fleet: Fleet, changes: readonly Change[]): void {
    const before = current
    current = fleet
    pusher.changed({before, after: fleet, changes})
  }

  function registered(name = paris): Change {
    return {kind: 'registration', name, value: testCluster(name)}
  }

  const updated = (): readonly Owner[] => updates.map(([owner]) => owner)

  it('send the first change after a quiet time at once, to the streams concerned, the observability cluster first', () => {
    inOneTurn()
    push(emptyFleet, [registered()])
    expect(updated()).to.deep.equal(['atlas', 'paris'])
  })

  it('send nothing for changes that concern no node', async () => {
    push(emptyFleet, [
      {kind: 'endpoints', value: {text: ''}},
      {kind: 'revision', object: 'x', value: '1'},
    ])
    await sleep(50)
    expect(updated()).to.deep.equal([])
  })

  it('gather the changes that follow, and send the newest fleet', async () => {
    inOneTurn()
    push(emptyFleet, [registered()])
    const fleets = Array.from({length: 10}, () => ({...emptyFleet}))
    for (const fleet of fleets) push(fleet, [registered(rome)])
    expect(updated()).to.deep.equal(['atlas', 'paris'])
    for (let tries = 0; tries < 500 && pushes.length < 2; tries += 1) await sleep(10)
    expect(updated()).to.deep.equal(['atlas', 'paris', 'atlas', 'rome'])
    expect(updates.at(-1)?.[1]).to.equal(fleets.at(-1))
    expect(pushes).to.deep.equal([2, 2])
  })

  it('gather changes no longer than the longest time', async () => {
    push(emptyFleet, [registered()])
    const begin = performance.now()
    // Changes come faster than `gatherMs` all the time: without a longest time nothing would be pushed.
    while (pushes.length < 2 && performance.now() - begin < 20_000) {
      push(emptyFleet, [registered(rome)])
      await new Promise(resolve => setImmediate(resolve))
    }

    expect(performance.now() - begin).to.be.within(40, 10_000)
  })

  it('never delay a removal, a suspension or a revocation', () => {
    inOneTurn()
    push(emptyFleet, [registered()])
    push(emptyFleet, [registered(rome)])
    expect(updated()).to.have.length(2)
    push(emptyFleet, [{kind: 'registration', name: paris, value: undefined}])
    expect(updated()).to.have.length(5)
    const record = {owner: rome, generation: 1, credentials: [], denied: []}
    push(emptyFleet, [{kind: 'record', owner: rome, value: {...record, suspendedSince: '2026-01-01T00:00:00Z'}}])
    expect(updated()).to.have.length(7)
  })

  it('delay an ordinary record', () => {
    inOneTurn()
    push(emptyFleet, [registered()])
    push(emptyFleet, [{kind: 'record', owner: rome, value: {owner: rome, generation: 1, credentials: [], denied: []}}])
    expect(updated()).to.have.length(2)
  })

  it('leave out a stream that has unsubscribed, even while it waits for its turn', () => {
    const left: string[] = []
    const leave = pusher.subscribe({cluster: paris, update: () => left.push('paris')})
    pusher.subscribe({
      cluster: 'atlas',
      update: () => {
        leave()
      },
    })
    push(emptyFleet, [registered()])
    expect(left).to.deep.equal([])
  })

  it('take turns when there are many streams, and later streams get the newest fleet', async () => {
    const seen: Fleet[] = []
    let time = 0
    mock.method(performance, 'now', () => time)
    for (let count = 0; count < 50; count += 1)
      pusher.subscribe({
        cluster: paris,
        update(fleet) {
          time += 1
          seen.push(fleet)
        },
      })
    const [first, second] = [{...emptyFleet}, {...emptyFleet}]
    push(first, [{kind: 'settings', value: undefined}])
    expect(seen.length, 'in the first turn').to.be.within(1, 15)
    push(second, [{kind: 'settings', value: undefined}])
    await eventually(() => pushes.length === 1, 'all streams are updated')
    expect(seen.at(-1)).to.equal(second)
    expect(seen.length).to.be.within(50, 100)
  })
})
