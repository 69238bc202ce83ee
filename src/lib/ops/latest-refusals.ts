/** The refused connections of a status that matter to a person now: those that are not over, and that nothing else says; equal ones once. */
import type {RefusalReport} from '../model/report.js'
import type {ProxyStatus, Status} from './status.js'

/** Earlier ones are in the whole document. */
const LATEST = 5

/** The last of equal refusals, each with how many there were, in order of time. */
export function latestRefusals({
  refusals,
  proxies,
}: Pick<Status, 'proxies' | 'refusals'>): readonly (readonly [refusal: RefusalReport, times: number])[] {
  const found = new Map<string, [RefusalReport, number]>()
  for (const refusal of refusals.filter(each => !isPast(each, proxies) && !isTold(each, proxies))) {
    const key = `${refusal.reason} ${refusal.message}`
    const times = (found.get(key)?.[1] ?? 0) + 1
    found.delete(key)
    found.set(key, [refusal, times])
  }

  return [...found.values()].slice(-LATEST)
}

/**
 * A cluster that was admitted later: what its refusal names is over, or the Envoy that is still refused soon causes the next one.
 */
function isPast({cluster, at}: RefusalReport, proxies: readonly ProxyStatus[]): boolean {
  return cluster !== undefined && proxies.some(proxy => proxy.cluster === cluster && (proxy.connectedSince ?? '') > at)
}

/**
 * The state of the cluster says the same: it is revoked or suspended. Where it is not any more, the refusal is over. A certificate of a
 * cluster that is not there at all is told by its refusal alone.
 */
function isTold({cluster, reason}: RefusalReport, proxies: readonly ProxyStatus[]): boolean {
  return reason === 'cluster-revoked' || (reason === 'not-registered' && proxies.some(proxy => proxy.cluster === cluster))
}
