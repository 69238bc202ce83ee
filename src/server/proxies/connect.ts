/** What a server that serves Envoys has beside the fleet: the publisher, ADS, and where several servers share a store, a report for the others. */
import {setImmediate as nextTurn} from 'node:timers/promises'
import {buildAhead} from '../../lib/envoy/build.js'
import type {HostPort} from '../../lib/model/address.js'
import type {Fleet} from '../../lib/model/fleet.js'
import type {Report} from '../../lib/model/report.js'
import type {StateStore} from '../../lib/store/store.js'
import {type StreamLimits, defaultLimits, openLimiter} from '../ads/limits.js'
import {type AdsServer, type ConnectionTimes, openAdsServer} from '../ads/server.js'
import type {StreamTimes} from '../ads/stream.js'
import type {Log} from '../log.js'
import type {Metrics} from '../metrics.js'
import {type PushTimes, type Pusher, openPusher} from './push.js'
import type {Proxies} from './proxies.js'
import {type ReportTimes, type ReportPublisher, openReportPublisher} from './publish-report.js'
import {streamCallbacks} from './callbacks.js'

/** What is needed of the rest of the server. */
export interface ConnectDependencies {
  readonly store: StateStore
  readonly replica: string
  readonly listen: HostPort
  readonly now: () => Date
  readonly times: ConnectionTimes & PushTimes & ReportTimes & StreamTimes
  readonly limits: Partial<StreamLimits>
  readonly log: Log
  readonly metrics: Metrics
  readonly reporter: Proxies
  /** As it is stored. */
  readonly stored: () => Fleet
  readonly report: () => Report
}

export interface Envoys {
  readonly ads: AdsServer
  readonly publisher: Pusher
  /** Undefined where this server is alone. */
  readonly reports: ReportPublisher | undefined
  stop(): Promise<void>
}

/** More than a fleet that dials directly needs, and few enough to leave files for the rest of the process. */
const CONNECTIONS_MAX = 20_000

/** @throws AtlasError `failed` where the address can't be bound */
export async function openEnvoys(fleet: Fleet, dependencies: ConnectDependencies): Promise<Envoys> {
  const {store, replica, times, log, metrics, reporter, now} = dependencies
  // Before anybody asks: in one piece it would hold up the event loop.
  const ahead = buildAhead(fleet)
  while (ahead.next().done !== true) await nextTurn()
  const publisher = openPusher(fleet, times, {
    pushed(streams, milliseconds) {
      metrics.pushes.inc()
      metrics.pushSeconds.observe(milliseconds / 1000)
      log.debug('pushed', {streams, milliseconds: Math.round(milliseconds)})
    },
  })
  const reports =
    store.kubernetes === undefined
      ? undefined
      : openReportPublisher(store, replica, times, log, {
          fleet: dependencies.stored,
          report: dependencies.report,
          leftovers: () => reporter.leftovers(),
        })
  // A pod that comes back has its name again, and what it wrote last of what nodes have refused.
  reporter.recall(fleet.reports.get(replica)?.leftovers ?? [])
  const reported = (what: 'other' | 'refusal'): void => reports?.changed(what)
  const limiter = openLimiter({...defaultLimits, ...dependencies.limits})
  const ads = await openAdsServer(
    {listen: dependencies.listen, times, connectionsMax: CONNECTIONS_MAX, log},
    streamCallbacks({now, times, limiter, log, metrics, publisher, reporter, replica, reported}),
  )
  reported('other')
  return {
    ads,
    publisher,
    reports,
    async stop() {
      await ads.stop(() => reporter.streams())
      await reports?.stop()
      publisher.close()
    },
  }
}
