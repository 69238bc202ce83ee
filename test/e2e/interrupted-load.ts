/**
 * Requests at a fixed rate, and streams, through a program that is killed and started again: what is in flight then, or begins while the program
 * is away, may fail; nothing else may. Load that may not fail at all: load.ts.
 */
import type {LoadRequest} from '../../src/demo/lab/load.js'
import {messageOf} from '../../src/lib/model/errors.js'
import {startTestLoad} from './load.js'

/** A time, milliseconds. */
interface Span {
  readonly from: number
  readonly to: number
}

interface Failure extends Span {
  readonly message: string
}

export interface InterruptedLoad {
  /** Runs `act`, in which the program is killed, started again, and ready at its end. */
  during(act: () => Promise<void>): Promise<void>
  /** A stream that must last until the next `during`, and may end there. */
  watch(stream: Promise<unknown>): void
  /** @returns how many requests there were, and how many failed while the program was away @throws Error with the first other failure */
  stop(): Promise<{readonly requests: number; readonly failures: number}>
}

/** Starts each of `requests` every `everyMs`. */
export function startInterrupted(requests: readonly LoadRequest[], everyMs: number): InterruptedLoad {
  const failures: Failure[] = []
  const ends: Failure[] = []
  const away: Span[] = []
  let isStopping = false
  const guarded = requests.map(request => async () => {
    const from = performance.now()
    await request().catch((error: unknown) => failures.push({from, to: performance.now(), message: messageOf(error)}))
  })
  const running = startTestLoad(guarded, everyMs)
  return {
    async during(act) {
      const from = performance.now()
      await act()
      away.push({from, to: performance.now()})
    },

    watch(stream) {
      const ended = (message: string): void => {
        const now = performance.now()
        if (!isStopping) ends.push({from: now, to: now, message})
      }
      stream.then(
        () => ended('a stream ended'),
        (error: unknown) => ended(`a stream broke: ${messageOf(error)}`),
      )
    },

    async stop() {
      const result = await running.stop()
      isStopping = true
      const other = [...failures, ...ends].find(failure => !away.some(span => meets(span, failure)))
      if (other !== undefined) {
        const times = away.map(span => `${sinceS(span.from, other.to)} to ${sinceS(span.to, other.to)}`)
        throw new Error(`failed while nothing was away (it was ${times.join(', ')} s before): ${other.message}`)
      }

      return {requests: result.requests, failures: failures.length}
    },
  }
}

function meets(one: Span, other: Span): boolean {
  return one.from <= other.to && other.from <= one.to
}

function sinceS(from: number, to: number): string {
  return ((to - from) / 1000).toFixed(2)
}
