/** Puts the server together: store, controller, publisher, ADS, admin port; and takes it apart again. */
import {type HostPort, renderHostPort} from '../lib/model/address.js'
import type {Change} from '../lib/model/change.js'
import {messageOf} from '../lib/model/errors.js'
import {type Fleet, clustersOf, emptyFleet} from '../lib/model/fleet.js'
import {ADS_PORT} from '../lib/model/settings.js'
import type {Report} from '../lib/model/report.js'
import type {OpsDependencies} from '../lib/ops/dependencies.js'
import type {StoreMembership, HoldEvents, ServerRole, StateStore} from '../lib/store/store.js'
import {type ConnectionTimes, defaultConnectionTimes} from './ads/server.js'
import type {StreamLimits} from './ads/limits.js'
import {type StreamTimes, defaultStreamTimes} from './ads/stream.js'
import {type Readiness, openAdmin} from './admin.js'
import {type EventRecorder, openEventRecorder} from './leader/events.js'
import {type Controller, type ControllerEvents, type ControllerTimes, defaultControllerTimes, startController} from './controller.js'
import {type Log, type LogLevel, logOf} from './log.js'
import {type EndpointsFile, openEndpointsFile} from './endpoints-file.js'
import {type Envoys, type ConnectDependencies, openEnvoys} from './proxies/connect.js'
import {keepHeapSmall} from './memory.js'
import {openMetrics} from './metrics.js'
import {type PushTimes, defaultPushTimes} from './proxies/push.js'
import {type Reconciler, type ReconcilerTimes, defaultReconcilerTimes, openReconciler} from './leader/reconciler.js'
import {openProxies} from './proxies/proxies.js'
import {type ReportTimes, defaultReportTimes} from './proxies/publish-report.js'
import {logFleetAtStart, logChanges} from './fleet-log.js'
import {warningsOf} from './warnings.js'

export type ServeTimes = ConnectionTimes & ControllerTimes & PushTimes & ReconcilerTimes & ReportTimes & StreamTimes

export const defaultTimes: ServeTimes = {
  ...defaultConnectionTimes,
  ...defaultControllerTimes,
  ...defaultReconcilerTimes,
  ...defaultReportTimes,
  ...defaultPushTimes,
  ...defaultStreamTimes,
}

export const defaultListen: HostPort = {host: '::', port: ADS_PORT}
export const defaultAdmin: HostPort = {host: '127.0.0.1', port: 6309}

export interface ServeOptions {
  readonly store: StateStore
  readonly dependencies: OpsDependencies
  /** Serving Envoys, writing, or both; both where nothing is said. */
  readonly role?: ServerRole
  /** This server's name among those that share the store. */
  readonly replica?: string
  /** Where ADS is answered; port 0 takes any free one. */
  readonly listen?: HostPort
  readonly admin?: HostPort
  /** Milliseconds each. */
  readonly times?: Partial<ServeTimes>
  readonly limits?: Partial<StreamLimits>
  readonly log?: Log | LogLevel | 'silent'
  /** A file to keep the endpoints for Thanos Query in. */
  readonly endpointsFile?: string
}

export interface Serving {
  /** HOST:PORT of ADS; empty where Envoys are not served. */
  readonly address: string
  /** URL of the admin port. */
  readonly adminAddress: string
  readonly readiness: () => Readiness
  readonly report: () => Report
  /** Lets the clients go and gives the store back; a second call waits for the first. */
  stop(): Promise<void>
}

/**
 * Serves until `stop`. Resolves once the store was read in full, what was missing was issued by whoever leads, and ADS is answered;
 * nothing is served before. A directory is this server's alone meanwhile; a cluster that does not answer yet is waited for.
 * @param stopping ends the waiting, before there is anything to stop
 * @throws AtlasError `conflict` where another server holds the store, `not-found` before `init`, `unreachable` where the store can't
 * be read, `failed` where an address can't be bound
 */
export async function serve(options: ServeOptions, stopping = new AbortController()): Promise<Serving> {
  keepHeapSmall()
  const server = new RunningServer(options, stopping)
  try {
    return await server.start()
  } catch (error) {
    await server.stop()
    throw error
  }
}

/** A class, because it is one thing with a life: its parts come one after the other, and go in reverse order. */
class RunningServer {
  readonly #options: ServeOptions
  readonly #stopping: AbortController
  readonly #role: ServerRole
  readonly #replica: string
  readonly #times: ServeTimes
  readonly #log: Log
  readonly #metrics = openMetrics()
  readonly #reporter = openProxies()
  readonly #startedAt: Date
  readonly #announcer: EventRecorder
  readonly #reconciler: Reconciler | undefined
  readonly #endpoints: EndpointsFile | undefined
  readonly #undo: (() => Promise<void> | void)[] = []
  #controller: Controller | undefined
  #envoys: Envoys | undefined
  #held: StoreMembership | undefined
  /** The fleet before the change that is being told. */
  #known: Fleet = emptyFleet
  #isStopping = false
  #isReachable = true
  #isServing = false
  #isLeader = false
  #waitingFor: string | undefined
  #partFailure: string | undefined
  #stopped: Promise<void> | undefined

