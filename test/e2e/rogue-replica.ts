/**
 * A replica of the server whose fleet has a cluster more than it should, `extra`, and one that Envoy refuses, `ghost`; it falls silent
 * towards its Envoys as soon as one has refused something, so that it never repairs it. Its reports are those of any replica. To be killed.
 */
import {Duplex} from 'node:stream'
import {dependencies} from '../../src/lib/cli/base-command.js'
import {parseListen} from '../../src/lib/model/address.js'
import {type Change, reduceAll} from '../../src/lib/model/change.js'
import type {Cluster} from '../../src/lib/model/cluster.js'
import type {ClusterName} from '../../src/lib/model/names.js'
import {openCluster, servedSecrets} from '../../src/lib/store/open.js'
import {openLog} from '../../src/server/log.js'
import {serve} from '../../src/server/serve.js'
import {testCluster} from '../helpers/fleet.js'

const [kubeconfig = '', namespace = '', replica = '', listen = '', admin = ''] = process.argv.slice(2)

/** A name that no parser lets through: as a server name (SNI) it is too long for Envoy, which finds out when it makes the cluster. */
const ghost = `ghost${'t'.repeat(250)}` as ClusterName
const clusters: readonly Cluster[] = [testCluster('extra'), {...testCluster('ghost'), name: ghost}]
const more = clusters.map((value): Change => ({kind: 'registration', name: value.name, value}))

let isSilent = false
// Node's own class below grpc-js's: what a stream sends goes through here.
const write = Reflect.get(Duplex.prototype, 'write') as (...args: unknown[]) => boolean
Duplex.prototype.write = function (this: Duplex, ...args: unknown[]): boolean {
  return isSilent && this.constructor.name === 'ServerDuplexStreamImpl' ? true : Reflect.apply(write, this, args)
}

const store = await openCluster({cluster: {kubeconfig, namespace}, secrets: servedSecrets})
const log = openLog()
await serve({
  store: {...store, watch: async (watcher, signal) => reduceAll(await store.watch(watcher, signal), more)},
  dependencies,
  role: 'ads',
  replica,
  listen: parseListen(listen, '--listen'),
  admin: parseListen(admin, '--admin'),
  times: {reportMs: 300},
  log: {
    ...log,
    warn(message, fields) {
      // Heard before the answer is thought of.
      if (message.includes('NACK')) isSilent = true
      log.warn(message, fields)
    },
  },
})
