/** What a server is given: its store, ports and times, and what it takes where nothing is given. */
import type {HostPort} from '../lib/model/address.js'
import {ADS_PORT, pagesPortOf} from '../lib/model/settings.js'
import type {OpsDependencies} from '../lib/ops/dependencies.js'
import type {Finding} from '../lib/ops/finding.js'
import type {ServerRole, StateStore} from '../lib/store/store.js'
import type {ClusterLimits} from './ads/cluster-limits.js'
import {type ConnectionTimes, defaultConnectionTimes} from './ads/server.js'
import {type StreamTimes, defaultStreamTimes} from './ads/stream-limits.js'
import {type ClockTimes, defaultClockTimes} from './clock.js'
import {type FleetTimes, defaultFleetTimes} from './fleet/current-fleet.js'
import {type AlertmanagerTimes, defaultAlertmanagerTimes} from './leader/alertmanagers.js'
import {type ReconcilerTimes, defaultReconcilerTimes} from './leader/reconciler.js'
import type {Log, LogLevel} from './log.js'
import {type ReportTimes, defaultReportTimes} from './proxies/publish-report.js'
import {type PushTimes, defaultPushTimes} from './proxies/push.js'
import {type ReadinessTimes, defaultReadinessTimes} from './readiness.js'

export type ServeTimes = AlertmanagerTimes &
  ClockTimes &
  ConnectionTimes &
  FleetTimes &
  PushTimes &
  ReadinessTimes &
  ReconcilerTimes &
  ReportTimes &
  StreamTimes

export const defaultTimes: ServeTimes = {
  ...defaultAlertmanagerTimes,
  ...defaultClockTimes,
  ...defaultConnectionTimes,
  ...defaultFleetTimes,
  ...defaultReadinessTimes,
  ...defaultReconcilerTimes,
  ...defaultReportTimes,
  ...defaultPushTimes,
  ...defaultStreamTimes,
}

export const defaultListen: HostPort = {host: '::', port: ADS_PORT}
export const defaultAdmin: HostPort = {host: '127.0.0.1', port: 6309}

/** Beside ADS, on the same address; any port of ADS means any port here. */
export function pagesBeside({host, port}: HostPort): HostPort {
  return {host, port: port === 0 ? 0 : pagesPortOf(port)}
}

/** The name of a server that shares its store with no other. */
export const DEFAULT_REPLICA = 'atlas'

export interface ServeOptions {
  readonly store: StateStore
  readonly dependencies: OpsDependencies
  /**
   * Milliseconds of a clock that is never set, by which this machine's is judged; by default the time since the machine was started.
   * Deadlines and budgets of streams go by it, too; by default by `performance.now`, since that clock costs a read of /proc/uptime,
   * which for the first responses to 1,000 Envoys is 0.2 s of CPU time. While the machine is suspended they stand still.
   */
  readonly steady?: () => number
  /** Serving Envoys, writing, or both, which is the default. */
  readonly role?: ServerRole
  /** This server's name among those that share the store. */
  readonly replica?: string
  /** The address of ADS; port 0 takes any free one. */
  readonly listen?: HostPort
  readonly admin?: HostPort
  /** The address of the server's web pages; by default that of ADS, with the next port. */
  readonly pagesListen?: HostPort
  /** The command to run next for a finding, which the web pages name. */
  readonly nextStep?: (finding: Finding) => string
  /** Completes a command that the web pages name by the flags of this store; by default as it is. */
  readonly inStore?: (command: string) => string
  /** Milliseconds each. */
  readonly times?: Partial<ServeTimes>
  readonly limits?: Partial<ClusterLimits>
  /** CPU time of this process so far, milliseconds, which is charged to the clusters that cause it; by default the operating system's figure. */
  readonly cpuTime?: () => number
  readonly log?: Log | LogLevel | 'silent'
  /** Whether the DNS zone is kept in Kubernetes; true by default. */
  readonly dnsZone?: boolean
  /** The endpoints file of a Thanos Query on this machine; those of groups are beside it. */
  readonly endpointsFile?: string
}
