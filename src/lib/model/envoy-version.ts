/** The versions of Envoy that Atlas supports, and from which patch of each on known security faults are fixed. */

/**
 * By minor version, the security releases of August 2026. They contain the fixes of June 2026, among them that of CVE-2026-47778 (a NUL in a
 * name of a certificate, by which it passes for another name).
 */
const oldestPatch: ReadonlyMap<number, number> = new Map([
  [36, 10],
  [37, 6],
  [38, 4],
  [39, 1],
  [40, 0],
])

/** As the documentation names them: `1.36.10, 1.37.6, …`. */
export const oldestEnvoys: readonly string[] = [...oldestPatch].map(([minor, patch]) => `1.${minor}.${patch}`)

/**
 * What to run instead of a version that is too old, such as `1.38.4`; undefined: the version is new enough, or is none.
 * @param version as `parseNode` makes it, such as `1.38.3`
 */
export function neededInsteadOf(version: string): string | undefined {
  const [major = 0, minor = 0, patch = 0] = version.split('.').map(Number)
  const [oldest = 0] = oldestPatch.keys()
  if (major === 1 && minor < oldest) return oldestEnvoys[0]
  const needed = major === 1 ? oldestPatch.get(minor) : undefined
  return needed === undefined || patch >= needed ? undefined : `1.${minor}.${needed}`
}
