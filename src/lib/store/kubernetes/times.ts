/** All times of a store in Kubernetes, together. Each is explained where it is used. */
import {type ElectionTimes, defaultElectionTimes} from './election.js'
import {type ListWatchTimes, defaultListWatchTimes} from './list-watch.js'
import {type HeartbeatTimes, defaultHeartbeatTimes} from './heartbeat.js'

/** Milliseconds. */
export type KubernetesTimes = ElectionTimes & ListWatchTimes & HeartbeatTimes

export const defaultKubernetesTimes: KubernetesTimes = {...defaultElectionTimes, ...defaultListWatchTimes, ...defaultHeartbeatTimes}
