/** What shows how far a rotation has come: what the open streams of all living servers have acknowledged, and what those servers use. */
import type {Fleet} from '../../model/fleet.js'
import type {AbsentNode, ProxyReport, Report} from '../../model/report.js'
import {remember} from '../../model/remember.js'
import {absentIn} from './absent.js'
import {reportedIn} from '../server-reports.js'

/** Never what was acknowledged once: an Envoy that is not connected now, and a server that does not report, show nothing. */
export interface Evidence {
  /**
   * The connected Envoys, by the newest reports. One that has moved to another server may be there twice for some seconds, and both count: which
   * of the two is newer the servers' clocks, of which one may be wrong, do not show.
   */
  readonly proxies: readonly ProxyReport[]
  /** Nodes that were connected lately and are connected to no server now, by any report. Which of them still count: absent.ts. */
  readonly absent: readonly AbsentNode[]
  /** Every living server that serves Envoys. */
  readonly servers: readonly ServerEvidence[]
}

export interface ServerEvidence {
  readonly name: string
  /** Undefined where the server has not reported it. */
  readonly tls: Report['tls']
}

/** By the reports in a store that servers share; undefined while no leader has found out which servers are alive. */
export function evidenceIn(fleet: Fleet): Evidence | undefined {
  return fleet.replicas === undefined ? undefined : evidenceOf(fleet.reports, fleet.replicas)
}

/** Remembered: most passes of the leader see the reports of the pass before. */
const evidenceOf = remember((reports: Fleet['reports'], replicas: readonly string[]): Evidence => {
  const proxies = reportedIn({reports, replicas}).flatMap(({report}) => report.proxies)
  const servers = replicas.map(name => ({name, tls: reports.get(name)?.report.tls}))
  return {proxies, absent: absentIn(reports.values(), proxies), servers}
})
