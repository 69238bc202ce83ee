/** The server put together: opens the store, wires the observers of the fleet, listens, and closes all of it again. */
import {messageOf} from '../lib/model/errors.js'
import type {Readiness, Report} from '../lib/model/report.js'
import type {OpsDependencies} from '../lib/ops/dependencies.js'
import {evidenceIn} from '../lib/ops/rotation/evidence.js'
import {endingCredentials} from '../lib/ops/credential-findings.js'
import {offlineRootsOf, unsignedReasons} from '../lib/ops/signing.js'
import {steady} from '../lib/store/steady.js'
import type {StateStore} from '../lib/store/store.js'
import {type Admin, type AdminSources, openAdmin} from './admin.js'
import {type ServerClock, openClock} from './clock.js'
import {type CurrentFleet, type FleetObserver, openCurrentFleet} from './fleet/current-fleet.js'
import {type EndpointsFiles, openEndpointsFiles} from './fleet/endpoints-file.js'
import {openFleetLog} from './fleet/fleet-log.js'
import {type Leader, openLeader} from './leader/leader.js'
import type {ReconcileOutcome} from './leader/reconciler.js'
import {type Log, logOf} from './log.js'
import {type Membership, openMembership} from './leader/membership.js'
import {openMetrics, renderMetrics} from './metrics.js'
import {type ServerCertificate, openServerCertificate} from './mtls/certificate.js'
import {DEFAULT_REPLICA, type ServeOptions, defaultAdmin, defaultListen, defaultTimes, pagesBeside} from './options.js'
import {openDocuments} from './pages/documents.js'
import {type PagesServer, openPagesServer} from './pages/server.js'
import {openProxies} from './proxies/proxies.js'
import {type EnvoyService, openEnvoyService} from './proxies/serve-envoys.js'
import {type Phase, readinessOf} from './readiness.js'
import {reportOf} from './proxies/report.js'

export interface Serving {
  /** HOST:PORT of ADS; empty where Envoys are not served. */
  readonly address: string
  /** HOST:PORT of the web pages; empty where Envoys are not served. */
  readonly pagesAddress: string
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
  let phase: Phase = 'starting'
  const parts = wire(options, () => phase)
  const {store, log, fleet, clock, leader, membership, envoys, pages, endpoints} = parts
  let admin: Admin | undefined
  let closed: Promise<void> | undefined

