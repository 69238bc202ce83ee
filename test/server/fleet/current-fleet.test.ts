/** The current fleet: read once, followed, passed to its observers in their order, and kept while the store can't be read. */
import {expect} from 'chai'
import {parseAddress} from '../../../src/lib/model/address.js'
import type {Change} from '../../../src/lib/model/change.js'
import {parseClusterName} from '../../../src/lib/model/names.js'
import type {StateStore} from '../../../src/lib/store/store.js'
import {type FleetObserver, type FleetUpdate, defaultFirstReadTimes, openCurrentFleet} from '../../../src/server/fleet/current-fleet.js'
import {silentLog} from '../../../src/server/log.js'
import {testDependencies, testFleet} from '../../helpers/dependencies.js'
import {changesOf} from '../../helpers/fleet-changes.js'
import {testCluster} from '../../helpers/fleet.js'
import {type Network, eventually, settle, settleAll, startNetwork, subscribe} from '../support/network.js'
import {type TestStore, testStore} from '../support/store.js'

const [paris, rome] = [parseClusterName('paris'), parseClusterName('rome')]
const registered: Change = {kind: 'registration', name: rome, value: testCluster('rome')}

describe('the current fleet', () => {
  const stopping = new AbortController()
  after(() => {
    stopping.abort()
  })

  function storeOfParis(): TestStore {
    const store = testStore()
    store.write(...changesOf(testFleet(testDependencies(), ['paris'])))
    return store
  }

  it('calls its observers in the order of their list, with the fleet before and after', async () => {
    const store = storeOfParis()
    const fleet = openCurrentFleet(store, silentLog, defaultFirstReadTimes)
    const calls: string[] = []
    const updates: FleetUpdate[] = []
    const observer = (name: string): FleetObserver => ({
      started: known => calls.push(`${name} started ${[...known.registrations.keys()].join()}`),
      changed(update) {
        calls.push(`${name} changed ${[...update.after.registrations.keys()].join()}`)
        updates.push(update)
        expect(fleet.served()).to.equal(update.after)
      },
    })
    await fleet.follow([observer('first'), observer('second')], stopping.signal)
    const before = fleet.served()
    store.write(registered)
    expect(calls).to.deep.equal(['first started paris', 'second started paris', 'first changed paris,rome', 'second changed paris,rome'])
    expect(updates.map(update => update.before === before && update.after === fleet.served())).to.deep.equal([true, true])
    expect(fleet.stored()).to.deep.equal(store.fleet())
  })

  it('applies changes that the store reports before it has returned its first fleet', async () => {
    const inner = storeOfParis()
    const store: StateStore = {
      ...inner,
      async watch(watcher, signal) {
        const first = await inner.watch(watcher, signal)
        inner.write(registered)
        return first
      },
    }
    const fleet = openCurrentFleet(store, silentLog, defaultFirstReadTimes)
    const seen: string[] = []
    const observer: FleetObserver = {
      started: known => seen.push(`started ${[...known.registrations.keys()].join()}`),
      changed: ({after}) => seen.push(`changed ${[...after.registrations.keys()].join()}`),
    }
    await fleet.follow([observer], stopping.signal)
    expect(seen).to.deep.equal(['started paris', 'changed paris,rome'])
  })

  it('is unknown and empty before the first read, and known but unreachable while the store can not be read', async () => {
    const store = storeOfParis()
    const fleet = openCurrentFleet(store, silentLog, defaultFirstReadTimes)
    expect([fleet.isKnown(), fleet.isReachable(), fleet.served().registrations.size]).to.deep.equal([false, false, 0])
    await fleet.follow([], stopping.signal)
    expect([fleet.isKnown(), fleet.isReachable(), fleet.served().registrations.has(paris)]).to.deep.equal([true, true, true])
    store.fail()
    expect([fleet.isKnown(), fleet.isReachable(), fleet.served().registrations.has(paris)]).to.deep.equal([true, false, true])
    store.recover()
    expect(fleet.isReachable()).to.equal(true)
  })
})

describe('a server whose store fails or is slow', () => {
  let network: Network
  afterEach(async () => network.stop())

  it('goes on serving the last known fleet while the store can not be read, and catches up', async () => {
    network = await startNetwork(['paris', 'rome'], {times: {retryMs: 20, retryMaxMs: 40}})
    network.store.fail()
    expect(network.serving.readiness()).to.deep.include({ready: true})
    expect(network.serving.readiness().warnings.join()).to.match(/store can not be read/)
    const stream = network.direct('paris').delta()
    subscribe(stream, 'paris')
    expect(await settle(stream)).to.be.above(0)
    network.store.write({kind: 'registration', name: rome, value: undefined})
    expect(network.serving.report().withoutProxy).to.include('rome')
    network.store.recover()
    expect(network.serving.report().withoutProxy).not.to.include('rome')
    expect(network.serving.readiness().warnings).to.deep.equal([])
  })

  it('serves a change before what it makes due is written', async () => {
    network = await startNetwork(['paris'])
    const stream = network.direct('atlas').delta()
    subscribe(stream, 'atlas')
    await settleAll(network, [stream])
    network.store.delay = 1000
    network.store.write({kind: 'registration', name: rome, value: testCluster('rome')})
    network.store.write({kind: 'registration', name: paris, value: testCluster('paris', {addresses: [parseAddress('10.9.9.9')]})})
    const names: string[] = []
    await eventually(
      () => stream.responses.some(response => response.resources.some(({name}) => name === 'thanos/rome')),
      'rome is served',
      500,
    )
    for (const response of stream.responses) names.push(...response.resources.map(({name}) => name))
    expect(names).to.include('thanos/paris')
    network.store.delay = 0
  })
})
