/** Endpoints of groups in Thanos's namespace, and the zone, kept by a server with the rights that chart atlas gives its controller. */
import {isDeepStrictEqual} from 'node:util'
import {expect} from 'chai'
import {load} from 'js-yaml'
import {dependencies} from '../../src/lib/cli/base-command.js'
import {parseAddress} from '../../src/lib/model/address.js'
import {init} from '../../src/lib/ops/init.js'
import {status} from '../../src/lib/ops/status.js'
import {openAccess} from '../../src/lib/store/kubernetes/access.js'
import {openClient} from '../../src/lib/store/kubernetes/client.js'
import {kubernetesStore} from '../../src/lib/store/kubernetes/kubernetes.js'
import {defaultKubernetesTimes} from '../../src/lib/store/kubernetes/times.js'
import type {StateStore} from '../../src/lib/store/store.js'
import {type Serving, serve} from '../../src/server/serve.js'
import {applyAll} from '../charts/support/apply.js'
import {objectsOf} from '../charts/support/rendered.js'
import {atlas} from '../helpers/atlas.js'
import {testCluster} from '../helpers/fleet.js'
import {goatlasChartZone} from '../helpers/goatlas-objects.js'
import type {Kubernetes} from '../helpers/kubernetes/kubernetes.js'
import {sharedKubernetes} from '../helpers/kubernetes/shared.js'
import {inSteps} from '../helpers/steps.js'
import {endpointsIn, readZone} from '../helpers/zone.js'
import {until} from '../store/recorder.js'

/** Milliseconds. */
const LIMIT = 60_000
const local = {host: '127.0.0.1', port: 0}

interface ConfigMap {
  readonly data?: Readonly<Record<string, string>>
}

interface Role {
  readonly metadata: {readonly name: string}
  readonly rules: readonly {readonly resourceNames?: readonly string[]}[]
}

