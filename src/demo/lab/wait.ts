/** Waiting for something to become true, with an end: a time limit, a crash of a program, or Ctrl-C. */
import {setTimeout as sleep} from 'node:timers/promises'
import {AtlasError, messageOf} from '../../lib/model/errors.js'

export interface WaitOptions {
  readonly signal: AbortSignal
  readonly timeoutMs: number
  readonly everyMs?: number
}

/** A pause. @throws the signal's reason as soon as it aborts */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, {signal})
  } catch {
    signal.throwIfAborted()
  }
}

/**
 * Asks `probe` again and again until it gives something else than undefined; what it throws counts as "not yet".
 * @param what completes "waited in vain for …"
 * @throws AtlasError `failed` when the time is over, with what the probe threw last; the signal's reason when it aborts
 */
export async function waitFor<T>(what: string, probe: () => Promise<T | undefined>, options: WaitOptions): Promise<T> {
  const {signal, timeoutMs, everyMs = 100} = options
  const end = performance.now() + timeoutMs
  let last = ''
  for (;;) {
    signal.throwIfAborted()
    try {
      const value = await probe()
      if (value !== undefined) return value
      last = ''
    } catch (error) {
      last = `: ${messageOf(error)}`
    }

    if (performance.now() > end) {
      signal.throwIfAborted()
      throw new AtlasError('failed', `waited ${Math.round(timeoutMs / 1000)} s in vain for ${what}${last}`)
    }

    await pause(everyMs, signal)
  }
}
