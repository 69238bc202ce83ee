/** The endpoints file of Thanos Query (`--endpoint.sd-config-file`): every replica of every cluster that can be dialled. */
import {isPending, replicasOf} from '../model/cluster.js'
import {type Fleet, clustersOf} from '../model/fleet.js'
import {sidecarName} from '../model/names.js'
import type {Settings} from '../model/settings.js'
import {renderYaml} from './yaml.js'

/** YAML text; byte-stable, sorted by cluster, then replica. Empty lists are legal there. */
export function renderEndpoints(fleet: Fleet): string {
  const {settings} = fleet
  if (settings === undefined) return renderYaml({endpoints: []})
  const clusters = clustersOf(fleet).filter(cluster => !isPending(cluster))
  const endpoints = clusters.flatMap(cluster =>
    replicasOf(cluster).map(replica => ({address: endpointOf(settings, sidecarName(cluster.name, replica))})),
  )
  return renderYaml({endpoints})
}

/** The address of one replica for Thanos Query. */
export function endpointOf(settings: Settings, service: string): string {
  return settings.endpointTemplate
    .replaceAll('{service}', service)
    .replaceAll('{namespace}', settings.namespace)
    .replaceAll('{clusterDomain}', settings.clusterDomain)
}
