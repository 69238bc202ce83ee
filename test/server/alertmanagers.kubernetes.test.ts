/** The leader finds the Alertmanagers of a cluster by their EndpointSlices, on a real API server; what is uncertain removes none. */
import {expect} from 'chai'
import {dependencies} from '../../src/lib/cli/base-command.js'
import {parseAddress} from '../../src/lib/model/address.js'
import {objectNames} from '../../src/lib/model/names.js'
import {init} from '../../src/lib/ops/init.js'
import {openCluster} from '../../src/lib/store/open.js'
import type {StateStore} from '../../src/lib/store/store.js'
import type {ServeOptions} from '../../src/server/options.js'
import {type Serving, serve} from '../../src/server/serve.js'
import type {Kubernetes} from '../helpers/kubernetes/kubernetes.js'
import {sharedKubernetes} from '../helpers/kubernetes/shared.js'
import {inSteps} from '../helpers/steps.js'
import {until} from '../store/recorder.js'

/** Milliseconds. */
const LIMIT = 60_000
const local = {host: '127.0.0.1', port: 0}
const SERVICE = 'alertmanager-operated'
const ROLE = 'alertmanagers'

interface Events {
  readonly items: readonly {readonly reason: string; readonly message: string; readonly involvedObject: {readonly name: string}}[]
}

