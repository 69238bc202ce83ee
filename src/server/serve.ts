/** Puts the server together: store, controller, publisher, ADS, admin port; and takes it apart again. */
import {setImmediate as nextTurn} from 'node:timers/promises'
import {buildAhead} from '../lib/envoy/build.js'
import {type HostPort, renderHostPort} from '../lib/model/address.js'
import {type Change, describe} from '../lib/model/change.js'
import {messageOf} from '../lib/model/errors.js'
import {type Fleet, clustersOf, emptyFleet} from '../lib/model/fleet.js'
import {ADS_PORT} from '../lib/model/settings.js'
import type {Report} from '../lib/model/report.js'
import type {World} from '../lib/ops/world.js'
import {readKey} from '../lib/pki/read.js'
import type {StateStore} from '../lib/store/store.js'
import {type AdsServer, type ConnectionTimes, defaultConnectionTimes, openAdsServer} from './ads/server.js'
import {type StreamLimits, defaultLimits, openLimiter} from './ads/limits.js'
import {type StreamTimes, defaultStreamTimes} from './ads/stream.js'
import {type Readiness, openAdmin} from './admin.js'
import {type Controller, startController} from './controller.js'
import {type Log, type LogLevel, openLog, silentLog} from './log.js'
import {type EndpointsFile, openEndpointsFile} from './endpoints-file.js'
import {keepHeapSmall} from './memory.js'
import {openMetrics} from './metrics.js'
import {type PublishTimes, type Publisher, defaultPublishTimes, openPublisher} from './publish.js'
import {type ReconcilerTimes, defaultReconcilerTimes} from './reconciler.js'
import {openReporter} from './report.js'
import {streamsWorld} from './streams.js'

export type ServeTimes = ConnectionTimes & PublishTimes & ReconcilerTimes & StreamTimes

export const defaultTimes: ServeTimes = {
  ...defaultConnectionTimes,
  ...defaultReconcilerTimes,
  ...defaultPublishTimes,
  ...defaultStreamTimes,
}

export const defaultListen: HostPort = {host: '::', port: ADS_PORT}
export const defaultAdmin: HostPort = {host: '127.0.0.1', port: 6309}

export interface ServeOptions {
  readonly store: StateStore
  readonly world: World
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
  /** HOST:PORT of ADS. */
  readonly address: string
  /** URL of the admin port. */
  readonly adminAddress: string
  readonly readiness: () => Readiness
  readonly report: () => Report
  /** Lets the clients go and gives the store back; a second call waits for the first. */
  stop(): Promise<void>
}

/**
 * Serves until `stop`. Resolves once the store was read in full, what was missing was issued, and ADS is answered; nothing is
 * served before. The store is this server's alone meanwhile.
 * @throws AtlasError `conflict` where another server holds the store, `not-found` before `init`, `unreachable` where the store can't
 * be read, `failed` where an address can't be bound
 */
