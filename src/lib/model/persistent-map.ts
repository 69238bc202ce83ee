/**
 * An immutable map whose versions share what they have in common: a large base, and a small overlay of what differs from the base. A
 * change of a few entries costs the size of the overlay, and so does the comparison of two versions. The fleet and the snapshots are
 * made of such maps, so that one change among ten thousand clusters costs one change.
 */

/** In an overlay: the base has the key, this version has not. */
const ABSENT = Symbol('absent')

interface Merged<K, V> {
  readonly base: ReadonlyMap<K, V>
  readonly keys: ReadonlySet<K>
}

/**
 * A `ReadonlyMap` that also makes its next version. The keys are in the order of a `Map`, but for a key that was deleted and set again:
 * such a key may have its old place.
 */
export class PersistentMap<K, V> implements ReadonlyMap<K, V> {
  readonly size: number
  /** What compares maps by their kind and entries compares these as maps. */
  readonly [Symbol.toStringTag] = 'Map'
  readonly #base: ReadonlyMap<K, V>
  readonly #overlay: ReadonlyMap<K, V | typeof ABSENT>
  /** The base before this one, and the keys of the overlay that was merged into it; undefined for a map that was copied. */
  readonly #merged: Merged<K, V> | undefined
  /** Once asked for, handed on to later versions with the same keys. */
  #sorted: readonly K[] | undefined

  private constructor(base: ReadonlyMap<K, V>, overlay: ReadonlyMap<K, V | typeof ABSENT>, size: number, merged?: Merged<K, V>) {
    this.#base = base
    this.#overlay = overlay
    this.size = size
    this.#merged = merged
  }

  /** The same entries; a map that is persistent already is returned as it is, any other is copied. */
  static of<K, V>(entries: Iterable<readonly [K, V]> = []): PersistentMap<K, V> {
    return asPersistent(entries) ?? PersistentMap.#over(new Map<K, V>(entries))
  }

  static #over<K, V>(base: ReadonlyMap<K, V>, merged?: Merged<K, V>): PersistentMap<K, V> {
    return new PersistentMap<K, V>(base, new Map(), base.size, merged)
  }

  /** The next version, with these entries set; a value of undefined deletes its key. The same object where nothing differs. */
  with(edits: Iterable<readonly [K, V | undefined]>): PersistentMap<K, V> {
    let overlay: Map<K, V | typeof ABSENT> | undefined
    let {size} = this
    let hasSameKeys = true
    for (const [key, value] of edits) {
      const before = overlay === undefined ? this.get(key) : this.#read(overlay, key)
      if (before === value) continue
      overlay ??= new Map(this.#overlay)
      size += Number(value !== undefined) - Number(before !== undefined)
      hasSameKeys &&= value !== undefined && before !== undefined
      if (this.#base.get(key) === value) overlay.delete(key)
      else overlay.set(key, value ?? ABSENT)
    }

    if (overlay === undefined) return this
    const next = new PersistentMap(this.#base, overlay, size, this.#merged)
    const isMerged = overlay.size > overlayMax(this.#base.size)
    const result = isMerged ? PersistentMap.#over(new Map(next), {base: this.#base, keys: new Set(overlay.keys())}) : next
    if (hasSameKeys) result.#sorted = this.#sorted
    return result
  }

  get(key: K): V | undefined {
    return this.#read(this.#overlay, key)
  }

  has(key: K): boolean {
    return this.get(key) !== undefined
  }

  /** The keys in ascending order; later versions with the same keys return the same array. */
  sortedKeys(): readonly K[] {
    this.#sorted ??= [...this.keys()].sort()
    return this.#sorted
  }

  /**
   * The keys that may differ from another version's, without looking at the others; undefined where neither has the other's base, or had it
   * before the last merge: one reader or another sees the versions on both sides of a merge.
   */
  keysApart(other: PersistentMap<K, V>): ReadonlySet<K> | undefined {
    const merged = this.#keysSince(other.#base) ?? other.#keysSince(this.#base)
    return merged && new Set([...merged, ...this.#overlay.keys(), ...other.#overlay.keys()])
  }

  /** The keys in which this version's base may differ from `base`; undefined where `base` is neither that nor the one before. */
  #keysSince(base: ReadonlyMap<K, V>): Iterable<K> | undefined {
    if (base === this.#base) return []
    return base === this.#merged?.base ? this.#merged.keys : undefined
  }

  *entries(): MapIterator<[K, V]> {
    for (const [key, value] of this.#base) {
      const over = this.#overlay.get(key)
      if (over === undefined) yield [key, value]
      else if (over !== ABSENT) yield [key, over]
    }

    for (const [key, value] of this.#overlay) if (value !== ABSENT && !this.#base.has(key)) yield [key, value]
  }

  *keys(): MapIterator<K> {
    for (const [key] of this.entries()) yield key
  }

  *values(): MapIterator<V> {
    for (const [, value] of this.entries()) yield value
  }

  [Symbol.iterator](): MapIterator<[K, V]> {
    return this.entries()
  }

  forEach(act: (value: V, key: K, map: ReadonlyMap<K, V>) => void): void {
    for (const [key, value] of this) act(value, key, this)
  }

  #read(overlay: ReadonlyMap<K, V | typeof ABSENT>, key: K): V | undefined {
    const over = overlay.get(key)
    return over === undefined ? this.#base.get(key) : over === ABSENT ? undefined : over
  }
}

/** The keys in ascending order. */
export function sortedKeys<K, V>(map: ReadonlyMap<K, V>): readonly K[] {
  return asPersistent(map)?.sortedKeys() ?? [...map.keys()].sort()
}

/** The keys whose values are not the same object in both maps. Costs the overlays of two versions of one map, or else both maps. */
export function differingKeys<K, V>(before: ReadonlyMap<K, V>, after: ReadonlyMap<K, V>): readonly K[] {
  if (before === after) return []
  const [was, is] = [asPersistent(before), asPersistent(after)]
  const apart = is && was?.keysApart(is)
  const differs = (key: K): boolean => before.get(key) !== after.get(key)
  if (apart !== undefined) return [...apart].filter(key => differs(key))
  const gone = [...before.keys()].filter(key => !after.has(key))
  return [...gone, ...[...after.keys()].filter(key => differs(key))]
}

/**
 * A larger overlay is merged into a base of its own. Each change copies the overlay, and each merge the base: both cost least where the
 * overlay holds about the square root of the base.
 */
function overlayMax(base: number): number {
  return Math.max(16, Math.ceil(2 * Math.sqrt(base)))
}

function asPersistent<K, V>(entries: Iterable<readonly [K, V]>): PersistentMap<K, V> | undefined {
  return entries instanceof PersistentMap ? (entries as PersistentMap<K, V>) : undefined
}
