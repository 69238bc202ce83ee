/**
 * Leader election by the rules of client-go (tools/leaderelection): a Lease counts as held while this process sees it renewed, by this
 * process's own clock and never by the times in the Lease.
 */
import {setTimeout as sleep} from 'node:timers/promises'
import {AtlasError} from '../../model/errors.js'
import type {Client} from './client.js'
import {
  type FailureListener,
  type Lease,
  type LeaseRequestLimits,
  microTime,
  newMetadata,
  openFailureFilter,
  readLease,
  writeLease,
} from './lease.js'
import {withOfflineRoots, withWarnings} from './lease-warnings.js'

/** All durations in milliseconds. As client-go's defaults, but for `leaseRenewMs`: client-go renews every 2 s, too. */
export interface ElectionTimes {
  /** Another process takes the Lease when it has seen no renewal for this long. */
  readonly leaseMs: number
  /** The leader stops leading when it could not renew for this long; shorter than `leaseMs`. */
  readonly renewMs: number
  /** How often the leader renews the Lease: `renewMs` leaves time for one attempt that hangs, and a second one. */
  readonly leaseRenewMs: number
  /** How often others look whether the Lease is free. */
  readonly leaseRetryMs: number
}

export const defaultElectionTimes: ElectionTimes = {leaseMs: 15_000, renewMs: 10_000, leaseRenewMs: 4000, leaseRetryMs: 2000}

/** Milliseconds between two renewals: with a shorter `renewMs` alone, a leader that renewed every `leaseRenewMs` would lose its Lease each time. */
function renewalPause({renewMs, leaseRenewMs}: ElectionTimes): number {
  return Math.min(leaseRenewMs, Math.floor(renewMs / 2.5))
}

export interface Election {
  /** Whether this process leads at this moment: checked before each write, since the process may have been suspended. */
  leads(): boolean
  /** Gives the Lease back, so that the next leader takes it at once. */
  stop(): Promise<void>
}

export interface ElectionEvents {
  leading(isLeader: boolean): void
  /** Attempts fail, and not because another process leads. */
  readonly failed: FailureListener
  /** What this process warns of now; written with each renewal. */
  warnings(): readonly string[]
  /** The roots whose keys are kept offline; written with each renewal. */
  offlineRoots?(): readonly string[] | undefined
}

/** Stands for election at once. @param identity unique to this process: a restarted one takes another */
export function openElection(client: Client, name: string, identity: string, times: ElectionTimes, events: ElectionEvents): Election {
  const stopping = new AbortController()
  let known: Lease | undefined
  /** When this process last saw the Lease change. */
  let seenAt = performance.now()
  /** When the last successful renewal was begun; undefined: this process does not lead. */
  let renewed: Moment | undefined
  let reported = false
  let ending: NodeJS.Timeout | undefined
  const outcome = openFailureFilter(events.failed)
  const isStopped = (): boolean => stopping.signal.aborted
  const leads = (): boolean => renewed !== undefined && since(renewed) < times.renewMs

  /** A leader that renews has begun late, and needs time for a second attempt. */
  const limits = (): LeaseRequestLimits => ({signal: stopping.signal, timeoutMs: Math.ceil(times.renewMs / (leads() ? 3 : 2))})

  /** Called again when the leadership ends, which may be during an attempt, when the API server hangs. */
  function report(): void {
    clearTimeout(ending)
    if (renewed !== undefined && leads()) ending = setTimeout(report, Math.max(1, times.renewMs - since(renewed)))
    if (leads() === reported) return
    reported = leads()
    events.leading(reported)
  }

  function see(lease: Lease | undefined): void {
    const isSame = known?.metadata.resourceVersion === lease?.metadata.resourceVersion
    known = lease
    if (!isSame) seenAt = performance.now()
  }

  async function attempt(): Promise<void> {
    const began = moment()
    if (!leads()) see(await readLease(client, name, limits()))
    const spec = known?.spec
    const holder = spec?.holderIdentity ?? ''
    const isFree = holder === '' || holder === identity || performance.now() - seenAt > durationOf(known, times)
    if (!isFree) return
    const now = microTime(new Date())
    const isRenewal = holder === identity
    const said = withWarnings(known?.metadata ?? newMetadata(client, name), events.warnings())
    const metadata = withOfflineRoots(said, events.offlineRoots?.())
    see(
      await writeLease(
        client,
        metadata,
        {
          holderIdentity: identity,
          leaseDurationSeconds: Math.ceil(times.leaseMs / 1000),
          acquireTime: isRenewal ? (spec?.acquireTime ?? now) : now,
          renewTime: now,
          leaseTransitions: (spec?.leaseTransitions ?? 0) + (isRenewal || known === undefined ? 0 : 1),
        },
        limits(),
      ),
    )
    renewed = began
  }

  /**
   * After a conflict. If this process still holds the Lease, the response to its own write was lost, and it leads until its last successful
   * renewal runs out.
   */
  async function readAgain(within: LeaseRequestLimits): Promise<void> {
    see(await readLease(client, name, within))
    if (known?.spec?.holderIdentity !== identity) renewed = undefined
  }

  /** Written by another process, or deleted since this one has seen it: then this one does not lead, and may take a new one at once. */
  function isOvertaken({code}: AtlasError): boolean {
    return code === 'conflict' || (code === 'not-found' && known !== undefined)
  }

  async function release(within: LeaseRequestLimits): Promise<void> {
    if (known?.spec?.holderIdentity !== identity) return
    const {metadata} = known
    const released = {...known.spec, holderIdentity: '', leaseDurationSeconds: 1, renewTime: microTime(new Date())}
    await writeLease(client, metadata, released, within)
  }

  async function round(): Promise<void> {
    try {
      await attempt()
    } catch (error) {
      if (!(error instanceof AtlasError) || !isOvertaken(error)) throw error
      await readAgain(limits())
    }
  }

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      let pause: number
      try {
        await round()
        outcome.succeeded()
        pause = leads() ? renewalPause(times) : times.leaseRetryMs
      } catch (error) {
        if (isStopped()) return
        outcome.failed(error)
        // A leader has little time left.
        pause = leads() ? times.leaseRetryMs / 4 : times.leaseRetryMs
      }

      report()
      await sleep(pause * (0.9 + Math.random() / 5), undefined, {signal: stopping.signal})
    }
  }

  const running = run().catch(() => undefined)
  return {
    leads,
    async stop() {
      stopping.abort()
      await running
      renewed = undefined
      report()
      const within = {signal: AbortSignal.timeout(RELEASE), timeoutMs: RELEASE}
      // A conflict: the API server has received a renewal that was aborted.
      await release(within)
        .catch(async () => {
          await readAgain(within)
          await release(within)
        })
        .catch(() => undefined)
    },
  }
}

/** Giving the Lease back is abandoned after this, milliseconds: the next leader then waits until the Lease runs out. */
const RELEASE = 2000

/** By two clocks: `steady` never jumps, `wall` continues while the machine is suspended. */
interface Moment {
  readonly steady: number
  readonly wall: number
}

function moment(): Moment {
  return {steady: performance.now(), wall: Date.now()}
}

/** Milliseconds, by the clock that shows more: a leader that stops too late does harm, one that stops too early does not. */
function since({steady, wall}: Moment): number {
  return Math.max(performance.now() - steady, Date.now() - wall)
}

function durationOf(lease: Lease | undefined, times: ElectionTimes): number {
  const seconds = lease?.spec?.leaseDurationSeconds
  return seconds === undefined ? times.leaseMs : seconds * 1000
}
