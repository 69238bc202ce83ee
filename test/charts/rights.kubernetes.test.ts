/** The rights of each account of chart atlas on a real API server: by `kubectl auth can-i`, and tried with the account's token. */
import {expect} from 'chai'
import {waitFor} from '../../src/demo/lab/wait.js'
import type {Kubernetes} from '../helpers/kubernetes/kubernetes.js'
import {sharedKubernetes} from '../helpers/kubernetes/shared.js'
import {applyAll, removeServices} from './support/apply.js'
import {objectsOf} from './support/rendered.js'

type Tried = readonly [method: string, path: string, body?: object]

const map = (name: string): object => ({apiVersion: 'v1', kind: 'ConfigMap', metadata: {name}})
const lease = (name: string): object => ({
  apiVersion: 'coordination.k8s.io/v1',
  kind: 'Lease',
  metadata: {name},
  spec: {holderIdentity: 'test'},
})
const secret = (name: string): object => ({apiVersion: 'v1', kind: 'Secret', metadata: {name}, stringData: {key: 'of nobody else'}})
const service = (name: string): object => ({apiVersion: 'v1', kind: 'Service', metadata: {name}, spec: {clusterIP: 'None'}})

const keys = [
  'atlas-ca',
  'atlas-issuer',
  'atlas-credential-issuer',
  'atlas-ca-next',
  'atlas-issuer-next',
  'atlas-credential-issuer-next',
  'paris-envoy-ads',
  'atlas-envoy-ads',
]
const leaves = ['atlas-identities-00', 'atlas-identities-07', 'atlas-identities-31', 'atlas-ads-tls']

