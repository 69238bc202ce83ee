/** Queries Thanos Query: PromQL, and the list of its sidecars. */
import {type HostPort, renderHostPort} from '../../lib/model/address.js'

export interface Series {
  readonly labels: Readonly<Record<string, string>>
  readonly value: string
}

/** The clusters among the series' labels, sorted, each once. */
export function clustersIn(series: readonly Series[]): readonly string[] {
  return [...new Set(series.map(({labels}) => labels['cluster'] ?? ''))].filter(cluster => cluster !== '').sort()
}

/**
 * An instant query. A partial answer is an error here, so that a cluster that fails to answer is never overlooked.
 * @throws Error with Thanos's message
 */
export async function queryInstant(query: HostPort, promql: string): Promise<readonly Series[]> {
  const parameters = new URLSearchParams({query: promql, partial_response: 'false', dedup: 'true'})
  const answer = (await getJson(query, `/api/v1/query?${parameters.toString()}`)) as QueryAnswer
  if (answer.status !== 'success') throw new Error(answer.error ?? 'Thanos Query answered without success')
  return (answer.data?.result ?? []).map(({metric, value}) => ({labels: metric, value: value[1]}))
}

export interface KnownStore {
  readonly name: string
  /** Empty while it is healthy. */
  readonly error: string
  readonly clusters: readonly string[]
}

/** The sidecars that Thanos Query knows, healthy or not. */
export async function storesOf(query: HostPort): Promise<readonly KnownStore[]> {
  const answer = (await getJson(query, '/api/v1/stores')) as {data?: {sidecar?: readonly StoreEntry[]}}
  return (answer.data?.sidecar ?? []).map(({name, lastError, labelSets}) => ({
    name,
    error: lastError === null || lastError === undefined ? '' : JSON.stringify(lastError),
    clusters: (labelSets ?? []).flatMap(labels => (labels['cluster'] === undefined ? [] : [labels['cluster']])),
  }))
}

interface QueryAnswer {
  readonly status: string
  readonly error?: string
  readonly data?: {readonly result: readonly {readonly metric: Record<string, string>; readonly value: readonly [number, string]}[]}
}

interface StoreEntry {
  readonly name: string
  readonly lastError?: unknown
  readonly labelSets?: readonly Record<string, string>[] | null
}

async function getJson(address: HostPort, path: string): Promise<unknown> {
  const response = await fetch(`http://${renderHostPort(address)}${path}`, {signal: AbortSignal.timeout(10_000)})
  return response.json()
}
