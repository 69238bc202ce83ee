/** What a process writes is told to its own watch, also while a part of the cluster can't be read. */
import {expect} from 'chai'
import {type ClusterName, parseClusterName} from '../../../src/lib/model/names.js'
import {parseAddress} from '../../../src/lib/model/address.js'
import type {Change} from '../../../src/lib/model/change.js'
import {kubernetesStore} from '../../../src/lib/store/kubernetes/kubernetes.js'
import {defaultKubernetesTimes} from '../../../src/lib/store/kubernetes/times.js'
import type {StateStore} from '../../../src/lib/store/store.js'
import {testSettings} from '../../helpers/dependencies.js'
import {testCluster} from '../../helpers/fleet.js'
import {type FakeApi, fakeApi} from '../../helpers/kubernetes/fake-api.js'
import {type Recorder, record, until} from '../recorder.js'

const paris = parseClusterName('paris')
const registered = (name: ClusterName, address: string): Change => ({
  kind: 'registration',
  name,
  value: testCluster(name, {addresses: [parseAddress(address)]}),
})

const times = {...defaultKubernetesTimes, retryMs: 1, retryMaxMs: 10}
const open = (api: FakeApi): StateStore => kubernetesStore(api.client(), {secrets: 'all', times})

describe('store/kubernetes: own writes', () => {
  let api: FakeApi
  let watch: Recorder | undefined
  beforeEach(() => {
    api = fakeApi()
  })
  afterEach(() => {
    watch?.stop()
  })

  it('are told while one kind of objects can not be read, so that the next write is based on them', async () => {
    const store = open(api)
    await store.commit(await store.load(), [{kind: 'settings', value: testSettings}])
    watch = await record(store)
    // As where the program that encrypts Secrets for the API server is down.
    api.failing(({info}) => (info.resource === 'secrets' ? 500 : undefined))
    await until(() => watch?.failures.length === 1)

    await store.commit(watch.fleet, [registered(paris, '198.51.100.1')])
    await until(() => watch?.fleet.registrations.has(paris) === true)
    await store.commit(watch.fleet, [registered(paris, '198.51.100.2')])
    await until(() => watch?.fleet.registrations.get(paris)?.addresses[0]?.host === '198.51.100.2')
    expect(watch.recoveries).to.equal(0)

    api.failing(() => undefined)
    await until(() => watch?.recoveries === 1)
  })
})
