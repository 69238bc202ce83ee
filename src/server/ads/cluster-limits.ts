/** What one cluster may ask for in all its streams together: open streams, and requests a second. Limits on one stream: stream-limits.ts. */
import {OBSERVABILITY, type Owner} from '../../lib/model/names.js'

export interface ClusterLimits {
  /** Open streams of one downstream cluster. */
  readonly streamsPerCluster: number
  /** Open streams of the observability cluster. */
  readonly streamsOfObservability: number
  /** Requests of one cluster's streams together, a second, after a burst of `requestBurst`. */
  readonly requestsPerSecond: number
  readonly requestBurst: number
}

export const defaultClusterLimits: ClusterLimits = {
  streamsPerCluster: 16,
  streamsOfObservability: 256,
  requestsPerSecond: 200,
  requestBurst: 2000,
}

/** Opening a stream counts as so many requests, since the first responses are the large ones. */
const STREAM_COST = 10

export interface ClusterLimiter {
  /** Counts a stream; false where the cluster has as many as it may, or opens them too fast. @param now milliseconds */
  open(cluster: Owner, now: number): boolean
  close(cluster: Owner): void
  /** Counts a request. @returns the milliseconds until the next one may be read, 0 as a rule */
  request(cluster: Owner, now: number): number
}

interface Account {
  streams: number
  tokens: number
  at: number
}

/** Counts the streams and requests of each cluster against the limits. */
export function openClusterLimiter(limits: ClusterLimits): ClusterLimiter {
  const accounts = new Map<Owner, Account>()

  function earn(account: Account, now: number): void {
    const earned = (Math.max(0, now - account.at) / 1000) * limits.requestsPerSecond
    account.tokens = Math.min(limits.requestBurst, account.tokens + earned)
    account.at = now
  }

  return {
    open(cluster, now) {
      const account = accounts.get(cluster) ?? {streams: 0, tokens: limits.requestBurst, at: now}
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

    request(cluster, now) {
      const account = accounts.get(cluster)
      if (account === undefined) return 0
      earn(account, now)
      account.tokens -= 1
      return account.tokens >= 0 ? 0 : Math.ceil((-account.tokens / limits.requestsPerSecond) * 1000)
    },
  }
}
