/** The part of a server in the store: it stands for election, gives its heartbeat, and writes only what its role allows. */
import {randomBytes} from 'node:crypto'
import {objectKeyOf} from '../../manifest/kinds.js'
import {AtlasError, messageOf} from '../../model/errors.js'
import type {ObjectKey} from '../../model/fleet.js'
import {leaseNames} from '../../model/names.js'
import type {HoldEvents, Server} from '../store.js'
import type {Client} from './client.js'
import {type Election, openElection} from './election.js'
import {startHeartbeat, watchHeartbeats} from './heartbeat.js'
import type {FailureListener} from './lease.js'
import type {KubernetesTimes} from './times.js'

export interface LeaseMembership {
  /** @throws AtlasError `conflict` where only the leader may write the object, and this server does not lead */
  checkMayWrite(key: ObjectKey): void
  /** `resign` waits for this write. */
  during(write: Promise<unknown>): void
  resign(): Promise<void>
  stop(): Promise<void>
}

/** Leadership must not depend on what the server warns of. */
function withoutFailing(warnings: () => readonly string[]): readonly string[] {
  try {
    return warnings()
  } catch (error) {
    return [`what this server warns of is not known: ${messageOf(error)}`]
  }
}

/** Joins the servers of a namespace; leaves at `stop`. */
export function joinServers(
  client: Client,
  {replica, role, warnings = () => [], offlineRoots = () => undefined}: Server,
  times: KubernetesTimes,
  events: HoldEvents,
): LeaseMembership {
  /** The current failures, by what fails: the server reports one as long as any is left. */
  const failures = new Map<string, AtlasError>()
  const failureOf =
    (what: string): FailureListener =>
    error => {
      if (error === undefined && !failures.delete(what)) return
      if (error !== undefined) failures.set(what, error)
      const [first] = failures.values()
      events.failed(error ?? first)
    }

  const heartbeat =
    role === 'controller' ? undefined : startHeartbeat(client, replica, times, {heartbeat: failureOf('heartbeat'), twin: failureOf('twin')})
  let isResigned = false
  const writes = new Set<Promise<unknown>>()
  let watching: AbortController | undefined
  const election: Election | undefined =
    role === 'ads'
      ? undefined
      : openElection(client, leaseNames.leader, `${replica}_${randomBytes(8).toString('hex')}`, times, {
          leading(isLeader) {
            watching?.abort()
            watching = isLeader ? new AbortController() : undefined
            events.leading(isLeader)
            failureOf('living')(undefined)
            const listeners = {living: events.living, failed: failureOf('living')}
            if (watching !== undefined) watchHeartbeats(client, times, listeners, watching.signal)
          },
          failed: failureOf('election'),
          warnings: () => withoutFailing(warnings),
          offlineRoots,
        })
  const ownReport = objectKeyOf('report', replica)
  return {
    checkMayWrite(key) {
      if (key === ownReport && heartbeat?.isReplaced() === true)
        throw new AtlasError('conflict', `another server has the name ${replica}, too, and reports under it`)
      if (key === ownReport || (!isResigned && election?.leads() === true)) return
      throw new AtlasError('conflict', `this server does not lead, so it does not write ${key}`)
    },
    during(write) {
      const settled = write.catch(() => undefined).finally(() => writes.delete(settled))
      writes.add(settled)
    },
    async resign() {
      isResigned = true
      watching?.abort()
      await Promise.all(writes)
      await election?.stop()
    },
    async stop() {
      watching?.abort()
      await Promise.all([election?.stop(), heartbeat?.stop()])
    },
  }
}
