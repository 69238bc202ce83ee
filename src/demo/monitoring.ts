/** Prometheus and Thanos take the place of the stand-ins, and Thanos Query begins to ask. */
import type {HostPort} from '../lib/model/address.js'
import type {ClusterName} from '../lib/model/names.js'
import {type Backend, type Network, closeStandIn, clusterNameAt} from './network.js'
import {startPrometheus} from './prometheus.js'
import type {DownstreamSite, Sites} from './lab/sites.js'
import {startQuery, startSidecar} from './thanos.js'

/** Where the programs are. */
export interface MonitoringPrograms {
  readonly prometheus: string
  readonly thanos: string
}

/** Where a cluster is, or will be. */
export interface ClusterSite {
  readonly name: ClusterName
  readonly site: DownstreamSite
}

/** The clusters of the demo in order; the last one joins while all runs. */
export function sitesByCluster({downstreams}: Sites): readonly ClusterSite[] {
  return downstreams.map((site, index) => ({name: clusterNameAt(index), site}))
}

/** Starts every Prometheus that does not run yet. */
export async function startPrometheuses({context, prometheuses}: Network, program: string): Promise<void> {
  for (const {name, site} of sitesByCluster(context.sites)) {
    if (!prometheuses.has(name)) prometheuses.set(name, await startPrometheus(name, site, program, context))
  }
}

/** Puts sidecars in the stand-ins' places and starts Thanos Query. @returns where it answers */
export async function startMonitoring(network: Network, programs: MonitoringPrograms): Promise<HostPort> {
  const {context, members} = network
  context.screen.step(`A Prometheus with a Thanos sidecar in each of ${members.map(({name}) => name).join(', ')}`)
  await startPrometheuses(network, programs.prometheus)
  await Promise.all(
    members.map(async member => {
      await closeStandIn(member)
      member.backend = await sidecarAt(network, member, programs)
    }),
  )
  context.screen.step(`Thanos Query, at ${context.sites.query.address}, on the endpoints file that Atlas writes`)
  return startQuery(network.endpoints, programs.thanos, context)
}

/** Starts a cluster's sidecar; its Prometheus runs. */
export async function sidecarAt({context}: Network, {name, site}: ClusterSite, {thanos}: MonitoringPrograms): Promise<Backend> {
  return {kind: 'sidecar', running: await startSidecar(name, site, thanos, context)}
}
