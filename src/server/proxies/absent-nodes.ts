/** The nodes whose last stream with this server has ended lately: a rotation waits for them for a while (lib/ops/rotation/absent.ts). */
import type {Owner} from '../../lib/model/names.js'
import type {AbsentNode, ReplicaReport} from '../../lib/model/report.js'
import {ABSENT_COUNTS} from '../../lib/ops/rotation/absent.js'

type NodeKey = Pick<AbsentNode, 'cluster' | 'id'>

export interface AbsentNodes {
  left(node: NodeKey, now: Date): void
  /** The node is connected, with this server or another. */
  returned(node: NodeKey): void
  /** Takes over what an earlier process of this server's name has reported: the nodes that it served are away until they come back. */
  recall(report: ReplicaReport, now: Date): void
  /** Drops nodes of these clusters. */
  drop(isGone: (cluster: Owner) => boolean): void
  /** Those that still count. */
  entries(now: Date): readonly AbsentNode[]
}

/** Of one cluster; then the one that left first is dropped, so that made-up names push out none of another cluster. */
const NODES_PER_CLUSTER = 8

/** None at first. */
export function openAbsentNodes(): AbsentNodes {
  const absent = new Map<Owner, Map<string, string>>()
  const left = ({cluster, id}: NodeKey, since: string): void => {
    const ofCluster = absent.get(cluster) ?? new Map<string, string>()
    absent.set(cluster, ofCluster)
    ofCluster.delete(id)
    ofCluster.set(id, since)
    const [first] = ofCluster.keys()
    if (ofCluster.size > NODES_PER_CLUSTER && first !== undefined) ofCluster.delete(first)
  }
  const returned = ({cluster, id}: NodeKey): void => {
    const ofCluster = absent.get(cluster)
    ofCluster?.delete(id)
    if (ofCluster?.size === 0) absent.delete(cluster)
  }

  return {
    left(node, now) {
      left(node, now.toISOString())
    },
    returned,
    recall({report}, now) {
      for (const node of report.absent ?? []) left(node, node.since)
      for (const node of report.proxies) left(node, now.toISOString())
    },
    drop(isGone) {
      for (const cluster of absent.keys()) if (isGone(cluster)) absent.delete(cluster)
    },
    entries(now) {
      const all = [...absent].flatMap(([cluster, ofCluster]) => [...ofCluster].map(([id, since]): AbsentNode => ({cluster, id, since})))
      for (const node of all) if (now.getTime() - Date.parse(node.since) >= ABSENT_COUNTS) returned(node)
      return all.filter(({cluster, id}) => absent.get(cluster)?.has(id) === true)
    },
  }
}
