/** Texts that hold a part of each cluster, such as the zone: made again only when a part differs, whatever else changes in the fleet. */
import {type Cluster, isPending} from '../model/cluster.js'
import {type Fleet, clusterOf, clustersOf} from '../model/fleet.js'
import type {ClusterName} from '../model/names.js'
import {differingKeys} from '../model/persistent-map.js'
import type {Settings} from '../model/settings.js'

/**
 * A text of the clusters that have an address.
 * @param partOf a cluster's part; of equal parts the same text is made
 * @param whole the text of all parts, in the order of the clusters' names
 * @returns a function that keeps the text of its last fleet
 */
export function clusterText(
  partOf: (cluster: Cluster, settings: Settings) => string,
  whole: (parts: readonly string[], settings: Settings) => string,
): (fleet: Fleet, settings: Settings) => string {
  let last: {readonly fleet: Fleet; readonly settings: Settings; readonly text: string} | undefined

  const partIn = (fleet: Fleet, settings: Settings, name: ClusterName): string | undefined => {
    const cluster = clusterOf(fleet, name)
    return cluster === undefined || isPending(cluster) ? undefined : partOf(cluster, settings)
  }

  const isSame = (before: Fleet, after: Fleet, settings: Settings): boolean =>
    before.faults === after.faults &&
    differingKeys(before.registrations, after.registrations).every(
      name => partIn(before, settings, name) === partIn(after, settings, name),
    ) &&
    // The record of a cluster whose registration can't be read has the registration that is served.
    (after.faults.size === 0 || before.records === after.records)

  return (fleet, settings) => {
    if (last?.settings !== settings || !isSame(last.fleet, fleet, settings)) {
      const clusters = clustersOf(fleet).filter(cluster => !isPending(cluster))
      const parts = clusters.map(cluster => partOf(cluster, settings))
      last = {fleet, settings, text: whole(parts, settings)}
    }

    last = {fleet, settings, text: last.text}
    return last.text
  }
}
