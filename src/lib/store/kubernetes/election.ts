/**
 * One of many leads: the rules of client-go (tools/leaderelection): a Lease counts as long as its holder is seen to renew it, by
 * this process's own clock and never by the times that stand in it.
 */
import {setTimeout as sleep} from 'node:timers/promises'
import {AtlasError} from '../../model/errors.js'
import type {Client} from './client.js'
import {type Lease, microTime, openPatience, readLease, writeLease} from './lease.js'

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
  /** Attempts fail for another reason than that somebody else leads; undefined: they do not any more. */
  failed(error: AtlasError | undefined): void
}

/** Begins at once. @param identity this process, unlike every other and its own predecessors */
export function openElection(client: Client, name: string, identity: string, times: ElectionTimes, events: ElectionEvents): Election {
  const stopping = new AbortController()
  let present: Lease | undefined
  /** When this process saw the Lease change last. */
  let seenAt = performance.now()
  /** When the last renewal that succeeded was begun; undefined: this process does not lead. */
  let renewed: Moment | undefined
  let isTold = false
  const patience = openPatience(events.failed)
  /** No answer is waited for so long that there is no time for another attempt. */
  const asking = {signal: stopping.signal, timeoutMs: times.renewMs / 2}

  const isStopped = (): boolean => stopping.signal.aborted
  const leads = (): boolean => renewed !== undefined && since(renewed) < times.renewMs

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
    const began = moment()
    if (!leads()) see(await readLease(client, name, asking))
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
        asking,
      ),
    )
    renewed = began
  }

  /** Somebody else wrote it; or this process did, and never had the answer: then it leads as long as it did before. */
  async function lookAgain(how: typeof asking): Promise<void> {
    see(await readLease(client, name, how))
    if (present?.spec?.holderIdentity !== identity) renewed = undefined
  }

  async function release(how: typeof asking): Promise<void> {
    if (present?.spec?.holderIdentity !== identity) return
    const given = {...present.spec, holderIdentity: '', leaseDurationSeconds: 1, renewTime: microTime(new Date())}
    await writeLease(client, name, present, given, how)
  }

  async function round(): Promise<void> {
    try {
      await attempt()
    } catch (error) {
      if (!(error instanceof AtlasError) || error.code !== 'conflict') throw error
      await lookAgain(asking)
    }
  }

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      try {
        await round()
        patience.worked()
      } catch (error) {
        if (isStopped()) return
        patience.failed(error)
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
      renewed = undefined
      tell()
      const how = {signal: AbortSignal.timeout(RELEASE), timeoutMs: RELEASE}
      // A renewal that was under way when it was broken off may have been heard.
      await release(how)
        .catch(async () => {
          await lookAgain(how)
          await release(how)
        })
        .catch(() => undefined)
    },
  }
}

/** How long giving the Lease back may take, milliseconds. */
const RELEASE = 2000

/** By the clock that never jumps, and by the other one, which goes on while the machine is suspended. */
interface Moment {
  readonly steady: number
  readonly wall: number
}

function moment(): Moment {
  return {steady: performance.now(), wall: Date.now()}
}

/** Milliseconds, the longer of the two: a process that believes itself alone too long does harm, one that gives up too soon does not. */
function since({steady, wall}: Moment): number {
  return Math.max(performance.now() - steady, Date.now() - wall)
}

function durationOf(lease: Lease | undefined, times: ElectionTimes): number {
  const seconds = lease?.spec?.leaseDurationSeconds
  return seconds === undefined ? times.leaseMs : seconds * 1000
}
