/** The reports of the servers that run on a store: from its objects where servers share it, else from the admin port of its only server. */
import type {Fleet} from '../model/fleet.js'
import type {ProxyReport, Report} from '../model/report.js'
import type {StateStore} from '../store/store.js'

/** The report of one server, and its name if several share the store. */
export interface ReportSource {
  readonly replica?: string
  readonly report: Report
}

/** Asks the server whose admin address is given. */
export type FetchReport = (admin: string) => Promise<Report>

/**
 * Empty where no server runs on the store. The leader keeps the list of living servers, so that without a leader it may be out of date.
 * @throws AtlasError `unreachable` when the server of a directory does not answer
 */
export async function loadReports(store: StateStore, fleet: Fleet, fetchReport: FetchReport): Promise<readonly ReportSource[]> {
  if (store.isShared) return reportedIn(fleet)
  const held = await store.holder()
  if (held === undefined) return []
  const report = await fetchReport(held.admin)
  // A copy of a directory holds a copy of its lock.
  return report.store.description === store.description ? [{report}] : []
}

/** Whether a server goes on with what is stored. Where it may not be read who serves a directory, one is taken to. */
export async function hasServer(store: StateStore): Promise<boolean> {
  if (store.isShared) return true
  const held = await store.holder().catch(() => 'unknown')
  return held !== undefined
}

/** The last reports of the living servers. */
export function reportedIn({replicas = [], reports}: Pick<Fleet, 'replicas' | 'reports'>): readonly ReportSource[] {
  return replicas.flatMap((replica): ReportSource[] => {
    const report = reports.get(replica)?.report
    return report === undefined ? [] : [{replica, report}]
  })
}

/** After a proxy has moved to another server, both servers report it for a while; the later connection counts. */
export function latestProxies(sources: readonly ReportSource[]): readonly ProxyReport[] {
  const proxies = sources.flatMap(({report}) => report.proxies)
  const newest = new Map<string, string>()
  const keyOf = ({cluster, id}: ProxyReport): string => `${cluster}/${id}`
  for (const proxy of proxies) if (proxy.connectedSince > (newest.get(keyOf(proxy)) ?? '')) newest.set(keyOf(proxy), proxy.connectedSince)
  // Two streams of one name on one server are two proxies; both are shown.
  return proxies.filter(proxy => proxy.equalIds > 1 || newest.get(keyOf(proxy)) === proxy.connectedSince)
}