  constructor(options: ServeOptions, stopping: AbortController) {
    const {store, dependencies, role = 'all', replica = 'atlas'} = options
    this.#options = options
    this.#stopping = stopping
    this.#role = role
    this.#replica = replica
    this.#times = {...defaultTimes, ...options.times}
    this.#log = logOf(options.log)
    this.#startedAt = dependencies.now()
    this.#announcer = openEventRecorder(store, this.#log)
    this.#reconciler =
      role === 'ads'
        ? undefined
        : openReconciler(store, dependencies, this.#log, this.#times, {
            reconciled: outcome => {
              this.#metrics.reconciles.inc({outcome})
            },
            refused: refusal => {
              this.#announcer.refused(refusal)
            },
          })
    this.#endpoints = options.endpointsFile === undefined ? undefined : openEndpointsFile(options.endpointsFile, this.#log)
  }

  async start(): Promise<Serving> {
    const {store} = this.#options
    const admin = await openAdmin(this.#options.admin ?? defaultAdmin, {
      readiness: () => this.#readiness(),
      report: () => this.#report(),
      metrics: async () => this.#measured(),
    })
    this.#undo.push(admin.close)
    const hold = async (): ReturnType<StateStore['hold']> =>
      store.hold({admin: admin.url, replica: this.#replica, role: this.#role}, this.#holding())
    // A directory is this server's before it is read. Where many share a store, whoever can't read it must neither lead nor count as one that serves.
    if (store.kubernetes === undefined) this.#held = await hold()
    this.#undo.push(async () => this.#held?.release())
    // Before the Lease is given back nothing may be under way.
    if (this.#reconciler !== undefined) this.#undo.push(this.#reconciler.stop)
    this.#controller = await startController(store, this.#log, this.#reconciler, this.#times, this.#watching())
    this.#undo.push(this.#controller.stop)
    if (this.#role !== 'controller') {
      this.#envoys = await openEnvoys(this.#controller.fleet(), this.#environment())
      this.#undo.push(this.#envoys.stop)
    }

    this.#held ??= await hold()
    this.#metrics.storeUp.set(Number(this.#isReachable))
    this.#known = this.#controller.fleet()
    this.#see(this.#known, [])
    this.#envoys?.publisher.publish(this.#known, [])
    await this.#endpoints?.settled()
    this.#isServing = true
    const address = addressOf(this.#envoys)
    const what = {role: this.#role, replica: this.#replica, ...(address !== '' && {address})}
    this.#log.info('serving', {...what, admin: admin.url, store: store.description})
    return {
      address,
      adminAddress: admin.url,
      readiness: () => this.#readiness(),
      report: () => this.#report(),
      stop: async () => this.stop(),
    }
  }

  async stop(): Promise<void> {
    this.#isStopping = true
    this.#stopping.abort()
    this.#stopped ??= this.#end()
    await this.#stopped
    if (this.#isServing) this.#log.info('stopped')
  }

  /** Another one leads before the Envoys are let go, which takes its time. */
  async #end(): Promise<void> {
    await undoAll(this.#held === undefined ? [] : [this.#held.resign], this.#log)
    await undoAll(this.#undo, this.#log)
  }

  #readiness(): Readiness {
    const waiting = this.#waitingFor === undefined ? 'the store has not been read yet' : `waiting for the store: ${this.#waitingFor}`
    const lacksCertificate = this.#role !== 'controller' && this.#envoys?.ads.certificateEnd() === undefined
    const reasons = [
      ...(this.#controller === undefined ? [waiting] : []),
      ...(this.#controller !== undefined && lacksCertificate ? ['there is no certificate to serve with yet; the leader issues it'] : []),
      ...(this.#isStopping ? ['the server is stopping'] : []),
    ]
    return {ready: reasons.length === 0, reasons, warnings: this.#controller === undefined ? [] : this.#warnings(this.#controller.fleet())}
  }

  #warnings(fleet: Fleet): readonly string[] {
    const {store, dependencies} = this.#options
    return warningsOf({
      fleet,
      role: this.#role,
      isReachable: this.#isReachable,
      now: dependencies.now(),
      failure: this.#reconciler?.failure(),
      problem: this.#envoys?.ads.problem(),
      partFailure: this.#partFailure,
      heardAt: store.heardAt(),
      silenceMax: this.#times.silenceMs,
    })
  }

  #report(): Report {
    const {store, dependencies} = this.#options
    const fleet = this.#controller?.fleet() ?? emptyFleet
    return {
      format: 1,
      at: dependencies.now().toISOString(),
      startedAt: this.#startedAt.toISOString(),
      address: addressOf(this.#envoys),
      ...this.#readiness(),
      store: {description: store.description, reachable: this.#isReachable},
      proxies: this.#reporter.proxies(fleet),
      withoutProxy: this.#reporter.withoutProxy(fleet),
      refusals: this.#reporter.refusals(),
      unrepaired: this.#reporter.unrepaired(),
      faults: [...fleet.faults].map(([subject, fault]) => ({...fault, subject})),
    }
  }

  async #measured(): Promise<string> {
    const metrics = this.#metrics
    metrics.ready.set(this.#readiness().ready ? 1 : 0)
    metrics.frozen.set([...this.#reporter.streams()].filter(stream => stream.frozen !== undefined).length)
    const heardAt = this.#options.store.heardAt()
    if (heardAt !== undefined) metrics.storeSilence.set((performance.now() - heardAt) / 1000)
    return metrics.registry.metrics()
  }

  /** What the store tells of this server's part in it. */
  #holding(): HoldEvents {
    const log = this.#log
    return {
      leading: leads => {
        this.#isLeader = leads
        this.#metrics.leader.set(Number(leads))
        if (this.#options.store.kubernetes !== undefined)
          log.info(leads ? 'this server leads now: it writes and signs' : 'this server does not lead any more')
        this.#reconciler?.lead(leads)
        if (leads && this.#known !== emptyFleet) this.#announcer.begin(this.#known)
      },
      living: replicas => {
        this.#reconciler?.living([...replicas].sort())
      },
      failed: error => {
        const failure = error === undefined ? undefined : `it can not take part among the servers: ${error.message}`
        if (this.#partFailure === failure) return
        if (error === undefined) log.info('takes part among the servers again')
        else log.warn('can not take part among the servers', {error: error.message, hint: error.hint})
        this.#partFailure = failure
      },
    }
  }

  /** What the controller tells of the fleet and the store. */
  #watching(): ControllerEvents {
    return {
      began: fleet => {
        this.#known = fleet
        logFleetAtStart(fleet, this.#log)
        if (this.#isLeader) this.#announcer.begin(fleet)
      },
      changed: (fleet, changes) => {
        for (const {kind} of changes) this.#metrics.changes.inc({kind})
        logChanges(this.#known, fleet, changes, this.#log)
        if (this.#isLeader) this.#announcer.changed(this.#known, fleet, changes)
        this.#known = fleet
        this.#see(fleet, changes)
        this.#envoys?.publisher.publish(fleet, changes)
      },
      store: isReachable => {
        this.#isReachable = isReachable
        this.#metrics.storeUp.set(Number(isReachable))
      },
      waiting: error => {
        this.#waitingFor = error.message
        this.#metrics.storeUp.set(0)
      },
      stopping: this.#stopping,
    }
  }

  /** What the part that serves Envoys is given of the rest. */
  #environment(): ConnectDependencies {
    const {store, dependencies, listen = defaultListen, limits = {}} = this.#options
    return {
      store,
      replica: this.#replica,
      listen,
      now: dependencies.now,
      times: this.#times,
      limits,
      log: this.#log,
      metrics: this.#metrics,
      reporter: this.#reporter,
      stored: () => this.#controller?.stored() ?? emptyFleet,
      report: () => this.#report(),
    }
  }

  #see(fleet: Fleet, changes: readonly Change[]): void {
    this.#envoys?.ads.use(fleet)
    this.#endpoints?.use(fleet)
    this.#metrics.clusters.set(clustersOf(fleet).length)
    this.#metrics.faults.set(fleet.faults.size)
    this.#metrics.certificateEnd.set((this.#envoys?.ads.certificateEnd()?.getTime() ?? 0) / 1000)
    // Others' reports are no reason to write one; that its own object is there now, is.
    const isNews = (change: Change): boolean => (change.kind === 'report' ? change.replica === this.#replica : change.kind !== 'revision')
    if (changes.some(change => isNews(change))) this.#envoys?.reports?.changed('other')
  }
}

function addressOf(envoys: Envoys | undefined): string {
  return envoys === undefined ? '' : renderHostPort(envoys.ads.address)
}

/** In reverse order; one that fails keeps no other from being undone. */
async function undoAll(undo: readonly (() => Promise<void> | void)[], log: Log): Promise<void> {
  for (const act of undo.toReversed()) {
    try {
      await act()
    } catch (error) {
      log.error('could not stop in good order', {error: messageOf(error)})
    }
  }
}
