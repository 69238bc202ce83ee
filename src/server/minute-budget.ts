/** A budget for each key and minute, for what a client can cause as often as it likes: log lines, writes to the store. */

export interface MinuteBudget {
  /** Counts one. @returns whether it is within the budget of the key's present minute */
  take(key: string): boolean
}

/** Milliseconds. */
const MINUTE = 60_000

/**
 * A key's minute begins with its first `take`; afterwards the key is forgotten.
 * @param ended called at the end of a key's minute, where more were taken than `most`
 */
export function openMinuteBudget(most: number, ended?: (key: string, excess: number) => void): MinuteBudget {
  const taken = new Map<string, number>()
  return {
    take(key) {
      const count = (taken.get(key) ?? 0) + 1
      if (count === 1)
        setTimeout(() => {
          const excess = (taken.get(key) ?? 0) - most
          taken.delete(key)
          if (excess > 0) ended?.(key, excess)
        }, MINUTE).unref()
      taken.set(key, count)
      return count <= most
    },
  }
}
