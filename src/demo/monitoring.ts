/** Starts the monitoring: a Prometheus and a Thanos sidecar replace each cluster's stand-in, and Thanos Query starts. */
import type {HostPort} from '../lib/model/address.js'
import type {ClusterName} from '../lib/model/names.js'
import {type Backend, type Network, closeStandIn, clusterNameAt} from './network.js'
import {prometheusOf, startPrometheus} from './prometheus.js'
import type {DownstreamSite, Sites} from './lab/sites.js'
import {startQuery, startSidecar} from './thanos.js'

/** Paths of the binaries. */
export interface MonitoringPrograms {
  readonly prometheus: string
  readonly thanos: string
}

/** A cluster and its address; it may not be registered yet. */
export interface ClusterSite {
  readonly name: ClusterName
  readonly site: DownstreamSite
}

/** The clusters of the demo in order; the last one joins while the network runs. */
export function sitesByCluster({downstreams}: Sites): readonly ClusterSite[] {
  return downstreams.map((site, index) => ({name: clusterNameAt(index), site}))
}

/** Starts a Prometheus for each cluster that is not removed. One that another program runs is replaced by this program, with its data. */
export async function startPrometheuses(network: Network, program: string): Promise<void> {
  const {context, members, prometheuses} = network
  const isRunning = prometheuses.size > 0
  if (isRunning && network.prometheusProgram === program) return
  if (isRunning) context.screen.step('The same Prometheuses with the newer program')
  network.prometheusProgram = program
  const places = isRunning ? members.filter(({name}) => prometheuses.has(name)) : sitesByCluster(context.sites)
  await Promise.all(
    places.map(async ({name, site}) => {
      await prometheuses.get(name)?.stop()
      prometheuses.set(name, await startPrometheus(prometheusOf(name, site), program, context))
    }),
  )
}

/** Replaces the stand-ins by sidecars and starts Thanos Query. @returns its address */
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

/** Starts the sidecar of a cluster whose Prometheus runs. */
export async function sidecarAt({context}: Network, {name, site}: ClusterSite, {thanos}: MonitoringPrograms): Promise<Backend> {
  const at = (port: number): HostPort => ({host: site.address, port})
  const place = {prometheus: prometheusOf(name, site), grpc: at(site.ports.sidecarGrpc), http: at(site.ports.sidecarHttp)}
  return {kind: 'sidecar', running: await startSidecar(place, thanos, context)}
}
