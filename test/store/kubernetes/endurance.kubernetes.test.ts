/** A store over a long time: its memory, replaced credentials, an API server that hangs and restarts; and what a server reports of it. */
import {readFile, writeFile} from 'node:fs/promises'
import path from 'node:path'
import {expect} from 'chai'
import {type Supervisor, openSupervisor} from '../../../src/demo/lab/processes.js'
import {parseAddress} from '../../../src/lib/model/address.js'
import {init} from '../../../src/lib/ops/init.js'
import {cryptoSigner} from '../../../src/lib/pki/signer.js'
import {openAccess} from '../../../src/lib/store/kubernetes/access.js'
import {openClient} from '../../../src/lib/store/kubernetes/client.js'
import {listAll} from '../../../src/lib/store/kubernetes/list.js'
import {ownAddress} from '../../charts/support/pod-process.js'
import {makeReplica} from '../../e2e/replica.js'
import {freePort} from '../../helpers/serving.js'
import {rejectedBy} from '../../helpers/thrown.js'
import {startWorker} from '../../helpers/worker.js'
import {record, sleep, until} from '../recorder.js'
import {openNamespace} from './place.js'
import {type StoredAs, stageOf} from './stage.js'

const LONG = 60_000

describe('a store in the long run', function () {
  this.timeout(400_000)
  const stage = stageOf()

  it('keeps its memory size over 20,000 events and thousands of requests', async () => {
    await stage.seed(['paris'])
    const seen = (await stage.get('services', 'paris')) as StoredAs
    let revision = Number(seen.metadata.resourceVersion) + 1_000_000
    let [told, isRunning] = [0, false]
    const event = (index: number): string => {
      revision += 1
      const name = `c-${index % 100}`
      const annotations = {...seen.metadata.annotations, 'goatlas.io/addresses': `10.0.${Math.floor(index / 100)}.1`}
      const metadata = {...seen.metadata, name, uid: name, annotations, resourceVersion: String(revision)}
      return JSON.stringify({type: index < 100 ? 'ADDED' : 'MODIFIED', object: {...seen, metadata}})
    }

    const child = startWorker(new URL('watch-process.ts', import.meta.url), [stage.proxy.kubeconfig, stage.namespace], ['--expose-gc'])
    try {
      await child.line(line => / 1 \d+$/.test(line))
      stage.proxy.play(({path: at, isWatch}) => {
        if (!isWatch || at !== stage.path('services')) return undefined
        if (!isRunning || told >= 20_000) return {kind: 'hang'}
        const body = Array.from({length: 500}, (_, index) => event(told + index)).join('\n')
        told += 500
        return {kind: 'answer', status: 200, body: `${body}\n`}
      })
      isRunning = true
      stage.proxy.cutAll()
      /** Heap after garbage collection, bytes, the smallest of three samples, once this many events have come. */
      const heapAt = async (events: number): Promise<number> => {
        await until(() => told >= events && Number(child.said.at(-1)?.split(' ')[1]) === 101, LONG)
        const from = child.said.length
        await until(() => child.said.length >= from + 4, LONG)
        return Math.min(...child.said.slice(from + 1, from + 4).map(line => Number(line.split(' ')[2])))
      }

      const early = await heapAt(5000)
      const requests = stage.proxy.requests({path: /leases/}).length
      const late = await heapAt(20_000)
      expect(stage.proxy.requests({path: /leases/}).length).to.be.above(requests)
      expect((late - early) / 2 ** 20, 'MiB').to.be.below(3)
    } finally {
      await child.kill()
    }
  })

  it('reads credentials again that are replaced on disk', async () => {
    const account = await stage.kubernetes.serviceAccountKubeconfig(stage.namespace, 'reader')
    const group = 'apis/rbac.authorization.k8s.io/v1'
    const rules = [{apiGroups: [''], resources: ['services'], verbs: ['list']}]
    await stage.kubernetes.request('POST', stage.path('roles', undefined, group), {metadata: {name: 'reader'}, rules})
    await stage.kubernetes.request('POST', stage.path('rolebindings', undefined, group), {
      metadata: {name: 'reader'},
      roleRef: {apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'reader'},
      subjects: [{kind: 'ServiceAccount', name: 'reader', namespace: stage.namespace}],
    })
    const file = path.join(stage.kubernetes.cluster.folder, 'users', `replaced-${stage.namespace}.kubeconfig`)
    const good = await readFile(await stage.proxy.kubeconfigOf(account), 'utf8')
    const bad = good.replace(/token: .*/, 'token: worn-out')
    await writeFile(file, good, {mode: 0o600})
    const client = openClient(await openAccess({kubeconfig: file, namespace: stage.namespace}))
    const look = async (): Promise<unknown> => listAll(client, {resource: 'services', namespace: stage.namespace})
    await until(async () =>
      look().then(
        () => true,
        () => false,
      ),
    )
    const old = /token: (.*)/.exec(good)?.[1] ?? ''
    const isOld = (headers: Readonly<Record<string, unknown>>): boolean => String(headers['authorization']).includes(old)
    stage.proxy.play(({headers}) => (isOld(headers) ? {kind: 'answer', status: 401, body: {kind: 'Status', code: 401}} : undefined))
    await writeFile(file, bad)
    const refused = await rejectedBy(look())
    expect([refused.code, refused.message]).to.deep.equal([
      'unreachable',
      `the API server does not accept the credentials of context "reader" (401 Unauthorized)`,
    ])
    const again = await stage.kubernetes.serviceAccountKubeconfig(stage.namespace, 'reader')
    await writeFile(file, await readFile(await stage.proxy.kubeconfigOf(again), 'utf8'))
    await until(async () =>
      look().then(
        () => true,
        () => false,
      ),
    )
    client.close()
  })

  it('survives an API server that hangs, and one that is killed and restarts; a server reports it and continues', async () => {
    const {cluster} = stage.kubernetes
    const dependencies = {now: () => new Date(), signer: cryptoSigner}
    const admin = await openNamespace(stage.kubernetes.kubeconfig, stage.namespace)
    await init(admin, {addresses: [parseAddress('203.0.113.7')]}, dependencies)
    admin.close()
    const supervisor: Supervisor = await openSupervisor(cluster.folder, {removeFolder: false})
    const address = ownAddress()
    const all = stage.proxy.kubeconfig
    const server = makeReplica({
      name: `endurance-${stage.namespace}`,
      role: 'controller',
      namespace: stage.namespace,
      listen: {host: address, port: await freePort()},
      admin: {host: address, port: await freePort()},
      accounts: {ads: all, controller: all, all},
      times: {watch: '1s', silence: '4s', 'retry-max': '500ms'},
      supervisor,
    })
    const watch = await record(await stage.open({retryMaxMs: 200}))
    const warnings = async (): Promise<string> => (await server.readiness()).warnings.join('; ')
    try {
      await server.start()
      await server.untilReady()
      await until(async () => (await server.metric('atlas_leader')) === 1, LONG)
      await until(async () => (await server.metric('atlas_store_up')) === 1 && (await warnings()) === '', LONG)
      await until(async () => (await server.metric('atlas_store_silence_seconds')) < 4, LONG)
      for (let look = 0; look < 5; look += 1) {
        await sleep(1000)
        expect(await server.metric('atlas_store_silence_seconds'), `look ${look}`).to.be.below(15)
      }

      cluster.apiServer.pause()
      await until(async () => (await warnings()).includes('the store has not answered for'), LONG)
      expect(await server.metric('atlas_store_silence_seconds')).to.be.within(4, 15)
      expect((await server.readiness()).ready).to.equal(true)
      cluster.apiServer.resume()
      await until(async () => (await warnings()) === '' && (await server.metric('atlas_store_silence_seconds')) < 4, LONG)

      await cluster.apiServer.kill()
      await until(async () => (await server.metric('atlas_store_up')) === 0, LONG)
      await until(async () => (await warnings()).includes('the store can not be read; serving the last known fleet'), LONG)
      expect((await server.readiness()).ready).to.equal(true)
      await cluster.apiServer.start()
      await until(async () => (await server.metric('atlas_store_up')) === 1 && (await warnings()) === '', LONG)
      await stage.seed(['paris'])
      await until(async () => (await server.metric('atlas_clusters')) === 1, LONG)
      await until(() => watch.fleet.registrations.size === 1 && watch.failures.length === watch.recoveries, LONG)
    } finally {
      cluster.apiServer.resume()
      await cluster.apiServer.start()
      watch.stop()
      await supervisor.stopAll(2000)
    }
  })
})
