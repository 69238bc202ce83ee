/** A namespace for one test on the real API server. Stores reach it through a proxy that plays faults, other programs directly. */
import type {Change} from '../../../src/lib/model/change.js'
import {type Access, openAccess} from '../../../src/lib/store/kubernetes/access.js'
import {type Client, openClient} from '../../../src/lib/store/kubernetes/client.js'
import {kubernetesStore} from '../../../src/lib/store/kubernetes/kubernetes.js'
import type {KubernetesTimes} from '../../../src/lib/store/kubernetes/times.js'
import type {StateStore} from '../../../src/lib/store/store.js'
import {testCluster} from '../../helpers/fleet.js'
import {type FaultProxy, faultProxy} from '../../helpers/kubernetes/fault-proxy.js'
import type {Kubernetes} from '../../helpers/kubernetes/kubernetes.js'
import {sharedKubernetes} from '../../helpers/kubernetes/shared.js'
import {testSettings} from '../../helpers/dependencies.js'
import {quickTimes} from './place.js'

export interface Stage {
  readonly kubernetes: Kubernetes
  readonly proxy: FaultProxy
  readonly namespace: string
  /** The administrator's client, which does not use the proxy. */
  readonly admin: Client
  /** A store through the proxy, closed at the end. */
  open(times?: Partial<KubernetesTimes>): Promise<StateStore>
  /** Settings and registrations, without a certificate. */
  seed(names: readonly string[]): Promise<void>
  /** Another program gives a cluster another address. @returns the resource version afterwards */
  move(name: string, address: string): Promise<number>
  /** Reads an object as another program; undefined: it does not exist. */
  get<Found = StoredAs>(resource: string, name: string): Promise<Found | undefined>
  remove(resource: string, name: string): Promise<void>
  /** `/api/v1/namespaces/…`, or of another API group. */
  path(resource: string, name?: string, group?: string): string
}

/** The fields of an object that tests read. */
export interface StoredAs {
  readonly metadata: {
    readonly name: string
    readonly uid: string
    readonly resourceVersion: string
    readonly labels?: Readonly<Record<string, string>>
    readonly annotations?: Readonly<Record<string, string>>
    readonly managedFields?: readonly {readonly manager: string; readonly operation: string}[]
    readonly ownerReferences?: readonly {readonly uid: string}[]
    readonly deletionTimestamp?: string
  }
  readonly data?: Readonly<Record<string, string>>
  readonly spec?: Readonly<Record<string, unknown>>
}

/** Makes a namespace before each case of the surrounding `describe`; all cases share one proxy. */
export function stageOf(): Stage {
  const opened: {close(): void}[] = []
  let adminAccess: Access
  const of = {} as {kubernetes: Kubernetes; proxy: FaultProxy; namespace: string; admin: Client}

  before(async () => {
    of.kubernetes = await sharedKubernetes()
    of.proxy = await faultProxy(of.kubernetes)
  })
  after(async () => of.proxy.close())
  beforeEach(async () => {
    of.namespace = await of.kubernetes.newNamespace('faults')
    adminAccess = await openAccess({kubeconfig: of.kubernetes.kubeconfig, namespace: of.namespace})
    of.admin = openClient(adminAccess)
    opened.push(of.admin)
    of.proxy.reset()
  })
  afterEach(() => {
    of.proxy.play()
    for (const each of opened.splice(0)) each.close()
  })

  const path: Stage['path'] = (resource, name, group = 'api/v1') =>
    `/${group}/namespaces/${of.namespace}/${resource}${name === undefined ? '' : `/${name}`}`
  const infoOf = <Verb extends 'delete' | 'get' | 'patch'>(verb: Verb, resource: string) =>
    ({verb, resource, group: '', namespace: of.namespace}) as const

  return Object.assign(of, {
    path,
    async open(times: Partial<KubernetesTimes> = {}) {
      const access = await openAccess({kubeconfig: of.proxy.kubeconfig, namespace: of.namespace})
      const store = kubernetesStore(openClient(access), {secrets: 'all', times: {...quickTimes, ...times}})
      opened.push(store)
      return store
    },
    async seed(names: readonly string[]) {
      const store = kubernetesStore(openClient(adminAccess), {secrets: 'all', times: quickTimes})
      const registrations = names.map((name): Change => ({kind: 'registration', name: testCluster(name).name, value: testCluster(name)}))
      await store.commit(await store.load(), [
        {kind: 'settings', value: {...testSettings, namespace: of.namespace, thanosNamespace: of.namespace}},
        ...registrations,
      ])
    },
    async move(name: string, address: string) {
      const body = {metadata: {annotations: {'goatlas.io/addresses': address}}}
      const info = {...infoOf('patch', 'services'), name}
      const contentType = 'application/merge-patch+json'
      const after = (await of.admin.call({info, path: path('services', name), body, contentType})) as StoredAs
      return Number(after.metadata.resourceVersion)
    },
    async get<Found>(resource: string, name: string) {
      const {status, body} = await of.kubernetes.request<Found>('GET', path(resource, name))
      return status === 404 ? undefined : body
    },
    async remove(resource: string, name: string) {
      await of.admin.call({info: infoOf('delete', resource), path: path(resource, name)})
    },
  })
}
