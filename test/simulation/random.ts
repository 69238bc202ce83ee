/** Random choices of one seed: fast, and the same on every machine. Those of other tests are in helpers/random.ts. */

export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = (seed ^ 0x9e37_79b9) >>> 0
    for (let round = 0; round < 4; round += 1) this.#next()
  }

  /** From 0 up to 1. */
  #next(): number {
    // mulberry32
    this.#state = (this.#state + 0x6d2b_79f5) >>> 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  chance(probability: number): boolean {
    return this.#next() < probability
  }

  /** From `low` up to `high`, evenly. */
  between(low: number, high: number): number {
    return low + (high - low) * this.#next()
  }

  /** A whole number from 0 up to `count` - 1. */
  below(count: number): number {
    return Math.floor(this.#next() * count)
  }

  /** Undefined for an empty list. */
  pick<T>(from: readonly T[]): T | undefined {
    return from[this.below(from.length)]
  }

  /** One of the keys, each as likely as its weight says. */
  weighted<K>(weights: ReadonlyMap<K, number>): K {
    let left = this.#next() * [...weights.values()].reduce((sum, weight) => sum + weight, 0)
    let last: K | undefined
    for (const [key, weight] of weights) {
      last = key
      left -= weight
      if (left < 0) return key
    }

    if (last === undefined) throw new Error('there is nothing to choose from')
    return last
  }
}
