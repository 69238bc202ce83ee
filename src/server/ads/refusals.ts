/**
 * When refused streams get their answer: at once as a rule, later where a cluster is refused often, so that clients that wait for an
 * answer before they try again cost little. Only the refused stream waits; other streams of its connection, which may be the relay's with
 * the whole fleet, do not. Why a stream is refused is decided in admission.ts.
 */
import type {Denied} from '../mtls/denial.js'

export interface RefusalLimits {
  /** Refusals of one cluster that are answered at once, after a quiet time. */
  readonly burst: number
  /** Refusals a second that are answered at once after that; the answers to more are delayed, each longer than the one before. */
  readonly perSecond: number
  /** The longest delay, milliseconds: an Envoy that is admitted again is held up for no longer. */
  readonly delayMaxMs: number
  /** Answers of one cluster that wait at a time; an answer that finds no room is given at once, so that waiting ones take little memory. */
  readonly waitingMax: number
}

/** 64 Envoys that may retry every 4 s are slowed, a single one never is. */
export const defaultRefusalLimits: RefusalLimits = {burst: 30, perSecond: 2, delayMaxMs: 5000, waitingMax: 64}

export interface Refusals {
  /** Calls `answer` when the refused stream may learn of it. @param now milliseconds */
  answer(denial: Denied, now: number, answer: () => void): void
}

interface Account {
  tokens: number
  at: number
  waiting: number
}

/** Refused clients whose cluster is not known share one account. */
const UNKNOWN = ''

/** Counts the refusals of each cluster. */
export function openRefusals(limits: RefusalLimits = defaultRefusalLimits): Refusals {
  const accounts = new Map<string, Account>()

  function earn(account: Account, now: number): void {
    const seconds = Math.max(0, now - account.at) / 1000
    account.tokens = Math.min(limits.burst, account.tokens + seconds * limits.perSecond)
    account.at = now
  }

  /** An account that owes nothing is as good as a new one. */
  function forgetIdle(now: number): void {
    for (const [key, account] of accounts) {
      earn(account, now)
      if (account.waiting === 0 && account.tokens >= limits.burst) accounts.delete(key)
    }
  }

  return {
    answer({reason, cluster = UNKNOWN}, now, answer) {
      // It is the server that is not ready yet: every Envoy of the fleet is refused, and is to come back soon.
      if (reason === 'not-initialized') {
        answer()
        return
      }

      if (!accounts.has(cluster)) forgetIdle(now)
      const account = accounts.get(cluster) ?? {tokens: limits.burst, at: now, waiting: 0}
      accounts.set(cluster, account)
      earn(account, now)
      // The debt is bounded, so that a cluster that was refused for a day is not slowed for longer than one that was for a minute.
      account.tokens = Math.max(account.tokens - 1, (-limits.delayMaxMs / 1000) * limits.perSecond)
      if (account.tokens >= 0 || account.waiting >= limits.waitingMax) {
        answer()
        return
      }

      account.waiting += 1
      const delay = Math.ceil((-account.tokens / limits.perSecond) * 1000)
      setTimeout(() => {
        account.waiting -= 1
        answer()
      }, delay).unref()
    },
  }
}
