/** The contracts of a store and of its watches over an API server in memory; over a real one: contract.kubernetes.test.ts. */
import type {Manifest} from '../../../src/lib/manifest/manifest.js'
import {kubernetesStore} from '../../../src/lib/store/kubernetes/kubernetes.js'
import {defaultKubernetesTimes} from '../../../src/lib/store/kubernetes/times.js'
import type {StateStore} from '../../../src/lib/store/store.js'
import type {Place} from '../../contracts/place.js'
import {storeContract} from '../../contracts/store.contract.js'
import {watchContract} from '../../contracts/store-watch.contract.js'
import {changesOf} from '../../helpers/fleet-changes.js'
import {fakeApi} from '../../helpers/kubernetes/fake-api.js'

const resources: Readonly<Record<string, string>> = {ConfigMap: 'configmaps', Secret: 'secrets', Service: 'services'}

async function place(): Promise<Place> {
  const api = fakeApi()
  const open = (): StateStore =>
    kubernetesStore(api.client(), {secrets: 'all', times: {...defaultKubernetesTimes, retryMs: 5, retryMaxMs: 20}})
  const of = (key: string): {namespace: string; resource: string; name: string} => {
    const [kind = '', name = ''] = key.split('/')
    return {namespace: 'atlas', resource: resources[kind] ?? '', name}
  }

  return {
    open,
    async seed(fleet) {
      const store = open()
      await store.commit(await store.load(), changesOf(fleet))
    },
    async get(key) {
      const found = api.get(of(key), of(key).name)
      return found === undefined ? undefined : ({apiVersion: 'v1', ...found} as unknown as Manifest)
    },
    async put(key, manifest) {
      if (manifest === undefined) api.remove(of(key), of(key).name)
      else api.put(of(key), manifest)
    },
    damage: async () => {
      throw new Error('an API server keeps no object that is not one')
    },
    lose: async () => api.failing(() => 503),
    restore: async () => api.failing(() => undefined),
    version: async key => api.get(of(key), of(key).name)?.metadata.resourceVersion,
    close: async () => undefined,
  }
}

storeContract('in Kubernetes, in memory', place, {isCluster: true})
watchContract('in Kubernetes, in memory', place)
