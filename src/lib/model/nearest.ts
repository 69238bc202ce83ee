/** Which known word was meant by one that was mistyped. */

/**
 * The known word that is fewest letters away from `text`; undefined where even that one is too far to have been meant.
 * @param most letters that may differ; of a short text at most half of its letters, since any two short words are near each other
 */
export function nearest(text: string, known: readonly string[], most: number): string | undefined {
  const [best] = known.map(each => ({each, apart: editDistance(text.slice(0, LONGEST), each)})).sort((a, b) => a.apart - b.apart)
  return best !== undefined && best.apart <= Math.min(most, text.length / 2) ? best.each : undefined
}

/** Of a longer text only the first letters are compared: it is as long as its writer likes, and the time grows with it. */
const LONGEST = 100

/** Levenshtein's distance: the fewest letters to insert, delete or replace. */
function editDistance(a: string, b: string): number {
  let row = Array.from({length: b.length + 1}, (_, index) => index)
  for (let i = 0; i < a.length; i += 1) {
    const next = [i + 1]
    for (let j = 0; j < b.length; j += 1)
      next.push(Math.min((next[j] ?? 0) + 1, (row[j + 1] ?? 0) + 1, (row[j] ?? 0) + (a[i] === b[j] ? 0 : 1)))
    row = next
  }

  return row.at(-1) ?? 0
}
