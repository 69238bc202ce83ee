/** A fleet in which nothing changes: servers request nothing but Leases of the API server, and look whether their watches still hold. */
import {expect} from 'chai'
import {setTimeout as sleep} from 'node:timers/promises'
import {dependencies} from '../../src/lib/cli/base-command.js'
import {parseAddress} from '../../src/lib/model/address.js'
import type {Change} from '../../src/lib/model/change.js'
import {init} from '../../src/lib/ops/init.js'
import {planReconcile} from '../../src/lib/ops/reconcile.js'
import {openCluster} from '../../src/lib/store/open.js'
import {serve} from '../../src/server/serve.js'
import {testCluster} from '../helpers/fleet.js'
import {faultProxy} from '../helpers/kubernetes/fault-proxy.js'
import {sharedKubernetes} from '../helpers/kubernetes/shared.js'

const CLUSTERS = 200
/** Shorter than the defaults: looks at the Leases, and the time of a watch. Milliseconds. */
const STORE_TIMES = {leaseRenewMs: 500, leaseRetryMs: 500, replicaRenewMs: 500, replicaLookMs: 500, promptWatchMs: 1000}
/** Longer than a report's pause, several looks at the Leases, and two watches, milliseconds. */
const IDLE = 4000
/** A server that requested nothing but watches and Leases for this long has done all its work, milliseconds. */
const QUIET = 1000

describe('an idle fleet', function () {
  this.timeout(300_000)

  it(`of ${CLUSTERS} clusters: no request but for Leases, and for one object after each watch without an event`, async () => {
    const kubernetes = await sharedKubernetes()
    const namespace = await kubernetes.newNamespace('idle')
    const proxy = await faultProxy(kubernetes)
    const local = {host: '127.0.0.1', port: 0}
    const store = await openCluster({cluster: {kubeconfig: kubernetes.kubeconfig, namespace}, secrets: 'all'})
    await init(store, {addresses: [parseAddress('203.0.113.7')]}, dependencies)
    const registrations = Array.from({length: CLUSTERS}, (_, index): Change => {
      const value = testCluster(`c${index}`)
      return {kind: 'registration', name: value.name, value}
    })
    await store.commit(await store.load(), registrations)
    const through = await openCluster({cluster: {kubeconfig: proxy.kubeconfig, namespace}, secrets: 'all', times: STORE_TIMES})
    const server = await serve({
      store: through,
      dependencies,
      replica: 'idle-0',
      listen: local,
      admin: local,
      log: 'silent',
      times: {reportMs: 500},
    })
    try {
      const isDone = async (): Promise<boolean> => {
        const fleet = await store.load()
        const [report] = fleet.reports.values()
        return (
          fleet.credentials.size === CLUSTERS + 1 &&
          report?.report.ready === true &&
          planReconcile(fleet, dependencies, {withDerived: true}).length === 0
        )
      }
      while (!(await isDone())) await sleep(100)
      const requested = () => proxy.requests().filter(({path}) => !path.includes('/leases'))
      do {
        proxy.reset()
        await sleep(QUIET)
      } while (requested().some(({method}) => method !== 'GET'))
      proxy.reset()
      await sleep(IDLE)
      const asked = requested()
      const looks = asked.filter(({isWatch, query}) => !isWatch && query.get('limit') === '1')
      expect(asked.filter(seen => !seen.isWatch && !looks.includes(seen)).map(({method, path}) => `${method} ${path}`)).to.deep.equal([])
      // Services and ConfigMaps are watched for 2 s at a time, which is too short for a bookmark.
      expect(looks.length).to.be.at.most(8)
      expect(proxy.requests({path: /leases/}).length).to.be.within(4, 40)
    } finally {
      await server.stop()
      store.close()
      through.close()
      await proxy.close()
    }
  })
})
