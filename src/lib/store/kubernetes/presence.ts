/** Which server replicas live: each renews a Lease of its own, the leader watches them. A copy of nothing: no right depends on it. */
import {setTimeout as sleep} from 'node:timers/promises'
import {leaseNames} from '../../model/names.js'
import type {Heartbeat} from '../store.js'
import type {Client} from './client.js'
import {type Lease, listLeases, microTime, readLease, writeLease} from './lease.js'

/** All durations in milliseconds. */
export interface PresenceTimes {
  /** A replica that has not renewed for so long is dead (design, part 5). */
  readonly replicaMs: number
  /** How often it renews. */
  readonly replicaRenewMs: number
  /** How often the leader looks. */
  readonly replicaLookMs: number
}

export const defaultPresenceTimes: PresenceTimes = {replicaMs: 10_000, replicaRenewMs: 3000, replicaLookMs: 2000}

/** What a Lease tells of a server; undefined: it is another program's. */
export function heartbeatOf({metadata: {name}, spec}: Lease): Heartbeat | undefined {
  const isReplicas = name.startsWith(leaseNames.replicas)
  if ((!isReplicas && name !== leaseNames.leader) || spec?.renewTime === undefined) return undefined
  return {
    replica: isReplicas ? name.slice(leaseNames.replicas.length) : undefined,
    holder: spec.holderIdentity ?? '',
    renewedAt: new Date(spec.renewTime).toISOString(),
    seconds: spec.leaseDurationSeconds ?? 0,
  }
}

/** Says that `replica` lives, until `stop`, which says that it does not. Failing to is tried again. */
export function openPresence(client: Client, replica: string, times: PresenceTimes): {stop(): Promise<void>} {
  const stopping = new AbortController()
  const name = leaseNames.replica(replica)
  let present: Lease | undefined

  async function renew(holderIdentity: string, signal: AbortSignal): Promise<void> {
    const spec = {holderIdentity, leaseDurationSeconds: Math.ceil(times.replicaMs / 1000), renewTime: microTime(new Date())}
    try {
      present ??= await readLease(client, name, signal)
      present = await writeLease(client, name, present, spec, signal)
    } catch (error) {
      present = undefined
      if (signal.aborted) throw error
    }
  }

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      await renew(replica, stopping.signal)
      await sleep(times.replicaRenewMs * (0.9 + Math.random() / 5), undefined, {signal: stopping.signal})
    }
  }

  const running = run().catch(() => undefined)
  return {
    async stop() {
      stopping.abort()
      await running
      await renew('', AbortSignal.timeout(2000)).catch(() => undefined)
    },
  }
}

/** Looks until `signal` aborts, and tells the names of those that live, at each change. One that is seen first counts as alive. */
export function watchPresence(
  client: Client,
  times: PresenceTimes,
  living: (replicas: readonly string[]) => void,
  signal: AbortSignal,
): void {
  /** By replica: the version of its Lease, and when it was seen first. */
  const seen = new Map<string, {readonly version: string | undefined; readonly at: number}>()
  let told: string | undefined

  async function look(): Promise<void> {
    const leases = (await listLeases(client, signal)).filter(({metadata}) => metadata.name.startsWith(leaseNames.replicas))
    const alive: string[] = []
    for (const {metadata, spec} of leases) {
      const replica = metadata.name.slice(leaseNames.replicas.length)
      const version = metadata.resourceVersion
      if (seen.get(replica)?.version !== version) seen.set(replica, {version, at: performance.now()})
      const age = performance.now() - (seen.get(replica)?.at ?? 0)
      if (spec?.holderIdentity !== '' && age <= times.replicaMs) alive.push(replica)
    }

    const names = alive.sort().join(',')
    if (names === told) return
    told = names
    living(alive)
  }

  async function run(): Promise<void> {
    while (!signal.aborted) {
      // Who can't be looked at lives until the next look: an API server that is away kills nobody.
      await look().catch(() => undefined)
      await sleep(times.replicaLookMs, undefined, {signal})
    }
  }

  void run().catch(() => undefined)
}
