/** Texts that hold a part of each cluster, such as the zone: made again only when a part differs, whatever else changes in the fleet. */
import {type Cluster, isPending} from '../model/cluster.js'
import {type Fleet, clusterOf, clustersOf, ownersApart} from '../model/fleet.js'
import {OBSERVABILITY, type Owner} from '../model/names.js'
import type {Settings} from '../model/settings.js'

/** The text of a fleet. */
export type ClusterText = (fleet: Fleet, settings: Settings) => string

/**
 * A text of the clusters that have an address.
 * @param partOf a cluster's part; of equal parts the same text is made
 * @param whole the text of all parts, in the order of the clusters' names
 * @param group whose clusters alone are in the text
 * @returns a function that keeps the text of its last fleet
 */
export function clusterText(
  partOf: (cluster: Cluster, settings: Settings) => string,
  whole: (parts: readonly string[], settings: Settings) => string,
  group?: string,
): ClusterText {
  let last: {readonly fleet: Fleet; readonly settings: Settings; readonly text: string} | undefined

  const isIn = (cluster: Cluster): boolean => !isPending(cluster) && (group === undefined || cluster.groups.includes(group))

  const partIn = (fleet: Fleet, settings: Settings, owner: Owner): string | undefined => {
    const cluster = owner === OBSERVABILITY ? undefined : clusterOf(fleet, owner)
    return cluster === undefined || !isIn(cluster) ? undefined : partOf(cluster, settings)
  }

  const isSame = (before: Fleet, after: Fleet, settings: Settings): boolean =>
    before.faults === after.faults &&
    // The record says whether a cluster is revoked, and has the registration that is served while the present one can't be read.
    ownersApart(before, after, ['registrations', 'records']).every(
      owner => partIn(before, settings, owner) === partIn(after, settings, owner),
    )

  return (fleet, settings) => {
    if (last?.settings !== settings || !isSame(last.fleet, fleet, settings)) {
      const clusters = clustersOf(fleet).filter(cluster => isIn(cluster))
      const parts = clusters.map(cluster => partOf(cluster, settings))
      last = {fleet, settings, text: whole(parts, settings)}
    }

    last = {fleet, settings, text: last.text}
    return last.text
  }
}

/** `make` for each group, and for all clusters; a text that is asked for no longer is forgotten when others come. */
export function byGroup(make: (group: string | undefined) => ClusterText): (group: string | undefined) => ClusterText {
  const texts = new Map<string | undefined, ClusterText>()
  return group => {
    const text = texts.get(group) ?? make(group)
    // The text that was asked for last comes last.
    texts.delete(group)
    texts.set(group, text)
    const [oldest] = texts.keys()
    if (texts.size > KEPT) texts.delete(oldest)
    return text
  }
}

/** More than an installation has groups. */
const KEPT = 100
