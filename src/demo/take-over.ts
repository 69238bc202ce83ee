/** Prometheus and Thanos take the place of the stand-ins, and Thanos Query begins to ask. */
import type {HostPort} from '../lib/model/address.js'
import {type MonitoringPrograms, startQuery} from './monitoring.js'
import {type Network, replaceStandIn} from './network.js'

/** @returns where Thanos Query answers */
export async function startMonitoring(network: Network, programs: MonitoringPrograms): Promise<HostPort> {
  const {stage, members} = network
  stage.screen.step(`A Prometheus with a Thanos sidecar in each of ${members.map(({name}) => name).join(', ')}`)
  await Promise.all(members.map(async member => replaceStandIn(member, programs, stage)))
  const site = stage.sites.query
  stage.screen.step(`Thanos Query, at ${site.address}, on the endpoints file that Atlas writes`)
  await startQuery(site, network.endpoints, {...stage, programs})
  return {host: site.address, port: site.ports.http}
}
