/** The refused connections of a status that matter to a person now: those that are not over, equal ones once. */
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
  for (const refusal of refusals.filter(each => !isPast(each, proxies))) {
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
