/** The cache that makes building incremental: a result lives as long as the immutable value that it was built from. */

/** Results kept for one value; the oldest is dropped when there are more. Nodes usually differ in a few addresses only. */
const KEPT = 8

/**
 * `build` with a cache of its last results, by first argument (compared by identity, held weakly) and remaining arguments (compared
 * one by one). A fleet after a change shares what the change did not touch, so the results for that are found here, the same objects.
 */
export function remember<Key extends object, Rest extends readonly unknown[], Result>(
  build: (key: Key, ...rest: Rest) => Result,
): (key: Key, ...rest: Rest) => Result {
  const results = new WeakMap<Key, {rest: Rest; result: Result}[]>()
  return (key, ...rest) => {
    const entries = results.get(key)
    // A loop: a pass of the leader asks thousands of times.
    if (entries !== undefined) for (const entry of entries) if (areSame(entry.rest, rest)) return entry.result
    const result = build(key, ...rest)
    results.set(key, [{rest, result}, ...(results.get(key) ?? []).slice(0, KEPT - 1)])
    return result
  }
}

function areSame(some: readonly unknown[], others: readonly unknown[]): boolean {
  if (some.length !== others.length) return false
  for (let index = 0; index < some.length; index += 1) if (!Object.is(some[index], others[index])) return false
  return true
}

/** `build` with its last result, for as long as the argument is the same: for large texts, of which there is one. */
export function rememberLast<Argument, Result>(build: (argument: Argument) => Result): (argument: Argument) => Result {
  let last: {readonly argument: Argument; readonly result: Result} | undefined
  return argument => {
    if (last === undefined || last.argument !== argument) last = {argument, result: build(argument)}
    return last.result
  }
}

/** Results kept by `rememberTexts`; the oldest is dropped when there are more. */
const TEXTS = 64

/** `build` with its results for the last texts that differ: for what the registrations of one stack have in common. An error is not kept. */
export function rememberTexts<Result>(build: (text: string) => Result): (text: string) => Result {
  const results = new Map<string, {readonly result: Result}>()
  return text => {
    const known = results.get(text)
    if (known !== undefined) return known.result
    const result = build(text)
    results.set(text, {result})
    const [oldest] = results.keys()
    if (results.size > TEXTS && oldest !== undefined) results.delete(oldest)
    return result
  }
}
