/** A fleet that outgrows the DNS zone and the endpoints file, on a real API server: both stay as they were, and nothing else waits for them. */
import {expect} from 'chai'
import {dependencies} from '../../src/lib/cli/base-command.js'
import {parseAddress} from '../../src/lib/model/address.js'
import {whyNameTooLong} from '../../src/lib/manifest/text-limits.js'
import {zoneNames} from '../../src/lib/manifest/zone.js'
import type {Cluster} from '../../src/lib/model/cluster.js'
import {objectNames, parseClusterName} from '../../src/lib/model/names.js'
import {init} from '../../src/lib/ops/init.js'
import {status} from '../../src/lib/ops/status.js'
import {openAccess} from '../../src/lib/store/kubernetes/access.js'
import {openClient} from '../../src/lib/store/kubernetes/client.js'
import {kubernetesStore} from '../../src/lib/store/kubernetes/kubernetes.js'
import {defaultKubernetesTimes} from '../../src/lib/store/kubernetes/times.js'
import type {StateStore} from '../../src/lib/store/store.js'
import type {ServeOptions} from '../../src/server/options.js'
import {type Serving, serve} from '../../src/server/serve.js'
import {testSettings} from '../helpers/dependencies.js'
import {testCluster} from '../helpers/fleet.js'
import type {Kubernetes} from '../helpers/kubernetes/kubernetes.js'
import {sharedKubernetes} from '../helpers/kubernetes/shared.js'
import {inSteps} from '../helpers/steps.js'
import {until} from '../store/recorder.js'

/** Milliseconds. */
const LIMIT = 120_000
const local = {host: '127.0.0.1', port: 0}
/** Service names of 59 characters, long addresses and a long domain, so that few replicas are enough. */
const large = testCluster('x'.repeat(42), {addresses: [parseAddress('198.51.100.4')], replicas: 400})
const settings = {clusterDomain: `${'c'.repeat(60)}.${'c'.repeat(60)}.example`, endpointTemplate: `${'{service}'.repeat(55)}:10901`}

interface ConfigMap {
  readonly data?: Readonly<Record<string, string>>
}

interface Events {
  readonly items: readonly {readonly reason: string; readonly message: string; readonly involvedObject: {readonly name: string}}[]
}

