/** Back-off: how long to wait before the next attempt, by how often the attempts before it have failed. The caller counts and waits. */

/** Milliseconds. */
export interface BackOff {
  /** After the first failure. */
  readonly first: number
  /** The delay doubles with each further failure until it is this long. */
  readonly longest: number
}

/** Keeps the power of two finite; every `longest` is reached before. */
const DOUBLINGS_MAX = 20

/** Milliseconds to wait after so many failures in a row. */
export function backOff(failures: number, {first, longest}: BackOff): number {
  if (failures < 1) return 0
  return Math.min(longest, first * 2 ** Math.min(failures - 1, DOUBLINGS_MAX))
}

/**
 * A delay made shorter by up to a half, so that processes that failed together don't come back together.
 * @param random from 0 to 1
 */
export function withJitter(delay: number, random: number): number {
  return delay * (1 - random / 2)
}
