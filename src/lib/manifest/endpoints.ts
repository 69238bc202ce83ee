/** The endpoints file of Thanos Query (`--endpoint.sd-config-file`): every replica of every cluster that can be dialled. */
import {type Cluster, isPending, replicasOf} from '../model/cluster.js'
import {type Fleet, clustersOf} from '../model/fleet.js'
import {sidecarName} from '../model/names.js'
import type {Settings} from '../model/settings.js'
import {renderYaml} from './yaml.js'

/** YAML text; byte-stable, sorted by cluster, then replica. An empty list is legal there. */
export function renderEndpoints(fleet: Fleet): string {
  const {settings} = fleet
  if (settings === undefined) return NONE
  const blocks = clustersOf(fleet)
    .filter(cluster => !isPending(cluster))
    .map(cluster => blockOf(cluster, settings))
  return blocks.length === 0 ? NONE : `endpoints:\n${blocks.join('')}`
}

/** The address of one replica for Thanos Query. */
export function endpointOf(settings: Settings, service: string): string {
  return settings.endpointTemplate
    .replaceAll('{service}', service)
    .replaceAll('{namespace}', settings.namespace)
    .replaceAll('{clusterDomain}', settings.clusterDomain)
}

const NONE = renderYaml({endpoints: []})

const blocks = new WeakMap<Cluster, {readonly settings: Settings; readonly text: string}>()

/** A cluster's part of the list; remembered, since one change among a thousand clusters leaves all others as they were. */
function blockOf(cluster: Cluster, settings: Settings): string {
  const known = blocks.get(cluster)
  if (known?.settings === settings) return known.text
  const endpoints = replicasOf(cluster).map(replica => ({address: endpointOf(settings, sidecarName(cluster.name, replica))}))
  const text = `${renderYaml(endpoints).trimEnd().replaceAll(/^/gm, '  ')}\n`
  blocks.set(cluster, {settings, text})
  return text
}
