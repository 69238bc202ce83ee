/** The real programs that the demo runs. scripts/programs, which downloads them, reads the same catalogue.json: Node 18 runs it, uncompiled. */
import catalogue from './catalogue.json' with {type: 'json'}

export type ProgramName = keyof typeof catalogue

export interface Program {
  readonly name: ProgramName
  /** What people call it. */
  readonly title: string
  /** Names its directory in the cache. */
  readonly version: string
  /** The environment variable that names one. */
  readonly variable: string
  /** Whether one found on PATH fits, by what `--version` prints. */
  fits(versionOutput: string): boolean
  /** How to install it outside of a checkout. */
  readonly remedy: string
}

export const programs: Readonly<Record<ProgramName, Program>> = {
  envoy: program('envoy'),
  prometheus: program('prometheus'),
  thanos: program('thanos'),
  alertmanager: program('alertmanager'),
  'oauth2-proxy': program('oauth2-proxy'),
  'prometheus-3': program('prometheus-3'),
}

function program(name: ProgramName): Program {
  const {fits, ...entry} = catalogue[name]
  return {name, ...entry, variable: `ATLAS_${name.toUpperCase().replaceAll('-', '_')}`, fits: output => new RegExp(fits, 'm').test(output)}
}