export async function serve(options: ServeOptions): Promise<Serving> {
  keepHeapSmall()
  const {store, world} = options
  const times = {...defaultTimes, ...options.times}
  const log = logOf(options.log)
  const metrics = openMetrics()
  const reporter = openReporter()
  const startedAt = world.now()
  const undo: (() => Promise<void> | void)[] = []
  let [isStopping, isReachable, isServing] = [false, true, false]
  let controller: Controller | undefined
  let publisher: Publisher | undefined
  let ads: AdsServer | undefined
  const endpoints: EndpointsFile | undefined =
    options.endpointsFile === undefined ? undefined : openEndpointsFile(options.endpointsFile, log)

  function readiness(): Readiness {
    const reasons = [
      ...(controller === undefined ? ['the store has not been read yet'] : []),
      ...(controller !== undefined && ads?.certificateEnd() === undefined ? ['there is no certificate to serve with yet'] : []),
      ...(isStopping ? ['the server is stopping'] : []),
    ]
    return {
      ready: reasons.length === 0,
      reasons,
      warnings: controller === undefined ? [] : warningsOf({controller, ads, isReachable, now: world.now()}),
    }
  }

  function report(): Report {
    const fleet = controller?.fleet() ?? emptyFleet
    return {
      format: 1,
      at: world.now().toISOString(),
      startedAt: startedAt.toISOString(),
      address: ads === undefined ? '' : renderHostPort(ads.address),
      ...readiness(),
      store: {description: store.description, reachable: isReachable},
      proxies: reporter.proxies(fleet),
      withoutProxy: reporter.withoutProxy(fleet),
      refusals: reporter.refusals(),
      unrepaired: reporter.unrepaired(),
      faults: [...fleet.faults].map(([subject, fault]) => ({...fault, subject})),
    }
  }

  async function start(): Promise<Serving> {
    const admin = await openAdmin(options.admin ?? defaultAdmin, {
      readiness,
      report,
      metrics: async () => {
        metrics.ready.set(readiness().ready ? 1 : 0)
        metrics.frozen.set([...reporter.streams()].filter(stream => stream.frozen !== undefined).length)
        return metrics.registry.metrics()
      },
    })
    undo.push(admin.close)
    const held = await store.hold({admin: admin.url})
    undo.push(held.release)
    controller = await startController(store, world, log, times, {
      changed(fleet, changes) {
        for (const {kind} of changes) metrics.changes.inc({kind})
        tellOf(changes, log)
        see(fleet)
        publisher?.publish(fleet, changes)
      },
      store(reachable) {
        isReachable = reachable
        metrics.storeUp.set(Number(reachable))
      },
      reconciled(outcome) {
        metrics.reconciles.inc({outcome})
      },
    })
    undo.push(controller.stop)
    // Before anybody asks: in one piece it would hold up the event loop.
    const ahead = buildAhead(controller.fleet())
    while (ahead.next().done !== true) await nextTurn()
    publisher = openPublisher(controller.fleet(), times, {
      pushed(streams, milliseconds) {
        metrics.pushes.inc()
        metrics.pushSeconds.observe(milliseconds / 1000)
        log.debug('pushed', {streams, milliseconds: Math.round(milliseconds)})
      },
    })
    undo.push(publisher.close)
    const limiter = openLimiter({...defaultLimits, ...options.limits})
    ads = await openAdsServer(
      {listen: options.listen ?? defaultListen, times, connectionsMax: CONNECTIONS_MAX, log},
      streamsWorld({now: world.now, times, limiter, log, metrics, publisher, reporter}),
    )
    const opened = ads
    undo.push(async () => opened.stop(() => reporter.streams()))
    metrics.storeUp.set(Number(isReachable))
    see(controller.fleet())
    await endpoints?.settled()
    isServing = true
    log.info('serving', {address: renderHostPort(ads.address), admin: admin.url, store: store.description})
    return {address: renderHostPort(ads.address), adminAddress: admin.url, readiness, report, stop}
  }

  function see(fleet: Fleet): void {
    ads?.use(fleet)
    endpoints?.use(fleet)
    metrics.clusters.set(clustersOf(fleet).length)
    metrics.faults.set(fleet.faults.size)
    metrics.certificateEnd.set((ads?.certificateEnd()?.getTime() ?? 0) / 1000)
  }

  let stopped: Promise<void> | undefined
  async function stop(): Promise<void> {
    isStopping = true
    stopped ??= undoAll(undo, log)
    await stopped
    if (isServing) log.info('stopped')
  }

  try {
    return await start()
  } catch (error) {
    await stop()
    throw error
  }
}

/** More than a fleet that dials directly needs, and few enough to leave files for the rest of the process. */
const CONNECTIONS_MAX = 20_000

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

interface Parts {
  readonly controller: Controller
  readonly ads: AdsServer | undefined
  readonly isReachable: boolean
  readonly now: Date
}

function warningsOf({controller, ads, isReachable, now}: Parts): readonly string[] {
  const fleet = controller.fleet()
  const [failure, problem] = [controller.failure(), ads?.problem()]
  return [
    ...(isReachable ? [] : ['the store can not be read; what was known stays in force']),
    ...(fleet.authority.has('root') ? [] : ['the root (Secret atlas-ca) is missing or broken: nothing can be signed']),
    ...signersEnding(fleet, now),
    ...(failure === undefined ? [] : [`what is due could not be issued: ${failure}`]),
    ...(problem === undefined ? [] : [problem]),
  ]
}

/** Signers past two thirds of their life: what they sign is cut short, and when they have ended nothing is signed any more. */
function signersEnding(fleet: Fleet, now: Date): readonly string[] {
  return [...fleet.authority].flatMap(([part, key]) => {
    const {notBefore, notAfter} = readKey(key)
    const isEnding = now.getTime() > notBefore.getTime() + (notAfter.getTime() - notBefore.getTime()) * (2 / 3)
    return isEnding
      ? [
          `the ${part === 'credentialIssuer' ? 'credential issuer' : part} certificate ends on ${notAfter.toISOString()}; nothing can be signed with it after that`,
        ]
      : []
  })
}

/** What people do to the fleet, and what breaks and is mended in it; the rest is the server's own work. */
function tellOf(changes: readonly Change[], log: Log): void {
  for (const change of changes) {
    if (change.kind === 'fault' && change.value !== undefined)
      log.warn('broken; what was known stays in force', {
        subject: change.subject,
        object: change.value.source ?? change.value.object,
        key: change.value.key,
        error: change.value.message,
      })
    else if (change.kind === 'fault' || change.kind === 'registration' || change.kind === 'settings') log.info(describe(change))
  }
}

function logOf(log: ServeOptions['log']): Log {
  if (typeof log === 'object') return log
  return log === 'silent' ? silentLog : openLog(log === undefined ? {} : {level: log})
}
