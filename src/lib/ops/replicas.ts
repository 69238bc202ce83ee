/** What the leader keeps of the server replicas: the list of those that live, and reports for as long as they say something. */
import {objectKeyOf} from '../manifest/kinds.js'
import type {Change} from '../model/change.js'
import type {Fleet, ObjectKey} from '../model/fleet.js'
import type {ReplicaReport} from '../model/report.js'
import {NO_REQUEST} from '../model/request.js'
import {sameValue} from './commit.js'

/** What a dead replica has left is kept for so long, milliseconds, if no later stream of the node comes: it may be switched off. */
const LEFT_KEPT = 24 * 3_600_000

/**
 * @param living names of the replicas that live, sorted; undefined: nobody has looked yet
 * @param shared whether there are others at all; the objects that they write are made here, so that they need no right to make any
 */
export function planReplicas(
  fleet: Fleet,
  living: readonly string[] | undefined,
  now: Date,
  {shared}: {readonly shared: boolean},
): readonly Change[] {
  if (!shared) return []
  const changes: Change[] = fleet.revisions.has(REQUESTS) ? [] : [placeForRequests]
  if (living === undefined) return changes
  if (!sameValue(fleet.replicas, living)) changes.push({kind: 'replicas', value: living})
  for (const replica of living)
    if (!fleet.revisions.has(objectKeyOf('report', replica))) changes.push({kind: 'report', replica, value: nothingYet(now)})
  for (const [replica, dead] of fleet.reports)
    if (!living.includes(replica) && isOver(fleet, living, dead, now)) changes.push({kind: 'report', replica, value: undefined})
  return changes
}

/** The object that requests are put into, made by whoever may: people only change it. */
export const REQUESTS: ObjectKey = objectKeyOf('request')
export const placeForRequests: Change = {kind: 'request', id: NO_REQUEST, value: undefined}

/** What stands in a replica's report until it writes its first one. */
function nothingYet(now: Date): ReplicaReport {
  const at = now.toISOString()
  const nothing = {proxies: [], withoutProxy: [], refusals: [], unrepaired: [], faults: [], warnings: []}
  const store = {description: '', reachable: true}
  return {
    report: {format: 1, at, startedAt: at, address: '', ready: false, reasons: ['it has reported nothing yet'], store, ...nothing},
    leftovers: [],
    digest: '',
  }
}

/** A later stream of a node, on a replica that lives, has been given what the dead one left: it is that replica's to tell from then on. */
function isOver(fleet: Fleet, living: readonly string[], {report, leftovers}: ReplicaReport, now: Date): boolean {
  if (now.getTime() - Date.parse(report.at) > LEFT_KEPT) return true
  const later = living.flatMap(replica => fleet.reports.get(replica)?.report.proxies ?? [])
  return leftovers.every(left =>
    later.some(({cluster, id, connectedSince}) => cluster === left.cluster && id === left.id && connectedSince > report.at),
  )
}
