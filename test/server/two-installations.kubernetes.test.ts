/** Two installations with one Thanos namespace: the endpoints of the first stay, and the second is told whose they are. */
import {expect} from 'chai'
import {dependencies} from '../../src/lib/cli/base-command.js'
import {parseAddress} from '../../src/lib/model/address.js'
import {installationMark} from '../../src/lib/model/endpoints.js'
import {defaultSettings} from '../../src/lib/model/settings.js'
import type {Choices} from '../../src/lib/ops/init.js'
import {init} from '../../src/lib/ops/init.js'
import {reconcile} from '../../src/lib/ops/reconcile.js'
import {status} from '../../src/lib/ops/status.js'
import {openAccess} from '../../src/lib/store/kubernetes/access.js'
import {openClient} from '../../src/lib/store/kubernetes/client.js'
import {kubernetesStore} from '../../src/lib/store/kubernetes/kubernetes.js'
import {defaultKubernetesTimes} from '../../src/lib/store/kubernetes/times.js'
import type {StateStore} from '../../src/lib/store/store.js'
import {type Serving, serve} from '../../src/server/serve.js'
import {testCluster} from '../helpers/fleet.js'
import type {Kubernetes} from '../helpers/kubernetes/kubernetes.js'
import {sharedKubernetes} from '../helpers/kubernetes/shared.js'
import {rejectedBy} from '../helpers/thrown.js'
import {until} from '../store/recorder.js'

const MARK = 'goatlas.io/installation'
const ADDRESS = parseAddress('203.0.113.7')
/** Milliseconds; longer than the pause after a refused write. */
const LIMIT = 90_000
const local = {host: '127.0.0.1', port: 0}

interface ConfigMap {
  readonly metadata: {readonly annotations?: Readonly<Record<string, string>>}
  readonly data: Readonly<Record<string, string>>
}

describe('two installations with one Thanos namespace', function () {
  this.timeout(240_000)
  let kubernetes: Kubernetes
  let [first, second, thanos] = ['', '', '']
  const opened: {close(): void}[] = []
  const servers: Serving[] = []

  beforeEach(async () => {
    kubernetes = await sharedKubernetes()
    ;[first, second, thanos] = [await namespace(), await namespace(), await namespace()]
  })
  afterEach(async () => {
    for (const server of servers.splice(0)) await server.stop()
    for (const store of opened.splice(0)) store.close()
  })

  const namespace = async (): Promise<string> => kubernetes.newNamespace('two')
  const path = (): string => `/api/v1/namespaces/${thanos}/configmaps/atlas-thanos-endpoints`

  async function open(name: string): Promise<StateStore> {
    const client = openClient(await openAccess({kubeconfig: kubernetes.kubeconfig, namespace: name}))
    const store = kubernetesStore(client, {secrets: 'all', times: defaultKubernetesTimes})
    opened.push(store)
    return store
  }

  /** An installation with one cluster, and no server. */
  async function installed(name: string, cluster: string, choices: Choices = {}): Promise<StateStore> {
    const store = await open(name)
    await init(store, {addresses: [ADDRESS], thanosNamespace: thanos, ...choices}, dependencies)
    const value = testCluster(cluster)
    await store.commit(await store.load(), [{kind: 'registration', name: value.name, value}])
    return store
  }

  async function endpoints(): Promise<ConfigMap> {
    return (await kubernetes.request<ConfigMap>('GET', path())).body
  }

  async function annotate(mark: string | null): Promise<void> {
    const body = {metadata: {annotations: {[MARK]: mark}}}
    const {status: code} = await kubernetes.request('PATCH', path(), body, {contentType: 'application/merge-patch+json'})
    expect(code).to.equal(200)
  }

  it('the first keeps its endpoints; init refuses the second and names the first', async () => {
    await reconcile(await installed(first, 'paris'), dependencies)
    const {metadata, data} = await endpoints()
    expect(metadata.annotations?.[MARK]).to.equal(`${first}/atlas.internal`)
    expect(data['endpoints.yaml']).to.contain('paris-thanos-sidecar0')
    const store = await open(second)
    const error = await rejectedBy(init(store, {addresses: [ADDRESS], thanosNamespace: thanos}, dependencies))
    expect(error.message).to.contain(`namespace "${first}"`).and.contain('"atlas.internal"')
    expect(error.hint).to.contain(`kubectl annotate configmap atlas-thanos-endpoints --namespace ${thanos} ${MARK}-`)
    expect((await store.load()).settings).to.equal(undefined)
    // Its own namespace is free.
    await init(store, {addresses: [ADDRESS]}, dependencies)
  })

  it('a server of the second changes nothing there, warns in /readyz and status, and goes on once it is handed over', async () => {
    const other = await installed(second, 'lyon')
    await reconcile(await installed(first, 'paris'), dependencies)
    const {data} = await endpoints()
    const store = await open(second)
    const server = await serve({store, dependencies, replica: 'two-0', listen: local, admin: local, log: 'silent', times: {reportMs: 200}})
    servers.push(server)
    const says = (text: string): boolean =>
      text.replaceAll('\\', '').includes(`another installation of Atlas, the installation in namespace "${first}"`)
    const readyz = async (): Promise<string> => (await fetch(new URL('/readyz', server.adminAddress))).text()
    await until(async () => says(await readyz()), LIMIT)
    const found = async (): Promise<string> => {
      const {findings} = await status(other, async () => expect.fail('no server is asked'), {admin: undefined, now: new Date()})
      return findings.map(({message}) => message).join('\n')
    }
    // Before the first report of the server `status` says that no server runs.
    await until(async () => says(await found().catch(() => '')), LIMIT)
    expect((await endpoints()).data).to.deep.equal(data)
    // Everything else of the second installation is written.
    await until(async () => (await other.load()).credentials.size === 2, LIMIT)
    expect((await endpoints()).data).to.deep.equal(data)

    await annotate(null)
    await until(async () => (await endpoints()).data['endpoints.yaml']?.includes('lyon-thanos-sidecar0') === true, LIMIT)
    expect((await endpoints()).metadata.annotations?.[MARK]).to.equal(installationMark({...defaultSettings, namespace: second}))
    await until(async () => !says(await readyz()), LIMIT)
  })

  it('endpoints without a mark, and those of an earlier installation in the same namespace, are taken over', async () => {
    const store = await installed(first, 'paris')
    await reconcile(store, dependencies)
    for (const mark of [null, `${first}/other.example`]) {
      await annotate(mark)
      await reconcile(store, dependencies)
      expect((await endpoints()).metadata.annotations?.[MARK]).to.equal(`${first}/atlas.internal`)
    }
  })
})
