/** Whether two plain values say the same: what is not different is not written. */
import {isDeepStrictEqual} from 'node:util'

export function sameValue<T>(a: T | undefined, b: T | undefined): boolean {
  return isDeepStrictEqual(a, b)
}
