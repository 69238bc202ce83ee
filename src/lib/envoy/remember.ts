/** The cache that makes building incremental: a result lives as long as the immutable value that it was built from. */

/** How many results are kept for one value: nodes differ in their addresses, as a rule in few. */
const KEPT = 8

/**
 * `build`, remembering its last results per first argument (compared by identity, held weakly) and remaining arguments (compared one
 * by one). The fleet shares what a change did not touch, so what did not change is found here, the very same object.
 */
export function remember<Key extends object, Rest extends readonly unknown[], Result>(
  build: (key: Key, ...rest: Rest) => Result,
): (key: Key, ...rest: Rest) => Result {
  const results = new WeakMap<Key, {rest: Rest; result: Result}[]>()
  return (key, ...rest) => {
    const entries = results.get(key) ?? []
    const known = entries.find(
      entry => entry.rest.length === rest.length && entry.rest.every((value, index) => Object.is(value, rest[index])),
    )
    if (known !== undefined) return known.result
    const result = build(key, ...rest)
    results.set(key, [{rest, result}, ...entries.slice(0, KEPT - 1)])
    return result
  }
}
