/** The place where a state store keeps its objects, and the fleet of the contract's cases. */
import type {Manifest} from '../../src/lib/manifest/manifest.js'
import {shardOf} from '../../src/lib/manifest/layout.js'
import {digestOf} from '../../src/lib/manifest/pack-report.js'
import {parseAddress} from '../../src/lib/model/address.js'
import type {Change} from '../../src/lib/model/change.js'
import type {Fleet} from '../../src/lib/model/fleet.js'
import {parseInternalClient} from '../../src/lib/model/internal-ports.js'
import {type ClusterName, objectNames, parseClusterName} from '../../src/lib/model/names.js'
import type {Report} from '../../src/lib/model/report.js'
import type {StateStore} from '../../src/lib/store/store.js'
import {testCluster} from '../helpers/fleet.js'
import {testFleet, testSettings, testDependencies} from '../helpers/dependencies.js'
import {type Recorder, record} from '../store/recorder.js'

/** A place that keeps objects, as seen by the store and by other programs. */
export interface Place {
  /** Opens a store over the place; each call opens a separate one, as another process would. */
  open(): StateStore
  /** Writes a fleet into the empty place. */
  seed(fleet: Fleet): Promise<void>
  /** Reads an object as another program. */
  get(key: string): Promise<Manifest | undefined>
  /** Writes or deletes an object as another program. */
  put(key: string, manifest: Manifest | undefined): Promise<void>
  /** Makes an object unreadable, as another program. */
  damage(key: string): Promise<void>
  /** Makes the whole place unreadable, and readable again. */
  lose(): Promise<void>
  restore(): Promise<void>
  /** Differs after each write of an object, also with the same content. */
  version(key: string): Promise<unknown>
  close(): Promise<void>
}

/** After this time a watch has reported every change. Milliseconds. */
export const SETTLED = 120

export const [paris, lyon] = [parseClusterName('paris'), parseClusterName('lyon')]
const withClient = {...testSettings, clients: [parseInternalClient('thanos')]}
const at = '2026-11-24T00:00:00.000Z'
const report: Report = {
  format: 1,
  ...{at, startedAt: at, address: '[::]:6305', ready: true, store: {description: 'x', reachable: true}},
  ...{reasons: [], warnings: [], proxies: [], withoutProxy: ['atlas', paris], refusals: [], unrepaired: [], faults: []},
}
/** Every kind that every store keeps; derived objects are kept in Kubernetes alone. */
export const fleet: Fleet = {
  ...testFleet(testDependencies(), ['paris', 'lyon'], withClient),
  requests: new Map([['rotate-1', {kind: 'rotate', owners: [paris], requestedAt: at, state: 'done', answeredAt: at}]]),
  answers: new Map([['rotate-1', {kind: 'rotate', owners: [paris], state: 'done', answeredAt: at, message: 'rotate paris'}]]),
  replicas: ['atlas-ads-0'],
  alertmanagers: [{name: 'alertmanager-main-0', host: 'alertmanager-main-0.alertmanager-operated.monitoring.svc', port: 9093}],
  reports: new Map([['atlas-ads-0', {report, leftovers: [], digest: digestOf(report, [])}]]),
}
/** The same as `fleet`, with other certificates. */
export const others = testFleet(testDependencies('2026-12-01T00:00:00.000Z', 'other'), ['paris', 'lyon'], withClient)

export function settings(): NonNullable<Fleet['settings']> {
  if (fleet.settings === undefined) throw new Error('no settings')
  return fleet.settings
}

export function identityKey(name: string): string {
  return `Secret/${objectNames.identities(shardOf(name))}`
}

export function recordKey(name: string): string {
  return `ConfigMap/${objectNames.records(shardOf(name))}`
}

/** A cluster's registration with another address. */
export function moved(address: string, name: ClusterName = paris): Change {
  return {kind: 'registration', name, value: {...testCluster(name), addresses: [parseAddress(address)]}}
}

/** The place of one case: made before it, removed after it. */
export interface Stage {
  readonly place: Place
  /** The store under test. */
  readonly store: StateStore
  /** Fills the place. @returns the fleet that the store loads */
  filled(held?: Fleet): Promise<Fleet>
  watching(over?: StateStore): Promise<Recorder>
}

/** Sets a place up before each case of its `describe`. */
export function stageOf(create: () => Promise<Place>): Stage {
  const watches: Recorder[] = []
  const stage: {-readonly [K in keyof Stage]: Stage[K]} = {
    place: undefined as unknown as Place,
    store: undefined as unknown as StateStore,
    async filled(held = fleet) {
      await stage.place.seed(held)
      return stage.store.load()
    },
    async watching(over: StateStore = stage.store) {
      const watch = await record(over)
      watches.push(watch)
      return watch
    },
  }
  beforeEach(async () => {
    stage.place = await create()
    stage.store = stage.place.open()
  })
  afterEach(async () => {
    for (const watch of watches.splice(0)) watch.stop()
    await stage.place.close()
  })
  return stage
}

/** The stored object. */
export async function objectAt(place: Place, key: string): Promise<Manifest> {
  const manifest = await place.get(key)
  if (manifest === undefined) throw new Error(`there is no ${key}`)
  return manifest
}