describe('a fleet that is too large for the DNS zone and the endpoints file', function () {
  inSteps()
  this.timeout(240_000)
  let kubernetes: Kubernetes
  let namespace: string
  let store: StateStore
  let server: Serving | undefined
  const opened: StateStore[] = []

  before(async () => {
    kubernetes = await sharedKubernetes()
    namespace = await kubernetes.newNamespace('large')
    store = await open()
    await init(store, {addresses: [parseAddress('203.0.113.7')], ...settings}, dependencies)
  })
  afterEach(async () => {
    await server?.stop()
    server = undefined
  })
  after(() => {
    for (const each of opened) each.close()
  })

  async function open(): Promise<StateStore> {
    const client = openClient(await openAccess({kubeconfig: kubernetes.kubeconfig, namespace}))
    const one = kubernetesStore(client, {secrets: 'all', times: defaultKubernetesTimes})
    opened.push(one)
    return one
  }

  async function start(options: Partial<ServeOptions> = {}): Promise<Serving> {
    const times = {reportMs: 200}
    return serve({store: await open(), dependencies, replica: 'one-0', listen: local, admin: local, log: 'silent', times, ...options})
  }

  async function register(...clusters: readonly Cluster[]): Promise<void> {
    const changes = clusters.map(value => ({kind: 'registration', name: value.name, value}) as const)
    await store.commit(await store.load(), changes)
  }

  async function get<T>(resource: string): Promise<T> {
    return (await kubernetes.request<T>('GET', `/api/v1/namespaces/${namespace}/${resource}`)).body
  }

  /** Zone and endpoints file as they are stored. */
  async function texts(): Promise<readonly (string | undefined)[]> {
    const [zone, endpoints] = [
      await get<ConfigMap>(`configmaps/${objectNames.zone}`),
      await get<ConfigMap>(`configmaps/${objectNames.endpoints}`),
    ]
    return [zone.data?.['atlas.zone'], endpoints.data?.['endpoints.yaml']]
  }

  async function has(cluster: string): Promise<boolean> {
    return (await texts()).every(text => text?.includes(`${cluster}-thanos-sidecar0`) === true)
  }

  const readyz = async (): Promise<string> => (await fetch(new URL('/readyz', server?.adminAddress))).text()
  const [zoneLimit, endpointsLimit] = ['and DNS carries 65400; let Thanos Query read the endpoints file', 'and a ConfigMap holds 1048576']

  it('keeps the last complete texts, writes all else, and names the limits in /readyz, status and an Event', async () => {
    await register(testCluster('paris'))
    server = await start()
    await until(async () => has('paris'), LIMIT)
    const complete = await texts()

    // Alone: the server may see two registrations one after the other, and write the texts in between.
    await register(large)
    await until(async () => {
      const said = await readyz()
      return said.includes(zoneLimit) && said.includes(endpointsLimit)
    }, LIMIT)
    // Added while both limits are passed.
    await register(testCluster('lyon'), testCluster('rome'))
    await until(async () => {
      const {derived, credentials} = await store.load()
      const services = [...derived.keys()].filter(object => object.startsWith('Service/'))
      const signed = ['lyon', 'rome', large.name].every(name => credentials.has(parseClusterName(name)))
      return derived.has('Service/rome-thanos-sidecar0') && services.length === 403 && signed
    }, LIMIT)
    expect(await texts()).to.deep.equal(complete)

    const found = async (): Promise<string> => {
      const {findings} = await status(store, async () => expect.fail('no server is asked'), {admin: undefined, now: new Date()})
      return findings.map(({message}) => message).join('\n')
    }
    await until(async () => {
      const said = await found().catch(() => '')
      return said.includes(zoneLimit) && said.includes(endpointsLimit)
    }, LIMIT)
    const recorded = async (): Promise<readonly string[]> =>
      (await get<Events>('events')).items
        .filter(({reason, involvedObject}) => reason === 'TooLong' && involvedObject.name === objectNames.fleet)
        .map(({message}) => message)
    await until(async () => {
      const events = (await recorded()).join('\n')
      return events.includes(zoneLimit) && events.includes(endpointsLimit)
    }, LIMIT)
  })

  it('writes both once they are short enough again, and warns no more', async () => {
    server = await start()
    await until(async () => (await readyz()).includes(endpointsLimit), LIMIT)
    await register({...large, replicas: 2})
    await until(async () => (await has(large.name)) && (await has('rome')), LIMIT)
    await until(async () => !(await readyz()).includes('stays as it was'), LIMIT)
  })

  it('removes a zone that nothing reads, and does not judge it; the endpoints stay', async () => {
    server = await start({dnsZone: false})
    await until(async () => (await texts())[0] === undefined, LIMIT)
    expect((await texts())[1]).to.include('paris-thanos-sidecar0')
    await register({...large, replicas: 310})
    await until(async () => (await texts())[1]?.includes(`${large.name}-thanos-sidecar309`) === true, LIMIT)
    const fleet = await store.load()
    expect(whyNameTooLong(zoneNames(fleet, fleet.settings ?? testSettings, undefined)[0]?.records ?? '')).to.be.a('string')
    expect(await readyz()).not.to.include('stays as it was')
  })

  it('takes a ConfigMap of exactly the limit, and refuses one more byte', async () => {
    const write = async (name: string, bytes: number): Promise<number> => {
      const body = {apiVersion: 'v1', kind: 'ConfigMap', metadata: {name}, data: {'endpoints.yaml': 'x'.repeat(bytes)}}
      return (await kubernetes.request('POST', `/api/v1/namespaces/${namespace}/configmaps`, body)).status
    }
    expect([await write('most', 1_048_576), await write('more', 1_048_577)]).to.deep.equal([201, 422])
  })
})
