/**
 * Makes package-lock.json usable on every machine: without download addresses, and with an entry for each platform's package.
 * `npm ci` refuses a lock that lacks an optional package, even one for another platform. Such an entry has no hash until npm has written it, and a package
 * without a hash is not accepted (`withoutHash`).
 */

const systems = ['android', 'darwin', 'freebsd', 'linux', 'openharmony', 'win32']
const processors = {
  'arm-eabi': 'arm',
  'arm-gnueabihf': 'arm',
  'arm-musleabihf': 'arm',
  armv7: 'arm',
  arm64: 'arm64',
  aarch64: 'arm64',
  ppc64: 'ppc64',
  riscv64: 'riscv64',
  s390x: 's390x',
  ia32: 'ia32',
  x64: 'x64',
}

/**
 * @param {{packages: Record<string, any>}} lock package-lock.json, parsed
 * @returns {{packages: Record<string, any>}} the same, completed
 * @throws {Error} for a missing package whose version or platform can't be read from its name: npm must write that entry
 */
export function completeLock(lock) {
  const packages = Object.entries(lock.packages).map(([path, {resolved: _, ...entry}]) => [path, entry])
  const paths = new Set(packages.map(([path]) => path))
  const missing = packages.flatMap(([path, entry]) =>
    Object.entries(entry.optionalDependencies ?? {})
      .filter(([name]) => !isReachable(name, path, paths))
      .map(([name, version]) => [`node_modules/${name}`, entryFor(name, version, entry)]),
  )
  if (missing.length === 0) return {...lock, packages: Object.fromEntries(packages)}
  const [[rootPath, rootEntry], ...others] = [...packages, ...missing]
  others.sort(([a], [b]) => a.localeCompare(b, 'en'))
  return {...lock, packages: Object.fromEntries([[rootPath, rootEntry], ...others])}
}

/**
 * @param {{packages: Record<string, any>}} lock
 * @returns {string[]} the places of packages that `npm ci` would install without comparing a hash
 */
export function withoutHash({packages}) {
  return Object.entries(packages).flatMap(([path, {integrity, link}]) =>
    path === '' || link === true || integrity !== undefined ? [] : [path],
  )
}

/** Searches as Node does: from the package's directory through its parents. */
function isReachable(name, path, paths) {
  for (let place = path; ; place = place.slice(0, Math.max(0, place.lastIndexOf('/node_modules/')))) {
    if (paths.has(`${place === '' ? '' : `${place}/`}node_modules/${name}`)) return true
    if (place === '') return false
  }
}

function entryFor(name, version, {dev, license}) {
  const os = systems.find(system => name.includes(`-${system}-`))
  const cpu = Object.entries(processors).find(([word]) => new RegExp(`-${word}(-|$)`).test(name))?.[1]
  if (os === undefined || cpu === undefined || !/^\d+\.\d+\.\d+$/.test(version))
    throw new Error(`package-lock.json has no entry for ${name}@${version}, and its platform can't be read from its name`)
  return {version, cpu: [cpu], ...(dev === true ? {dev} : {}), license, optional: true, os: [os]}
}
