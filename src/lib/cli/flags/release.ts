/** The flags of `cluster values` for Helm, Flux and Argo CD, and which flags go with which format. */
import {Flags} from '@oclif/core'
import {type ReleaseFormat, parseArgoDestination, parseInterval} from '../../manifest/formats.js'
import {type Release, defaultRelease, parseChart, parseChartVersion, parseReleaseName} from '../../manifest/release.js'
import {AtlasError, invalid} from '../../model/errors.js'
import {OBSERVABILITY, type Owner} from '../../model/names.js'
import {parseNamespace} from '../../model/settings.js'
import {bootstrapFlags} from './bootstrap.js'
import type {FlagsOf} from './common.js'

/** The formats that `--format` takes. */
export const formats = ['raw', 'secret', 'helm-chart', 'helm-release', 'argo-application', 'manifest', 'bootstrap'] as const

export type Format = (typeof formats)[number]

const helpGroup = 'RELEASE'

export const releaseFlags = {
  chart: Flags.string({
    description: `chart in an OCI registry, such as a mirror (default ${defaultRelease.chart})`,
    helpGroup,
    helpValue: 'oci://HOST/PATH/NAME',
  }),
  'chart-version': Flags.string({description: "version of the chart (default: this program's version)", helpGroup, helpValue: 'VERSION'}),
  release: Flags.string({description: `name of the Helm release (default ${defaultRelease.name})`, helpGroup, helpValue: 'NAME'}),
  'release-namespace': Flags.string({
    description: `namespace of the release and its Secrets in that cluster (default ${defaultRelease.namespace}; for "${OBSERVABILITY}", the namespace of Atlas)`,
    helpGroup,
    helpValue: 'NAMESPACE',
  }),
  'flux-interval': Flags.string({
    description: 'how often Flux checks the chart and the release (default 10m)',
    helpGroup,
    helpValue: 'DURATION',
  }),
  'argo-destination': Flags.string({
    description: 'cluster to deploy to: its name in Argo CD, or the URL of its API server (default: its name in Atlas)',
    helpGroup,
    helpValue: 'NAME|URL',
  }),
  'argo-namespace': Flags.string({description: 'namespace of Argo CD (default argocd)', helpGroup, helpValue: 'NAMESPACE'}),
  'argo-project': Flags.string({description: 'project of Argo CD (default: default)', helpGroup, helpValue: 'PROJECT'}),
}

export type ReleaseFlags = FlagsOf<typeof releaseFlags>

const tools: readonly Format[] = ['helm-chart', 'helm-release', 'argo-application']

const goesWith: Readonly<Record<string, readonly Format[]>> = {
  'show-secrets': ['secret', 'manifest'],
  ...Object.fromEntries(Object.keys(bootstrapFlags).map(name => [name, ['bootstrap']])),
  chart: tools,
  'chart-version': tools,
  release: tools,
  'release-namespace': ['secret', 'manifest', ...tools],
  'flux-interval': ['helm-release'],
  'argo-destination': ['argo-application'],
  'argo-namespace': ['argo-application'],
  'argo-project': ['argo-application'],
}

/** @throws AtlasError `invalid` */
export function parseFormat(text: string): Format {
  const format = formats.find(each => each === text)
  if (format === undefined) throw invalid('--format', `one of ${formats.join(', ')}`, text)
  return format
}

/** Whether the format holds a private key. The other formats need no right to read Secrets. */
export function hasKey(format: Format): boolean {
  return format === 'bootstrap' || format === 'manifest' || format === 'secret'
}

/** @throws AtlasError `invalid` for a flag that has no effect on `format` */
export function refuseMisplaced(flags: Readonly<Record<string, unknown>>, format: Format): void {
  const name = Object.keys(goesWith).find(
    each => flags[each] !== undefined && flags[each] !== false && goesWith[each]?.includes(format) === false,
  )
  if (name !== undefined) throw new AtlasError('invalid', `--${name} works only with --format ${listed(goesWith[name] ?? [])}`)
}

/** The namespace that `--release-namespace` names. @throws AtlasError `invalid` */
export function releaseNamespace(flags: ReleaseFlags, fallback: string): string {
  const named = flags['release-namespace']
  return named === undefined ? fallback : parseNamespace(named, '--release-namespace')
}

/**
 * @param defaults `version` of this program; `namespace` of `owner`'s Envoy
 * @throws AtlasError `invalid` for the first wrong flag
 */
export function releaseOf(
  flags: ReleaseFlags,
  format: ReleaseFormat['format'],
  owner: Owner,
  defaults: Pick<Release, 'namespace' | 'version'>,
): ReleaseFormat {
  const release: Release = {
    chart: parseChart(flags.chart ?? defaultRelease.chart, '--chart'),
    version: parseChartVersion(flags['chart-version'] ?? defaults.version, '--chart-version'),
    name: parseReleaseName(flags.release ?? defaultRelease.name, '--release'),
    namespace: releaseNamespace(flags, defaults.namespace),
  }
  if (format === 'helm-chart') return {format, release}
  if (format === 'helm-release') return {format, release, interval: parseInterval(flags['flux-interval'] ?? '10m', '--flux-interval')}
  // "in-cluster" is Argo CD's name for its own cluster
  const here = owner === OBSERVABILITY ? 'in-cluster' : owner
  const argo = {
    destination: parseArgoDestination(flags['argo-destination'] ?? here, '--argo-destination'),
    namespace: parseNamespace(flags['argo-namespace'] ?? 'argocd', '--argo-namespace'),
    project: parseNamespace(flags['argo-project'] ?? 'default', '--argo-project'),
  }
  return {format, release, argo}
}

function listed(names: readonly string[]): string {
  const last = names.at(-1) ?? ''
  return names.length < 2 ? last : `${names.slice(0, -1).join(', ')} or ${last}`
}
