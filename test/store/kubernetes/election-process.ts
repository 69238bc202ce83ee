/**
 * A server process without its server: it stands for election and tries to write all the time, also while it does not lead. Arguments:
 * kubeconfig, namespace, name, role, and the error of its clock in milliseconds. It prints what happens on stdout.
 */
import {parseAddress} from '../../../src/lib/model/address.js'
import {AtlasError} from '../../../src/lib/model/errors.js'
import {testCluster} from '../../helpers/fleet.js'
import {record, sleep} from '../recorder.js'
import type {ServerRole} from '../../../src/lib/store/store.js'
import {electionTimes} from './lease-history.js'
import {openNamespace, quickTimes} from './place.js'

const [kubeconfig = '', namespace = '', name = '', role = 'controller', skew = '0'] = process.argv.slice(2)
const print = (text: string): void => void process.stdout.write(`${text}\n`)

const RealDate = Date
const wrongBy = Number(skew)
globalThis.Date = class extends RealDate {
  constructor(...args: [] | [number | string]) {
    if (args.length === 0) super(RealDate.now() + wrongBy)
    else super(args[0])
  }

  static override now(): number {
    return RealDate.now() + wrongBy
  }
} as DateConstructor

const store = await openNamespace(kubeconfig, namespace, {times: {...quickTimes, ...electionTimes}})
const watch = await record(store)
const held = await store.hold(
  {admin: '', replica: name, role: role as ServerRole},
  {
    leading: leads => print(leads ? 'leads' : 'yields'),
    living: () => undefined,
    failed: error => print(`failed ${error?.message ?? 'no more'}`),
  },
)
const ended = new AbortController()
process.once('SIGTERM', () => ended.abort())
print('takes part')
for (let count = 1; !ended.signal.aborted; count += 1) {
  // A new object each time, and one that all processes write.
  const [own, shared] = [testCluster(`${name}-${count}`), testCluster('paris')]
  const addresses = [parseAddress(`${name}.example.net`)]
  try {
    await store.commit(watch.fleet, [
      {kind: 'registration', name: own.name, value: {...own, addresses}},
      {kind: 'registration', name: shared.name, value: {...shared, addresses, replicas: 1 + (count % 900)}},
    ])
    print(`wrote ${count}`)
  } catch (error) {
    if (!(error instanceof AtlasError)) throw error
    await sleep(5)
  }
}

watch.stop()
await held.release()
store.close()
print('gave back')
