/** What the leader keeps of the server replicas: the list of those that live, and reports for as long as they say something. */
import type {Change} from '../model/change.js'
import type {Fleet} from '../model/fleet.js'
import type {ReplicaReport} from '../model/report.js'
import {sameValue} from './same.js'

/** What a dead replica has left is kept for so long, milliseconds, if no later stream of the node comes: it may be switched off. */
const LEFT_KEPT = 24 * 3_600_000

/** @param living names of the replicas that live, sorted */
export function planReplicas(fleet: Fleet, living: readonly string[], now: Date): readonly Change[] {
  const changes: Change[] = sameValue(fleet.replicas, living) ? [] : [{kind: 'replicas', value: living}]
  for (const [replica, dead] of fleet.reports)
    if (!living.includes(replica) && isOver(fleet, living, dead, now)) changes.push({kind: 'report', replica, value: undefined})
  return changes
}

/** A later stream of a node, on a replica that lives, has been given what the dead one left: it is that replica's to tell from then on. */
function isOver(fleet: Fleet, living: readonly string[], {report, leftovers}: ReplicaReport, now: Date): boolean {
  if (now.getTime() - Date.parse(report.at) > LEFT_KEPT) return true
  const later = living.flatMap(replica => fleet.reports.get(replica)?.report.proxies ?? [])
  return leftovers.every(left =>
    later.some(({cluster, id, connectedSince}) => cluster === left.cluster && id === left.id && connectedSince > report.at),
  )
}
