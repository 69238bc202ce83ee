/** The state store's contract, kept by a namespace of a real API server. */
import {faultsContract} from '../../contracts/store-faults.contract.js'
import type {Place} from '../../contracts/place.js'
import {watchContract} from '../../contracts/store-watch.contract.js'
import {storeContract} from '../../contracts/store.contract.js'
import {type FaultProxy, faultProxy} from '../../helpers/kubernetes/fault-proxy.js'
import {sharedKubernetes} from '../../helpers/kubernetes/shared.js'
import {namespacePlace} from './place.js'

let proxy: Promise<FaultProxy> | undefined

const create = async (): Promise<Place> => {
  const kubernetes = await sharedKubernetes()
  proxy ??= faultProxy(kubernetes)
  return namespacePlace(kubernetes, await proxy)
}

after('the proxy ends', async () => (await proxy)?.close())

storeContract('kubernetes', create, {isCluster: true})
watchContract('kubernetes', create)
faultsContract('kubernetes', create, {damaged: false})
