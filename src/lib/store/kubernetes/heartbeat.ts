/**
 * Heartbeats of server replicas: each renews a Lease of its own, and the leader watches these Leases to know which replicas are alive.
 * Informational: leadership is decided by election.ts alone.
 */
import {randomBytes} from 'node:crypto'
import {setTimeout as sleep} from 'node:timers/promises'
import {backOff} from '../../model/back-off.js'
import {AtlasError} from '../../model/errors.js'
import {leaseNames} from '../../model/names.js'
import type {Heartbeat} from '../store.js'
import type {Client} from './client.js'
import {
  type FailureListener,
  type Lease,
  type LeaseRequestLimits,
  annotateLease,
  listLeases,
  microTime,
  newMetadata,
  openFailureFilter,
  readLease,
  writeLease,
} from './lease.js'
import {offlineRootsIn, warningsIn} from './lease-warnings.js'

/** All durations in milliseconds. */
export interface HeartbeatTimes {
  /** A replica whose Lease was not renewed for this long counts as dead. */
  readonly replicaMs: number
  /** How often a replica renews its Lease. */
  readonly replicaRenewMs: number
  /** How often the leader lists the Leases; in its first seconds as the leader it lists them more often. */
  readonly replicaLookMs: number
}

/**
 * A new leader lists the Leases again after this time, milliseconds, then after twice as long, up to `replicaLookMs`: servers that start
 * together with it write their Leases in these seconds, and until the leader has seen one, `atlas status` knows of no server.
 */
const FIRST_LOOK = 250

export const defaultHeartbeatTimes: HeartbeatTimes = {replicaMs: 15_000, replicaRenewMs: 5000, replicaLookMs: 5000}

/** The heartbeat in a Lease; undefined: it is another program's Lease. */
export function heartbeatOf(lease: Lease): Heartbeat | undefined {
  const {
    metadata: {name},
    spec,
  } = lease
  const [twin, offlineRoots] = [twinAt(lease), offlineRootsIn(lease)]
  const replica = leaseNames.replica.parse(name)
  if ((replica === undefined && name !== leaseNames.leader) || spec?.renewTime === undefined) return undefined
  return {
    replica,
    holder: spec.holderIdentity ?? '',
    renewedAt: new Date(spec.renewTime).toISOString(),
    seconds: spec.leaseDurationSeconds ?? 0,
    ...(twin !== undefined && {twinAt: twin}),
    warnings: warningsIn(lease),
    ...(offlineRoots !== undefined && {offlineRoots}),
  }
}

export interface RunningHeartbeat {
  /** Whether a newer server with the same name has taken the Lease: then that one reports, and this one must not. */
  readonly isReplaced: () => boolean
  stop(): Promise<void>
}

/**
 * Renews the Lease of `replica` until `stop`, which gives the Lease back. A failed renewal is repeated. Of two servers with one name the
 * newer one takes the Lease, since it may be a pod that was replaced; the older one notes in an annotation that there are two.
 * @param listeners.twin called by both servers when there are two with this name
 */
export function startHeartbeat(
  client: Client,
  replica: string,
  times: HeartbeatTimes,
  listeners: {readonly heartbeat: FailureListener; readonly twin: FailureListener},
): RunningHeartbeat {
  const stopping = new AbortController()
  const name = leaseNames.replica(replica)
  const identity = `${replica}_${randomBytes(8).toString('hex')}`
  const outcome = openFailureFilter(listeners.heartbeat)
  let known: Lease | undefined
  /** When this process last saw the Lease renewed. */
  let seenAt = performance.now()
  let [hasHeld, isReplaced, isTwin] = [false, false, false]

  function see(lease: Lease | undefined): void {
    if (renewalOf(known) !== renewalOf(lease)) seenAt = performance.now()
    known = lease
    const isNow = isReplaced || (lease?.spec?.holderIdentity === identity && isRecent(twinAt(lease)))
    if (isNow !== isTwin) listeners.twin(isNow ? twinError(replica) : undefined)
    isTwin = isNow
  }

  const isHeldByAnother = (lease: Lease | undefined): boolean =>
    (lease?.spec?.holderIdentity ?? '') !== '' && lease?.spec?.holderIdentity !== identity

  async function write(holderIdentity: string, limits: LeaseRequestLimits): Promise<void> {
    const spec = {holderIdentity, leaseDurationSeconds: Math.ceil(times.replicaMs / 1000), renewTime: microTime(new Date())}
    const written = await writeLease(client, known?.metadata ?? newMetadata(client, name), spec, limits)
    hasHeld = true
    isReplaced = false
    see(written)
  }

  async function renew(limits: LeaseRequestLimits): Promise<void> {
    if (known === undefined || isReplaced) see(await readLease(client, name, limits))
    if (isReplaced && isHeldByAnother(known) && performance.now() - seenAt <= times.replicaMs) {
      see(await annotateLease(client, name, [TWIN, `${new Date().toISOString()} ${identity}`], limits))
      return
    }

    try {
      await write(identity, limits)
    } catch (error) {
      if (!isConflict(error)) {
        known = undefined
        throw error
      }

      // Written by another server of this name; or by it, the annotation; or by this process, whose response was lost.
      const lease = await readLease(client, name, limits)
      isReplaced = hasHeld && isHeldByAnother(lease)
      see(lease)
      if (!isReplaced) await write(identity, limits)
    }
  }

  async function run(): Promise<void> {
    const limits = {signal: stopping.signal, timeoutMs: times.replicaMs / 2}
    while (!stopping.signal.aborted) await round(async () => renew(limits), outcome, times.replicaRenewMs, stopping.signal)
  }

  /** The Lease is read first: the API server may have received a renewal that this process has aborted. */
  async function giveBack(limits: LeaseRequestLimits): Promise<void> {
    known = await readLease(client, name, limits)
    if (known?.spec?.holderIdentity === identity) await write('', limits)
  }

  const running = run().catch(() => undefined)
  return {
    isReplaced: () => isReplaced,
    async stop() {
      stopping.abort()
      await running
      await giveBack({signal: AbortSignal.timeout(2000), timeoutMs: 2000}).catch(() => undefined)
    },
  }
}