describe('groups of clusters', function () {
  inSteps()
  this.timeout(240_000)
  let kubernetes: Kubernetes
  let [namespace, thanos] = ['', '']
  let store: StateStore
  let server: Serving | undefined
  const opened: StateStore[] = []

  before(async () => {
    kubernetes = await sharedKubernetes()
    ;[namespace, thanos] = [await kubernetes.newNamespace('groups'), await kubernetes.newNamespace('groups-thanos')]
    const set = [`thanosNamespace=${thanos}`, 'groups={europe}']
    const objects = await objectsOf({chart: 'atlas', ci: 'default', namespace, set})
    await applyAll(
      kubernetes,
      objects.filter(({kind}) => ['ServiceAccount', 'Role', 'RoleBinding'].includes(kind)),
    )
    store = await open(kubernetes.kubeconfig)
    await init(store, {addresses: [parseAddress('203.0.113.7')], thanosNamespace: thanos, groups: ['europe']}, dependencies)
    const account = await kubernetes.serviceAccountKubeconfig(namespace, 'atlas-controller')
    const times = {reportMs: 200}
    server = await serve({store: await open(account), dependencies, replica: 'one-0', listen: local, admin: local, log: 'silent', times})
  })
  after(async () => {
    await server?.stop()
    for (const each of opened) each.close()
  })

  async function open(kubeconfig: string): Promise<StateStore> {
    const client = openClient(await openAccess({kubeconfig, namespace}))
    const one = kubernetesStore(client, {secrets: 'all', times: defaultKubernetesTimes})
    opened.push(one)
    return one
  }

  async function register(name: string, groups: readonly string[]): Promise<void> {
    const value = testCluster(name, {groups})
    await store.commit(await store.load(), [{kind: 'registration', name: value.name, value}])
  }

  /** The endpoints file of a group, as stored. */
  async function file(group: string): Promise<string | undefined> {
    const path = `/api/v1/namespaces/${thanos}/configmaps/atlas-thanos-endpoints${group === '' ? '' : `-${group}`}`
    return (await kubernetes.request<ConfigMap>('GET', path)).body.data?.['endpoints.yaml']
  }

  /** What a command prints. */
  async function run(...args: readonly string[]): Promise<string> {
    const {stdout, stderr} = await atlas(...args, '--kubeconfig', kubernetes.kubeconfig, '--namespace', namespace)
    return `${stdout}${stderr}`
  }

  const readyz = async (): Promise<string> =>
    ((await (await fetch(new URL('/readyz', server?.adminAddress))).json()) as {readonly warnings: readonly string[]}).warnings.join('\n')

  /** The rule in a printed text, as one copies it. */
  const ruleIn = (text: string): unknown => (load(/- \{apiGroups.*?]}/.exec(text)?.[0] ?? '[]') as readonly unknown[])[0]

  const ruleOfAsia = {
    apiGroups: [''],
    resources: ['configmaps'],
    resourceNames: ['atlas-thanos-endpoints-asia'],
    verbs: ['create', 'get', 'list', 'watch', 'update', 'patch', 'delete'],
  }

  const zonePath = (): string => `/api/v1/namespaces/${namespace}/configmaps/atlas-coredns`
  const zone = async (): Promise<string> => (await kubernetes.request<ConfigMap>('GET', zonePath())).body.data?.['atlas.zone'] ?? ''

  it('one that is listed has an empty list before it has a cluster', async () => {
    await until(async () => (await file('europe')) === 'endpoints: []\n', LIMIT)
  })

  it('has its clusters in its ConfigMap and under its DNS name', async () => {
    await register('paris', ['europe'])
    await register('tokyo', [])
    await until(async () => (await file('europe'))?.includes('paris-thanos-sidecar0') === true, LIMIT)
    await until(async () => (await file(''))?.includes('tokyo-thanos-sidecar0') === true, LIMIT)
    expect(await file('europe')).not.to.include('tokyo')
    await until(async () => (await zone()).match(/^_thanos\._tcp\.europe\.thanos\.atlas\. .*$/gm)?.length === 1, LIMIT)
  })

  it('is written again where another writer has changed it', async () => {
    const path = `/api/v1/namespaces/${thanos}/configmaps/atlas-thanos-endpoints-europe`
    await kubernetes.request('PATCH', path, {data: {'endpoints.yaml': 'of another'}}, {contentType: 'application/merge-patch+json'})
    await until(async () => (await file('europe'))?.includes('paris-thanos-sidecar0') === true, LIMIT)
  })

  it('one that is not listed is a finding with the list that is needed', async () => {
    await register('tokyo', ['asia'])
    await until(async () => {
      const {findings} = await status(store, async () => expect.fail('no server is asked'), {admin: undefined, now: new Date()})
      return findings.some(({kind, groups}) => kind === 'group' && groups?.join() === 'asia,europe')
    }, LIMIT)
    expect(await file('asia')).to.equal(undefined)
  })

  it('its rule is printed by `status` and by `cluster add`, with all that the controller needs', async () => {
    const [status, added] = [await run('status'), await run('cluster', 'add', 'tokyo', '--group', 'asia', '--dry-run')]
    for (const text of [status, added]) {
      expect(text).to.match(/set groups: \[asia,europe] in the values of chart atlas/)
      expect(text).to.include(`in the Role of the controller in namespace ${thanos}:`)
      expect(ruleIn(text)).to.deep.equal(ruleOfAsia)
    }
  })

  it('one that the server may read as little as write is in /readyz with its rule, and costs the others nothing', async () => {
    await init(store, {groups: ['asia', 'europe']}, dependencies)
    await register('rome', ['europe'])
    await until(async () => (await file('europe'))?.includes('rome-thanos-sidecar0') === true, LIMIT)
    await until(async () => (await readyz()).includes('atlas-thanos-endpoints-asia'), LIMIT)
    expect(await readyz()).to.include(`in a Role of namespace ${thanos}`)
    expect(ruleIn(await readyz())).to.deep.equal(ruleOfAsia)
  })

  it('the printed rule, pasted into a Role without the chart, is all that was missing: nothing else allows to create a ConfigMap', async () => {
    const rules = `/apis/rbac.authorization.k8s.io/v1/namespaces/${thanos}/roles`
    const {items} = (await kubernetes.request<{readonly items: readonly Role[]}>('GET', rules)).body
    const {metadata, rules: byChart} = items.find(each => each.metadata.name.endsWith('-endpoints')) ?? expect.fail('no Role')
    const {name} = metadata
    const named = byChart.filter(({resourceNames}) => resourceNames !== undefined)
    expect(named.length, 'the chart allows to create any').to.equal(byChart.length - 1)
    const patch = [{op: 'replace', path: '/rules', value: [...named, ruleIn(await readyz())]}]
    const {status: code} = await kubernetes.request('PATCH', `${rules}/${name}`, patch, {contentType: 'application/json-patch+json'})
    expect(code).to.equal(200)
    await until(async () => (await file('asia'))?.includes('tokyo-thanos-sidecar0') === true, LIMIT)
    await until(async () => !(await readyz()).includes('asia'), LIMIT)
  })

  it('one that is emptied keeps its ConfigMap, with an empty list', async () => {
    await register('paris', [])
    await register('rome', [])
    await until(async () => (await file('europe')) === 'endpoints: []\n', LIMIT)
    await until(async () => !(await zone()).includes('europe'), LIMIT)
  })

  it('D25: the zone has each cluster under the names of port "thanos" and port "grpc", and nothing at another port than 10901', async () => {
    const text = await zone()
    const [found, found2021] = ['thanos', 'grpc'].map(port => endpointsIn(text, `_${port}._tcp.sidecars.thanos.atlas.`))
    expect(found).to.deep.equal(['paris', 'rome', 'tokyo'].map(name => `${name}-thanos-sidecar0.${namespace}.svc.cluster.local:10901`))
    expect(found2021).to.deep.equal(found)
    const {records} = readZone(text)
    expect(records.filter(({type, data}) => type === 'SRV' && data[2] !== '10901')).to.deep.equal([])
    expect(records.filter(({type}) => type === 'NS')).to.have.length(1)
  })

  it('D24: the zone comes back, with a higher serial, where it was reset or deleted; a cluster that goes leaves it', async () => {
    const served = readZone(await zone())
    const isBack = (text: string, above: number): boolean => {
      if (text === '' || text === goatlasChartZone) return false
      const {serial, records} = readZone(text)
      return serial > above && isDeepStrictEqual(records, served.records)
    }
    // Serials are seconds. Each of several changes in one second has a serial of its own, which is ahead of the clock then.
    const isPast = (serial: number) => () => Date.now() / 1000 > serial + 1
    await until(isPast(served.serial), LIMIT)
    // As `helm upgrade` of the 2021 chart did, with serial 1.
    await kubernetes.request('PATCH', zonePath(), {data: {'atlas.zone': goatlasChartZone}}, {contentType: 'application/merge-patch+json'})
    await until(async () => isBack(await zone(), served.serial), LIMIT)
    const repaired = readZone(await zone()).serial
    await until(isPast(repaired), LIMIT)
    await kubernetes.request('DELETE', zonePath())
    await until(async () => isBack(await zone(), repaired), LIMIT)
    await kubernetes.request('DELETE', `/api/v1/namespaces/${namespace}/services/tokyo`)
    await until(async () => !(await zone()).includes('tokyo'), LIMIT)
    expect(endpointsIn(await zone(), '_thanos._tcp.sidecars.thanos.atlas.')).to.have.length(2)
  })
})
