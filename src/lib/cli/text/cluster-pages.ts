/** The web pages of a downstream cluster as JSON and as text: what its registration says of them, and where they are. */
import type {Cluster} from '../../model/cluster.js'
import {type PageKind, pageHostName, pageKinds, pagePath} from '../../model/names.js'
import {defaultPages, hasMetricsOnly, refusalOf} from '../../model/page.js'
import {type Settings, showsPages} from '../../model/settings.js'

/** Where one kind of page is, with `metricsOnly` the one page that it has; neither `url` nor `path` where it is refused, for the reason in `refused`. */
export interface PageAddressJson {
  readonly url?: string
  readonly path?: string
  readonly refused?: string
  /** A sidecar has no page but its metrics. */
  readonly metricsOnly?: true
}

/** Where the pages are, by kind; undefined where pages have neither host names nor paths, and where no Envoy of the cluster has an address. */
export function pageAddresses(
  cluster: Cluster,
  ways: Pick<Settings, 'pagesByPath' | 'webDomain'>,
): Readonly<Record<PageKind, PageAddressJson>> | undefined {
  if (!showsPages(ways) || cluster.addresses.length === 0) return undefined
  const {webDomain, pagesByPath} = ways
  const addressOf = (kind: PageKind): PageAddressJson => {
    const refused = refusalOf(cluster, kind)
    if (refused !== undefined) return {refused: `its address is ${refused}`}
    const metricsOnly = hasMetricsOnly(cluster, kind)
    const below = metricsOnly ? 'metrics' : ''
    return {
      ...(webDomain !== undefined && {url: `https://${pageHostName(kind, cluster.name, webDomain)}/${below}`}),
      ...(pagesByPath && {path: `${pagePath(kind, cluster.name)}${below}`}),
      ...(metricsOnly && {metricsOnly}),
    }
  }
  return Object.fromEntries(pageKinds.map(kind => [kind, addressOf(kind)])) as Record<PageKind, PageAddressJson>
}

/** What a person needs beside the names and paths: Atlas does not know what is in front of the observability Envoy, and at which port. */
const REACHED =
  'on port 10904 of the observability Envoy, by http; with https where an ingress or login proxy in front of it has a certificate'

/** A line for each kind of page, host names without a scheme; and one for where they are. */
export function pageAddressFields(addresses: Readonly<Record<PageKind, PageAddressJson>> | undefined): Readonly<Record<string, string>> {
  if (addresses === undefined) return {}
  const fields = pageKinds.map((kind): [string, string] => {
    const {url, path, refused, metricsOnly} = addresses[kind]
    const places = [url?.replace(/^https:\/\//, ''), path].filter(each => each !== undefined)
    return [`${kind} ${metricsOnly === true ? 'metrics' : 'page'}`, refused === undefined ? places.join(', ') : `refused: ${refused}`]
  })
  const isShown = pageKinds.some(kind => addresses[kind].refused === undefined)
  return Object.fromEntries(isShown ? [...fields, ['pages', REACHED] as const] : fields)
}

/** What the registration says of its pages where that is not the default, named as the flags of `cluster add`. */
export function pageFields({pages}: Cluster): Readonly<Record<string, string>> {
  const paths = pageKinds.filter(kind => pages.paths[kind] !== '').map(kind => `${kind}=${pages.paths[kind]}`)
  const switches = [
    ['allow-admin', 'allowAdmin'],
    ['allow-silences', 'allowSilences'],
    ['allow-local-targets', 'allowLocalTargets'],
  ] as const
  return {
    ...(pages.thanosHttpPort !== defaultPages.thanosHttpPort && {'thanos-http-port': String(pages.thanosHttpPort)}),
    ...(paths.length > 0 && {'page-path': paths.join(', ')}),
    ...Object.fromEntries(
      switches.filter(([, name]) => pages[name] !== defaultPages[name]).map(([flag, name]) => [flag, pages[name] ? 'yes' : 'no']),
    ),
  }
}
