/**
 * How many open files an Envoy needs. Envoy crashes when it meets its limit (envoyproxy/envoy#18038), so it must never meet it: printed
 * commands set a limit, the bootstrap says which one, and `atlas status` compares (docs/explanation/envoy.md#open-files).
 */
import type {Cluster} from './cluster.js'
import {type Fleet, clusterOf, clustersOf} from './fleet.js'
import {OBSERVABILITY, type Owner} from './names.js'
import {thanosEndpointsOf} from './thanos-target.js'

/** The limit that printed commands set: enough for 20,000 addresses and two workers. */
export const DEFAULT_OPEN_FILES = 65_536

/** The usual limit of a process for which none was set; it counts for an Envoy whose bootstrap names none. */
export const USUAL_OPEN_FILES = 1024

/** Worker threads of an Envoy whose bootstrap names no number: that of the charts. */
export const DEFAULT_WORKERS = 2

/** Listeners, the connection to the ADS server, probes, log files, Thanos Query's connections. */
const RESERVE = 200

export interface OpenFiles {
  /** What the Envoy connects to. */
  readonly addresses: number
  readonly workers: number
  /** Connections in: other clusters' Envoys on 10900. */
  readonly connections: number
}

/** Each worker keeps a connection to each address, and the health check one more. */
export function openFilesNeeded({addresses, workers, connections}: OpenFiles): number {
  return addresses * (workers + 1) + connections + RESERVE
}

/** How many addresses an Envoy of `owner` connects to; a name may have one of either family. */
export function addressesOf(fleet: Fleet, owner: Owner): number {
  if (owner !== OBSERVABILITY) return 2 * endpointsIn(clusterOf(fleet, owner))
  return clustersOf(fleet).reduce((sum, cluster) => sum + addressesOfCluster(cluster), 0)
}

function endpointsIn(cluster: Cluster | undefined): number {
  return cluster === undefined ? 0 : thanosEndpointsOf(cluster).length
}

function addressesOfCluster({addresses}: Cluster): number {
  return addresses.reduce((sum, {kind}) => sum + (kind === 'dns' ? 2 : 1), 0)
}
