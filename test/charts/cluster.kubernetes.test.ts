/** The charts on a real API server: every object is accepted, every pod admitted under `restricted`, and Helm installs, upgrades, removes. */
import {expect} from 'chai'
import {waitFor} from '../../src/demo/lab/wait.js'
import {installCrds} from '../helpers/kubernetes/crds.js'
import type {Kubernetes} from '../helpers/kubernetes/kubernetes.js'
import {sharedKubernetes} from '../helpers/kubernetes/shared.js'
import {applyAll, removeServices} from './support/apply.js'
import {type Chart, chartFolder, charts, ciNames, type Major, majors, objectsOf, podsOf, valueArgs} from './support/rendered.js'

let kubernetes: Kubernetes
before(async () => {
  kubernetes = await sharedKubernetes()
  await installCrds(kubernetes)
  // Thanos's namespace in the examples
  await kubernetes.request('POST', '/api/v1/namespaces', {metadata: {name: 'monitoring'}})
})

/** Release names of the greatest length, and with all allowed characters. */
const longRelease = '2nd.observability-network-of-a-company-with-long-name'
const longNamespace = 'observability-network-of-a-company-with-long-names-999'

for (const chart of charts)
  describe(`the objects of chart ${chart}`, () => {
    for (const ci of ciNames(chart))
      it(`are accepted by the API server, each pod under "restricted": ci/${ci}`, async () => {
        const isOther = ci === 'other-name'
        const enforced = {'pod-security.kubernetes.io/enforce': 'restricted', 'pod-security.kubernetes.io/enforce-version': 'latest'}
        const namespace = await kubernetes.newNamespace(isOther ? longNamespace : 'charts', enforced)
        const release = isOther ? longRelease : 'atlas'
        if (isOther) expect([release.length, namespace.length]).to.deep.equal([53, 63])
        const objects = await objectsOf({chart, ci, namespace, release})
        try {
          const isPod = ({kind}: {kind: string}): boolean => kind === 'Pod'
          const workloads = objects.filter(object => !isPod(object))
          if (ci === 'hostport') {
            expect(await failureOf(applyAll(kubernetes, workloads))).to.include('hostPort')
            return
          }

          await applyAll(kubernetes, workloads)
          const pods = podsOf(objects)
          expect(pods.length).to.be.at.least(2)
          await applyAll(
            kubernetes,
            pods.map(pod => ({...pod, metadata: {...pod.metadata, namespace}})),
          )
        } finally {
          await removeServices(kubernetes, namespace)
        }
      })
  })

describe('a port of the host', () => {
  it('is refused by name where Pod Security is enforced, and accepted where the namespace is "privileged"', async () => {
    for (const level of ['restricted', 'baseline', 'privileged']) {
      const namespace = await kubernetes.newNamespace('charts', {'pod-security.kubernetes.io/enforce': level})
      const [pod] = podsOf(await objectsOf({chart: 'envoy', ci: 'hostport', namespace}))
      const made = applyAll(kubernetes, [{...pod!, metadata: {...pod!.metadata, namespace}}])
      expect(await failureOf(made), level).to.match(level === 'privileged' ? /^$/ : /violates PodSecurity.*hostPort/s)
    }
  })
})

describe('a second installation in a namespace', () => {
  it('is refused by both Helms, before anything is changed', async () => {
    for (const major of majors) {
      const namespace = await kubernetes.newNamespace('charts')
      expect((await install('atlas', {namespace, release: 'one', major})).code).to.equal(0)
      const {code, stderr} = await install('atlas', {namespace, release: 'two', major})
      expect(code).to.equal(1)
      expect(stderr).to.match(/atlas-ads|atlas-cluster-admin/)
      expect((await kubernetes.kubectl(['get', 'deployments', '-n', namespace, '-o', 'name'])).stdout).to.not.include('two')
      await removeServices(kubernetes, namespace)
    }
  })
})

describe('a thanosNamespace that does not exist', () => {
  it('is named by both Helms, and nothing of the release is left', async () => {
    for (const major of majors) {
      const namespace = await kubernetes.newNamespace('charts')
      const {code, stderr} = await helm(
        'install',
        'atlas',
        {namespace, release: 'atlas', major},
        ['thanosNamespace=nowhere'],
        ['--timeout', '20s'],
      )
      expect(code).to.equal(1)
      expect(stderr).to.match(/pre-install.*namespaces "nowhere" not found/s)
      const kinds = 'deployments,statefulsets,services,configmaps,serviceaccounts,roles,rolebindings,jobs'
      const {stdout} = await kubernetes.kubectl(['get', kinds, '-n', namespace, '-l', 'app.kubernetes.io/part-of=atlas', '-o', 'name'])
      expect(stdout.trim()).to.equal('')
    }
  })
})

