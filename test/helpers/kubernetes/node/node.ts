/**
 * A stand-in for the nodes of a cluster: its Pods run as processes, each on its own loopback address, its Services forward to them,
 * and load balancers have an address. The Pods themselves are made by the real controllers from what real Helm has applied.
 */
import {setTimeout as sleep} from 'node:timers/promises'
import {serveDns} from '../../../../src/demo/lab/dns.js'
import {openSupervisor} from '../../../../src/demo/lab/processes.js'
import {ownAddress} from '../../../charts/support/pod-process.js'
import type {Kubernetes} from '../kubernetes.js'
import {openPods, type Pods} from './pods.js'
import {openServices} from './services.js'

export interface Node {
  /** All names of Services resolve to this address; a test may listen on ports that no Service of the cluster has. */
  readonly servicesAddress: string
  /** The address of the first Service of type LoadBalancer. */
  readonly balancerAddress: string
  readonly pods: Pods
  /** Ends every process. */
  end(): Promise<void>
}

/** Runs all present and future Pods until `end`. @param folder for the files that they mount, and their logs */
export async function startNode(kubernetes: Kubernetes, folder: string): Promise<Node> {
  const supervisor = await openSupervisor(folder, {removeFolder: true})
  const [servicesAddress, balancerAddress] = [ownAddress(), ownAddress()]
  const names = {host: servicesAddress, port: 1053}
  const dns = await serveDns(names, {suffix: 'svc.cluster.local', address: servicesAddress})
  const pods = openPods(kubernetes, {folder, supervisor, names})
  const services = openServices(kubernetes, {servicesAddress, balancerAddress, pods})
  const ending = new AbortController()
  const loop = (async () => {
    while (!ending.signal.aborted) {
      // The API server is busy, or stopping.
      await Promise.all([pods.look(), services.look()]).catch(() => undefined)
      await sleep(EVERY_MS, undefined, {signal: ending.signal}).catch(() => undefined)
    }
  })()
  return {
    servicesAddress,
    balancerAddress,
    pods,
    async end() {
      ending.abort()
      await loop
      services.close()
      await dns.close()
      await supervisor.stopAll(3000)
    },
  }
}

const EVERY_MS = 100
