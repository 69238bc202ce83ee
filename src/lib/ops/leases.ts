/**
 * Which servers are alive, by their Leases. A Lease has the time of its last renewal by the clock of its server, which may be wrong, so
 * that time alone proves nothing: a Lease that seems expired is watched for a moment, and its server is alive if it renews it.
 */
import {setTimeout as sleep} from 'node:timers/promises'
import type {Heartbeat, StateStore} from '../store/store.js'

/** After this time without a renewal, seconds, a Lease counts as expired. */
const LEASE_EXPIRY = 20

/** How long a Lease that seems expired is watched, milliseconds: more than the time between two renewals (2 s; of a replica 3 s). */
export const WATCHED = 5000

export interface Liveness {
  readonly heartbeat: Heartbeat
  readonly isAlive: boolean
  /** Seconds since the last renewal; 0 where one was seen just now. */
  readonly silence: number
}

/**
 * The last heartbeats, each with whether its server is alive.
 * @param now the local clock, which counts only where the API server's is not known
 * @param replicas those that are asked about, beside the leader: the Lease of a server that is gone for good is not worth waiting for
 * @param watchedMs how long Leases are watched that seem expired
 * @throws AtlasError what the store throws
 */
export async function livenessIn(
  store: Pick<StateStore, 'heartbeats' | 'serverTime'>,
  {now, replicas = [], watchedMs = WATCHED}: {readonly now: Date; readonly replicas?: readonly string[]; readonly watchedMs?: number},
): Promise<readonly Liveness[]> {
  const first = await store.heartbeats()
  const isAsked = (beat: Heartbeat): boolean => isLeaders(beat) || (beat.replica !== undefined && replicas.includes(beat.replica))
  const time = store.serverTime() ?? now.getTime()
  if (first.filter(beat => isAsked(beat)).every(beat => Math.abs(ageOf(beat, time)) <= LEASE_EXPIRY))
    return first.map(beat => judged(beat, ageOf(beat, time)))
  await sleep(watchedMs)
  const before = new Map(first.map(beat => [beat.replica, beat]))
  return (await store.heartbeats()).map(beat => {
    const known = before.get(beat.replica)
    if (known?.renewedAt !== beat.renewedAt || known.holder !== beat.holder) return judged(beat, 0)
    // A time that lies ahead says nothing about when the Lease was renewed, only that it was not while it was watched.
    const age = ageOf(beat, time)
    return age < -LEASE_EXPIRY ? {heartbeat: beat, isAlive: false, silence: watchedMs / 1000} : judged(beat, age)
  })
}

/** The leader's Lease, whether it is alive or not; undefined where there is none, or it was given back. */
export function leaderIn(found: readonly Liveness[]): Liveness | undefined {
  return found.find(({heartbeat}) => isLeaders(heartbeat))
}

/** As `leaderIn`. */
export function leaseIn(heartbeats: readonly Heartbeat[]): Heartbeat | undefined {
  return heartbeats.find(heartbeat => isLeaders(heartbeat))
}

function isLeaders({replica, holder}: Heartbeat): boolean {
  return replica === undefined && holder !== ''
}

/** The name of the replica that holds a Lease, without the suffix that is different in each of its lives. */
export function holderName({holder}: Heartbeat): string {
  return holder.replace(/_[^_]*$/, '')
}

/** Whether two servers were seen with the name of this Lease not long ago. */
export function hasTwin({twinAt}: Heartbeat, now: Date): boolean {
  return twinAt !== undefined && Math.abs(now.getTime() - Date.parse(twinAt)) <= LEASE_EXPIRY * 1000
}

/** Seconds; negative where the time of the renewal lies ahead. */
function ageOf({renewedAt}: Heartbeat, time: number): number {
  return Math.round((time - Date.parse(renewedAt)) / 1000)
}

/** A renewal that lies further ahead than that may be of long ago, by a clock that is wrong. */
function judged(heartbeat: Heartbeat, age: number): Liveness {
  return {heartbeat, isAlive: Math.abs(age) <= LEASE_EXPIRY, silence: Math.max(0, age)}
}