for (const major of majors)
  for (const chart of charts)
    describe(`helm ${major} with chart ${chart}`, () => {
      it('installs, prints the next step, upgrades without a change, and deletes its own objects and nothing else (D30)', async () => {
        const namespace = await kubernetes.newNamespace('charts')
        const at = {namespace, release: 'atlas', major}
        const installed = await install(chart, at)
        expect(installed.code, installed.stderr).to.equal(0)
        expect(installed.stdout).to.include(chart === 'atlas' ? 'atlas cluster add NAME' : 'helm test atlas')
        // Objects that Atlas and operators create meanwhile.
        const zone = {apiVersion: 'v1', kind: 'ConfigMap', metadata: {name: 'atlas-coredns'}, data: {'atlas.zone': '$ORIGIN atlas.'}}
        const zonePath = `/api/v1/namespaces/${namespace}/configmaps`
        expect((await kubernetes.request('POST', `${zonePath}?fieldManager=atlas`, zone)).status).to.equal(201)
        const before = await versionsIn(namespace)
        const again = await helm('upgrade', chart, at)
        expect(again.code, again.stderr).to.equal(0)
        expect(await versionsIn(namespace)).to.deep.equal(before)
        const changed = await helm('upgrade', chart, at, chart === 'atlas' ? ['envoy.replicas=3', 'coredns.enabled=true'] : ['replicas=3'])
        expect(changed.code, changed.stderr).to.equal(0)
        const {body} = await kubernetes.request<{data: unknown}>('GET', `${zonePath}/atlas-coredns`)
        expect(body.data).to.deep.equal(zone.data)
        const removed = await kubernetes.helm(['uninstall', 'atlas', '-n', namespace, '--no-hooks'], {major})
        expect(removed.code, removed.stderr).to.equal(0)
        const left = Object.keys(await versionsIn(namespace))
        expect(left).to.deep.equal(['ConfigMap/atlas-coredns'])
      })
    })

describe('an existing installation', () => {
  for (const major of majors)
    it(`is kept: helm ${major} refuses values that contradict it, and names the right ones`, async () => {
      const namespace = await kubernetes.newNamespace('charts')
      const data = {'trust-domain': 'a.example', 'cluster-domain': 'cluster.local', 'thanos-namespace': namespace}
      const fleet = {apiVersion: 'v1', kind: 'ConfigMap', metadata: {name: 'atlas-fleet'}, data}
      await kubernetes.request('POST', `/api/v1/namespaces/${namespace}/configmaps`, fleet)
      const at = {namespace, release: 'atlas', major}
      const refused = await install('atlas', at)
      expect(refused.code).to.equal(1)
      expect(refused.stderr).to.include('set trustDomain=a.example')
      const taken = await helm('install', 'atlas', at, ['trustDomain=a.example'])
      expect(taken.code, taken.stderr).to.equal(0)
      const moved = await helm('upgrade', 'atlas', at, ['trustDomain=a.example', 'thanosNamespace=monitoring'])
      expect(moved.stderr).to.include(`set thanosNamespace=${namespace}`)
      await removeServices(kubernetes, namespace)
    })
})

describe('an installation with plaintext on 10901', () => {
  for (const major of majors)
    it(`is not exposed by helm ${major}, with any values, until it has been switched`, async () => {
      const namespace = await kubernetes.newNamespace('charts')
      const configMaps = `/api/v1/namespaces/${namespace}/configmaps`
      const fleet = {apiVersion: 'v1', kind: 'ConfigMap', metadata: {name: 'atlas-fleet'}, data: {clients: 'thanos'}}
      await kubernetes.request('POST', configMaps, fleet)
      const at = {namespace, release: 'atlas', major}
      const exposing = ['internalTls={10901}', 'clients={thanos}', 'service.clients.enabled=true']
      const refused = await helm('install', 'atlas', at, exposing)
      expect(refused.code).to.equal(1)
      expect(refused.stderr).to.include(`atlas init --namespace ${namespace} --internal-tls 10901`)
      const data = {'internal-tls': '10901'}
      await kubernetes.request('PATCH', `${configMaps}/atlas-fleet`, {data}, {contentType: 'application/merge-patch+json'})
      const taken = await helm('install', 'atlas', at, exposing)
      expect(taken.code, taken.stderr).to.equal(0)
      expect(Object.keys(await versionsIn(namespace))).to.include('Service/atlas-clients')
      await removeServices(kubernetes, namespace)
    })
})

