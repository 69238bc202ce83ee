/**
 * A server process as far as its store goes: it takes part, and whenever it may, and whenever it may not, it tries to write. Arguments:
 * kubeconfig, namespace, name, role, and by how many milliseconds its clock is wrong. It says on stdout how it fares.
 */
import {parseAddress} from '../../../src/lib/model/address.js'
import {AtlasError} from '../../../src/lib/model/errors.js'
import {testCluster} from '../../helpers/fleet.js'
import {record, sleep} from '../recorder.js'
import type {ServerRole} from '../../../src/lib/store/store.js'
import {electionTimes} from './history.js'
import {openNamespace, quickTimes} from './place.js'

const [kubeconfig = '', namespace = '', name = '', role = 'controller', skew = '0'] = process.argv.slice(2)
const say = (text: string): void => void process.stdout.write(`${text}\n`)

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
    leading: leads => say(leads ? 'leads' : 'yields'),
    living: () => undefined,
    failed: error => say(`failed ${error?.message ?? 'no more'}`),
  },
)
const ended = new AbortController()
process.once('SIGTERM', () => ended.abort())
say('takes part')
for (let count = 1; !ended.signal.aborted; count += 1) {
  // A new object each time, and one that everybody writes.
  const [own, shared] = [testCluster(`${name}-${count}`), testCluster('paris')]
  const addresses = [parseAddress(`${name}.example.net`)]
  try {
    await store.commit(watch.fleet, [
      {kind: 'registration', name: own.name, value: {...own, addresses}},
      {kind: 'registration', name: shared.name, value: {...shared, addresses, replicas: 1 + (count % 900)}},
    ])
    say(`wrote ${count}`)
  } catch (error) {
    if (!(error instanceof AtlasError)) throw error
    await sleep(5)
  }
}

watch.stop()
await held.release()
store.close()
say('gave back')
