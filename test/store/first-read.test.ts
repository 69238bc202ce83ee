/** A watch's first read, and a change of many objects, take many turns of the event loop in a large store. */
import {setImmediate as nextTurn} from 'node:timers/promises'
import {expect} from 'chai'
import {parseAddresses} from '../../src/lib/model/address.js'
import {type Change, reduceAll} from '../../src/lib/model/change.js'
import type {Fleet} from '../../src/lib/model/fleet.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import {planLeaves} from '../../src/lib/ops/rotate.js'
import {testDependencies, testFleet} from '../helpers/dependencies.js'
import {testCluster} from '../helpers/fleet.js'
import {changesOf} from '../helpers/fleet-changes.js'
import {memoryStore} from '../helpers/memory-store.js'
import {until} from './recorder.js'

describe('store: the first read of a watch', function () {
  this.timeout(60_000)

  it('loses no change that another process makes meanwhile', async () => {
    const store = memoryStore()
    const names = Array.from({length: 400}, (_, index) => `c${String(index)}`)
    await store.commit(await store.load(), changesOf(testFleet(testDependencies(), names)))
    const [watching, other] = [store.again(), store.again()]
    let fleet: Fleet | undefined
    const early: Parameters<typeof reduceAll>[1][number][] = []
    const watcher = {
      changed(changes: readonly (typeof early)[number][]) {
        if (fleet === undefined) early.push(...changes)
        else fleet = reduceAll(fleet, changes)
      },
      failed: () => undefined,
      recovered: () => undefined,
    }
    const stop = new AbortController()
    const first = watching.watch(watcher, stop.signal).then(read => {
      fleet = reduceAll(read, early)
    })
    const cluster = testCluster('c7', {addresses: parseAddresses('192.0.2.77')})
    for (let turn = 0; turn < 3; turn += 1) await nextTurn()
    expect(fleet, 'the first read is under way').to.equal(undefined)
    await other.commit(await other.load(), [{kind: 'registration', name: parseClusterName('c7'), value: cluster}])
    await first
    await until(() => fleet?.registrations.get(parseClusterName('c7'))?.addresses[0]?.host === '192.0.2.77')
    stop.abort()
  })

  it('and what another process writes later, hundreds of certificates at once, is decoded in turns, in which other work goes on', async () => {
    const names = Array.from({length: 400}, (_, index) => parseClusterName(`c${String(index)}`))
    const dependencies = testDependencies()
    const fleet = testFleet(dependencies, names)
    const renewed = memoryStore()
    const replaced = reduceAll(fleet, planLeaves(fleet, names, {others: false}, dependencies))
    await renewed.commit(await renewed.load(), changesOf(replaced))

    const store = memoryStore()
    await store.commit(await store.load(), changesOf(fleet))
    let [turns, turnsBefore, seen] = [0, Infinity, 0]
    const watcher = {
      changed(changes: readonly Change[]) {
        turnsBefore = Math.min(turnsBefore, turns)
        seen += changes.filter(({kind}) => kind === 'identity').length
      },
      failed: () => undefined,
      recovered: () => undefined,
    }
    const stop = new AbortController()
    await store.again().watch(watcher, stop.signal)
    const shards = [...(await renewed.load()).revisions.keys()].filter(key => key.includes('atlas-identities'))
    for (const key of shards) store.put(key, renewed.get(key))
    const other = async (): Promise<void> => {
      for (; !stop.signal.aborted; turns += 1) await nextTurn()
    }
    void other()
    await until(() => seen === names.length)
    stop.abort()
    expect(turnsBefore, 'turns of other work before the first change is told').to.be.greaterThan(2)
  })
})