/** Annotation: when two servers with one name were last seen, and the identity of the one that does not hold the Lease. */
const TWIN = 'goatlas.io/twin-at'

/** The time in the annotation, unless the holder of the Lease has written it. */
function twinAt({metadata: {annotations}, spec}: Lease): string | undefined {
  const [time, identity] = annotations?.[TWIN]?.split(' ') ?? []
  return identity === spec?.holderIdentity ? undefined : time
}

/** The annotation counts for this long, milliseconds: more than one renewal, since the clocks of two servers may differ. */
const TWIN_COUNTS = 20_000

function isRecent(time: string | undefined): boolean {
  return time !== undefined && Math.abs(Date.now() - Date.parse(time)) < TWIN_COUNTS
}

function twinError(replica: string): AtlasError {
  return new AtlasError('conflict', `two servers have the name ${replica}; only the newer one reports its proxies`, {
    hint: 'give each server its own name with --replica',
  })
}

/** A new value at every renewal, so that other writes to the Lease aren't taken for one. */
function renewalOf(lease: Lease | undefined): string {
  return `${lease?.spec?.holderIdentity ?? ''} ${lease?.spec?.renewTime ?? ''}`
}

/** Whether another process has written or deleted the Lease. */
function isConflict(error: unknown): boolean {
  return error instanceof AtlasError && (error.code === 'conflict' || error.code === 'not-found')
}

/** Calls `act`, reports its outcome, and waits. */
async function round(
  act: () => Promise<void>,
  outcome: ReturnType<typeof openFailureFilter>,
  ms: number,
  signal: AbortSignal,
): Promise<void> {
  try {
    await act()
    outcome.succeeded()
  } catch (error) {
    if (signal.aborted) return
    outcome.failed(error)
  }

  await sleep(ms * (0.9 + Math.random() / 5), undefined, {signal})
}

/** Lists the Leases until `signal` aborts, and reports the living replicas at each change. A replica seen for the first time is alive. */
export function watchHeartbeats(
  client: Client,
  times: HeartbeatTimes,
  {living, failed}: {living(replicas: readonly string[]): void; readonly failed: FailureListener},
  signal: AbortSignal,
): void {
  const outcome = openFailureFilter(failed)
  /** By replica: its last renewal, and when that was first seen, on the clock `elapsed`. */
  const seen = new Map<string, {readonly renewal: string; readonly at: number}>()
  let reported: string | undefined
  let [elapsed, listedAt] = [0, performance.now()]

  async function look(): Promise<void> {
    const leases = await listLeases(client, {signal, timeoutMs: times.replicaMs / 2})
    // While the API server was away no replica could renew: this time counts for two rounds at most.
    elapsed += Math.min(performance.now() - listedAt, times.replicaLookMs * 2)
    listedAt = performance.now()
    const alive: string[] = []
    for (const lease of leases) {
      const replica = leaseNames.replica.parse(lease.metadata.name)
      if (replica === undefined) continue
      const renewal = renewalOf(lease)
      if (seen.get(replica)?.renewal !== renewal) seen.set(replica, {renewal, at: elapsed})
      const age = elapsed - (seen.get(replica)?.at ?? 0)
      if (lease.spec?.holderIdentity !== '' && age <= times.replicaMs) alive.push(replica)
    }

    const names = alive.sort().join(',')
    if (names === reported) return
    reported = names
    living(alive)
  }

  async function run(): Promise<void> {
    // When the list fails, the last report stays in effect: an API server that is away makes no replica dead.
    for (let looks = 1; !signal.aborted; looks += 1)
      await round(look, outcome, backOff(looks, {first: FIRST_LOOK, longest: times.replicaLookMs}), signal)
  }

  void run().catch(() => undefined)
}
