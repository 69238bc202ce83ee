/** Names as people read them, and in which order: text order is by code unit, so that it is the same in every locale. */

/** The first of the names, and how many more there are: `lyon, oslo and 3 more`. */
export function someOf(names: readonly string[], most: number, separator = ', '): string {
  return withMore(names.slice(0, most), names.length - most, separator)
}

/** Names, and how many more there are that are not at hand. @param more none where it is below 1 */
export function withMore(names: readonly string[], more: number, separator = ', '): string {
  return `${names.join(separator)}${more > 0 ? ` and ${more} more` : ''}`
}

/** For `sort`. */
export function byText(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0
}

/** For `sort`, of the entries of a map or an object. */
export function byKey([one]: readonly [string, unknown], [other]: readonly [string, unknown]): number {
  return byText(one, other)
}
