/**
 * One of many leads: the rules of client-go (tools/leaderelection): a Lease counts as long as its holder is seen to renew it, by
 * this process's own clock and never by the times that stand in it.
 */
import {setTimeout as sleep} from 'node:timers/promises'
import {AtlasError, messageOf} from '../../model/errors.js'
import type {Client} from './client.js'
import {type Lease, microTime, readLease, writeLease} from './lease.js'

/** All durations in milliseconds; client-go's defaults. */
export interface ElectionTimes {
  /** Others wait for so long after the last renewal that they saw. */
  readonly leaseMs: number
  /** The leader gives up when it could not renew for so long. */
  readonly renewMs: number
  /** Between two attempts. */
  readonly leaseRetryMs: number
}

export const defaultElectionTimes: ElectionTimes = {leaseMs: 15_000, renewMs: 10_000, leaseRetryMs: 2000}

export interface Election {
  /** Whether this process leads at this very moment: asked before each write, since it may have been suspended. */
  leads(): boolean
  /** Gives the Lease back, so that the next leader need not wait. */
  stop(): Promise<void>
}

export interface ElectionEvents {
  leading(isLeader: boolean): void
  /** An attempt failed for another reason than that somebody else leads. */
  failed(error: AtlasError): void
}

/** Begins at once. @param identity this process, unlike every other and its own predecessors */
export function openElection(client: Client, name: string, identity: string, times: ElectionTimes, events: ElectionEvents): Election {
  const stopping = new AbortController()
  let present: Lease | undefined
  /** When this process saw the Lease change last. */
  let seenAt = performance.now()
  /** When the last renewal that succeeded was begun; undefined: this process does not lead. */
  let renewedAt: number | undefined
  let isTold = false

  const isStopped = (): boolean => stopping.signal.aborted
  const leads = (): boolean => renewedAt !== undefined && performance.now() - renewedAt < times.renewMs

  function tell(): void {
    if (leads() === isTold) return
    isTold = leads()
    events.leading(isTold)
  }

  function see(lease: Lease | undefined): void {
    const isSame = present?.metadata.resourceVersion === lease?.metadata.resourceVersion
    present = lease
    if (!isSame) seenAt = performance.now()
  }

  async function attempt(): Promise<void> {
    const began = performance.now()
    if (!leads()) see(await readLease(client, name, stopping.signal))
    const spec = present?.spec
    const holder = spec?.holderIdentity ?? ''
    const isFree = holder === '' || holder === identity || performance.now() - seenAt > durationOf(present, times)
    if (!isFree) return
    const now = microTime(new Date())
    const isRenewal = holder === identity
    see(
      await writeLease(
        client,
        name,
        present,
        {
          holderIdentity: identity,
          leaseDurationSeconds: Math.ceil(times.leaseMs / 1000),
          acquireTime: isRenewal ? (spec?.acquireTime ?? now) : now,
          renewTime: now,
          leaseTransitions: (spec?.leaseTransitions ?? 0) + (isRenewal || present === undefined ? 0 : 1),
        },
        stopping.signal,
      ),
    )
    renewedAt = began
  }

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      try {
        await attempt()
      } catch (error) {
        if (isStopped()) return
        // Somebody else wrote it: look again.
        if (error instanceof AtlasError && error.code === 'conflict') {
          renewedAt = undefined
          see(await readLease(client, name, stopping.signal).catch(() => present))
        } else events.failed(error instanceof AtlasError ? error : new AtlasError('failed', messageOf(error)))
      }

      tell()
      await sleep(times.leaseRetryMs * (1 + Math.random() / 5), undefined, {signal: stopping.signal})
    }
  }

  const running = run().catch(() => undefined)
  // Between two attempts the time may run out, with an API server that hangs.
  const watch = setInterval(tell, 250)
  return {
    leads,
    async stop() {
      clearInterval(watch)
      stopping.abort()
      await running
      const had = leads()
      renewedAt = undefined
      tell()
      if (!had || present === undefined) return
      const given = {...present.spec, holderIdentity: '', leaseDurationSeconds: 1, renewTime: microTime(new Date())}
      await writeLease(client, name, present, given, AbortSignal.timeout(2000)).catch(() => undefined)
    },
  }
}

function durationOf(lease: Lease | undefined, times: ElectionTimes): number {
  const seconds = lease?.spec?.leaseDurationSeconds
  return seconds === undefined ? times.leaseMs : seconds * 1000
}