describe('a release of Helm 3', () => {
  for (const chart of charts)
    it(`is upgraded by Helm 4: chart ${chart}`, async () => {
      const namespace = await kubernetes.newNamespace('charts')
      const at = {namespace, release: 'atlas'}
      expect((await install(chart, {...at, major: 3})).code).to.equal(0)
      const upgraded = await helm('upgrade', chart, {...at, major: 4}, chart === 'atlas' ? ['envoy.replicas=3'] : ['replicas=3'])
      expect(upgraded.code, upgraded.stderr).to.equal(0)
      const {stdout} = await kubernetes.kubectl(['get', 'deployment', 'atlas-envoy', '-n', namespace, '-o', 'jsonpath={.spec.replicas}'])
      expect(stdout).to.equal('3')
      await removeServices(kubernetes, namespace)
    })
})

for (const major of majors)
  describe(`the hook with helm ${major}`, () => {
    it('runs before everything else, with an account that is deleted afterwards', async () => {
      const namespace = await kubernetes.newNamespace('charts')
      const jobs = `/apis/batch/v1/namespaces/${namespace}/jobs/atlas-init`
      const installing = helm('install', 'atlas', {namespace, release: 'atlas', major}, [], ['--timeout', '140s'])
      const probe = async (): Promise<true | undefined> => ((await kubernetes.request('GET', jobs)).status === 200 ? true : undefined)
      await waitFor("the hook's Job", probe, {signal: new AbortController().signal, timeoutMs: 120_000})
      expect(Object.keys(await versionsIn(namespace)), 'nothing but the hook').to.have.members([
        'Job/atlas-init',
        'Role/atlas-init',
        'RoleBinding/atlas-init',
        'ServiceAccount/atlas-init',
      ])
      await succeed(jobs)
      const {code, stderr} = await installing
      expect(code, stderr).to.equal(0)
      const there = Object.keys(await versionsIn(namespace))
      expect(there.filter(name => name.endsWith('/atlas-init'))).to.deep.equal([])
      expect(there).to.include('StatefulSet/atlas-ads')
      await removeServices(kubernetes, namespace)
    })
  })

interface At {
  readonly namespace: string
  readonly release: string
  readonly major: Major
}

/** Without hooks: no kubelet here would run their Jobs. */
async function install(chart: Chart, at: At) {
  return helm('install', chart, at, [], ['--no-hooks'])
}

async function helm(
  verb: 'install' | 'upgrade',
  chart: Chart,
  {namespace, release, major}: At,
  set: readonly string[] = [],
  more?: readonly string[],
) {
  const options = more ?? ['--no-hooks']
  const values = valueArgs({chart, ci: 'default', set})
  return kubernetes.helm([verb, release, chartFolder(chart), '-n', namespace, ...values, ...options], {major})
}

/** Does the work of the Job's controller and its pod. */
async function succeed(job: string): Promise<void> {
  const time = new Date().toISOString().replace(/\.\d+Z$/, 'Z')
  const condition = (type: string): object => ({type, status: 'True', lastProbeTime: time, lastTransitionTime: time})
  const status = {startTime: time, completionTime: time, succeeded: 1, conditions: [condition('SuccessCriteriaMet'), condition('Complete')]}
  const answer = await kubernetes.request('PATCH', `${job}/status`, {status}, {contentType: 'application/merge-patch+json'})
  expect(answer.status, JSON.stringify(answer.body)).to.equal(200)
}

const kinds =
  'configmaps,deployments,statefulsets,jobs,services,serviceaccounts,roles,rolebindings,networkpolicies,poddisruptionbudgets,pods,secrets'

/** resourceVersions by kind and name, without Helm's own records and what Kubernetes puts into every namespace. */
async function versionsIn(namespace: string): Promise<Record<string, string>> {
  const {stdout, stderr} = await kubernetes.kubectl(['get', kinds, '-n', namespace, '-o', 'json'])
  if (stdout === '') throw new Error(stderr)
  const {items} = JSON.parse(stdout) as {items: {kind: string; type?: string; metadata: {name: string; resourceVersion: string}}[]}
  const own = items.filter(
    ({type, metadata}) => type !== 'helm.sh/release.v1' && metadata.name !== 'kube-root-ca.crt' && metadata.name !== 'default',
  )
  return Object.fromEntries(own.map(({kind, metadata}) => [`${kind}/${metadata.name}`, metadata.resourceVersion]))
}

async function failureOf(work: Promise<void>): Promise<string> {
  return work.then(
    () => '',
    (error: unknown) => String(error),
  )
}
