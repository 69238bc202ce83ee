/** A namespace of a real API server as a place of the store's contract; the store reaches it through a proxy that plays faults. */
import {type Manifest, parseManifest} from '../../../src/lib/manifest/manifest.js'
import {openAccess} from '../../../src/lib/store/kubernetes/access.js'
import {openClient} from '../../../src/lib/store/kubernetes/client.js'
import {type KubernetesOptions, kubernetesStore} from '../../../src/lib/store/kubernetes/kubernetes.js'
import {type KubernetesTimes, defaultKubernetesTimes} from '../../../src/lib/store/kubernetes/times.js'
import type {StateStore} from '../../../src/lib/store/store.js'
import type {Place} from '../../contracts/place.js'
import {changesOf} from '../../helpers/fleet-changes.js'
import type {FaultProxy} from '../../helpers/kubernetes/fault-proxy.js'
import type {Kubernetes} from '../../helpers/kubernetes/kubernetes.js'

export const resources: Readonly<Record<string, string>> = {ConfigMap: 'configmaps', Secret: 'secrets', Service: 'services'}

/** Shorter than the defaults, since tests wait for failures. Milliseconds. */
export const quickTimes: KubernetesTimes = {...defaultKubernetesTimes, retryMs: 20, retryMaxMs: 100}

/** Opens a store, as another process would. */
export async function openNamespace(
  kubeconfig: string,
  namespace: string,
  {secrets = 'all', times = quickTimes, withDerived = true}: Partial<KubernetesOptions> = {},
): Promise<StateStore> {
  return kubernetesStore(openClient(await openAccess({kubeconfig, namespace})), {secrets, times, withDerived})
}

/** The namespace of the contract's fleet, emptied, reached through `proxy`. */
export async function namespacePlace(kubernetes: Kubernetes, proxy: FaultProxy): Promise<Place> {
  const namespace = 'atlas'
  await empty(kubernetes, namespace)
  const opened: StateStore[] = []
  // Read once: the contract's `open` is synchronous.
  const access = await openAccess({kubeconfig: proxy.kubeconfig, namespace})
  const pathOf = (key: string): string => {
    const [kind = '', name = ''] = key.split('/')
    return `/api/v1/namespaces/${namespace}/${resources[kind] ?? ''}/${name}`
  }

  const raw = async (key: string): Promise<Record<string, unknown> | undefined> => {
    const {status, body} = await kubernetes.request('GET', pathOf(key))
    return status === 404 ? undefined : body
  }

  return {
    open() {
      const store = kubernetesStore(openClient(access), {secrets: 'all', times: quickTimes})
      opened.push(store)
      return store
    },
    async seed(fleet) {
      const store = await openNamespace(kubernetes.kubeconfig, namespace)
      await store.commit(await store.load(), changesOf(fleet))
      store.close()
    },
    async get(key) {
      const found = await raw(key)
      return found === undefined ? undefined : bare(parseManifest(found))
    },
    async put(key, manifest) {
      const present = await raw(key)
      const collection = pathOf(key).slice(0, pathOf(key).lastIndexOf('/'))
      if (manifest === undefined) await done(kubernetes.request('DELETE', pathOf(key)))
      else if (present === undefined) await done(kubernetes.request('POST', collection, inNamespace(manifest, namespace)))
      else
        await done(
          kubernetes.request(
            'PUT',
            pathOf(key),
            inNamespace(manifest, namespace, (present['metadata'] as {resourceVersion: string}).resourceVersion),
          ),
        )
    },
    damage: async () => {
      throw new Error('an API server keeps no object that is not one')
    },
    lose: async () => proxy.down(),
    restore: async () => proxy.up(),
    async version(key) {
      const found = await raw(key)
      return (found?.['metadata'] as {resourceVersion?: string} | undefined)?.resourceVersion
    },
    async close() {
      proxy.play()
      for (const store of opened) store.close()
    },
  }
}

/** Without the fields that the API server adds: the contract compares what was written. */
function bare(manifest: Manifest): Manifest {
  const {managedFields: _, ...metadata} = manifest.metadata
  return {...manifest, metadata}
}

function inNamespace(manifest: Manifest, namespace: string, resourceVersion?: string): Manifest {
  const {resourceVersion: _r, uid: _u, ...metadata} = manifest.metadata
  return {...manifest, metadata: {...metadata, namespace, ...(resourceVersion !== undefined && {resourceVersion})}}
}

async function done(answer: Promise<{readonly status: number; readonly body: unknown}>): Promise<void> {
  const {status, body} = await answer
  if (status >= 300) throw new Error(`the API server answered ${status}: ${JSON.stringify(body)}`)
}

async function empty(kubernetes: Kubernetes, namespace: string): Promise<void> {
  const core = `/api/v1/namespaces/${namespace}`
  const {status} = await kubernetes.request('GET', core)
  if (status === 404)
    await done(kubernetes.request('POST', '/api/v1/namespaces', {apiVersion: 'v1', kind: 'Namespace', metadata: {name: namespace}}))
  await Promise.all(Object.values(resources).map(async resource => emptyOf(kubernetes, `${core}/${resource}`)))
}

/** Deletes all objects of one kind. */
async function emptyOf(kubernetes: Kubernetes, collection: string): Promise<void> {
  await done(kubernetes.request('DELETE', collection))
  const {body} = await kubernetes.request<{items: readonly {metadata: {name: string}}[]}>('GET', collection)
  // A case may have added a finalizer, which no program here removes.
  const contentType = 'application/merge-patch+json'
  for (const {metadata} of body.items)
    await done(kubernetes.request('PATCH', `${collection}/${metadata.name}`, {metadata: {finalizers: null}}, {contentType}))
}
