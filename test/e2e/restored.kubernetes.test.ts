/** etcd is restored from an older copy while servers run: both notice, both go on from what is there now, and a revocation stays. */
import {cp, rm} from 'node:fs/promises'
import path from 'node:path'
import {expect} from 'chai'
import {dependencies} from '../../src/lib/cli/base-command.js'
import {parseAddress} from '../../src/lib/model/address.js'
import type {Change} from '../../src/lib/model/change.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import {init} from '../../src/lib/ops/init.js'
import {planRemoval} from '../../src/lib/ops/revoke.js'
import {openCluster} from '../../src/lib/store/open.js'
import type {StateStore} from '../../src/lib/store/store.js'
import {type Serving, serve} from '../../src/server/serve.js'
import {testCluster} from '../helpers/fleet.js'
import type {Kubernetes} from '../helpers/kubernetes/kubernetes.js'
import {ownKubernetes} from '../helpers/kubernetes/shared.js'
import {until} from '../store/recorder.js'

const lyon = parseClusterName('lyon')
const local = {host: '127.0.0.1', port: 0}
const registration = (name: string): Change => ({kind: 'registration', name: parseClusterName(name), value: testCluster(name)})

describe('e2e: etcd is restored from an older copy', function () {
  this.timeout(300_000)
  let kubernetes: Kubernetes
  let namespace = ''
  const stores: StateStore[] = []
  const servers: Serving[] = []
  const open = async (): Promise<StateStore> => {
    const store = await openCluster({cluster: {kubeconfig: kubernetes.kubeconfig, namespace}, secrets: 'all'})
    stores.push(store)
    return store
  }
  const commit = async (...changes: readonly Change[]): Promise<void> => {
    const store = await open()
    await store.commit(await store.load(), changes)
  }
  /** The clusters that each server expects an Envoy of. */
  const known = (): readonly string[] => servers.map(server => [...server.report().withoutProxy].sort().join())
  const stop = async (): Promise<void> => {
    await kubernetes.cluster.apiServer.stop()
    await kubernetes.cluster.etcd.stop()
  }
  const start = async (): Promise<void> => {
    await kubernetes.cluster.etcd.start()
    await kubernetes.cluster.apiServer.start()
  }

  before(async () => {
    kubernetes = await ownKubernetes()
    namespace = await kubernetes.newNamespace('restored')
    await init(await open(), {addresses: [parseAddress('203.0.113.7')]}, dependencies)
    await commit(registration('paris'), registration('lyon'))
    for (const replica of ['ads-0', 'ads-1'])
      servers.push(await serve({store: await open(), dependencies, replica, listen: local, admin: local, log: 'silent'}))
  })
  after(async () => {
    for (const server of servers) await server.stop()
    for (const store of stores) store.close()
    await kubernetes.cluster.end()
  })

  it('both servers name it and take up every change without a restart; what was revoked stays revoked', async () => {
    await until(() => known().every(names => names === 'atlas,lyon,paris'), 60_000)
    await until(async () => (await (await open()).load()).credentials.has(lyon), 60_000)
    const {folder} = kubernetes.cluster
    const [data, copy] = [path.join(folder, 'etcd'), path.join(folder, 'copy')]
    await stop()
    await cp(data, copy, {recursive: true})
    await start()

    const store = await open()
    await until(async () => {
      const base = await store.load()
      await store.commit(base, [registration('rome'), ...planRemoval(base, lyon, dependencies)]).catch(() => undefined)
      return known().every(names => names === 'atlas,paris,rome')
    }, 60_000)
    // The revision that the copy is at is left far behind.
    for (let index = 0; index < 30; index += 1)
      await kubernetes.request('POST', `/api/v1/namespaces/${namespace}/configmaps`, {metadata: {name: `other-${index}`}})
    await stop()
    await rm(data, {recursive: true})
    await cp(copy, data, {recursive: true})
    await start()

    // rome was added after the copy, and is gone; lyon is registered again.
    await until(() => known().every(names => names === 'atlas,lyon,paris'), 90_000)
    for (const server of servers) expect(server.readiness().warnings.join()).to.contain('the cluster was found at an earlier state')
    await until(async () => {
      const record = (await store.load()).records.get(lyon)
      return record?.generation === 2 && record.denied.length === 2
    }, 60_000)
    await commit(registration('oslo'))
    await until(() => known().every(names => names === 'atlas,lyon,oslo,paris'), 60_000)
  })
})
