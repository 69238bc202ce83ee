/** Sends requests continuously from several workers, and counts the failures. */
import {setTimeout as sleep} from 'node:timers/promises'
import {messageOf} from '../../lib/model/errors.js'

/** One request; throws when it failed. */
export type LoadRequest = () => Promise<void>

export interface LoadResult {
  readonly requests: number
  readonly failures: number
  /** The error of the first failed request. */
  readonly firstFailure: string | undefined
  readonly slowestMs: number
}

export interface Load {
  /** Stops the workers and waits for their open requests. */
  stop(): Promise<LoadResult>
}

/** @param workers each repeats its request, `pauseMs` after the last response */
export function startLoad(workers: readonly LoadRequest[], pauseMs: number): Load {
  const state = {running: true}
  const result = {requests: 0, failures: 0, firstFailure: undefined as string | undefined, slowestMs: 0}
  const work = async (request: LoadRequest): Promise<void> => {
    while (state.running) {
      const begin = performance.now()
      try {
        await request()
      } catch (error) {
        result.failures += 1
        result.firstFailure ??= messageOf(error)
      }

      result.requests += 1
      result.slowestMs = Math.max(result.slowestMs, Math.round(performance.now() - begin))
      await sleep(pauseMs)
    }
  }
  const all = Promise.all(workers.map(request => work(request)))
  return {
    async stop() {
      state.running = false
      await all
      return result
    },
  }
}
