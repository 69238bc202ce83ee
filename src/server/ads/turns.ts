/** A queue of jobs that come in bursts, done in short turns, so that timers, other connections and the admin port are served in between. */

/** A turn ends with the job that reaches this time, milliseconds. */
const TURN = 4

export interface Turns {
  /** Runs `job` in one of the next turns; jobs keep their order. */
  add(job: () => void): void
}

/** A queue of its own; a job must not throw. */
export function openTurns(): Turns {
  const waiting: (() => void)[] = []
  let isScheduled = false

  function take(): void {
    isScheduled = false
    const until = performance.now() + TURN
    let done = 0
    while (done < waiting.length && performance.now() < until) {
      waiting[done]?.()
      done += 1
    }

    waiting.splice(0, done)
    if (waiting.length > 0) schedule()
  }

  function schedule(): void {
    if (isScheduled) return
    isScheduled = true
    setImmediate(take)
  }

  return {
    add(job) {
      waiting.push(job)
      schedule()
    },
  }
}
