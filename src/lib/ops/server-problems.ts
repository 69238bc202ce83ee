/**
 * What is wrong with the servers of a store themselves, by their Leases: no leader, one that is silent or has a twin, none at all. What their
 * reports say of proxies is in status.ts.
 */
import {AtlasError} from '../model/errors.js'
import {type Fleet, isRemoved} from '../model/fleet.js'
import {someOf} from '../model/listing.js'
import type {Heartbeat, StateStore} from '../store/store.js'
import type {Finding} from './finding.js'
import {type Liveness, hasTwin, holderName, leaderIn, livenessIn} from './leases.js'
import {absentIn, isAwaited} from './rotation/absent.js'
import {reportedIn} from './server-reports.js'

/** What is shown as a warning; it needs a person if it has a kind. */
export type Problem = Pick<Finding, 'message' | 'server'> & Partial<Pick<Finding, 'kind'>>

/** A finding that a person should look at. */
export function warning(message: string, server?: string): Finding {
  return {kind: 'warning', ...(server !== undefined && {server}), message}
}

/** Those of a shared store. @param servers by their Leases */
export function problemsOf(fleet: Fleet, servers: readonly Liveness[], now: Date): readonly Problem[] {
  const leader = leaderIn(servers)
  const age = leader === undefined ? '' : ` (Lease atlas was not renewed for ${leader.silence} s)`
  const noLeader = `no leader${age}. Certificates are not renewed, changes are not applied, and this list may include dead servers.`
  const twins = servers.map(({heartbeat}) => heartbeat).filter(heartbeat => hasTwin(heartbeat, now))
  const silent = servers.filter(
    ({heartbeat: {replica}, isAlive}) => replica !== undefined && fleet.replicas?.includes(replica) === true && !isAlive,
  )
  return [
    ...(leader?.isAlive === true ? warningsOfLeader(fleet, leader.heartbeat) : [{kind: 'no leader', message: noLeader} as const]),
    ...leftWithSilentServers(fleet, servers, now),
    ...twins.map(({replica = ''}) =>
      warning(`two servers have the name ${replica}, so the proxies of one of them are not shown.`, replica),
    ),
    ...silent.map(({heartbeat: {replica = ''}, silence}) =>
      warning(`server ${replica} has not renewed its Lease for ${silence} s, so the state of its proxies may be old.`, replica),
    ),
  ]
}

/** Names of the servers whose Leases were renewed lately; none where Leases cannot be read. */
export async function livingServers(store: StateStore, now: Date): Promise<readonly string[]> {
  if (!store.isShared) return []
  const found = await livenessIn(store, {now, watchedMs: 0}).catch(() => [])
  return found.flatMap(({heartbeat: {replica, holder}, isAlive}) => (replica === undefined || holder === '' || !isAlive ? [] : [replica]))
}

/** Where no server has reported. @param living servers that are alive, though the leader has not listed them */
export function noServer(store: StateStore, living: readonly string[]): AtlasError {
  const kubectl = `kubectl -n ${store.namespace ?? ''} get`
  if (living.length > 0)
    return new AtlasError('unreachable', `no server on ${store.description} has reported yet; these are alive: ${living.join(', ')}`, {
      hint: `the leader lists a server within 5 s of its start: run the command again; if that does not help, see whether there is a leader: ${kubectl} lease atlas`,
    })
  return new AtlasError('unreachable', `no server runs on ${store.description}`, {
    hint:
      store.namespace === undefined
        ? 'start one with "atlas serve"; "atlas cluster list" shows what is stored'
        : `see whether its Pods run: ${kubectl} pods; "atlas cluster list" shows what is stored`,
  })
}

/**
 * Envoys that were connected to a server which is not among the living ones any more, and that have come to no other since. Such a server has ended,
 * or it is cut off from the API server alone and goes on serving what it had: to stop would leave an Envoy that restarts without configuration.
 */
function leftWithSilentServers(fleet: Fleet, servers: readonly Liveness[], now: Date): readonly Problem[] {
  const {reports, replicas = []} = fleet
  const living = reportedIn({reports, replicas}).flatMap(({report}) => report.proxies)
  // By all reports: one that has come to another server meanwhile, and left that one, too, is in the report of that one.
  const away = new Set(absentIn(reports.values(), living))
  return [...reports].flatMap(([replica, {report}]) => {
    // A server that has given its Lease back has ended.
    if (replicas.includes(replica) || servers.some(({heartbeat}) => heartbeat.replica === replica && heartbeat.holder === '')) return []
    const left = (report.absent ?? []).filter(
      node => away.has(node) && node.leftWithServer && isAwaited(node, now) && !isRemoved(fleet, node.cluster),
    )
    const clusters = [...new Set(left.map(({cluster}) => cluster))].sort()
    if (clusters.length === 0) return []
    return [
      warning(
        `server ${replica} does not renew its Lease any more, and Envoys that were connected to it have come to no other server: ${someOf(clusters, NAMED_MAX)}. If it runs and cannot reach the API server, they still get from it what it had, and no revocation reaches them: look for its Pod, and delete it.`,
        replica,
      ),
    ]
  })
}

/** A leader that serves Envoys, too, has its warnings in its report. */
function warningsOfLeader({replicas = []}: Fleet, leader: Heartbeat): readonly Problem[] {
  const name = holderName(leader)
  return replicas.includes(name) ? [] : leader.warnings.map(message => warning(`leader ${name}: ${message}`, name))
}

/** Clusters that a warning names. */
const NAMED_MAX = 5
