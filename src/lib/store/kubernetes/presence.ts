/** Which server replicas live: each renews a Lease of its own, the leader watches them. A copy of nothing: no right depends on it. */
import {setTimeout as sleep} from 'node:timers/promises'
import type {AtlasError} from '../../model/errors.js'
import {leaseNames} from '../../model/names.js'
import type {Heartbeat} from '../store.js'
import type {Client} from './client.js'
import {type Asking, type Lease, listLeases, microTime, openPatience, readLease, writeLease} from './lease.js'

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
/** Told when something fails again and again; undefined: it does not any more. */
export type Trouble = (error: AtlasError | undefined) => void

/** Says that `replica` lives, until `stop`, which says that it does not. Failing to is tried again. */
export function openPresence(client: Client, replica: string, times: PresenceTimes, trouble: Trouble): {stop(): Promise<void>} {
  const stopping = new AbortController()
  const name = leaseNames.replica(replica)
  const patience = openPatience(trouble)
  let present: Lease | undefined

  async function renew(holderIdentity: string, asking: Asking): Promise<void> {
    const spec = {holderIdentity, leaseDurationSeconds: Math.ceil(times.replicaMs / 1000), renewTime: microTime(new Date())}
    try {
      present ??= await readLease(client, name, asking)
      present = await writeLease(client, name, present, spec, asking)
    } catch (error) {
      present = undefined
      throw error
    }
  }

  async function run(): Promise<void> {
    const asking = {signal: stopping.signal, timeoutMs: times.replicaMs / 2}
    while (!stopping.signal.aborted) await step(async () => renew(replica, asking), patience, times.replicaRenewMs, stopping.signal)
  }

  const running = run().catch(() => undefined)
  return {
    async stop() {
      stopping.abort()
      await running
      const asking = {signal: AbortSignal.timeout(2000), timeoutMs: 2000}
      // A renewal that was under way when it was broken off may have been heard: then it is read first.
      await renew('', asking)
        .catch(async () => renew('', asking))
        .catch(() => undefined)
    },
  }
}

/** Does something, tells how it went, and waits. */
async function step(act: () => Promise<void>, patience: ReturnType<typeof openPatience>, ms: number, signal: AbortSignal): Promise<void> {
  try {
    await act()
    patience.worked()
  } catch (error) {
    if (signal.aborted) return
    patience.failed(error)
  }

  await sleep(ms * (0.9 + Math.random() / 5), undefined, {signal})
}

/** Looks until `signal` aborts, and tells the names of those that live, at each change. One that is seen first counts as alive. */
export function watchPresence(
  client: Client,
  times: PresenceTimes,
  {living, trouble}: {living(replicas: readonly string[]): void; readonly trouble: Trouble},
  signal: AbortSignal,
): void {
  const patience = openPatience(trouble)
  /** By replica: the version of its Lease, and when it was seen first, in time that was spent looking. */
  const seen = new Map<string, {readonly version: string | undefined; readonly at: number}>()
  let told: string | undefined
  let [looked, lookedAt] = [0, performance.now()]

  async function look(): Promise<void> {
    const leases = (await listLeases(client, {signal, timeoutMs: times.replicaMs / 2})).filter(({metadata}) =>
      metadata.name.startsWith(leaseNames.replicas),
    )
    // An API server that was away has kept everybody from renewing: nobody is older for it.
    looked += Math.min(performance.now() - lookedAt, times.replicaLookMs * 2)
    lookedAt = performance.now()
    const alive: string[] = []
    for (const {metadata, spec} of leases) {
      const replica = metadata.name.slice(leaseNames.replicas.length)
      const version = metadata.resourceVersion
      if (seen.get(replica)?.version !== version) seen.set(replica, {version, at: looked})
      const age = looked - (seen.get(replica)?.at ?? 0)
      if (spec?.holderIdentity !== '' && age <= times.replicaMs) alive.push(replica)
    }

    const names = alive.sort().join(',')
    if (names === told) return
    told = names
    living(alive)
  }

  async function run(): Promise<void> {
    // Who can't be looked at lives until the next look: an API server that is away kills nobody.
    while (!signal.aborted) await step(look, patience, times.replicaLookMs, signal)
  }

  void run().catch(() => undefined)
}
