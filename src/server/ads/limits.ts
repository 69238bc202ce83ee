/** How much one cluster may ask for: open streams, and requests in a time. Who it is was decided before. */
import {OBSERVABILITY, type Owner} from '../../lib/model/names.js'

export interface StreamLimits {
  /** Open streams of one downstream cluster. */
  readonly streamsPerCluster: number
  /** Open streams of the observability cluster. */
  readonly streamsOfObservability: number
  /** Requests of one cluster's streams together, a second, after a burst of `requestBurst`. */
  readonly requestsPerSecond: number
  readonly requestBurst: number
}

export const defaultLimits: StreamLimits = {streamsPerCluster: 64, streamsOfObservability: 256, requestsPerSecond: 200, requestBurst: 2000}

export interface Limiter {
  /** Counts a stream in; false where the cluster has as many as it may. */
  open(cluster: Owner): boolean
  close(cluster: Owner): void
  /** Counts a request; the milliseconds to wait before the next one is read, 0 as a rule. */
  request(cluster: Owner, now: number): number
}

interface Account {
  streams: number
  tokens: number
  at: number
}

/** Counts the streams and requests of each cluster against the limits. */
export function openLimiter(limits: StreamLimits): Limiter {
  const accounts = new Map<Owner, Account>()
  return {
    open(cluster) {
      const account = accounts.get(cluster) ?? {streams: 0, tokens: limits.requestBurst, at: 0}
      const most = cluster === OBSERVABILITY ? limits.streamsOfObservability : limits.streamsPerCluster
      if (account.streams >= most) return false
      account.streams += 1
      accounts.set(cluster, account)
      return true
    },

    close(cluster) {
      const account = accounts.get(cluster)
      // The account outlives its streams: opening one anew must not fill it.
      if (account !== undefined) account.streams -= 1
    },

    request(cluster, now) {
      const account = accounts.get(cluster)
      if (account === undefined) return 0
      const earned = (Math.max(0, now - account.at) / 1000) * limits.requestsPerSecond
      account.tokens = Math.min(limits.requestBurst, account.tokens + earned) - 1
      account.at = now
      return account.tokens >= 0 ? 0 : Math.ceil((-account.tokens / limits.requestsPerSecond) * 1000)
    },
  }
}
