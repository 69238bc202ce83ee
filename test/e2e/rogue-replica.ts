/**
 * A replica of the server whose fleet has an additional cluster, `extra`, and one that Envoy rejects, `ghost`; it sends nothing more
 * to its Envoys as soon as one has sent a NACK, so that it never repairs it. Its reports are those of any replica. The test kills it.
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

/** A name that no parser accepts: as a server name (SNI) it is too long, which Envoy finds when it makes the cluster. */
const ghost = `ghost${'t'.repeat(250)}` as ClusterName
const clusters: readonly Cluster[] = [testCluster('extra'), {...testCluster('ghost'), name: ghost}]
const more = clusters.map((value): Change => ({kind: 'registration', name: value.name, value}))

let isSilent = false
// Node's own class below grpc-js: all data of a stream passes here.
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
  pagesListen: {host: parseListen(listen, '--listen').host, port: 0},
  admin: parseListen(admin, '--admin'),
  times: {reportMs: 300},
  log: {
    ...log,
    warn(message, fields) {
      // Called before the server handles the request.
      if (message.includes('NACK')) isSilent = true
      log.warn(message, fields)
    },
  },
})
