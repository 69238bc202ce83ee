/** The server put together: opens the store, wires the observers of the fleet, listens, and closes all of it again. */
import {setFlagsFromString} from 'node:v8'
import type {HostPort} from '../lib/model/address.js'
import {messageOf} from '../lib/model/errors.js'
import {ADS_PORT} from '../lib/model/settings.js'
import type {Readiness, Report} from '../lib/model/report.js'
import type {OpsDependencies} from '../lib/ops/dependencies.js'
import {reportedProxies} from '../lib/ops/renewals.js'
import {unsignedReasons} from '../lib/ops/signing.js'
import {steady} from '../lib/store/steady.js'
import type {ServerRole, StateStore} from '../lib/store/store.js'
import {type Admin, type AdminSources, openAdmin} from './admin.js'
import type {ClusterLimits} from './ads/cluster-limits.js'
import {type ConnectionTimes, defaultConnectionTimes} from './ads/server.js'
import {type StreamTimes, defaultStreamTimes} from './ads/stream-limits.js'
import {type ClockTimes, type ServerClock, defaultClockTimes, openClock} from './clock.js'
import {type CurrentFleet, type FleetTimes, type FleetObserver, defaultFleetTimes, openCurrentFleet} from './fleet/current-fleet.js'
import {type EndpointsFile, openEndpointsFile} from './fleet/endpoints-file.js'
import {openFleetLog} from './fleet/fleet-log.js'
import {type Leader, openLeader} from './leader/leader.js'
import {type ReconcileOutcome, type ReconcilerTimes, defaultReconcilerTimes} from './leader/reconciler.js'
import {type Log, type LogLevel, logOf} from './log.js'
import {type Membership, openMembership} from './leader/membership.js'
import {openMetrics, setGauges} from './metrics.js'
import {openProxies} from './proxies/proxies.js'
import {type ReportTimes, defaultReportTimes} from './proxies/publish-report.js'
import {type PushTimes, defaultPushTimes} from './proxies/push.js'
import {type EnvoyService, openEnvoyService} from './proxies/serve-envoys.js'
import {type Phase, type ReadinessTimes, defaultReadinessTimes, readinessOf} from './readiness.js'
import {reportOf} from './proxies/report.js'

export type ServeTimes = ClockTimes &
  ConnectionTimes &
  FleetTimes &
  PushTimes &
  ReadinessTimes &
  ReconcilerTimes &
  ReportTimes &
  StreamTimes

