/** The current fleet: read once, followed, passed to its observers in their order, and kept while the store can't be read. */
import {expect} from 'chai'
import {parseAddress} from '../../../src/lib/model/address.js'
import type {Change} from '../../../src/lib/model/change.js'
import type {OwnerRecord} from '../../../src/lib/model/authority.js'
import {AtlasError} from '../../../src/lib/model/errors.js'
import {recordOf} from '../../../src/lib/model/fleet.js'
import {parseClusterName} from '../../../src/lib/model/names.js'
import {planRemoval, withoutEnded} from '../../../src/lib/ops/revoke.js'
import type {StateStore, Watcher} from '../../../src/lib/store/store.js'
import {
  type CurrentFleet,
  type FleetObserver,
  type FleetUpdate,
  defaultFleetTimes,
  openCurrentFleet,
} from '../../../src/server/fleet/current-fleet.js'
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
    const fleet = openCurrentFleet(store, silentLog, defaultFleetTimes, testDependencies().now)
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
    const fleet = openCurrentFleet(store, silentLog, defaultFleetTimes, testDependencies().now)
    const seen: string[] = []
    const observer: FleetObserver = {
      started: known => seen.push(`started ${[...known.registrations.keys()].join()}`),
      changed: ({after}) => seen.push(`changed ${[...after.registrations.keys()].join()}`),
    }
    await fleet.follow([observer], stopping.signal)
    expect(seen).to.deep.equal(['started paris', 'changed paris,rome'])
  })

  it('is unreachable where the store is lost before it has returned its first fleet, and was put back in that order', async () => {
    const inner = storeOfParis()
    let told: Watcher | undefined
    const record = inner.fleet().records.get(paris)
    const store: StateStore = {
      ...inner,
      async watch(watcher, signal) {
        told = watcher
        const first = await inner.watch(watcher, signal)
        watcher.failed(new AtlasError('unreachable', 'it is gone'))
        watcher.restored?.('it was put back')
        inner.write({kind: 'record', owner: paris, value: undefined})
        return first
      },
    }
    const fleet = openCurrentFleet(store, silentLog, defaultFleetTimes, testDependencies().now)
    await fleet.follow([], stopping.signal)
    expect([fleet.isKnown(), fleet.isReachable()]).to.deep.equal([true, false])
    expect(fleet.protection().get(paris)).to.deep.equal(record)
    told?.recovered()
    expect(fleet.isReachable()).to.equal(true)
  })

  it('is unknown and empty before the first read, and known but unreachable while the store can not be read', async () => {
    const store = storeOfParis()
    const fleet = openCurrentFleet(store, silentLog, defaultFleetTimes, testDependencies().now)
    expect([fleet.isKnown(), fleet.isReachable(), fleet.served().registrations.size]).to.deep.equal([false, false, 0])
    await fleet.follow([], stopping.signal)
    expect([fleet.isKnown(), fleet.isReachable(), fleet.served().registrations.has(paris)]).to.deep.equal([true, true, true])
    store.fail()
    expect([fleet.isKnown(), fleet.isReachable(), fleet.served().registrations.has(paris)]).to.deep.equal([true, false, true])
    store.recover()
    expect(fleet.isReachable()).to.equal(true)
  })
})

describe('a store that is put back to an earlier state', () => {
  const stopping = new AbortController()
  after(() => {
    stopping.abort()
  })
  const dependencies = testDependencies()

  /** A followed store in which paris is removed, and what its record was before. */
  async function removed(times = defaultFleetTimes) {
    const inner = testStore()
    inner.write(...changesOf(testFleet(dependencies, ['paris', 'rome'])))
    let watcher: Watcher | undefined
    const store: StateStore = {
      ...inner,
      async watch(given, signal) {
        watcher = given
        return inner.watch(given, signal)
      },
    }
    const errors: string[] = []
    const log = {...silentLog, error: (message: string) => void errors.push(message)}
    const fleet = openCurrentFleet(store, log, times, dependencies.now)
    await fleet.follow([], stopping.signal)
    const before = recordOf(fleet.served(), paris)
    inner.write(...planRemoval(fleet.stored(), paris, dependencies))
    return {
      fleet,
      before,
      later: recordOf(fleet.served(), paris),
      errors,
      write: inner.write,
      restored: () => watcher?.restored?.('put back'),
    }
  }

  function record(value: OwnerRecord | undefined): Change {
    return {kind: 'record', owner: paris, value}
  }

  function expectRevoked(fleet: CurrentFleet, later: OwnerRecord): void {
    const {generation, credentials, denied} = recordOf(fleet.served(), paris)
    expect({generation, denied}).to.deep.equal({generation: later.generation, denied: later.denied})
    expect(credentials.map(({state}) => state)).to.deep.equal(['revoked'])
  }

  it('keeps a revocation that an ordinary change takes back, and gives it to the leader to write', async () => {
    for (const weaken of [
      ({before}: {before: OwnerRecord}) => before,
      ({before, later}: {before: OwnerRecord; later: OwnerRecord}) => ({...later, credentials: before.credentials}),
      ({later}: {later: OwnerRecord}) => ({...later, denied: []}),
      ({later}: {later: OwnerRecord}) => ({...later, generation: 1}),
      () => undefined,
    ]) {
      const {fleet, before, later, errors, write} = await removed()
      expect(errors).to.deep.equal([])
      write(record(weaken({before, later})))
      expectRevoked(fleet, later)
      expect(fleet.protection().get(paris)?.generation).to.equal(2)
      expect(errors).to.have.length(1)
      write(record(weaken({before, later})), {kind: 'registration', name: rome, value: testCluster('rome')})
      expectRevoked(fleet, later)
      expect(errors).to.have.length(1)
    }
  })

  it('takes a record that the leader has cleared of ended entries as it is', async () => {
    const {fleet, later, errors, write} = await removed()
    const at = new Date(Math.max(...later.denied.map(({until}) => Date.parse(until))) + 31 * 86_400_000)
    const cleared = withoutEnded(later, at)
    expect(cleared.denied).to.deep.equal([])
    dependencies.pass((at.getTime() - dependencies.now().getTime()) / 1000)
    write(record(cleared))
    expect(recordOf(fleet.served(), paris)).to.deep.equal(cleared)
    expect([errors.length, fleet.protection().size]).to.deep.equal([0, 0])
  })

  it('is protected until all is written again, however long no leader writes', async () => {
    const {fleet, before, later, write, restored} = await removed({...defaultFleetTimes, protectedMs: -1})
    restored()
    write(record(before))
    write({kind: 'replicas', value: ['atlas-ads-0']})
    expectRevoked(fleet, later)
    write(record(recordOf(fleet.served(), paris)))
    expect(fleet.protection().size).to.equal(0)
    expectRevoked(fleet, later)
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
    const {commit} = network.store
    const written = Promise.withResolvers<undefined>()
    network.store.commit = async (base, changes) => {
      await written.promise
      return commit(base, changes)
    }
    network.store.write({kind: 'registration', name: rome, value: testCluster('rome')})
    network.store.write({kind: 'registration', name: paris, value: testCluster('paris', {addresses: [parseAddress('10.9.9.9')]})})
    const names: string[] = []
    await eventually(() => stream.responses.some(response => response.resources.some(({name}) => name === 'thanos/rome')), 'rome is served')
    for (const response of stream.responses) names.push(...response.resources.map(({name}) => name))
    expect(names).to.include('thanos/paris')
    expect(network.store.fleet().credentials.has(rome)).to.equal(false)
    written.resolve(undefined)
    await eventually(() => network.store.fleet().credentials.has(rome), 'what is due is written')
  })
})