describe('the Alertmanagers in Kubernetes', function () {
  inSteps()
  this.timeout(240_000)
  let kubernetes: Kubernetes
  let [namespace, monitoring, kubeconfig] = ['', '', '']
  let [admin, account]: (StateStore | undefined)[] = []
  let server: Serving | undefined

  before(async () => {
    kubernetes = await sharedKubernetes()
    namespace = await kubernetes.newNamespace('alerts')
    monitoring = await kubernetes.newNamespace('monitoring')
    admin = await openCluster({cluster: {kubeconfig: kubernetes.kubeconfig, namespace}, secrets: 'all'})
    kubeconfig = await kubernetes.serviceAccountKubeconfig(namespace, 'atlas-controller')
    await grant(namespace, 'atlas', [
      {apiGroups: ['', 'events.k8s.io'], resources: ['*'], verbs: ['*']},
      {apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['*']},
    ])
    account = await openCluster({cluster: {kubeconfig, namespace}, secrets: 'all'})
    const alertmanagerSelector = {namespace: monitoring, selector: `kubernetes.io/service-name=${SERVICE}`}
    await init(admin, {addresses: [parseAddress('203.0.113.7')], alertmanagerSelector}, dependencies)
  })
  afterEach(async () => {
    await server?.stop()
    server = undefined
  })
  after(() => {
    admin?.close()
    account?.close()
  })

  async function request<T = unknown>(method: string, path: string, body?: unknown): Promise<T> {
    return (await kubernetes.request<T>(method, path, body)).body
  }

  async function grant(within: string, name: string, rules: readonly unknown[]): Promise<void> {
    const rbac = `/apis/rbac.authorization.k8s.io/v1/namespaces/${within}`
    const roleRef = {apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name}
    const subjects = [{kind: 'ServiceAccount', name: 'atlas-controller', namespace}]
    await request('POST', `${rbac}/roles`, {metadata: {name}, rules})
    await request('POST', `${rbac}/rolebindings`, {metadata: {name}, roleRef, subjects})
  }

  async function write(pods: readonly string[]): Promise<void> {
    const slices = `/apis/discovery.k8s.io/v1/namespaces/${monitoring}/endpointslices`
    const endpoints = pods.map((name, index) => ({
      addresses: [`10.0.0.${index + 1}`],
      hostname: name,
      targetRef: {kind: 'Pod', name, namespace: monitoring},
      conditions: {ready: index % 2 === 0},
    }))
    const metadata = {name: 'am', labels: {'kubernetes.io/service-name': SERVICE}}
    const object = {metadata, addressType: 'IPv4', endpoints, ports: [{name: 'web', port: 9093}]}
    const {status} = await kubernetes.request('PUT', `${slices}/am`, object)
    if (status === 404) await request('POST', slices, object)
  }

  async function start(options: Partial<ServeOptions> = {}): Promise<void> {
    const times = {alertmanagerKeptMs: 1500, lookMs: 500}
    if (account === undefined) throw new Error('there is no store')
    server = await serve({store: account, dependencies, replica: 'one-0', listen: local, admin: local, log: 'silent', times, ...options})
  }

  async function list(): Promise<Readonly<Record<string, string>> | undefined> {
    const found = await request<{data?: Readonly<Record<string, string>>}>(
      'GET',
      `/api/v1/namespaces/${namespace}/configmaps/${objectNames.alertmanagers}`,
    )
    return found.data
  }

  const addressOf = (pod: string): string => `${pod}.${SERVICE}.${monitoring}.svc.cluster.local:9093`
  const listOf = (...pods: readonly string[]) => Object.fromEntries(pods.map(pod => [pod, addressOf(pod)]))
  const isList = async (...pods: readonly string[]): Promise<boolean> =>
    JSON.stringify((await list()) ?? {}) === JSON.stringify(listOf(...pods))
  const readyz = async (): Promise<string> => {
    const {warnings} = (await (await fetch(new URL('/readyz', server?.adminAddress))).json()) as {readonly warnings: readonly string[]}
    return warnings.join('\n')
  }
  const events = async (): Promise<readonly string[]> =>
    (await request<Events>('GET', `/api/v1/namespaces/${namespace}/events`)).items
      .filter(({reason, involvedObject}) => reason === 'Alertmanagers' && involvedObject.name === objectNames.fleet)
      .map(({message}) => message)

  it('without the right to read them: /readyz and an Event name the rule to add, and all else works', async () => {
    await write(['am-0', 'am-1'])
    await start()
    const rule = '- {apiGroups: ["discovery.k8s.io"], resources: ["endpointslices"], verbs: ["list", "watch"]}'
    await until(async () => (await readyz()).includes(rule), LIMIT)
    expect(await readyz()).to.include(`in a Role of namespace ${monitoring}`)
    await until(async () => (await events()).some(message => message.includes('can not be looked up')), LIMIT)
    expect(await list()).to.equal(undefined)
    await until(() => server?.readiness().ready === true, LIMIT)
  })

  it('D15: the leader lists those that the selector finds, ready or not, by the names of their pods', async () => {
    await grant(monitoring, ROLE, [{apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['get', 'list', 'watch']}])
    await start()
    await until(async () => isList('am-0', 'am-1'), LIMIT)
    await until(async () => !(await readyz()).includes('Alertmanagers'), LIMIT)
    await write(['am-0', 'am-1', 'am-2'])
    await until(async () => isList('am-0', 'am-1', 'am-2'), LIMIT)
  })

  it('one that is deleted leaves the list after a while, and one that comes back sooner stays', async () => {
    await start({times: {alertmanagerKeptMs: 600_000}})
    await write(['am-0', 'am-2', 'am-3'])
    await until(async () => isList('am-0', 'am-1', 'am-2', 'am-3'), LIMIT)
    await server?.stop()
    await start()
    await until(async () => isList('am-0', 'am-2', 'am-3'), LIMIT)
  })

  it('no match, and more than 32, change nothing and are named in /readyz', async () => {
    await start()
    await write([])
    await until(async () => (await readyz()).includes('has an Alertmanager: the list stays as it is'), LIMIT)
    expect(await isList('am-0', 'am-2', 'am-3')).to.equal(true)
    await write(Array.from({length: 33}, (_, index) => `am-${index}`))
    await until(async () => (await readyz()).includes('selects 33 Alertmanagers, more than 32: the list stays as it is'), LIMIT)
    expect(await isList('am-0', 'am-2', 'am-3')).to.equal(true)
    await write(['am-0', 'am-2', 'am-3'])
    await until(async () => !(await readyz()).includes('the list stays as it is'), LIMIT)
  })

  it('what another writer does to the list is undone', async () => {
    await start()
    await request('PUT', `/api/v1/namespaces/${namespace}/configmaps/${objectNames.alertmanagers}`, {
      metadata: {name: objectNames.alertmanagers, labels: {'app.kubernetes.io/managed-by': 'atlas', 'goatlas.io/format': '1'}},
      data: {...listOf('am-0'), other: 'evil.example:9093'},
    })
    await until(async () => isList('am-0', 'am-2', 'am-3'), LIMIT)
  })

  it('a lost right removes nothing, a list in the settings counts alone, and without a selector the list is removed', async () => {
    await request('DELETE', `/apis/rbac.authorization.k8s.io/v1/namespaces/${monitoring}/rolebindings/${ROLE}`)
    // A watch that begins before the API server's authorizer has heard of it goes on.
    const slices = `/apis/discovery.k8s.io/v1/namespaces/${monitoring}/endpointslices`
    await until(async () => (await kubernetes.request('GET', slices, undefined, {kubeconfig})).status === 403, LIMIT)
    await start()
    await until(async () => (await readyz()).includes('can not be looked up'), LIMIT)
    expect(await isList('am-0', 'am-2', 'am-3')).to.equal(true)
    if (admin === undefined) throw new Error('there is no store')
    await init(admin, {alertmanagers: [{host: '10.0.0.9', port: 9093}]}, dependencies)
    await until(async () => !(await readyz()).includes('can not be looked up'), LIMIT)
    await init(admin, {alertmanagers: [], alertmanagerSelector: undefined}, dependencies)
    await until(async () => (await list()) === undefined, LIMIT)
  })
})
