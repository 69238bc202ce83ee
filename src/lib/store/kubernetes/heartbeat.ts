/** Which server replicas live: each renews a Lease of its own, the leader watches them. A copy of nothing: no right depends on it. */
import {randomBytes} from 'node:crypto'
import {setTimeout as sleep} from 'node:timers/promises'
import {AtlasError} from '../../model/errors.js'
import {leaseNames} from '../../model/names.js'
import type {Heartbeat} from '../store.js'
import type {Client} from './client.js'
import {type Asking, type Lease, annotateLease, listLeases, microTime, openPatience, readLease, writeLease} from './lease.js'

/** All durations in milliseconds. */
export interface PresenceTimes {
  /** A replica whose Lease was not renewed for this long counts as dead. */
  readonly replicaMs: number
  /** How often it renews. */
  readonly replicaRenewMs: number
  /** How often the leader looks. */
  readonly replicaLookMs: number
}

export const defaultPresenceTimes: PresenceTimes = {replicaMs: 10_000, replicaRenewMs: 3000, replicaLookMs: 2000}

/** What a Lease tells of a server; undefined: it is another program's. */
export function heartbeatOf(lease: Lease): Heartbeat | undefined {
  const {
    metadata: {name},
    spec,
  } = lease
  const twin = twinAt(lease)
  const replica = leaseNames.replica.parse(name)
  if ((replica === undefined && name !== leaseNames.leader) || spec?.renewTime === undefined) return undefined
  return {
    replica,
    holder: spec.holderIdentity ?? '',
    renewedAt: new Date(spec.renewTime).toISOString(),
    seconds: spec.leaseDurationSeconds ?? 0,
    ...(twin !== undefined && {twinAt: twin}),
  }
}

/** Told when something fails again and again; undefined: it does not any more. */
export type Trouble = (error: AtlasError | undefined) => void

export interface Presence {
  /** Whether another server goes by this one's name: then that one reports, and this one does not write what is its. */
  readonly isShadowed: () => boolean
  stop(): Promise<void>
}

/**
 * Says that `replica` lives, until `stop`, which says that it does not. Failing to is tried again. Of two servers of one name the later
 * one is believed, as a pod that comes back must be; the earlier one says beside the Lease that there are two.
 * @param troubles.twin told that there are two, by both
 */
export function openPresence(
  client: Client,
  replica: string,
  times: PresenceTimes,
  troubles: {readonly presence: Trouble; readonly twin: Trouble},
): Presence {
  const stopping = new AbortController()
  const name = leaseNames.replica(replica)
  const identity = `${replica}_${randomBytes(8).toString('hex')}`
  const patience = openPatience(troubles.presence)
  let present: Lease | undefined
  /** When this process saw it renewed last. */
  let seenAt = performance.now()
  let [hasHeld, isShadowed, isTwin] = [false, false, false]

  function see(lease: Lease | undefined): void {
    if (signOf(present) !== signOf(lease)) seenAt = performance.now()
    present = lease
    const isNow = isShadowed || (lease?.spec?.holderIdentity === identity && isRecent(twinAt(lease)))
    if (isNow !== isTwin) troubles.twin(isNow ? twinOf(replica) : undefined)
    isTwin = isNow
  }

  const isAnothers = (): boolean => (present?.spec?.holderIdentity ?? '') !== '' && present?.spec?.holderIdentity !== identity

  async function write(holderIdentity: string, asking: Asking): Promise<void> {
    const spec = {holderIdentity, leaseDurationSeconds: Math.ceil(times.replicaMs / 1000), renewTime: microTime(new Date())}
    const written = await writeLease(client, name, present, spec, asking)
    hasHeld = true
    isShadowed = false
    see(written)
  }

  async function renew(asking: Asking): Promise<void> {
    if (present === undefined || isShadowed) see(await readLease(client, name, asking))
    if (isShadowed && isAnothers() && performance.now() - seenAt <= times.replicaMs) {
      see(await annotateLease(client, name, [TWIN, `${new Date().toISOString()} ${identity}`], asking))
      return
    }

    try {
      await write(identity, asking)
    } catch (error) {
      if (!isConflict(error)) {
        present = undefined
        throw error
      }

      // Another server of this name; its word that there are two; or this one's own, whose answer was lost.
      const lease = await readLease(client, name, asking)
      isShadowed = hasHeld && (lease?.spec?.holderIdentity ?? '') !== '' && lease?.spec?.holderIdentity !== identity
      see(lease)
      if (!isShadowed) await write(identity, asking)
    }
  }

  async function run(): Promise<void> {
    const asking = {signal: stopping.signal, timeoutMs: times.replicaMs / 2}
    while (!stopping.signal.aborted) await step(async () => renew(asking), patience, times.replicaRenewMs, stopping.signal)
  }

  /** A renewal that was under way when it was broken off may have been heard: so it is read first. */
  async function leave(asking: Asking): Promise<void> {
    present = await readLease(client, name, asking)
    if (present?.spec?.holderIdentity === identity) await write('', asking)
  }

  const running = run().catch(() => undefined)
  return {
    isShadowed: () => isShadowed,
    async stop() {
      stopping.abort()
      await running
      await leave({signal: AbortSignal.timeout(2000), timeoutMs: 2000}).catch(() => undefined)
    },
  }
}

/** In which a server says when it saw last that the one that holds the Lease is not alone, and who says so. */
const TWIN = 'goatlas.io/twin-at'

/** When somebody else than its holder has said last that there are two. */
function twinAt({metadata: {annotations}, spec}: Lease): string | undefined {
  const [time, identity] = annotations?.[TWIN]?.split(' ') ?? []
  return identity === spec?.holderIdentity ? undefined : time
}

/** For so long, milliseconds, its word counts; a clock may differ. */
const TWIN_COUNTS = 20_000

function isRecent(time: string | undefined): boolean {
  return time !== undefined && Math.abs(Date.now() - Date.parse(time)) < TWIN_COUNTS
}

function twinOf(replica: string): AtlasError {
  return new AtlasError('conflict', `two servers are called ${replica}; only the one that came last reports its proxies`, {
    hint: 'give each a name of its own with --replica',
  })
}

/** Each renewal has another: what others write beside it is none. */
function signOf(lease: Lease | undefined): string {
  return `${lease?.spec?.holderIdentity ?? ''} ${lease?.spec?.renewTime ?? ''}`
}

/** Somebody else was faster, or it was removed. */
function isConflict(error: unknown): boolean {
  return error instanceof AtlasError && (error.code === 'conflict' || error.code === 'not-found')
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
  /** By replica: its last sign of life, and when it was seen first, in time that was spent looking. */
  const seen = new Map<string, {readonly sign: string; readonly at: number}>()
  let told: string | undefined
  let [looked, lookedAt] = [0, performance.now()]

  async function look(): Promise<void> {
    const leases = await listLeases(client, {signal, timeoutMs: times.replicaMs / 2})
    // An API server that was away has kept everybody from renewing: nobody is older for it.
    looked += Math.min(performance.now() - lookedAt, times.replicaLookMs * 2)
    lookedAt = performance.now()
    const alive: string[] = []
    for (const lease of leases) {
      const replica = leaseNames.replica.parse(lease.metadata.name)
      if (replica === undefined) continue
      const sign = signOf(lease)
      if (seen.get(replica)?.sign !== sign) seen.set(replica, {sign, at: looked})
      const age = looked - (seen.get(replica)?.at ?? 0)
      if (lease.spec?.holderIdentity !== '' && age <= times.replicaMs) alive.push(replica)
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
