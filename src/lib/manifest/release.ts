/** How chart `envoy` is released in a cluster: which chart, under which name, where. Facts about Helm's names are checked here once. */
import {invalid} from '../model/errors.js'

/** One release of the chart. */
export interface Release {
  /** `oci://HOST/PATH/NAME`, without a version. */
  readonly chart: string
  /** A version, never a range: the same command prints the same text, also when newer charts have been published. */
  readonly version: string
  readonly name: string
  /** The namespace of the Envoy and its Secrets, in the cluster that the release is for. */
  readonly namespace: string
}

/** The default release; the version is the program's own, the namespace depends on the Envoy's owner. */
export const defaultRelease = {chart: 'oci://ghcr.io/goatlas-io/charts/envoy', name: 'atlas-envoy', namespace: 'atlas'} as const

/** Whether a registry has the chart. Until then README.md says that it has not, and so do printed commands (text/joining.ts). */
export const isPublished = false as boolean

/** A chart in a registry, which Helm, Flux, k3s and Argo CD all read without a repository being registered. @throws AtlasError `invalid` */
export function parseChart(text: string, what = 'a chart'): string {
  const path = String.raw`(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)+`
  if (text.length > 255 || !new RegExp(`^oci://([a-z0-9][-a-z0-9.]*|\\[[0-9a-f:]+\\])(:[0-9]{1,5})?${path}$`).test(text))
    throw invalid(what, `a chart in an OCI registry, without a version, such as ${defaultRelease.chart}`, text)
  return text
}

/** A version of SemVer 2, as Helm wants charts to have. @throws AtlasError `invalid` */
export function parseChartVersion(text: string, what = "a chart's version"): string {
  const number = '(0|[1-9][0-9]*)'
  const isVersion = new RegExp(`^${number}\\.${number}\\.${number}(-[0-9A-Za-z.-]+)?(\\+[0-9A-Za-z.-]+)?$`).test(text)
  if (!isVersion || text.length > 128) throw invalid(what, 'a version, such as 0.1.0', text)
  return text
}

/** Helm takes 53 characters; k3s makes a Job's name of it, `helm-install-<name>`, which ends at 63. @throws AtlasError `invalid` */
export function parseReleaseName(text: string, what = "a release's name"): string {
  if (!/^[a-z]([-a-z0-9]{0,48}[a-z0-9])?$/.test(text))
    throw invalid(what, 'at most 50 lower-case letters, digits and "-", the first a letter', text)
  return text
}

/** A chart's registry path and its name: `oci://ghcr.io/x/envoy` -> `ghcr.io/x`, `envoy`. */
export function splitChart(chart: string): {readonly repository: string; readonly name: string} {
  const slash = chart.lastIndexOf('/')
  return {repository: chart.slice('oci://'.length, slash), name: chart.slice(slash + 1)}
}

/** The tag under which a registry keeps a version: `+` is no character of a tag, and Helm pushes `_` for it. */
export function tagOf(version: string): string {
  return version.replace('+', '_')
}