export const defaultTimes: ServeTimes = {
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

/** The name of a server that shares its store with no other. */
const DEFAULT_REPLICA = 'atlas'

export interface ServeOptions {
  readonly store: StateStore
  readonly dependencies: OpsDependencies
  /** Milliseconds of a clock that is never set, by which this machine's is judged; by default the time since the machine was started. */
  readonly steady?: () => number
  /** Serving Envoys, writing, or both, which is the default. */
  readonly role?: ServerRole
  /** This server's name among those that share the store. */
  readonly replica?: string
  /** The address of ADS; port 0 takes any free one. */
  readonly listen?: HostPort
  readonly admin?: HostPort
  /** Milliseconds each. */
  readonly times?: Partial<ServeTimes>
  readonly limits?: Partial<ClusterLimits>
  /** CPU time of this process so far, milliseconds, which is charged to the clusters that cause it; by default the operating system's figure. */
  readonly cpuTime?: () => number
  readonly log?: Log | LogLevel | 'silent'
  /** The endpoints file of a Thanos Query on this machine. */
  readonly endpointsFile?: string
}

export interface Serving {
  /** HOST:PORT of ADS; empty where Envoys are not served. */
  readonly address: string
  /** URL of the admin port. */
  readonly adminAddress: string
  readonly readiness: () => Readiness
  readonly report: () => Report
  /** Ends the streams and gives the store back; a second call waits for the first. */
  stop(): Promise<void>
}

/**
 * Serves until `stop`. Resolves once the store was read in full, the leader has issued what was missing, and ADS is answered; nothing is
 * served before the first of these. A directory belongs to this server alone meanwhile; a cluster that does not answer yet is waited for.
 * @param stopping ends the waiting, before there is anything to stop
 * @throws AtlasError `conflict` where another server holds the store, `not-found` before `init`, `unreachable` where the store can't
 * be read, `failed` where an address can't be bound
 */
export async function serve(options: ServeOptions, stopping = new AbortController()): Promise<Serving> {
  keepHeapSmall()
  let phase: Phase = 'starting'
  const parts = wire(options, () => phase)
  const {store, log, fleet, clock, leader, membership, envoys, endpoints} = parts
  let admin: Admin | undefined
  let closed: Promise<void> | undefined

  async function stop(): Promise<void> {
    const wasServing = phase === 'serving'
    phase = 'stopping'
    stopping.abort()
    clock.stop()
    // Another server leads before the streams are ended, which takes a while; the leader's work is done before the store is given back.
    closed ??= closeAll([membership.resign, envoys?.stop, leader?.stop, membership.release, admin?.close], log)
    await closed
    if (wasServing) log.info('stopped')
  }

  try {
    // Asked first: a second server with the same flags would only learn that its admin port is taken.
    await store.requireFree()
    admin = await openAdmin(options.admin ?? defaultAdmin, parts)
    // A directory is taken before it is read. In a store that servers share, a server that can't read must neither lead nor count as alive.
    if (!store.isShared) await membership.join(admin.url)
    await fleet.follow(parts.observers, stopping.signal)
    clock.start(parts.clockChanged)
    const listen = async (): Promise<void> => envoys?.listen(options.listen ?? defaultListen)
    // A new installation has no server certificate before the first pass; any other serves its Envoys before that pass, which takes seconds.
    const canListen = envoys?.certificateEnd() !== undefined
    if (canListen) await listen()
    await leader?.start()
    if (!canListen) await listen()
    if (store.isShared) await membership.join(admin.url)
    await endpoints?.settled()
  } catch (error) {
    await stop()
    throw error
  }

  phase = 'serving'
  const {role = 'all', replica = DEFAULT_REPLICA} = options
  const address = parts.address()
  log.info('serving', {role, replica, ...(address !== '' && {address}), admin: admin.url, store: store.description})
  return {address, adminAddress: admin.url, readiness: parts.readiness, report: parts.report, stop}
}

/** What a server is made of. */
interface Parts extends AdminSources {
  readonly store: StateStore
  readonly log: Log
  readonly fleet: CurrentFleet
  readonly observers: readonly FleetObserver[]
  readonly clock: ServerClock
  readonly clockChanged: () => void
  /** Undefined in the role of `ads`. */
  readonly leader: Leader | undefined
  readonly membership: Membership
  /** Undefined in the role of `controller`. */
  readonly envoys: EnvoyService | undefined
  readonly endpoints: EndpointsFile | undefined
  /** HOST:PORT of ADS; empty where it is not answered. */
  readonly address: () => string
  readonly readiness: () => Readiness
  readonly report: () => Report
}

/** Makes the parts and joins them; nothing is opened yet. */
function wire(options: ServeOptions, phase: () => Phase): Parts {
  const {store, role = 'all', replica = DEFAULT_REPLICA, limits = {}, cpuTime = cpuTimeOfProcess, endpointsFile} = options
  const {now} = options.dependencies
  const [times, log, metrics, startedAt] = [{...defaultTimes, ...options.times}, logOf(options.log), openMetrics(), now()]
  const fleet = openCurrentFleet(store, log, times, now)
  const steadyNow = options.steady ?? steady
  const clock = openClock({now, steady: steadyNow, store, fleet, times, log})
  const dependencies: OpsDependencies = {...options.dependencies, clockDoubt: clock.doubt}
  const proxies = openProxies(fleet, replica)

  const reconciled = (outcome: ReconcileOutcome): void => metrics.reconciles.inc({outcome})
  const renewals = {
    proxies: () => (store.isShared ? reportedProxies(fleet.stored()) : proxies.reports()),
    isClockConfirmed: clock.isConfirmed,
  }
  const leader = role === 'ads' ? undefined : openLeader({fleet, store, dependencies, log, times, renewals, reconciled})
  const membership = openMembership({store, replica, role, log, leader, warnings: () => readiness().warnings})

  const readiness = (): Readiness =>
    readinessOf({
      ...{role, fleet, times, phase: phase(), clock: {now, clockDoubt: clock.doubt}, storeHeardAt: store.heardAt()},
      lacksCertificate: envoys !== undefined && envoys.certificateEnd() === undefined,
      problems: [...store.warnings(), leader?.failure(), envoys?.problem(), membership.failure(), endpoints?.problem()],
    })
  const address = (): string => envoys?.address() ?? ''
  const report = (): Report => reportOf({store, fleet, proxies, readiness, address, startedAt, now})
  const envoys =
    role === 'controller'
      ? undefined
      : openEnvoyService({fleet, store, replica, now: clock.now, steady: steadyNow, times, limits, cpuTime, log, metrics, proxies, report})
  const endpoints = endpointsFile === undefined ? undefined : openEndpointsFile(endpointsFile, log)

  /** All that act on a change of the fleet, in this order. */
  const observers: readonly (FleetObserver | undefined)[] = [
    // The log, before the lines about what comes of the change.
    openFleetLog(log),
    {changed: ({changes}) => changes.forEach(({kind}) => metrics.changes.inc({kind}))},
    // The Envoys: connections that begin now, then open streams.
    envoys?.tls,
    envoys?.pushes,
    // Thanos Query on this machine, and the other servers.
    endpoints,
    envoys?.reports,
    // The leader comes last: what it plans takes longest.
    leader?.events,
    leader?.reconciler,
  ]

  const measured = async (): Promise<string> => {
    setGauges(metrics, {
      isReady: readiness().ready,
      isLeading: membership.isLeading(),
      isStoreReachable: fleet.isReachable(),
      storeHeardAt: store.heardAt(),
      isClockBelieved: clock.doubt() === undefined,
      isSigningBlocked: role !== 'ads' && fleet.isKnown() && unsignedReasons(fleet.served(), dependencies).length > 0,
      clockAhead: clock.ahead(),
      fleet: fleet.served(),
      connected: envoys === undefined ? undefined : proxies.connected(),
      now: now(),
      frozenStreams: [...proxies.streams()].filter(({frozen}) => frozen !== undefined).length,
      certificateEnd: envoys?.certificateEnd(),
    })
    return metrics.registry.metrics()
  }

  return {
    ...{store, log, fleet, clock, leader, membership, envoys, endpoints, address, readiness, report},
    observers: observers.filter(observer => observer !== undefined),
    clockChanged() {
      leader?.clockChanged()
      envoys?.clockChanged()
    },
    metrics: measured,
  }
}

/** Milliseconds, of all threads: the garbage collector's work for a request counts, and time in which another process ran does not. */
function cpuTimeOfProcess(): number {
  const {user, system} = process.cpuUsage()
  return (user + system) / 1000
}

/** In this order; one that fails keeps no other from being closed. */
async function closeAll(closers: readonly ((() => Promise<void>) | undefined)[], log: Log): Promise<void> {
  for (const close of closers) {
    try {
      await close?.()
    } catch (error) {
      log.error('could not stop in good order', {error: messageOf(error)})
    }
  }
}

/**
 * Has V8 collect garbage sooner. A server's garbage is short-lived and comes in bursts (a fleet that is read, a thousand handshakes); by
 * default V8 grows its young generation to fit them and keeps it. Measured with 1,000 connected nodes: 306 MiB resident, 406 without.
 */
function keepHeapSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1')
  setFlagsFromString('--max-semi-space-size=16')
}
