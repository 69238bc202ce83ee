/** Where the web pages of a cluster are: by host name, by path, and of each replica. Which names and paths lead there is said in model/names.ts. Pure. */
import type {Cluster} from '../../lib/model/cluster.js'
import {type PageKind, pageHostName, pagePath} from '../../lib/model/names.js'
import {hasMetricsOnly, pageReplicas, refusalOf} from '../../lib/model/page.js'
import {type Settings, showsPages} from '../../lib/model/settings.js'

export interface PageLink {
  readonly kind: PageKind
  /** Whether the page's first one is its metrics, as that of a sidecar is, which has no page at its root. */
  readonly isMetrics: boolean
  /** Of the page: by host name where there is a web domain, else by path; its replicas' pages are at `<href><N>/`. Metrics are at `metrics` below. */
  readonly href?: string
  /** The same by path, where both are there. */
  readonly pathHref?: string
  /** Why there is no such page, as the end of "its address is …". */
  readonly refused?: string
  /** The replicas that have a page of their own, at most `REPLICAS_SHOWN`; and how many more there are. */
  readonly replicas: readonly number[]
  readonly moreReplicas: number
}

/** A cluster may have a thousand replicas; the page of any other one is at its number in the address. */
const REPLICAS_SHOWN = 8

/** Stands in a link for the port that the browser has used, as `:10904`, or nothing. No text of a page contains it. */
export const PORT = '\u0000'

/** None where pages have neither host names nor paths. */
export function linksOf(cluster: Cluster, ways: Pick<Settings, 'pagesByPath' | 'webDomain'>): readonly PageLink[] {
  if (!showsPages(ways)) return []
  const {webDomain, pagesByPath} = ways
  return shownKinds.map(kind => {
    const refused = refusalOf(cluster, kind)
    const isMetrics = hasMetricsOnly(cluster, kind)
    if (refused !== undefined) return {kind, isMetrics, refused, replicas: [], moreReplicas: 0}

    const path = pagePath(kind, cluster.name)
    const replicas = pageReplicas(cluster, kind)
    return {
      kind,
      isMetrics,
      href: webDomain === undefined ? path : `//${pageHostName(kind, cluster.name, webDomain)}${PORT}/`,
      ...(webDomain !== undefined && pagesByPath && {pathHref: path}),
      replicas: replicas.length > 1 ? replicas.slice(0, REPLICAS_SHOWN) : [],
      moreReplicas: Math.max(0, replicas.length - REPLICAS_SHOWN),
    }
  })
}

/** In the order in which a person wants them. */
const shownKinds: readonly PageKind[] = ['prom', 'alertmanager', 'thanos']
