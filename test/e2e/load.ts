/** Requests to some clusters at a fixed rate, on old and new connections, and an open stream to each: none may fail or take long. */
import {type Channel, type GrpcReply, callOnce, openPlain} from '../../src/demo/lab/grpc.js'
import {type Load, type LoadRequest, type LoadResult, startLoad} from '../../src/demo/lab/load.js'
import {messageOf} from '../../src/lib/model/errors.js'
import {ANSWERED_BY, oneCall, streamCall} from './backend.js'
import {call, hostOf, queryAddress} from './look.js'
import type {Scene} from './scene.js'

/** Longer than any test. */
const STREAM_SECONDS = 120
/** A request on an open connection and one on a new connection are sent to each cluster once in this time. */
const EVERY_MS = 25
/** No answer may take longer, milliseconds; Thanos waits 5 s. It takes some milliseconds, and 0.3 s on a machine that runs other tests as well. */
const SLOWEST_MS = 3000

export interface RunningLoad {
  /** How often connections were replaced, by cluster. */
  reconnections(): ReadonlyMap<string, number>
  /** How many streams have come to their end. */
  streamsEnded(): number
  /** Stops the load. @returns the number of requests @throws Error with the first failure, or where an answer took too long */
  stop(): Promise<number>
}

/** A test that fails leaves its load, which would slow down every later test of the process. */
const unstopped = new Set<Load>()
afterEach(async function () {
  if (this.currentTest?.state === 'failed') await Promise.all([...unstopped].map(async ({stop}) => stop()))
})

/** A load as `startLoad` starts it, which also stops where a test fails. @param ended called when it has stopped */
export function startTestLoad(requests: readonly LoadRequest[], everyMs: number, ended: () => void = () => undefined): Load {
  const running = startLoad(requests, everyMs)
  const load: Load = {
    async stop() {
      unstopped.delete(load)
      return running.stop().finally(ended)
    },
  }
  unstopped.add(load)
  return load
}

interface LoadOptions {
  /** Whether a stream to each is kept open; not possible where connections are limited to less than `streamSeconds`. */
  readonly streams?: boolean
  /** How long a stream lasts before the next one begins, if not as long as the load. */
  readonly streamSeconds?: number
  /**
   * Whether a connection whose end the Envoy has announced is replaced, and what was not processed on it sent again, as a gRPC client does;
   * otherwise requests on it fail.
   */
  readonly reconnects?: boolean
}

export function load(
  network: Scene,
  clusters: readonly string[] = [...network.members.keys()],
  {streams: withStreams = true, streamSeconds = STREAM_SECONDS, reconnects = false}: LoadOptions = {},
): RunningLoad {
  const target = queryAddress(network)
  const channels = new Map(clusters.map(cluster => [cluster, openPlain(target)]))
  const replaced = new Map<string, number>()
  const broken: string[] = []
  const state = {ending: false, ended: 0}
  const channelTo = (cluster: string): Channel => {
    const channel = channels.get(cluster)
    if (channel !== undefined && (channel.isOpen() || !reconnects)) return channel
    const next = openPlain(target)
    channels.set(cluster, next)
    replaced.set(cluster, (replaced.get(cluster) ?? 0) + 1)
    return next
  }
  const callOnOpen = async (cluster: string): Promise<GrpcReply> => {
    try {
      return await channelTo(cluster).call(oneCall(hostOf(cluster)))
    } catch (error) {
      if (!reconnects || !isUnprocessed(error)) throw error
      return channelTo(cluster).call(oneCall(hostOf(cluster)))
    }
  }
  const onOpen = clusters.map(cluster => async () => {
    const answer = await callOnOpen(cluster)
    if (answer.headers[ANSWERED_BY] !== `${cluster}/0`)
      throw new Error(`${cluster}: gRPC status ${answer.grpcStatus ?? 'none'} ${answer.grpcMessage}`)
  })
  const onNew = clusters.map(cluster => async () => {
    const {headers, grpcStatus, grpcMessage} = await call(network, cluster)
    if (headers[ANSWERED_BY] !== `${cluster}/0`)
      throw new Error(`${cluster}, on a new connection: gRPC status ${grpcStatus ?? 'none'} ${grpcMessage}`)
  })
  const streams = new Map<string, Channel>()
  const keepStream = async (cluster: string): Promise<void> => {
    while (!state.ending) {
      const channel = openPlain(target)
      streams.set(cluster, channel)
      const {grpcStatus, messages} = await callOnce(channel, streamCall(hostOf(cluster), streamSeconds))
      if (grpcStatus !== 0 || messages.map(String).join(' ') !== 'begin end')
        throw new Error(`gRPC status ${grpcStatus ?? 'none'} after ${messages.length} messages`)
      state.ended += 1
    }
  }
  for (const cluster of withStreams ? clusters : [])
    keepStream(cluster).catch((error: unknown) => {
      if (!state.ending) broken.push(`the stream to ${cluster} broke: ${messageOf(error)}`)
    })
  const running = startTestLoad([...onOpen, ...onNew], EVERY_MS, () => {
    state.ending = true
    for (const channel of [...channels.values(), ...streams.values()]) channel.close()
  })
  return {
    reconnections: () => replaced,
    streamsEnded: () => state.ended,
    async stop() {
      const result = await running.stop()
      requireCalm(result, 'requests')
      if (broken.length > 0) throw new Error(broken.join('; '))
      return result.requests
    },
  }
}

/**
 * Whether a request was sent after the Envoy had announced the end of the connection, which has not processed it: a gRPC client sends it again
 * (RFC 9113, section 8.7; gRFC A6, "transparent retries").
 */
function isUnprocessed(error: unknown): boolean {
  return messageOf(error).includes('NGHTTP2_REFUSED_STREAM')
}

/** @param what was requested @throws Error with the first failure, or where an answer took too long */
export function requireCalm({requests, failures, firstFailure, slowestMs}: LoadResult, what: string): void {
  if (failures > 0) throw new Error(`${failures} of ${requests} ${what} failed, first: ${firstFailure ?? ''}`)
  if (slowestMs > SLOWEST_MS) throw new Error(`the slowest of ${requests} ${what} took ${slowestMs} ms`)
}
