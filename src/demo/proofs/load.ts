/** The load during a change: gRPC calls through both Envoys to every cluster, long streams, and PromQL where Thanos runs. */
import type {HostPort} from '../../lib/model/address.js'
import {messageOf} from '../../lib/model/errors.js'
import {type Channel, callOnce, grpcCodes, openPlain} from '../lab/grpc.js'
import {healthCall, watchCall} from '../lab/health.js'
import {type LoadResult, type LoadRequest, startLoad} from '../lab/load.js'
import {type Member, type Network, thanosAddress} from '../network.js'
import {insist} from '../proof.js'
import {clustersIn, queryInstant} from '../lab/query-api.js'
import {pause} from '../lab/wait.js'
import {counted} from '../format.js'

/** The result of the work, and a sentence about the load. */
export interface UnderLoad<T> {
  readonly result: T
  readonly calm: string
}

/** Longer than any proof takes. */
const STREAM_MS = 120_000
/** How often each kind of call is made to each cluster, and PromQL is asked. */
const [CALL_EVERY_MS, QUERY_EVERY_MS] = [40, 200]
/** How long the load runs before the work and after it. */
const AROUND_MS = 1500

/**
 * Does `work` while every cluster is called continuously.
 * @param query Thanos Query, where there is one
 * @throws Disproof when a request failed or a stream broke
 */
export async function underLoad<T>(network: Network, query: HostPort | undefined, work: () => Promise<T>): Promise<UnderLoad<T>> {
  const {signal} = network.context
  const load = startNetworkLoad(network, query)
  try {
    await pause(AROUND_MS, signal)
    const result = await work()
    await pause(AROUND_MS, signal)
    return {result, calm: await load.stop()}
  } finally {
    await load.abandon()
  }
}

interface NetworkLoad {
  stop(): Promise<string>
  /** Stops the load and drops its result; after `stop` it does nothing. */
  abandon(): Promise<void>
}

function startNetworkLoad(network: Network, query: HostPort | undefined): NetworkLoad {
  const address = thanosAddress(network.context)
  const members = [...network.members]
  const channels = members.map(() => openPlain(address))
  const calls = members.flatMap(({name, authority}, index) => {
    const channel = channels[index] ?? openPlain(address)
    return [onChannel(name, authority, channel), onNewConnection(name, authority, address)]
  })
  const watches = members.map(member => watch(member, address))
  const loads = [startLoad(calls, CALL_EVERY_MS), ...(query === undefined ? [] : [startLoad([promql(members, query)], QUERY_EVERY_MS)])]
  const end = async (): Promise<{result: LoadResult; broken: readonly string[]}> => {
    const result = together(await Promise.all(loads.map(each => each.stop())))
    const broken = watches.map(each => each.end()).filter(reason => reason !== undefined)
    for (const channel of channels) channel.close()
    return {result, broken}
  }
  return {
    async stop() {
      const {result, broken} = await end()
      return judge(result, {streams: watches.length, broken, withPromql: query !== undefined})
    },
    async abandon() {
      await end()
    },
  }
}

function together(results: readonly LoadResult[]): LoadResult {
  const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0)
  return {
    requests: sum(results.map(({requests}) => requests)),
    failures: sum(results.map(({failures}) => failures)),
    firstFailure: results.find(({firstFailure}) => firstFailure !== undefined)?.firstFailure,
    slowestMs: Math.max(...results.map(({slowestMs}) => slowestMs)),
  }
}

function judge(
  {requests, failures, firstFailure, slowestMs}: LoadResult,
  streams: {streams: number; broken: readonly string[]; withPromql: boolean},
): string {
  insist(failures === 0, `${failures} of ${requests} requests failed, first: ${firstFailure ?? ''}`)
  insist(streams.broken.length === 0, `${streams.broken.length} of ${streams.streams} open streams broke: ${streams.broken[0] ?? ''}`)
  const kinds = streams.withPromql ? 'gRPC calls and PromQL queries' : 'gRPC calls'
  return `0 of ${requests} ${kinds} failed (the slowest took ${slowestMs} ms) and ${counted(streams.streams, 'open stream')} stayed open`
}

function onChannel(name: string, authority: string, channel: Channel): LoadRequest {
  return async () => {
    const {grpcStatus, status} = await channel.call(healthCall(authority))
    if (grpcStatus !== grpcCodes.ok) throw new Error(`${name}: gRPC status ${grpcStatus ?? 'none'}, HTTP ${status}`)
  }
}

function onNewConnection(name: string, authority: string, address: HostPort): LoadRequest {
  return async () => {
    const {grpcStatus, status} = await callOnce(openPlain(address), healthCall(authority))
    if (grpcStatus !== grpcCodes.ok) throw new Error(`${name}: gRPC status ${grpcStatus ?? 'none'}, HTTP ${status}, on a new connection`)
  }
}

function promql(members: readonly Member[], query: HostPort): LoadRequest {
  return async () => {
    const got = clustersIn(await queryInstant(query, 'up'))
    const missing = members.filter(({name}) => !got.includes(name))
    if (missing.length > 0) throw new Error(`PromQL: no series from ${missing.map(({name}) => name).join(', ')}`)
  }
}

/** Opens a stream that must stay open until `end`. @returns why it broke, from `end` */
function watch({name, authority}: Member, address: HostPort): {end(): string | undefined} {
  const channel = openPlain(address)
  const state: {broken?: string; ended?: true} = {}
  const settle = (reason: string): void => {
    if (state.ended === undefined) state.broken = `${name}: ${reason}`
  }
  channel.call(watchCall(authority, STREAM_MS)).then(
    ({grpcStatus}) => {
      settle(`the stream ended with gRPC status ${grpcStatus ?? 'none'}`)
    },
    (error: unknown) => {
      settle(messageOf(error))
    },
  )
  return {
    end: () => {
      state.ended = true
      channel.close()
      return state.broken
    },
  }
}
