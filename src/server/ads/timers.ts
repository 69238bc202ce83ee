/** The timers of one stream, by name. What they are for is decided in stream.ts and stream-limits.ts. */

export interface Timers {
  /** Replaces a timer of that name that is still running. */
  set(name: string, milliseconds: number, act: () => void): void
  clear(name: string): void
  /** Clears all of them; none is set any more. */
  close(): void
}

/** Longer timers would fire at once in Node. */
const LONGEST = 2 ** 31 - 1

/** @param run calls what a timer is for, and may catch what it throws */
export function openTimers(run: (act: () => void) => void): Timers {
  const timers = new Map<string, NodeJS.Timeout>()
  let isClosed = false

  function clear(name: string): void {
    clearTimeout(timers.get(name))
    timers.delete(name)
  }

  return {
    set(name, milliseconds, act) {
      clear(name)
      if (isClosed) return
      const fire = (): void => {
        timers.delete(name)
        run(act)
      }

      timers.set(name, setTimeout(fire, Math.min(Math.max(0, milliseconds), LONGEST)))
    },
    clear,
    close() {
      isClosed = true
      for (const name of [...timers.keys()]) clear(name)
    },
  }
}
