/** A process that watches a namespace as a server, and prints how much memory it uses. Arguments: kubeconfig, namespace. Run with --expose-gc. */
import {reduceAll} from '../../../src/lib/model/change.js'
import {emptyFleet} from '../../../src/lib/model/fleet.js'
import {unmoved} from '../../helpers/server.js'
import {sleep} from '../recorder.js'
import {openNamespace, quickTimes} from './place.js'

const [kubeconfig = '', namespace = ''] = process.argv.slice(2)
const collect = globalThis.gc as () => void
const often = {leaseRenewMs: 10, leaseRetryMs: 10, replicaRenewMs: 10, replicaLookMs: 10}
const store = await openNamespace(kubeconfig, namespace, {times: {...quickTimes, ...often}})
let fleet = emptyFleet
let changes = 0
fleet = await store.watch(
  {
    changed(added) {
      fleet = reduceAll(fleet, added)
      changes += added.length
    },
    failed: () => undefined,
    recovered: () => undefined,
  },
  new AbortController().signal,
)
await store.hold({admin: '', replica: 'watcher', role: 'all'}, unmoved)
for (;;) {
  collect()
  process.stdout.write(`${changes} ${fleet.registrations.size} ${process.memoryUsage().heapUsed}\n`)
  await sleep(100)
}
