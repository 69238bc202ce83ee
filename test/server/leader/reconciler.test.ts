/** The reconciler alone: what it learns during a pass is not lost at the end of the pass. */
import {expect} from 'chai'
import {zoneIn} from '../../../src/lib/manifest/derived.js'
import {serialIn} from '../../../src/lib/manifest/zone.js'
import type {Change} from '../../../src/lib/model/change.js'
import {AtlasError} from '../../../src/lib/model/errors.js'
import {type ClusterName, type ObjectKey, objectKey, parseClusterName} from '../../../src/lib/model/names.js'
import {ZONE} from '../../../src/lib/ops/derive.js'
import type {OpsDependencies} from '../../../src/lib/ops/dependencies.js'
import {REQUESTS} from '../../../src/lib/ops/replicas.js'
import {RefusedCommit} from '../../../src/lib/store/commit.js'
import {defaultFleetTimes, openCurrentFleet} from '../../../src/server/fleet/current-fleet.js'
import {silentLog} from '../../../src/server/log.js'
import {type Reconciler, type ReconcilerTimes, defaultReconcilerTimes, openReconciler} from '../../../src/server/leader/reconciler.js'
import {changesOf} from '../../helpers/fleet-changes.js'
import {testFleet, testDependencies} from '../../helpers/dependencies.js'
import {testCluster} from '../../helpers/fleet.js'
import {eventually} from '../support/network.js'
import {type TestStore, testStore} from '../support/store.js'

/** As if other servers shared the store. */
function inCluster(store: TestStore): TestStore {
  return Object.assign(store, {namespace: 'atlas', keepsDerived: true, isShared: true})
}

const paris = parseClusterName('paris')