describe('the accounts of chart atlas (D29)', () => {
  let kubernetes: Kubernetes
  let namespace: string
  let thanos: string
  let accounts: Readonly<Record<'ads' | 'controller' | 'init' | 'test' | 'admin', string>>
  before(async () => {
    kubernetes = await sharedKubernetes()
    namespace = await kubernetes.newNamespace('rights')
    thanos = await kubernetes.newNamespace('thanos')
    const set = [
      `alertmanagerSelector=${thanos}/a=b`,
      `thanosNamespace=${thanos}`,
      'groups={europe}',
      'clusterAdmins[0].kind=User',
      'clusterAdmins[0].name=kim',
    ]
    const objects = await objectsOf({chart: 'atlas', ci: 'default', namespace, set})
    const policy = ['ValidatingAdmissionPolicy', 'ValidatingAdmissionPolicyBinding']
    const wanted = new Set(['ServiceAccount', 'Role', 'RoleBinding', ...policy, 'Service'])
    await applyAll(
      kubernetes,
      objects.filter(({kind}) => wanted.has(kind)),
    )
    for (const name of [...keys, ...leaves, 'grafana-password']) await as('admin-of-all', ['POST', 'v1/secrets', secret(name)])
    for (const name of ['atlas-requests', 'atlas-answers', 'atlas-fleet', 'atlas-coredns'])
      await as('admin-of-all', ['POST', 'v1/configmaps', map(name)])
    const of = async (name: string): Promise<string> => kubernetes.serviceAccountKubeconfig(namespace, `atlas-${name}`)
    accounts = {
      ads: await of('ads'),
      controller: await of('controller'),
      init: await of('init'),
      test: await of('test'),
      admin: await kubernetes.userKubeconfig('kim', {namespace}),
    }
    // The API server's authorizer hears of roles by a watch of its own, and of these accounts' in any order.
    const granted: readonly (readonly [who: keyof typeof accounts, verb: string, what: string])[] = [
      ['ads', 'list', 'services'],
      ['controller', 'create', 'secrets'],
      ['init', 'create', 'secrets'],
      ['admin', 'create', 'services'],
    ]
    for (const [who, verb, what] of granted)
      await waitFor(`${who} to have its role`, async () => ((await can(who, verb, what)) === 'yes' ? true : undefined), {
        signal: new AbortController().signal,
        timeoutMs: 90_000,
      })
  })
  after(async () => removeServices(kubernetes, namespace))

  /** The status with which the API server answers `who`; `path` is GROUP/VERSION/RESOURCE… or v1/RESOURCE…, in `at` or the release's namespace. */
  async function as(who: keyof typeof accounts | 'admin-of-all', [method, path, body]: Tried, at = namespace): Promise<number> {
    const [version = '', ...rest] = path.split('/')
    const root = version === 'v1' ? '/api/v1' : `/apis/${version}/${rest.shift() ?? ''}`
    const {status} = await kubernetes.request(method, `${root}/namespaces/${at}/${rest.join('/')}`, body, {
      ...(who === 'admin-of-all' ? {} : {kubeconfig: accounts[who]}),
      ...(method === 'PATCH' ? {contentType: 'application/merge-patch+json'} : {}),
    })
    return status
  }

  async function can(who: keyof typeof accounts, verb: string, what: string): Promise<string> {
    const {stdout} = await kubernetes.kubectl(['auth', 'can-i', verb, what, '-n', namespace], {kubeconfig: accounts[who]})
    return stdout.trim()
  }

  const may = async (who: keyof typeof accounts, ...tried: Tried[]): Promise<void> => {
    for (const one of tried) expect(await as(who, one), `${one[0]} ${one[1]}`).to.be.within(200, 201)
  }
  const mayNot = async (who: keyof typeof accounts, ...tried: Tried[]): Promise<void> => {
    for (const one of tried) expect(`${one[0]} ${one[1]}: ${await as(who, one)}`).to.equal(`${one[0]} ${one[1]}: 403`)
  }

  it('are the same by kubectl auth can-i', async () => {
    const cases: readonly (readonly [who: keyof typeof accounts, verb: string, what: string, answer: 'no' | 'yes'])[] = [
      ...keys.map(name => ['ads', 'get', `secrets/${name}`, 'no'] as const),
      ...leaves.map(name => ['ads', 'get', `secrets/${name}`, 'yes'] as const),
      ['ads', 'list', 'secrets', 'no'],
      ['ads', 'list', 'services', 'yes'],
      ['ads', 'update', 'services/paris', 'no'],
      ['controller', 'create', 'secrets', 'yes'],
      ['controller', 'create', 'pods', 'no'],
      ['controller', 'create', 'roles', 'no'],
      ['init', 'get', 'secrets/atlas-ca', 'no'],
      ['init', 'create', 'secrets', 'yes'],
      ['admin', 'get', 'secrets/atlas-ca', 'no'],
      ['admin', 'create', 'services', 'yes'],
      ['test', 'get', 'secrets/atlas-ca', 'no'],
    ]
    for (const [who, verb, what, answer] of cases)
      expect(`${who} ${verb} ${what}: ${await can(who, verb, what)}`).to.equal(`${who} ${verb} ${what}: ${answer}`)
  })

  it('of the discovery service: reads leaves, neither CA nor issuers nor any credential', async () => {
    await may('ads', ...leaves.map((name): Tried => ['GET', `v1/secrets/${name}`]))
    await may('ads', ...leaves.map((name): Tried => ['GET', `v1/secrets?fieldSelector=metadata.name%3D${name}`]))
    await mayNot('ads', ...[...keys, 'grafana-password'].map((name): Tried => ['GET', `v1/secrets/${name}`]))
    await mayNot('ads', ...keys.map((name): Tried => ['GET', `v1/secrets?fieldSelector=metadata.name%3D${name}`]))
    await mayNot('ads', ['GET', 'v1/secrets'], ['GET', 'v1/secrets?watch=true&timeoutSeconds=1'], ['POST', 'v1/secrets', secret('new')])
    await mayNot('ads', ['PATCH', 'v1/secrets/atlas-ads-tls', {}], ['DELETE', 'v1/secrets/atlas-identities-07'])
    await may('ads', ['GET', 'v1/services'], ['GET', 'v1/configmaps'], ['GET', 'v1/configmaps?watch=true&timeoutSeconds=1'])
  })

  it('of the discovery service: writes its own report and Lease, and no other', async () => {
    for (const replica of ['atlas-ads-0', 'atlas-ads-1']) {
      // The leader creates it: an account that may create ConfigMaps could write entries for the whole fleet.
      await may('controller', ['POST', 'v1/configmaps', map(`atlas-proxies-${replica}`)])
      await may('ads', ['PATCH', `v1/configmaps/atlas-proxies-${replica}`, {data: {a: 'b'}}])
      const leases = 'coordination.k8s.io/v1/leases'
      await may(
        'ads',
        ['POST', leases, lease(`atlas-ads-${replica}`)],
        ['GET', leases],
        ['GET', `${leases}/atlas-ads-${replica}`],
        ['PATCH', `${leases}/atlas-ads-${replica}`, {}],
      )
    }

    for (const forged of ['atlas-records-00', 'atlas-trust-bundle', 'atlas-requests', 'atlas-answers', 'atlas-proxies-atlas-ads-9'])
      await mayNot('ads', ['POST', 'v1/configmaps', map(forged)])
    await mayNot('ads', ['PATCH', 'v1/configmaps/atlas-fleet', {}], ['PATCH', 'v1/configmaps/atlas-proxies-atlas-ads-2', {}])
    await mayNot('ads', ['DELETE', 'v1/configmaps/atlas-proxies-atlas-ads-0'], ['PATCH', 'coordination.k8s.io/v1/leases/atlas', {}])
    await mayNot('ads', ['POST', 'v1/services', service('lyon')], ['POST', 'events.k8s.io/v1/events', {}], ['GET', 'v1/pods'])
  })

  it('of the controller: all objects that Atlas keeps here, and no others', async () => {
    await may(
      'controller',
      ['POST', 'v1/services', service('rome')],
      ['PATCH', 'v1/services/rome', {metadata: {labels: {a: 'b'}}}],
      ['DELETE', 'v1/services/rome'],
    )
    await may(
      'controller',
      ['POST', 'v1/secrets', secret('rome-envoy-ads')],
      ['GET', 'v1/secrets'],
      ['DELETE', 'v1/secrets/rome-envoy-ads'],
    )
    await may('controller', ['POST', 'v1/configmaps', map('atlas-records-00')], ['POST', 'coordination.k8s.io/v1/leases', lease('atlas')])
    await may('controller', ['GET', 'coordination.k8s.io/v1/leases'])
    const regarding = {kind: 'Service', namespace, name: 'paris', apiVersion: 'v1'}
    const event = {
      metadata: {name: 'paris.1'},
      eventTime: '2026-11-24T10:00:00.000000Z',
      regarding,
      reason: 'Broken',
      action: 'Read',
      note: 'a',
      type: 'Warning',
      reportingController: 'goatlas.io/atlas',
      reportingInstance: 'a',
    }
    await may(
      'controller',
      ['POST', 'events.k8s.io/v1/events', event],
      ['PATCH', 'events.k8s.io/v1/events/paris.1', {metadata: {labels: {a: 'b'}}}],
    )
    await mayNot(
      'controller',
      ['GET', 'v1/pods'],
      ['GET', 'apps/v1/deployments'],
      ['POST', 'rbac.authorization.k8s.io/v1/roles', {}],
      ['DELETE', 'v1/secrets'],
    )
    expect(await as('controller', ['GET', 'v1/secrets'], 'kube-system')).to.equal(403)
  })

  it('of the controller: in the namespace of the Alertmanagers it reads EndpointSlices, and nothing else', async () => {
    const slices = 'discovery.k8s.io/v1/endpointslices'
    expect(await as('controller', ['GET', slices], thanos)).to.equal(200)
    expect(await as('controller', ['GET', `${slices}?watch=true&timeoutSeconds=1`], thanos)).to.equal(200)
    expect(await as('controller', ['POST', slices, {}], thanos)).to.equal(403)
    expect(await as('controller', ['GET', 'v1/pods'], thanos)).to.equal(403)
    expect(await as('ads', ['GET', slices], thanos)).to.equal(403)
  })

  it("of the controller: in Thanos's namespace the ConfigMaps of all clusters and of each listed group", async () => {
    const name = 'atlas-thanos-endpoints'
    for (const mine of [name, `${name}-europe`]) {
      expect(await as('controller', ['POST', 'v1/configmaps', map(mine)], thanos)).to.equal(201)
      expect(await as('controller', ['GET', `v1/configmaps?fieldSelector=metadata.name%3D${mine}`], thanos)).to.equal(200)
      expect(await as('controller', ['PATCH', `v1/configmaps/${mine}`, {data: {a: 'b'}}], thanos)).to.equal(200)
    }

    expect(await as('controller', ['GET', `v1/configmaps?fieldSelector=metadata.name%3D${name}-asia`], thanos)).to.equal(403)
    expect(await as('controller', ['GET', 'v1/configmaps'], thanos)).to.equal(403)
    expect(await as('controller', ['GET', 'v1/configmaps/kube-root-ca.crt'], thanos)).to.equal(403)
    expect(await as('controller', ['GET', 'v1/secrets'], thanos)).to.equal(403)
    expect(await as('ads', ['GET', `v1/configmaps/${name}`], thanos)).to.equal(403)
  })

  it('of init: creates settings and a root, and reads no Secret', async () => {
    await may('init', ['GET', 'v1/configmaps'], ['GET', 'v1/services'], ['POST', 'v1/configmaps', map('atlas-trust-bundle')])
    expect(await as('init', ['POST', 'v1/secrets', secret('atlas-ca')]), 'it is there').to.equal(409)
    await mayNot(
      'init',
      ...keys.map((name): Tried => ['GET', `v1/secrets/${name}`]),
      ['GET', 'v1/secrets'],
      ['PATCH', 'v1/secrets/atlas-ca', {}],
    )
    await mayNot('init', ['DELETE', 'v1/configmaps/atlas-fleet'], ['POST', 'v1/services', service('lyon')], ['GET', 'v1/pods'])
  })

  it('of an operator with Role atlas-cluster-admin: registers clusters and writes requests, and reads no Secret', async () => {
    await may(
      'admin',
      ['POST', 'v1/services', {...service('paris'), metadata: {name: 'paris', labels: {'goatlas.io/cluster': ''}}}],
      ['PATCH', 'v1/services/paris', {metadata: {labels: {'goatlas.io/cluster': 'paris'}}}],
    )
    await may(
      'admin',
      ['GET', 'v1/configmaps/atlas-fleet'],
      ['GET', 'v1/configmaps/atlas-answers'],
      ['PATCH', 'v1/configmaps/atlas-requests', {data: {a: 'b'}}],
    )
    await may('admin', ['GET', 'coordination.k8s.io/v1/leases'], ['DELETE', 'v1/services/paris'])
    await mayNot(
      'admin',
      ...[...keys, ...leaves].map((name): Tried => ['GET', `v1/secrets/${name}`]),
      ['GET', 'v1/secrets'],
      ['POST', 'v1/secrets', secret('new')],
    )
    await mayNot(
      'admin',
      ['PATCH', 'v1/configmaps/atlas-fleet', {}],
      ['PATCH', 'v1/configmaps/atlas-coredns', {}],
      // An account that may ask must not be able to forge an answer.
      ['PATCH', 'v1/configmaps/atlas-answers', {data: {a: 'b'}}],
      ['DELETE', 'v1/configmaps/atlas-requests'],
    )
    await mayNot('admin', ['POST', 'coordination.k8s.io/v1/leases', lease('atlas')], ['GET', 'v1/pods'])
  })

  it('of an operator with that Role: changes Services that register clusters, and none of Atlas or of other programs', async () => {
    const labels = {'goatlas.io/cluster': ''}
    const registration = (name: string, more: object = {}): object => ({...service(name), metadata: {name, labels}, ...more})
    const label = (value: string | null): object => ({metadata: {labels: {'goatlas.io/cluster': value}}})
    await as('admin-of-all', ['POST', 'v1/services', service('grafana')])
    // The API server applies a new policy after a moment.
    const refused = async (): Promise<true | undefined> =>
      (await as('admin', ['PATCH', 'v1/services/grafana?dryRun=All', {metadata: {labels: {a: 'b'}}}])) === 403 ? true : undefined
    await waitFor('the policy', refused, {signal: new AbortController().signal, timeoutMs: 90_000})
    await may(
      'admin',
      ['POST', 'v1/services', registration('lyon')],
      ['PATCH', 'v1/services/lyon', {metadata: {annotations: {'goatlas.io/addresses': '198.51.100.4'}}}],
    )
    const open = {spec: {type: 'LoadBalancer', ports: [{port: 10_901}], selector: {'goatlas.io/envoy': 'observability'}}}
    await mayNot(
      'admin',
      ['PATCH', 'v1/services/lyon', label(null)],
      ['POST', 'v1/services', service('other')],
      ['POST', 'v1/services', registration('milan', open)],
      ['PATCH', 'v1/services/grafana', label('')],
      ...['atlas-external', 'atlas-internal', 'atlas-ads', 'grafana'].flatMap((name): Tried[] => [
        ['PATCH', `v1/services/${name}`, {metadata: {annotations: {a: 'b'}}}],
        ['DELETE', `v1/services/${name}`],
      ]),
    )
    await may('admin', ['DELETE', 'v1/services/lyon'])

    // The 2021 program's registrations are not headless.
    const old = {kind: 'Service', metadata: {name: 'downstream1', labels}, spec: {ports: [{port: 11_901}]}}
    await as('admin-of-all', ['POST', 'v1/services', old])
    await may('admin', ['PATCH', 'v1/services/downstream1', {spec: {ports: [{port: 10_901}]}}])
    await mayNot('admin', ['PATCH', 'v1/services/downstream1', open])
    await may('controller', ['POST', 'v1/services', service('lyon-thanos-sidecar0')], ['DELETE', 'v1/services/lyon-thanos-sidecar0'])
    expect(await as('admin-of-all', ['PATCH', 'v1/services/atlas-external', {metadata: {annotations: {a: 'b'}}}])).to.equal(200)

    // A load balancer's controller has rights on all Services and on no Secret.
    const cloud = await kubernetes.userKubeconfig('cloud', {namespace})
    const role = ['create', 'role', 'cloud', '--verb=get,update,patch', '--resource=services', '--namespace', namespace]
    await kubernetes.kubectl(role)
    await kubernetes.kubectl(['create', 'rolebinding', 'cloud', '--role=cloud', '--user=cloud', '--namespace', namespace])
    const annotate = ['annotate', 'service', 'atlas-external', 'cloud=here', '--overwrite', '--namespace', namespace]
    const noted = async (): Promise<true | undefined> =>
      (await kubernetes.kubectl(annotate, {kubeconfig: cloud})).code === 0 ? true : undefined
    await waitFor('its Role', noted, {signal: new AbortController().signal, timeoutMs: 90_000})
  })

  it('of an operator with that Role, without the policy (clusterAdminPolicy.enabled=false): none is rendered', async () => {
    const off = await objectsOf({chart: 'atlas', ci: 'default', namespace, set: ['clusterAdminPolicy.enabled=false']})
    expect(off.filter(({kind}) => kind.startsWith('ValidatingAdmissionPolicy'))).to.deep.equal([])
  })

  it('of helm test: reads no Secret', async () => {
    await may('test', ['GET', 'v1/services'], ['GET', 'v1/configmaps'], ['GET', 'coordination.k8s.io/v1/leases'])
    await mayNot('test', ['GET', 'v1/secrets'], ['GET', 'v1/secrets/atlas-ca'], ['PATCH', 'v1/configmaps/atlas-requests', {}])
  })
})
