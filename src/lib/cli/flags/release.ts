/** `cluster values`: which flags go with which format, and what those of the Helm, Flux, Argo CD and Secret formats say. */
import {Flags} from '@oclif/core'
import {type ReleaseFormat, parseArgoDestination, parseInterval} from '../../manifest/formats.js'
import {type Release, defaultRelease, parseChart, parseChartVersion, parseReleaseName} from '../../manifest/release.js'
import {AtlasError} from '../../model/errors.js'
import {OBSERVABILITY, type Owner} from '../../model/names.js'
import {parseNamespace} from '../../model/settings.js'
import {bootstrapFlags} from './bootstrap.js'

/** The formats that `--format` takes. */
export const formats = ['raw', 'secret', 'helm-chart', 'helm-release', 'argo-application', 'manifest', 'bootstrap'] as const

export type Format = (typeof formats)[number]

export const releaseFlags = {
  chart: Flags.string({
    description: `chart in an OCI registry, a mirror of yours perhaps (default ${defaultRelease.chart})`,
    helpGroup: 'RELEASE',
    helpValue: 'oci://HOST/PATH/NAME',
  }),
  'chart-version': Flags.string({
    description: "version of the chart (default this program's own)",
    helpGroup: 'RELEASE',
    helpValue: 'VERSION',
  }),
  release: Flags.string({
    description: `name of the Helm release (default ${defaultRelease.name})`,
    helpGroup: 'RELEASE',
    helpValue: 'NAME',
  }),
  'release-namespace': Flags.string({
    description: `namespace of the release and its Secrets in the cluster that it is for (default ${defaultRelease.namespace}; of "${OBSERVABILITY}", Atlas's own)`,
    helpGroup: 'RELEASE',
    helpValue: 'NAMESPACE',
  }),
  'flux-interval': Flags.string({
    description: 'how often Flux looks at chart and release again (default 10m)',
    helpGroup: 'RELEASE',
    helpValue: 'DURATION',
  }),
  'argo-destination': Flags.string({
    description: 'the cluster to deploy to: its name in Argo CD, or the URL of its API server (default the name that it has here)',
    helpGroup: 'RELEASE',
    helpValue: 'NAME|URL',
  }),
  'argo-namespace': Flags.string({description: 'namespace of Argo CD (default argocd)', helpGroup: 'RELEASE', helpValue: 'NAMESPACE'}),
  'argo-project': Flags.string({description: 'project of Argo CD (default default)', helpGroup: 'RELEASE', helpValue: 'PROJECT'}),
}

/** What the flags of `releaseFlags` parse to. */
export type ReleaseFlags = {readonly [K in keyof typeof releaseFlags]?: string | undefined}

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

/** @throws AtlasError `invalid` for a flag that says nothing about what `format` prints */
export function refuseMisplaced(flags: Readonly<Record<string, unknown>>, format: Format): void {
  const name = Object.keys(goesWith).find(
    each => flags[each] !== undefined && flags[each] !== false && goesWith[each]?.includes(format) === false,
  )
  if (name !== undefined) throw new AtlasError('invalid', `--${name} goes with --format ${listed(goesWith[name] ?? [])}`)
}

/** The namespace that `--release-namespace` names. @throws AtlasError `invalid` */
export function releaseNamespace(flags: ReleaseFlags, fallback: string): string {
  const named = flags['release-namespace']
  return named === undefined ? fallback : parseNamespace(named, '--release-namespace')
}

/**
 * @param defaults `version` of this program; `namespace` of `owner`'s Envoy
 * @throws AtlasError `invalid` for the first flag that can't be
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
  // Argo CD calls the cluster that it runs in itself "in-cluster"
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
