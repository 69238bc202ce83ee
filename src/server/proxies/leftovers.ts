/**
 * What a node's ended streams have left unrepaired: refused or unanswered resources, which the node does not list when it comes back,
 * so that its next stream, of this server or another, must know them. Bounded for each cluster. How they are repaired: xds/pending.ts.
 */
import type {Fleet} from '../../lib/model/fleet.js'
import {OBSERVABILITY, type Owner} from '../../lib/model/names.js'
import type {Node} from '../../lib/model/node.js'
import type {Leftover} from '../../lib/model/report.js'
import type {UnacknowledgedByType} from '../../lib/xds/session.js'
import {isServedType} from '../../lib/xds/type-url.js'

type NodeKey = Pick<Node, 'cluster' | 'id'>

export interface LeftoverStore {
  /** Adds what a stream of the node has left to what earlier streams have left. */
  keep(node: NodeKey, reported: UnacknowledgedByType): void
  /** What is kept of the node; from then on it is the caller's to keep. */
  take(node: NodeKey): UnacknowledgedByType | undefined
  /** Drops what nodes of these clusters have left. */
  drop(isGone: (cluster: Owner) => boolean): void
  entries(): readonly (readonly [NodeKey, UnacknowledgedByType])[]
}

/** When more nodes of one cluster leave something, the oldest is dropped: made-up ids push out none of another cluster. */
const NODES_PER_CLUSTER = 64

/** Entries of a report, and names in each of its lists; what is beyond is left out. */
const ENTRIES_MAX = 1000
const NAMES_MAX = 2000
/** Characters of names in a report for each downstream cluster; an entry that does not fit is left out. */
const CHARACTERS_MAX = 16_384
/** The observability Envoy may refuse the resources of a whole fleet. */
const CHARACTERS_MAX_OBSERVABILITY = 16 * CHARACTERS_MAX

/** Nothing is kept at first. */
export function openLeftoverStore(): LeftoverStore {
  const kept = new Map<Owner, Map<string, UnacknowledgedByType>>()
  return {
    keep({cluster, id}, reported) {
      const ofCluster = kept.get(cluster) ?? new Map<string, UnacknowledgedByType>()
      kept.set(cluster, ofCluster)
      const before = ofCluster.get(id)
      ofCluster.delete(id)
      ofCluster.set(id, mergeReported([before, reported]))
      const [oldest] = ofCluster.keys()
      if (ofCluster.size > NODES_PER_CLUSTER && oldest !== undefined) ofCluster.delete(oldest)
    },

    take({cluster, id}) {
      const ofCluster = kept.get(cluster)
      const reported = ofCluster?.get(id)
      ofCluster?.delete(id)
      if (ofCluster?.size === 0) kept.delete(cluster)
      return reported
    },

    drop(isGone) {
      for (const cluster of kept.keys()) if (isGone(cluster)) kept.delete(cluster)
    },

    entries: () => [...kept].flatMap(([cluster, ofCluster]) => [...ofCluster].map(([id, reported]) => [{cluster, id}, reported] as const)),
  }
}

/** All of them together, by type. */
export function mergeReported(all: readonly (UnacknowledgedByType | undefined)[]): UnacknowledgedByType {
  const result = new Map<string, {readonly sent: readonly string[]; readonly removed: readonly string[]}>()
  for (const reported of all) {
    for (const [typeUrl, {sent, removed}] of reported ?? []) {
      const before = result.get(typeUrl)
      result.set(typeUrl, {sent: union(before?.sent, sent), removed: union(before?.removed, removed)})
    }
  }

  return result
}

/** As a report for the other servers carries it. What one cluster leaves takes no room from another's. */
export function encodeLeftovers(all: readonly (readonly [NodeKey, UnacknowledgedByType])[]): readonly Leftover[] {
  const room = new Map<Owner, number>()
  return all
    .flatMap(([node, reported]) => [...reported].map(([typeUrl, left]) => leftoverOf(node, typeUrl, left)))
    .slice(0, ENTRIES_MAX)
    .filter(({cluster, sent, removed}) => {
      const left = room.get(cluster) ?? (cluster === OBSERVABILITY ? CHARACTERS_MAX_OBSERVABILITY : CHARACTERS_MAX)
      const rest = left - [...sent, ...removed].reduce((sum, name) => sum + name.length, 64)
      if (rest >= 0) room.set(cluster, rest)
      return rest >= 0
    })
}

/** What the node has left with other servers, by their reports. @param replica this server */
export function leftoversElsewhere(fleet: Fleet, replica: string, node: NodeKey): UnacknowledgedByType {
  const others = [...fleet.reports].filter(([name]) => name !== replica).flatMap(([, {leftovers}]) => leftovers)
  return decodeLeftovers(others.filter(({cluster, id}) => cluster === node.cluster && id === node.id))
}

/** Of one node. A type that is not served any more is left out. */
export function decodeLeftovers(leftovers: readonly Leftover[]): UnacknowledgedByType {
  const known = leftovers.filter(({typeUrl}) => isServedType(typeUrl))
  return mergeReported(known.map(({typeUrl, sent, removed}) => new Map([[typeUrl, {sent, removed}]])))
}

function leftoverOf(
  {cluster, id}: NodeKey,
  typeUrl: string,
  {sent, removed}: {readonly sent: readonly string[]; readonly removed: readonly string[]},
): Leftover {
  return {cluster, id, typeUrl, sent: sent.slice(0, NAMES_MAX), removed: removed.slice(0, NAMES_MAX)}
}

function union(a: readonly string[] = [], b: readonly string[] = []): readonly string[] {
  return [...new Set([...a, ...b])]
}
