/** What the leader keeps about the server replicas: the list of living ones, and the reports of dead ones while they are of use. */
import {objectKeyOf} from '../manifest/kinds.js'
import type {Change} from '../model/change.js'
import type {Fleet, ObjectKey} from '../model/fleet.js'
import type {ReplicaReport} from '../model/report.js'
import {NO_REQUEST} from '../model/request.js'
import {sameValue} from './commit.js'
import {absentIn, isAwaited} from './rotation/absent.js'
import type {Clock} from './dependencies.js'

/** After this time, milliseconds, the report of a dead replica is removed, even if some of its nodes have not connected again. */
const LEFT_KEPT = 24 * 3_600_000

/**
 * @param living names of the living replicas, sorted; undefined: not known yet
 * @param shared whether several servers share the store; the objects that they write are made here, so that they need no right to create
 */
export function planReplicas(
  fleet: Fleet,
  living: readonly string[] | undefined,
  clock: Clock,
  {shared}: {readonly shared: boolean},
): readonly Change[] {
  if (!shared) return []
  const now = clock.now()
  const changes: Change[] = [
    ...(fleet.revisions.has(REQUESTS) ? [] : [placeForRequests]),
    ...(fleet.revisions.has(ANSWERS) ? [] : [placeForAnswers]),
  ]
  if (living === undefined) return changes
  if (!sameValue(fleet.replicas, living)) changes.push({kind: 'replicas', value: living})
  for (const replica of living)
    if (!fleet.revisions.has(objectKeyOf('report', replica))) changes.push({kind: 'report', replica, value: emptyReport(now)})
  const isBelieved = clock.clockDoubt?.() === undefined
  for (const [replica, last] of fleet.reports) {
    if (living.includes(replica)) continue
    // Those that a dead replica served are away until they come back.
    const dead = last.report.proxies.length > 0 ? endedReport(last, now) : last
    if (isBelieved && isOver(fleet, living, dead, now)) changes.push({kind: 'report', replica, value: undefined})
    else if (dead !== last) changes.push({kind: 'report', replica, value: dead})
  }

  return changes
}

/** The object that holds the requests. It is made here and by `init`; accounts that only make requests may update it, not create it. */
export const REQUESTS: ObjectKey = objectKeyOf('request')
export const placeForRequests: Change = {kind: 'request', id: NO_REQUEST, value: undefined}

/** The object that holds the leader's answers. Where there is none, no leader of this version has run, and answers are in the requests. */
export const ANSWERS: ObjectKey = objectKeyOf('answer')
const placeForAnswers: Change = {kind: 'answer', id: NO_REQUEST, value: undefined}

/** A replica's report before it writes its first one. */
function emptyReport(now: Date): ReplicaReport {
  const at = now.toISOString()
  const nothing = {proxies: [], withoutProxy: [], refusals: [], unrepaired: [], faults: [], warnings: []}
  const store = {description: '', reachable: true}
  return {
    report: {format: 1, at, startedAt: at, address: '', ready: false, reasons: ['it has reported nothing yet'], store, ...nothing},
    leftovers: [],
    digest: '',
  }
}

/** The report of a dead replica, which serves nothing any more. */
function endedReport({report, leftovers, digest}: ReplicaReport, now: Date): ReplicaReport {
  const since = now.toISOString()
  const absent = [...(report.absent ?? []), ...report.proxies.map(({cluster, id}) => ({cluster, id, since, leftWithServer: true as const}))]
  return {report: {...report, proxies: [], absent}, leftovers, digest: `${digest}, ended`}
}

/**
 * Whether each node in the report of a dead replica has connected to a living one since, which now reports what is left to repair, or has
 * been away for so long that no rotation waits for it.
 */
function isOver(fleet: Fleet, living: readonly string[], {report, leftovers}: ReplicaReport, now: Date): boolean {
  const later = living.flatMap(replica => fleet.reports.get(replica)?.report.proxies ?? [])
  if (absentIn([{report}], later).some(node => isAwaited(node, now))) return false
  if (now.getTime() - Date.parse(report.at) > LEFT_KEPT) return true
  return leftovers.every(left =>
    later.some(({cluster, id, connectedSince}) => cluster === left.cluster && id === left.id && connectedSince > report.at),
  )
}