describe('the reconciler', () => {
  const dependencies = testDependencies()
  let onLook = (): void => undefined
  /** Calls `onLook` when the clock is read. */
  const watched: OpsDependencies = {
    ...dependencies,
    now() {
      onLook()
      return dependencies.now()
    },
  }
  let store: TestStore
  let passes = 0
  let isConnecting = false
  let reconciler: Reconciler

  /** A reconciler that leads, and observes what it has written. */
  async function open(
    clusters: readonly string[],
    times: Partial<ReconcilerTimes> = {},
    objects: readonly ObjectKey[] = [REQUESTS],
  ): Promise<void> {
    store = testStore()
    // The test store reports no revisions: without these the leader makes the object for requests again and again.
    const revisions = objects.map((object): Change => ({kind: 'revision', object, value: '1'}))
    store.write(...changesOf(testFleet(dependencies, clusters)), ...revisions)
    const fleet = openCurrentFleet(store, silentLog, defaultFleetTimes, dependencies.now)
    reconciler = openReconciler({
      fleet,
      store: inCluster(store),
      dependencies: watched,
      log: silentLog,
      times: {...defaultReconcilerTimes, ...times},
      withZone: true,
      renewals: {isClockConfirmed: () => true, evidence: () => undefined, evidenceAhead: () => []},
      isConnecting: () => isConnecting,
      planAlertmanagers: () => [],
      reconciled: () => {
        passes += 1
      },
      refused: () => undefined,
      unsigned: () => undefined,
    })
    await fleet.follow([reconciler], new AbortController().signal)
    reconciler.lead(true)
  }
  afterEach(async () => {
    onLook = () => undefined
    isConnecting = false
    await reconciler.stop()
  })

  it('leaves Envoys that are opening streams the time before its first pass, and has its next one while they do', async () => {
    isConnecting = true
    await open(['paris'])
    reconciler.living([])
    const started = reconciler.start()
    await new Promise(resolve => setTimeout(resolve, 300))
    expect(passes).to.equal(0)
    isConnecting = false
    await started
    await eventually(() => store.fleet().credentials.size === 2, 'the certificates are issued')
    isConnecting = true
    const lyon = testCluster('lyon')
    store.write({kind: 'registration', name: lyon.name, value: lyon})
    await eventually(() => store.fleet().credentials.size === 3, 'the new cluster has its credential')
  })

  it('forgets an object whose write was refused once it is not wanted any more, and does not spin', async () => {
    const service = objectKey('Service', 'paris-thanos-sidecar1')
    await open(['paris'])
    const {commit} = store
    store.commit = async (base, changes) => {
      const rest = changes.filter(change => !(change.kind === 'derived' && change.object === service && change.value !== undefined))
      const fleet = await commit(base, rest)
      if (rest.length === changes.length) return fleet
      throw new RefusedCommit(fleet, [{object: service, owners: ['paris'], error: new AtlasError('failed', 'not allowed')}])
    }
    reconciler.living([])
    await reconciler.start()
    store.write({kind: 'registration', name: paris, value: {...testCluster('paris'), replicas: 2}})
    await eventually(() => reconciler.failure()?.includes(service) === true, 'the write is refused')
    store.write({kind: 'registration', name: paris, value: testCluster('paris')})
    await eventually(() => reconciler.failure() === undefined, 'the object is forgotten')
    const before = passes
    await new Promise(resolve => setTimeout(resolve, 1500))
    // A pass that finds nothing waits for a certificate that comes due, which takes days; one that spins comes 650 times a second.
    expect(passes - before).to.be.lessThan(10)
  })

  it('waits longer and longer while each pass writes what has no effect, and not at all once a change has one', async () => {
    // Made in each pass, and never there in the next.
    await open(['paris'], {}, [])
    reconciler.living([])
    await reconciler.start()
    await eventually(() => store.fleet().credentials.size === 2, 'the certificates are issued')
    const before = passes
    await new Promise(resolve => setTimeout(resolve, 1500))
    // 20, 40, 80 … ms apart; one that spins comes 50 times a second.
    expect(passes - before).to.be.within(1, 12)
    const lyon = testCluster('lyon')
    store.write({kind: 'registration', name: lyon.name, value: lyon})
    await eventually(() => store.fleet().credentials.size === 3, 'the new cluster has its credential')
  })

  it('begins a pass soon after a change that may cut a cluster off, however often passes have failed', async () => {
    // Without the request the next pass would begin in ten minutes.
    await open(['paris', 'rome'], {retryMs: 600_000, retryMaxMs: 600_000, urgentMs: 10})
    const rome = parseClusterName('rome')
    const {commit} = store
    let [failed, isDown] = [0, true]
    store.commit = async (base, changes) => {
      if (!isDown) return commit(base, changes)
      failed += 1
      throw new AtlasError('unreachable', 'the API server does not answer')
    }
    reconciler.living([])
    await reconciler.start()
    for (let passed = 1; passed <= 5; passed += 1) {
      await eventually(() => failed === passed, `pass ${passed} has failed`)
      askToRemove(rome)
    }

    isDown = false
    await eventually(() => store.fleet().records.get(rome)?.generation === 2, 'rome is removed')
  }).timeout(60_000)

  it('looks again soon at what is asked for during a pass that fails', async () => {
    await open(['paris', 'rome'], {retryMs: 600_000, retryMaxMs: 600_000, urgentMs: 10})
    const rome = parseClusterName('rome')
    const {commit} = store
    store.commit = async () => {
      store.commit = commit
      askToRemove(rome)
      throw new AtlasError('unreachable', 'the API server does not answer')
    }
    reconciler.living([])
    await reconciler.start()
    await eventually(() => store.fleet().records.get(rome)?.generation === 2, 'rome is removed')
  })

  /** The API server fails so many times at the record of a cluster. @returns how often it has failed */
  function refuseRecordOf(owner: ClusterName, times: number): () => number {
    const {commit} = store
    let failed = 0
    store.commit = async (base, changes) => {
      if (failed === times || !changes.some(({kind}) => kind === 'record')) return commit(base, changes)
      failed += 1
      const error = new AtlasError('unreachable', 'the API server answered 500')
      throw new RefusedCommit(base, [{object: 'ConfigMap/atlas-records-00', owners: [owner], error}])
    }
    return () => failed
  }

  function askToRemove(owner: ClusterName): void {
    const value = {kind: 'remove', owners: [owner], requestedAt: dependencies.now().toISOString(), state: 'waiting'} as const
    store.write({kind: 'request', id: 'remove-1', value})
  }

  it('leaves a request waiting where the API server fails, and does it later', async () => {
    await open(['paris', 'rome'])
    const rome = parseClusterName('rome')
    reconciler.living([])
    await reconciler.start()
    const failed = refuseRecordOf(rome, 2)
    askToRemove(rome)
    await eventually(() => store.fleet().requests.get('remove-1')?.state === 'done', 'the request is done')
    expect([failed(), store.fleet().records.get(rome)?.generation]).to.deep.equal([2, 2])
  }).timeout(60_000)

  it('tries a refused write again as often as its own pauses allow, however many passes have changed nothing', async () => {
    await open(['paris', 'rome'], {refusedMs: 10, refusedMaxMs: 50, failedMaxMs: 50})
    const rome = parseClusterName('rome')
    reconciler.living([])
    await reconciler.start()
    refuseRecordOf(rome, 20)
    askToRemove(rome)
    // 20 tries, 50 ms apart.
    await eventually(() => store.fleet().requests.get('remove-1')?.state === 'done', 'the request is done')
  }).timeout(60_000)

  it('says nothing any more of what it could not do as the leader, and does it at once when it leads again', async () => {
    await open(['paris', 'rome'], {refusedMs: 600_000, refusedMaxMs: 600_000, failedMaxMs: 600_000})
    reconciler.living([])
    await reconciler.start()
    const rome = parseClusterName('rome')
    const {commit} = store
    let refused = 0
    store.commit = async (base, changes) => {
      if (!changes.some(({kind}) => kind === 'record')) return commit(base, changes)
      refused += 1
      if (refused === 2) reconciler.lead(false)
      const error = new AtlasError('unreachable', 'the API server answered 500')
      throw new RefusedCommit(base, [{object: 'ConfigMap/atlas-records-00', owners: ['rome'], error}])
    }
    store.write({kind: 'registration', name: rome, value: undefined})
    await eventually(() => reconciler.failure() !== undefined, 'the write is refused')
    reconciler.lead(false)
    expect(reconciler.failure()).to.equal(undefined)
    reconciler.lead(true)
    await eventually(() => refused === 2, 'it is refused again, while another server begins to lead')
    await new Promise(resolve => setTimeout(resolve, 20))
    expect(reconciler.failure()).to.equal(undefined)
    store.commit = commit
    reconciler.lead(true)
    await eventually(() => store.fleet().records.get(rome)?.suspendedSince !== undefined, 'rome is suspended')
  })

  it('writes a zone that was deleted again with a serial above all that it had', async () => {
    await open(['paris'])
    reconciler.living([])
    await reconciler.start()
    const serial = (): number | undefined => serialIn(zoneIn(store.fleet().derived.get(ZONE)) ?? '')
    await eventually(() => serial() !== undefined, 'the zone is written')
    const first = serial() ?? 0
    // The clock of this test stands still, so that each change within its second counts the serial up.
    const names = ['lyon', 'tokyo', 'oslo'].map(name => parseClusterName(name))
    for (const [index, name] of names.entries()) {
      store.write({kind: 'registration', name, value: testCluster(name)})
      await eventually(() => serial() === first + 1 + index, `the zone has ${name}`)
    }
    store.write({kind: 'derived', object: ZONE, value: undefined})
    await eventually(() => serial() !== undefined, 'the zone is written again')
    expect(serial()).to.equal(first + names.length + 1)
  })

  it('writes the list of living servers, also when it learns of one during a pass that finds nothing to do', async () => {
    await open(['paris'])
    reconciler.living([])
    await reconciler.start()
    await eventually(() => store.fleet().replicas !== undefined, 'an empty list is written')
    await new Promise(resolve => setTimeout(resolve, 100))
    // A pass reads the clock for requests, for the list of servers, and then for certificates, when it has used the list already.
    let looks = 0
    onLook = () => {
      looks += 1
      if (looks === 3) reconciler.living(['atlas-ads-0'])
    }
    reconciler.lead(false)
    reconciler.lead(true)
    await eventually(() => store.fleet().replicas?.join() === 'atlas-ads-0', 'the list is written')
    expect(looks).to.be.greaterThan(3)
  })
})
