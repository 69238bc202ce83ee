/** Continuous requests to some clusters, on old and new connections, and an open stream to each: none may fail. */
import {callOnce, openPlain} from '../../src/demo/lab/grpc.js'
import {type Load, startLoad} from '../../src/demo/lab/load.js'
import {ANSWERED_BY, oneCall, streamCall} from './backend.js'
import {hostOf, queryAddress, whoAnswers} from './look.js'
import type {Scene} from './scene.js'

/** Longer than any test. */
const STREAM_SECONDS = 120
const PAUSE_MS = 15

export interface RunningLoad {
  /** Stops the load. @returns the number of requests @throws Error with the first failure */
  stop(): Promise<number>
}

/** @param options.streams whether a stream to each is kept open; not possible where connections are limited to less than the load's time */
export function load(network: Scene, clusters: readonly string[] = [...network.members.keys()], options = {streams: true}): RunningLoad {
  const target = queryAddress(network)
  const channels = clusters.map(() => openPlain(target))
  const broken: string[] = []
  const state = {ending: false}
  const onOpen = clusters.map((cluster, index) => async () => {
    const answer = await channels[index]?.call(oneCall(hostOf(cluster)))
    if (answer?.headers[ANSWERED_BY] !== `${cluster}/0`) throw new Error(`${cluster}: gRPC status ${answer?.grpcStatus ?? 'none'}`)
  })
  const onNew = clusters.map(cluster => async () => {
    const who = await whoAnswers(network, cluster)
    if (who !== `${cluster}/0`) throw new Error(`${cluster}, on a new connection: ${who}`)
  })
  const streams = (options.streams ? clusters : []).map(cluster => {
    const channel = openPlain(target)
    const told = (how: string) => () => {
      if (!state.ending) broken.push(`the stream to ${cluster} ${how}`)
    }
    callOnce(channel, streamCall(hostOf(cluster), STREAM_SECONDS)).then(told('ended'), told('broke'))
    return channel
  })
  const running: Load = startLoad([...onOpen, ...onNew], PAUSE_MS)
  return {
    async stop() {
      const {requests, failures, firstFailure} = await running.stop()
      state.ending = true
      for (const channel of [...channels, ...streams]) channel.close()
      if (failures > 0) throw new Error(`${failures} of ${requests} requests failed, first: ${firstFailure ?? ''}`)
      if (broken.length > 0) throw new Error(broken.join('; '))
      return requests
    },
  }
}