  async function stop(): Promise<void> {
    const wasServing = phase === 'serving'
    phase = 'stopping'
    stopping.abort()
    clock.stop()
    // Another server leads before the streams are ended, which takes a while; the leader's work is done before the store is given back.
    closed ??= closeAll([membership.resign, pages?.stop, envoys?.stop, leader?.stop, membership.release, admin?.close], log)
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
    const listenAt = options.listen ?? defaultListen
    const listen = async (): Promise<void> => {
      await envoys?.listen(listenAt)
      await pages?.listen(options.pagesListen ?? pagesBeside(listenAt))
    }
    // A new installation has no server certificate before the first pass; any other serves its Envoys before that pass, which takes seconds.
    const canListen = parts.certificate?.end() !== undefined
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
  const [address, pagesAddress] = [parts.address(), pages?.address() ?? '']
  const served = address !== '' && {address, pages: pagesAddress}
  log.info('serving', {role, replica, ...served, admin: admin.url, store: store.description})
  return {address, pagesAddress, adminAddress: admin.url, readiness: parts.readiness, report: parts.report, stop}
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
  readonly pages: PagesServer | undefined
  /** Of the ports for Envoys; undefined in the role of `controller`. */
  readonly certificate: ServerCertificate | undefined
  readonly endpoints: EndpointsFiles | undefined
  /** HOST:PORT of ADS; empty where it is not answered. */
  readonly address: () => string
  readonly readiness: () => Readiness
  readonly report: () => Report
}

/** Makes the parts and joins them; nothing is opened yet. */
function wire(options: ServeOptions, phase: () => Phase): Parts {
  const {store, role = 'all', replica = DEFAULT_REPLICA, limits = {}, cpuTime = cpuTimeOfProcess, dnsZone = true, endpointsFile} = options
  const {now} = options.dependencies
  const [times, log, metrics, startedAt] = [{...defaultTimes, ...options.times}, logOf(options.log), openMetrics(), now()]
  const fleet = openCurrentFleet(store, log, times, now)
  const clock = openClock({now, steady: options.steady ?? steady, store, fleet, times, log})
  const monotonic = options.steady ?? (() => performance.now())
  const dependencies: OpsDependencies = {...options.dependencies, clockDoubt: clock.doubt}
  const proxies = openProxies(fleet, replica, now)

  const reconciled = (outcome: ReconcileOutcome): void => metrics.reconciles.inc({outcome})
  const renewals = {
    isClockConfirmed: clock.isConfirmed,
    evidenceAhead: () => (store.isShared ? [] : proxies.reportsOneByOne()),
    evidence: () =>
      store.isShared
        ? evidenceIn(fleet.stored())
        : {proxies: proxies.reports(), absent: proxies.absent(), servers: [{name: replica, tls: certificate?.inUse()}]},
  }
  const sources = {fleet, store, dependencies, log, times, renewals, withZone: dnsZone, isConnecting: proxies.isConnecting, reconciled}
  const leader = role === 'ads' ? undefined : openLeader(sources)
  const said = {warnings: () => readiness().warnings, offlineRoots: () => (fleet.isKnown() ? offlineRootsOf(fleet.served()) : undefined)}
  const membership = openMembership({store, replica, role, log, leader, ...said})

  const readiness = (): Readiness =>
    readinessOf({
      ...{role, fleet, times, phase: phase(), clock: {now, clockDoubt: clock.doubt}, storeHeardAt: store.heardAt()},
      lacksCertificate: certificate !== undefined && certificate.end() === undefined,
      problems: [
        ...store.warnings(),
        leader?.failure(),
        ...(leader?.warnings() ?? []),
        certificate?.problem(),
        membership.failure(),
        endpoints?.problem(),
        fleet.isKnown() && clock.doubt() === undefined ? endingCredentials(fleet.served(), proxies.connected, now()) : undefined,
      ],
    })
  const address = (): string => envoys?.address() ?? ''
  const asked = {store, fleet, proxies, readiness, address, startedAt, clockHeldUntil: clock.heldUntil, now}
  const report = (): Report => reportOf({...asked, tls: () => certificate?.inUse()})
  const envoys =
    role === 'controller'
      ? undefined
      : openEnvoyService({
          ...{fleet, store, replica, now: clock.now, steady: monotonic, times, limits, cpuTime, log, metrics, proxies, report, readiness},
          proxiesChanged(cluster) {
            if (!store.isShared) leader?.proxiesChanged(cluster)
          },
        })
  const {nextStep = () => 'atlas status', inStore = command => command} = options
  const pages =
    envoys &&
    openPagesServer({
      ...{fleet: fleet.served, now: clock.now, log, handshakeTimeoutMs: times.handshakeTimeoutMs, denied: envoys.denied},
      documents: openDocuments({store, fleet, replica, report, nextStep, inStore, now}),
    })
  const certificate = envoys && pages && openServerCertificate([envoys, pages], {now: clock.now, log})
  const endpoints = endpointsFile === undefined ? undefined : openEndpointsFiles(endpointsFile, log)

  /** All that act on a change of the fleet, in this order. */
  const observers: readonly (FleetObserver | undefined)[] = [
    // The log, before the lines about what comes of the change.
    openFleetLog(log),
    {changed: ({changes}) => changes.forEach(({kind}) => metrics.changes.inc({kind}))},
    // The Envoys: connections that begin now, then open streams.
    certificate,
    envoys?.pushes,
    // Thanos Query on this machine, and the other servers.
    endpoints,
    envoys?.reports,
    // The leader comes last: what it plans takes longest.
    leader?.events,
    leader?.reconciler,
  ]

  const measured = async (): Promise<string> =>
    renderMetrics(metrics, {
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
      certificateEnd: certificate?.end(),
    })

  return {
    ...{store, log, fleet, clock, leader, membership, envoys, pages, certificate, endpoints, address, readiness, report},
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
