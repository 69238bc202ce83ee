/** How long a store in Kubernetes waits, for what. */
import {type ElectionTimes, defaultElectionTimes} from './election.js'
import {type FeedTimes, defaultFeedTimes} from './list-watch.js'
import {type PresenceTimes, defaultPresenceTimes} from './heartbeat.js'

/** Milliseconds. */
export type KubernetesTimes = ElectionTimes & FeedTimes & PresenceTimes

export const defaultKubernetesTimes: KubernetesTimes = {...defaultElectionTimes, ...defaultFeedTimes, ...defaultPresenceTimes}
