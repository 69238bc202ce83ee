/** Starts requests at a fixed rate, counts the failures, and measures the slowest answer. */
import {messageOf} from '../../lib/model/errors.js'

/** One request; throws when it failed. */
export type LoadRequest = () => Promise<void>

export interface LoadResult {
  readonly requests: number
  readonly failures: number
  /** The error of the first failed request. */
  readonly firstFailure: string | undefined
  /** From when a request was due until it was answered or had failed. */
  readonly slowestMs: number
}

export interface Load {
  /** Starts no more requests, and waits for the open ones. */
  stop(): Promise<LoadResult>
}

/**
 * Starts each of `requests` every `everyMs`, whether or not earlier ones are back: a load that waited for answers would send less just when
 * something is slow. One that is due while this process is busy is started late, and its time counts from when it was due.
 */
export function startLoad(requests: readonly LoadRequest[], everyMs: number): Load {
  const result = {requests: 0, failures: 0, firstFailure: undefined as string | undefined, slowestMs: 0}
  const open = new Set<Promise<void>>()
  const began = performance.now()
  const dueAt = (index: number): number => began + (index * everyMs) / requests.length

  async function send(request: LoadRequest, due: number): Promise<void> {
    try {
      await request()
    } catch (error) {
      result.failures += 1
      result.firstFailure ??= messageOf(error)
    }

    result.slowestMs = Math.max(result.slowestMs, Math.round(performance.now() - due))
  }

  let timer: NodeJS.Timeout | undefined
  const startDue = (): void => {
    for (let due = dueAt(result.requests); due <= performance.now(); due = dueAt(result.requests)) {
      const request = requests[result.requests % requests.length]
      if (request === undefined) return
      result.requests += 1
      const sent: Promise<void> = send(request, due).finally(() => open.delete(sent))
      open.add(sent)
    }

    timer = setTimeout(startDue, Math.max(0, dueAt(result.requests) - performance.now()))
  }
  startDue()
  return {
    async stop() {
      clearTimeout(timer)
      await Promise.all(open)
      return result
    },
  }
}
