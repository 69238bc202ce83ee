/** Indexes of large maps that are brought up to date by what differs from the map before, instead of made again. */
import {differingKeys} from './persistent-map.js'

export type Index<G, K> = ReadonlyMap<G, ReadonlySet<K>>

/**
 * The keys of a map by the group of each entry. The function keeps the index of its last map alone, and changes that index in its next
 * call: a caller reads what it needs at once.
 */
export function indexBy<K, V, G>(groupOf: (key: K, value: V) => G): (map: ReadonlyMap<K, V>) => Index<G, K> {
  let last: ReadonlyMap<K, V> = new Map()
  const index = new Map<G, Set<K>>()

  function remove(key: K, value: V): void {
    const group = groupOf(key, value)
    const keys = index.get(group)
    keys?.delete(key)
    if (keys?.size === 0) index.delete(group)
  }

  function add(key: K, value: V): void {
    const group = groupOf(key, value)
    index.set(group, (index.get(group) ?? new Set<K>()).add(key))
  }

  return map => {
    for (const key of differingKeys(last, map)) {
      const [before, after] = [last.get(key), map.get(key)]
      if (before !== undefined) remove(key, before)
      if (after !== undefined) add(key, after)
    }

    last = map
    return index
  }
}
