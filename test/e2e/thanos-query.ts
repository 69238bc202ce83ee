/** What a Thanos Query in front of the observability Envoy says of its endpoints, and which replicas answer through it. */
import type {Monitored} from './monitored.js'

interface StoresAnswer {
  readonly data: Readonly<Record<string, readonly {readonly name: string; readonly lastError: unknown}[]>>
}

/** The error of each endpoint that Thanos Query knows, by its name without the domain; empty while it is healthy. */
export async function endpointsIn(scene: Monitored): Promise<Readonly<Record<string, string>>> {
  const {data} = (await scene.get('/api/v1/stores')) as StoresAnswer
  return Object.fromEntries(
    Object.values(data)
      .flat()
      .map(({name, lastError}) => [name.replace(/^.*\/|\..*$/g, ''), lastError === null ? '' : JSON.stringify(lastError)]),
  )
}

/** The names of the endpoints that have an error. */
export async function unhealthyIn(scene: Monitored): Promise<readonly string[]> {
  return Object.entries(await endpointsIn(scene)).flatMap(([name, error]) => (error === '' ? [] : [name]))
}

/** The replicas, shards and receivers with a sample of `up` in an answer that may be partial, sorted. */
export async function upIn(scene: Monitored, selector: string): Promise<readonly string[]> {
  const parameters = new URLSearchParams({query: `up${selector}`, dedup: 'false', partial_response: 'true'})
  const {data} = (await scene.get(`/api/v1/query?${String(parameters)}`)) as {data: {result: readonly {metric: Record<string, string>}[]}}
  return data.result.map(({metric}) => metric['prometheus_replica'] ?? metric['shard'] ?? metric['receiver'] ?? '').sort()
}
