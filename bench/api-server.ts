/** What the benchmark asks of the real API server: a patch of one annotation, which objects there are, and how many requests there were. */
import {readFileSync} from 'node:fs'
import {get} from 'node:https'
import {openAccess} from '../src/lib/store/kubernetes/access.js'
import {openClient} from '../src/lib/store/kubernetes/client.js'
import type {Cluster} from '../test/helpers/kubernetes/cluster.js'

export const NAMESPACE = 'atlas'

export interface ApiServer {
  createNamespace(): Promise<void>
  /** The number of objects, which costs the API server next to nothing. */
  count(resource: 'secrets' | 'services'): Promise<number>
  names(resource: 'secrets' | 'services'): Promise<readonly string[]>
  /** Sets the addresses of a registered cluster. */
  patch(name: string, address: string): Promise<void>
  /** By the metrics of the API server: of ConfigMaps, Secrets and Services, except watches. */
  requests(): Promise<number>
  writes(): Promise<number>
  close(): void
}

/** Its requests are made by a client of their own. */
export async function openApiServer(kubernetes: Cluster): Promise<ApiServer> {
  const client = openClient(await openAccess({kubeconfig: kubernetes.kubeconfig, namespace: NAMESPACE}))
  const list = async (resource: string, query: Record<string, string>): Promise<List> =>
    (await client.call({
      info: {verb: 'list', resource, group: '', namespace: NAMESPACE},
      path: `/api/v1/namespaces/${NAMESPACE}/${resource}`,
      query,
    })) as List
  return {
    async createNamespace() {
      await client.call({
        info: {verb: 'create', resource: 'namespaces', group: '', namespace: NAMESPACE},
        path: '/api/v1/namespaces',
        body: {apiVersion: 'v1', kind: 'Namespace', metadata: {name: NAMESPACE}},
      })
    },

    async count(resource) {
      const {items, metadata} = await list(resource, {limit: '1'})
      return items.length + (metadata.remainingItemCount ?? 0)
    },

    async names(resource) {
      const {items} = await list(resource, {resourceVersion: '0'})
      return items.map(({metadata}) => metadata.name)
    },

    async patch(name, address) {
      await client.call({
        info: {verb: 'patch', resource: 'services', group: '', namespace: NAMESPACE, name},
        path: `/api/v1/namespaces/${NAMESPACE}/services/${name}`,
        contentType: 'application/merge-patch+json',
        body: {metadata: {annotations: {'goatlas.io/addresses': address}}},
      })
    },

    requests: async () => counted(kubernetes, /verb="(?!WATCH|CONNECT)[A-Z]+"/),
    writes: async () => counted(kubernetes, /verb="(?:POST|PUT|PATCH|APPLY|DELETE)"/),
    close: () => client.close(),
  }
}

interface List {
  readonly items: readonly {readonly metadata: {readonly name: string}}[]
  readonly metadata: {readonly remainingItemCount?: number}
}

async function counted(kubernetes: Cluster, verbs: RegExp): Promise<number> {
  const text = await metricsOf(kubernetes)
  return text
    .split('\n')
    .filter(
      line => line.startsWith('apiserver_request_total{') && verbs.test(line) && /resource="(?:configmaps|secrets|services)"/.test(line),
    )
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0)
}

/** In the Prometheus text format. */
async function metricsOf({url, caFile, token}: Cluster): Promise<string> {
  const ca = readFileSync(caFile)
  return new Promise((resolve, reject) => {
    get(`${url}/metrics`, {ca, headers: {authorization: `Bearer ${token}`}}, response => {
      let text = ''
      response.setEncoding('utf8').on('data', piece => (text += String(piece)))
      response.once('end', () => resolve(text))
    }).once('error', reject)
  })
}
