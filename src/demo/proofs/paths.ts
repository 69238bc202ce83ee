/** Proofs of routing: gRPC calls reach the right cluster through both Envoys, and PromQL reaches all clusters through Thanos Query. */
import type {HostPort} from '../../lib/model/address.js'
import {callOnce, grpcCodes, openPlain} from '../lab/grpc.js'
import {ANSWERED_BY, healthCall, isServing} from '../lab/health.js'
import {type Member, type Network, thanosAddress} from '../network.js'
import {Disproof, insist} from '../proof.js'
import {clustersIn, queryInstant, storesOf} from '../lab/query-api.js'
import {waitFor} from '../lab/wait.js'
import {counted, listed} from '../format.js'

/** Calls each cluster's sidecar by name, through the observability Envoy and the cluster's own. An unknown name must be refused. */
export async function envoyPath(network: Network): Promise<string> {
  const {members, context} = network
  const address = thanosAddress(context)
  const times: number[] = []
  for (const {name, authority} of members) {
    const begin = performance.now()
    const answer = await callOnce(openPlain(address), healthCall(authority))
    times.push(performance.now() - begin)
    insist(answer.grpcStatus === grpcCodes.ok, `${authority} answered gRPC status ${answer.grpcStatus ?? 'none'} (HTTP ${answer.status})`)
    insist(isServing(answer.messages[0]), `${authority} does not serve`)
    const answeredBy = answer.headers[ANSWERED_BY]
    if (answeredBy !== undefined && answeredBy !== name) throw new Disproof(`a call to ${name} was answered by ${String(answeredBy)}`)
  }

  const [first] = members
  const unknown = first?.authority.replace(first.name, 'unknown') ?? ''
  const {grpcStatus} = await callOnce(openPlain(address), healthCall(unknown))
  insist(grpcStatus === grpcCodes.unimplemented, `an unknown cluster answered gRPC status ${grpcStatus ?? 'none'}`)
  return `gRPC calls through both Envoys over HTTP/2 with mutual TLS: ${listed(members.map(({name}) => name))} answered, each for itself, within ${Math.ceil(Math.max(...times))} ms; an unknown name was refused`
}

/** Waits until calls reach the cluster's backend. */
export async function untilReachable(network: Network, {name, authority}: Member): Promise<void> {
  await waitFor(
    `calls to reach ${name} through both Envoys`,
    async () => {
      const answer = await callOnce(openPlain(thanosAddress(network.context)), healthCall(authority, 3000))
      if (answer.grpcStatus === grpcCodes.ok) return true
      throw new Error(`gRPC status ${answer.grpcStatus ?? 'none'} ${answer.grpcMessage}`)
    },
    {signal: network.context.signal, timeoutMs: 60_000},
  )
}

const PROMQL = 'sum by (cluster) (up)'

/** Sends one PromQL query: the answer must have series of every cluster, each under its own name. */
export async function thanosQuery(network: Network, query: HostPort): Promise<string> {
  const wanted = network.members.map(({name}) => name).sort()
  await untilAnswered(network, query, wanted)
  const begin = performance.now()
  const series = await queryInstant(query, PROMQL)
  const time = Math.ceil(performance.now() - begin)
  const got = clustersIn(series)
  insist(got.join() === wanted.join(), `"${PROMQL}" was answered by ${got.join(', ')}, not by ${wanted.join(', ')}`)
  const stores = await storesOf(query)
  for (const {name, clusters, error} of stores) {
    insist(error === '', `Thanos Query can't reach ${name}: ${error}`)
    insist(clusters.length === 1 && name.includes(`/${clusters[0] ?? ''}-thanos-sidecar0.`), `${name} reaches ${clusters.join(', ')}`)
  }

  return `"${PROMQL}" was answered in ${time} ms with series from ${listed(got)}; its ${counted(stores.length, 'endpoint')}, read from the file that Atlas writes, each reach the cluster that they are named after`
}

/** Waits until Thanos Query answers with series of exactly these clusters. */
export async function untilAnswered(network: Network, query: HostPort, wanted: readonly string[]): Promise<void> {
  const clusters = [...wanted].sort().join(', ')
  await waitFor(
    `Thanos Query to answer with series of ${clusters}`,
    async () => {
      const got = clustersIn(await queryInstant(query, PROMQL)).join(', ')
      if (got === clusters) return true
      throw new Error(`it answers with series of ${got === '' ? 'no cluster' : got}`)
    },
    {signal: network.context.signal, timeoutMs: 60_000},
  )
}
