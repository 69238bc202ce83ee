/** The part of a server that serves Envoys: ADS, the pushes, and in a shared store the report for the other servers. */
import {buildAhead} from '../../lib/envoy/build.js'
import {type HostPort, renderHostPort} from '../../lib/model/address.js'
import type {Owner} from '../../lib/model/names.js'
import type {Readiness, Report} from '../../lib/model/report.js'
import {inShortTurns} from '../../lib/store/short-turns.js'
import type {StateStore} from '../../lib/store/store.js'
import {type ClusterLimits, defaultClusterLimits, openClusterLimiter} from '../ads/cluster-limits.js'
import {type AdsServer, type ConnectionTimes, openAdsServer} from '../ads/server.js'
import {openRefusals} from '../ads/refusals.js'
import type {StreamTimes} from '../ads/stream-limits.js'
import type {CurrentFleet, FleetObserver} from '../fleet/current-fleet.js'
import type {Log} from '../log.js'
import type {Metrics} from '../metrics.js'
import type {ListenerEvents} from '../mtls/listener.js'
import {streamCallbacks} from './callbacks.js'
import type {Proxies} from './proxies.js'
import {type ReportTimes, openReportPublisher} from './publish-report.js'
import {type PushTimes, openPusher} from './push.js'

export interface EnvoyServiceDependencies {
  readonly fleet: CurrentFleet
  readonly store: StateStore
  /** This server's name among the servers of the store. */
  readonly replica: string
  readonly now: () => Date
  /** Milliseconds of a clock that is never set. */
  readonly steady: () => number
  readonly times: ConnectionTimes & PushTimes & ReportTimes & StreamTimes
  readonly limits: Partial<ClusterLimits>
  /** CPU time of this process so far, milliseconds. */
  readonly cpuTime: () => number
  readonly log: Log
  readonly metrics: Metrics
  readonly proxies: Proxies
  readonly report: () => Report
  readonly readiness: () => Readiness
  /** An Envoy of a cluster has connected, or is gone. */
  readonly proxiesChanged: (cluster: Owner) => void
}

export interface EnvoyService {
  /** New connections meet this certificate and trust. */
  readonly use: AdsServer['use']
  /** Open streams take what a change makes of their configuration, or end. */
  readonly pushes: FleetObserver
  /** Other servers learn what has become of the proxies; undefined: there are no other servers. */
  readonly reports: FleetObserver | undefined
  /**
   * Answers ADS from now on. The fleet must be known.
   * @throws AtlasError `failed` where the address can't be bound
   */
  listen(at: HostPort): Promise<void>
  /** The clock is doubted, or believed again: other servers learn it by the report. */
  clockChanged(): void
  /** Counts, logs and reports a connection that is not admitted, on any port for Envoys. */
  readonly denied: ListenerEvents['denied']
  /** HOST:PORT of ADS; empty before `listen`. */
  readonly address: () => string
  /** Ends the streams, then everything else. */
  stop(): Promise<void>
}

/** More connections are refused: more than a fleet needs without a relay, and few enough to leave files for the rest of the process. */
const CONNECTIONS_MAX = 20_000

/** No Envoy is served before `listen`. */
export function openEnvoyService(dependencies: EnvoyServiceDependencies): EnvoyService {
  const {fleet, store, replica, times, log, metrics, proxies, now, steady, cpuTime, report, readiness} = dependencies
  const pusher = openPusher(fleet, times, {
    pushed(streams, milliseconds) {
      metrics.pushes.inc()
      metrics.pushSeconds.observe(milliseconds / 1000)
      log.debug('pushed', {streams, milliseconds: Math.round(milliseconds)})
    },
  })
  const reports = store.isShared
    ? openReportPublisher({
        ...{fleet, store, replica, times, log, report, readiness},
        proxies: proxies.reportsOneByOne,
        leftovers: proxies.leftovers,
      })
    : undefined
  const limiter = openClusterLimiter({...defaultClusterLimits, ...dependencies.limits})
  const callbacks = streamCallbacks({
    ...{fleet, now, steady, times, limiter, refusals: openRefusals(), cpuTime, log, metrics, pusher, proxies},
    mayDiffer: why => reports?.mayDiffer(why),
    proxiesChanged: dependencies.proxiesChanged,
  })
  const ads = openAdsServer({times, connectionsMax: CONNECTIONS_MAX, log, streams: proxies.streams}, callbacks)
  return {
    use: ads.use,
    denied: callbacks.denied,
    pushes: pusher,
    reports,

    async listen(at) {
      // Before the first Envoy asks: building everything at once would block the event loop.
      await inShortTurns(buildAhead(fleet.served()))
      proxies.recall()
      await ads.listen(at)
      reports?.mayDiffer('other')
    },

    clockChanged() {
      reports?.mayDiffer('other')
    },

    address() {
      const address = ads.address()
      return address === undefined ? '' : renderHostPort(address)
    },

    async stop() {
      await ads.stop()
      await reports?.stop()
      pusher.close()
    },
  }
}
