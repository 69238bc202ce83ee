/**
 * What one cluster may ask for in all its streams together: open streams, and a second requests, bytes and CPU time of the server.
 * Limits on one stream: stream-limits.ts.
 */
import {OBSERVABILITY, type Owner} from '../../lib/model/names.js'
import {DEFAULT_STREAMS_PER_CLUSTER} from '../../lib/model/settings.js'

export interface ClusterLimits {
  /** Open streams of one downstream cluster. */
  readonly streamsPerCluster: number
  /** Open streams of the observability cluster. */
  readonly streamsOfObservability: number
  /** Requests of one cluster's streams together, a second, after a burst of `requestBurst`. */
  readonly requestsPerSecond: number
  readonly requestBurst: number
  /** Bytes of those requests a second, after a burst of `byteBurst`. */
  readonly bytesPerSecond: number
  readonly byteBurst: number
  /** Milliseconds of CPU time a second that the requests of one cluster may cost, after a burst of `cpuBurstMs`. */
  readonly cpuMsPerSecond: number
  readonly cpuBurstMs: number
}

/** All 64 Envoys of a cluster may reconnect at once: the first request of an Envoy 1.40 has 61,000 bytes, and an Envoy that starts costs 5 to 15 ms. */
export const defaultClusterLimits: ClusterLimits = {
  streamsPerCluster: DEFAULT_STREAMS_PER_CLUSTER,
  streamsOfObservability: 256,
  requestsPerSecond: 200,
  requestBurst: 2000,
  bytesPerSecond: 128 * 1024,
  byteBurst: 8 * 1024 * 1024,
  cpuMsPerSecond: 50,
  cpuBurstMs: 2000,
}

/** Opening a stream counts as so many requests, since the first responses are the large ones. */
const STREAM_COST = 10

export interface ClusterLimiter {
  /** Counts a stream; false where the cluster has as many as it may, or opens them too fast. @param now milliseconds */
  open(cluster: Owner, now: number): boolean
  close(cluster: Owner): void
  /** Charges a request of so many bytes. @returns the milliseconds until it may be handled, 0 as a rule */
  request(cluster: Owner, bytes: number, now: number): number
  /** Charges the CPU time that a request took, milliseconds: what it costs is known only afterwards, so the next one waits for it. */
  spent(cluster: Owner, cpuMs: number, now: number): void
}

interface Account {
  streams: number
  tokens: number
  bytes: number
  cpuMs: number
  at: number
}

/** Counts the streams and requests of each cluster against the limits. */
export function openClusterLimiter(limits: ClusterLimits): ClusterLimiter {
  const accounts = new Map<Owner, Account>()
  const full = {tokens: limits.requestBurst, bytes: limits.byteBurst, cpuMs: limits.cpuBurstMs}

  function earn(account: Account, now: number): void {
    const seconds = Math.max(0, now - account.at) / 1000
    account.tokens = Math.min(limits.requestBurst, account.tokens + seconds * limits.requestsPerSecond)
    account.bytes = Math.min(limits.byteBurst, account.bytes + seconds * limits.bytesPerSecond)
    account.cpuMs = Math.min(limits.cpuBurstMs, account.cpuMs + seconds * limits.cpuMsPerSecond)
    account.at = now
  }

  /** An account without a stream that owes nothing is as good as a new one. */
  function forgetIdle(now: number): void {
    for (const [cluster, account] of accounts) {
      if (account.streams > 0) continue
      earn(account, now)
      const owesNothing = account.tokens >= limits.requestBurst && account.bytes >= limits.byteBurst && account.cpuMs >= limits.cpuBurstMs
      if (owesNothing) accounts.delete(cluster)
    }
  }

  return {
    open(cluster, now) {
      if (!accounts.has(cluster)) forgetIdle(now)
      const account = accounts.get(cluster) ?? {streams: 0, ...full, at: now}
      earn(account, now)
      const most = cluster === OBSERVABILITY ? limits.streamsOfObservability : limits.streamsPerCluster
      if (account.streams >= most || account.tokens < 0) return false
      account.streams += 1
      account.tokens -= STREAM_COST
      accounts.set(cluster, account)
      return true
    },

    close(cluster) {
      const account = accounts.get(cluster)
      // The account is kept: a cluster that closes and opens streams must not get new tokens by it.
      if (account !== undefined) account.streams -= 1
    },

    request(cluster, bytes, now) {
      const account = accounts.get(cluster)
      if (account === undefined) return 0
      earn(account, now)
      account.tokens -= 1
      // The observability Envoy lists what it has of every cluster; it belongs to the trusted base.
      if (cluster !== OBSERVABILITY) account.bytes -= bytes
      const {tokens, bytes: left, cpuMs} = account
      return Math.max(
        0,
        waitFor(tokens, limits.requestsPerSecond),
        waitFor(left, limits.bytesPerSecond),
        waitFor(cpuMs, limits.cpuMsPerSecond),
      )
    },

    spent(cluster, cpuMs, now) {
      const account = accounts.get(cluster)
      // The configuration of the observability Envoy grows with the fleet; it belongs to the trusted base.
      if (account === undefined || cluster === OBSERVABILITY) return
      earn(account, now)
      account.cpuMs -= cpuMs
    },
  }
}

/** Milliseconds until a debt is paid. */
function waitFor(tokens: number, perSecond: number): number {
  return tokens >= 0 ? 0 : Math.ceil((-tokens / perSecond) * 1000)
}
