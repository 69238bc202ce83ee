/**
 * Writes of several processes at once, through answers and events that come late, watches that break off and outages: in the end a watch
 * shows what is stored, and what is based on it is no conflict.
 */
import {setImmediate as nextTurn} from 'node:timers/promises'
import {expect} from 'chai'
import {parseAddress} from '../../../src/lib/model/address.js'
import type {Change} from '../../../src/lib/model/change.js'
import {AtlasError} from '../../../src/lib/model/errors.js'
import type {Fleet} from '../../../src/lib/model/fleet.js'
import {nameIn} from '../../../src/lib/model/kinds.js'
import {parseClusterName} from '../../../src/lib/model/names.js'
import {kubernetesStore} from '../../../src/lib/store/kubernetes/kubernetes.js'
import {defaultKubernetesTimes} from '../../../src/lib/store/kubernetes/times.js'
import type {StateStore} from '../../../src/lib/store/store.js'
import {testSettings} from '../../helpers/dependencies.js'
import {testCluster} from '../../helpers/fleet.js'
import {plain} from '../../helpers/fleet-changes.js'
import {fakeApi} from '../../helpers/kubernetes/fake-api.js'
import {randomSource} from '../../helpers/random.js'
import {record, sleep, until} from '../recorder.js'

const STORIES = 40
const STEPS = 60

describe('store/kubernetes: races', function () {
  this.timeout(60_000)
  for (let number = 1; number <= STORIES; number += 1) it(`story ${number}`, async () => story(number))
})

const names = ['paris', 'rome', 'lyon', 'nice'].map(name => parseClusterName(name))

/** Changes of entries with objects of their own, of entries that share one, and of what is in another namespace. */
function openChanges(below: (most: number) => number): () => readonly Change[] {
  let texts = 0
  const one = (): Change => {
    const name = names[below(names.length)] ?? parseClusterName('paris')
    const isRemoval = below(4) === 0
    texts += 1
    switch (below(8)) {
      case 0:
      case 1: {
        const credentials: readonly never[] = []
        return {kind: 'record', owner: name, value: isRemoval ? undefined : {owner: name, generation: texts, credentials, denied: []}}
      }

      case 2: {
        return {kind: 'endpoints', value: {text: `endpoints ${texts}`}}
      }

      case 3: {
        const thanosNamespace = ['thanos', 'monitoring'][below(2)] ?? ''
        return below(3) === 0 ? {kind: 'settings', value: {...testSettings, thanosNamespace}} : {kind: 'replicas', value: [`r${texts}`]}
      }

      default: {
        const value = testCluster(name, {addresses: [parseAddress(`h${texts}.example`)]})
        return {kind: 'registration', name, value: isRemoval ? undefined : value}
      }
    }
  }

  return () => {
    const all = Array.from({length: 1 + below(5)}, () => one())
    const changes = [...new Map(all.map(change => [`${change.kind} ${nameIn(change)}`, change])).values()]
    // As every command and the leader plan them: the settings say where the endpoints are.
    return [...changes.filter(({kind}) => kind === 'settings'), ...changes.filter(({kind}) => kind !== 'settings')]
  }
}

async function story(number: number): Promise<void> {
  const random = randomSource(`races/${number}`)
  const below = (most: number): number => Math.floor(random() * most)
  const api = fakeApi()
  const open = (): StateStore =>
    kubernetesStore(api.client(), {secrets: 'all', times: {...defaultKubernetesTimes, retryMs: 1, retryMaxMs: 4}})
  const [own, other] = [open(), open()]
  await own.commit(await own.load(), [{kind: 'settings', value: testSettings}])
  let watch = await record(own)
  const changes = openChanges(below)
  const turns = async (count: number): Promise<void> => {
    for (let turn = 0; turn < count; turn += 1) await nextTurn()
  }

  let slow = 0
  api.delay(async () => turns(below(slow)))
  const commit = async (store: StateStore, base: Fleet): Promise<unknown> => store.commit(base, changes())
  const ignore = (error: unknown): void => {
    if (!(error instanceof AtlasError)) throw error
  }

  const running: Promise<unknown>[] = []
  for (let step = 0; step < STEPS; step += 1) {
    const what = below(14)
    if (what < 5) running.push(commit(own, watch.fleet).catch(ignore))
    else if (what < 8)
      running.push(
        other
          .load()
          .then(async base => commit(other, base))
          .catch(ignore),
      )
    else if (what === 8) slow = below(12)
    else if (what === 9) {
      const resource = ['services', 'configmaps', 'secrets', ''][below(4)] ?? ''
      const code = [410, 500, 503, 403][below(4)] ?? 500
      api.failing(({info}) => (resource === '' || info.resource === resource ? code : undefined))
    } else if (what === 10) api.failing(() => undefined)
    else if (what === 11) api.remove({namespace: 'atlas', resource: 'services'}, names[below(names.length)] ?? '')
    else if (what === 12 && below(3) === 0) {
      const before = watch
      const next = record(own).then(found => {
        watch = found
        before.stop()
      })
      running.push(next.catch(ignore))
    } else await sleep(below(8))
    await turns(below(8))
  }

  await Promise.all(running)
  slow = 0
  api.failing(() => undefined)
  const stored = async (): Promise<unknown> => plain(await open().load())
  const same = async (): Promise<boolean> => JSON.stringify(plain(watch.fleet)) === JSON.stringify(await stored())
  try {
    await until(same)
    await own.commit(watch.fleet, changes())
    await until(same)
  } catch (error) {
    expect(plain(watch.fleet)).to.deep.equal(await stored())
    throw error
  } finally {
    watch.stop()
  }
}
