/** Waits for a condition until a time limit, the crash of a program, or Ctrl-C. */
import {setTimeout as sleep} from 'node:timers/promises'
import {AtlasError, messageOf} from '../../lib/model/errors.js'

export interface WaitOptions {
  readonly signal: AbortSignal
  readonly timeoutMs: number
  readonly everyMs?: number
}

/** Sleeps. @throws the signal's reason as soon as it aborts */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, {signal})
  } catch {
    signal.throwIfAborted()
  }
}

/**
 * Calls `probe` until it returns something other than undefined; an error that it throws counts as "not yet".
 * @param what completes "timed out after 5 s waiting for …"
 * @throws AtlasError `failed` after the time limit, with the probe's last error; the signal's reason when it aborts
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
      throw new AtlasError('failed', `timed out after ${Math.round(timeoutMs / 1000)} s waiting for ${what}${last}`)
    }

    await pause(everyMs, signal)
  }
}
