/** The ConfigMap with the endpoints for Thanos Query, as the settings name another namespace or group and then the first one again. */
import {expect} from 'chai'
import type {Settings} from '../../../src/lib/model/settings.js'
import {kubernetesStore} from '../../../src/lib/store/kubernetes/kubernetes.js'
import {defaultKubernetesTimes} from '../../../src/lib/store/kubernetes/times.js'
import type {StateStore} from '../../../src/lib/store/store.js'
import {testSettings} from '../../helpers/dependencies.js'
import {fakeApi} from '../../helpers/kubernetes/fake-api.js'
import {type Recorder, record, until} from '../recorder.js'

describe('store/kubernetes: the endpoints for Thanos Query', () => {
  let api: ReturnType<typeof fakeApi>
  let store: StateStore
  let watch: Recorder
  beforeEach(async () => {
    api = fakeApi()
    store = kubernetesStore(api.client(), {secrets: 'all', times: {...defaultKubernetesTimes, retryMs: 1, retryMaxMs: 10}})
    await store.commit(await store.load(), [{kind: 'settings', value: testSettings}])
    watch = await record(store)
  })
  afterEach(() => {
    watch.stop()
  })

  async function set(settings: Partial<Settings>): Promise<void> {
    await store.commit(watch.fleet, [{kind: 'settings', value: {...testSettings, ...settings}}])
  }

  it('are those of the namespace that the settings name, also where they name an earlier one again', async () => {
    await set({thanosNamespace: 'first'})
    await store.commit(watch.fleet, [{kind: 'endpoints', value: {text: 'of first'}}])
    await set({thanosNamespace: 'second'})
    await until(() => watch.fleet.endpoints === undefined)
    await store.commit(watch.fleet, [{kind: 'endpoints', value: {text: 'of second'}}])
    expect(watch.fleet.endpoints?.text).to.equal('of second')
    await set({thanosNamespace: 'first'})
    await until(() => watch.fleet.endpoints?.text === 'of first')
  })

  it('are not those that a commit still writes into an earlier namespace, and the next write is no conflict', async () => {
    await set({thanosNamespace: 'first'})
    await store.commit(watch.fleet, [{kind: 'endpoints', value: {text: 'of first'}}])
    const planned = watch.fleet
    const other = kubernetesStore(api.client(), {secrets: 'all', times: defaultKubernetesTimes})
    await other.commit(await other.load(), [{kind: 'settings', value: {...testSettings, thanosNamespace: 'second'}}])
    await until(() => watch.fleet.endpoints === undefined)
    await store.commit(planned, [{kind: 'endpoints', value: {text: 'late'}}])
    expect(watch.fleet.endpoints).to.equal(undefined)
    await store.commit(watch.fleet, [{kind: 'endpoints', value: {text: 'of second'}}])
    expect(watch.fleet.endpoints?.text).to.equal('of second')
    expect(api.get({namespace: 'second', resource: 'configmaps'}, 'atlas-thanos-endpoints')).not.to.equal(undefined)
  })

  it('of a group are those that are there, also where the settings list the group again', async () => {
    await set({groups: ['eu']})
    await store.commit(watch.fleet, [{kind: 'groupEndpoints', group: 'eu', value: {text: 'of eu'}}])
    await set({groups: []})
    await until(() => !watch.fleet.groupEndpoints.has('eu'))
    await set({groups: ['eu']})
    await until(() => watch.fleet.groupEndpoints.get('eu')?.text === 'of eu')
  })

  it('are known once they were found to be as they are to be, where Atlas may not list them', async () => {
    const isList = ({info}: {readonly info: {readonly verb: string; readonly name?: string}}): boolean =>
      ['list', 'watch'].includes(info.verb) && info.name !== undefined
    api.failing(request => (isList(request) ? 403 : undefined))
    const value = {text: 'of all'}
    await store.commit(watch.fleet, [{kind: 'endpoints', value}])
    await until(() => watch.fleet.endpoints?.text === 'of all')

    // A leader that starts later.
    const later = kubernetesStore(api.client(), {secrets: 'all', times: {...defaultKubernetesTimes, retryMs: 1, retryMaxMs: 10}})
    const second = await record(later)
    try {
      expect(second.fleet.endpoints).to.equal(undefined)
      await later.commit(second.fleet, [{kind: 'endpoints', value}])
      expect(second.fleet.endpoints?.text).to.equal('of all')
    } finally {
      second.stop()
    }
  })
})
