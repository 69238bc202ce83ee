/** Reads the few forms of `engines.node` that package.json uses; leaves all else of semver alone. */

/**
 * Whether a version of Node fits a range such as `^22.22.2 || ^24.15 || >=26`.
 * @param {string} version as `process.versions.node` gives it; a pre-release never fits
 * @param {string} range `^` and `>=` comparators, one for each alternative
 * @returns {boolean}
 */
export function fits(version, range) {
  const match = /^v?(\d+)\.(\d+)\.(\d+)$/.exec(version.trim())
  if (match === null) return false
  const wanted = match.slice(1).map(Number)
  return range.split('||').some(alternative => fitsOne(wanted, alternative.trim()))
}

function fitsOne(version, comparator) {
  const match = /^(\^|>=)(\d+)(?:\.(\d+))?(?:\.(\d+))?$/.exec(comparator)
  if (match === null) throw new Error(`engines.node: wanted ^x.y.z or >=x.y.z, got '${comparator}'`)
  const floor = match.slice(2).map(part => Number(part ?? 0))
  if (match[1] === '^' && version[0] !== floor[0]) return false
  const different = floor.findIndex((part, index) => part !== version[index])
  return different === -1 || version[different] > floor[different]
}
