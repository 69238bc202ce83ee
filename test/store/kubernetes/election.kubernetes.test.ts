/** Only the holder of the Lease writes, in the order of the API server's own revisions, while processes are stopped, disconnected and killed. */
import {expect} from 'chai'
import type {AtlasError} from '../../../src/lib/model/errors.js'
import {parseAddress} from '../../../src/lib/model/address.js'
import type {HoldEvents, StateStore} from '../../../src/lib/store/store.js'
import {defaultElectionTimes} from '../../../src/lib/store/kubernetes/election.js'
import {testCluster} from '../../helpers/fleet.js'
import {randomSource} from '../../helpers/random.js'
import {rejectedBy} from '../../helpers/thrown.js'
import {type Worker, startWorker} from '../../helpers/worker.js'
import {record, sleep, until} from '../recorder.js'
import {type LeaseHistory, electionTimes, historyOf} from './lease-history.js'
import {stageOf} from './stage.js'

/** The limit where a test waits for stopped processes: the machine may be busy. */
const LONG = 60_000

/** The events of a server's membership. */
interface MembershipEvents {
  readonly leading: boolean[]
  readonly living: (readonly string[])[]
  readonly failed: (AtlasError | undefined)[]
}

describe('servers that share a namespace', function () {
  this.timeout(240_000)
  const stage = stageOf()
  const children: Worker[] = []
  const parts: {release(): Promise<void>}[] = []
  let history: LeaseHistory | undefined
  beforeEach(async () => {
    await stage.seed(['paris'])
    history = await historyOf(stage.admin)
  })
  afterEach(async () => {
    stage.proxy.play()
    history?.stop()
    for (const child of children.splice(0)) await child.kill()
    await Promise.all(parts.splice(0).map(async part => part.release()))
  })

  function contend(name: string, role = 'controller', skewMs = 0): Worker {
    const args = [stage.kubernetes.kubeconfig, stage.namespace, name, role, String(skewMs)]
    const child = startWorker(new URL('election-process.ts', import.meta.url), args)
    children.push(child)
    return child
  }

  async function takePart(
    store: StateStore,
    replica: string,
    role: 'ads' | 'controller' = 'controller',
  ): Promise<MembershipEvents & {release(): Promise<void>}> {
    const told: MembershipEvents = {leading: [], living: [], failed: []}
    const events: HoldEvents = {
      leading: leads => told.leading.push(leads),
      living: replicas => told.living.push(replicas),
      failed: error => told.failed.push(error),
    }
    const held = await store.hold({admin: '', replica, role}, events)
    parts.push(held)
    return {...told, release: held.release}
  }

  const isRenewal = ({method, path}: {readonly method: string; readonly path: string}): boolean =>
    method !== 'GET' && path.includes('/leases')
  const writesAfter = (child: Worker, index: number): number => child.said.slice(index).filter(line => line.startsWith('wrote')).length
  const expectHolderOnly = (onTheirWay: ReadonlySet<string> = new Set()): void => {
    for (const write of history!.writes())
      if (!onTheirWay.has(write.object)) expect(write.writer, `${write.object} at ${write.revision}`).to.equal(write.holder)
  }

  it('lead one at a time: a server that was stopped for longer than its Lease writes nothing afterwards, with any clocks', async () => {
    const all = [contend('a', 'controller', -3_600_000), contend('b', 'controller', 86_400_000)] as const
    await Promise.all(all.map(async child => child.line(line => line === 'takes part')))
    const random = randomSource('when the leader is halted')
    // A request that has its permission when its process is stopped cannot be held back: Kubernetes has no fencing token for a new object.
    const onTheirWay = new Set<string>()
    for (let round = 0; round < 2; round += 1) {
      const leads = (child: Worker): boolean => child.said.findLast(line => line === 'leads' || line === 'yields') === 'leads'
      await until(() => all.some(child => leads(child) && child.said.at(-1)?.startsWith('wrote') === true), LONG)
      const [first, second] = leads(all[0]) ? all : ([all[1], all[0]] as const)
      await sleep(50 + 100 * random())
      const before = second.said.length
      first.signal('SIGSTOP')
      await until(() => second.said.slice(before).includes('leads') && writesAfter(second, before) > 3, LONG)
      const resumed = first.said.length
      const wrote = Number(first.said.findLast(line => line.startsWith('wrote'))?.split(' ')[1])
      onTheirWay.add(`${first === all[0] ? 'a' : 'b'}-${wrote + 1}`)
      first.signal('SIGCONT')
      await until(() => first.said.slice(resumed).includes('yields'), LONG)
      await sleep(500)
      // Writes that it reports now were sent before it was stopped; later ones are checked below.
      expect(first.said.slice(resumed)).to.include('yields').and.not.include('leads')
    }

    const leader = all.find(child => child.said.findLast(line => line === 'leads' || line === 'yields') === 'leads')!
    const other = all.find(child => child !== leader)!
    const [from, gone, next] = [other.said.length, leader === all[0] ? 'a' : 'b', leader === all[0] ? 'b' : 'a']
    leader.signal('SIGTERM')
    await until(() => other.said.slice(from).includes('leads') && history!.holders().at(-1) === next, LONG)
    expect(history!.holders().slice(-3), 'given back, so the other one does not wait').to.deep.equal([gone, '', next])
    expect(await leader.ended).to.equal(0)
    await until(() => writesAfter(other, from) > 0, LONG)
    expect(history!.writes().length).to.be.above(10)
    expect(new Set(history!.writes().map(({writer}) => writer))).to.deep.equal(new Set(['a', 'b']))
    expectHolderOnly(onTheirWay)
  })

  it('never write two at a time while requests of Leases hang, are cut, delayed and refused', async () => {
    const names = ['a', 'b', 'c']
    // A write that was sent by the leader comes in before the Lease runs out, also where it is on its way for a second and a half.
    const times = {leaseMs: 2000, renewMs: 500, leaseRenewMs: 150, leaseRetryMs: 40}
    const random = randomSource('faults of Leases')
    // From time to time the leader can not renew; beside that, random faults happen.
    let [victim, badUntil] = ['', 0]
    stage.proxy.play(seen => {
      if (!seen.path.includes('/leases')) return undefined
      const holder = /"holderIdentity":"([abc])_/.exec(seen.body)?.[1]
      if (performance.now() > badUntil) [victim, badUntil] = [history!.holders().at(-1) ?? '', performance.now() + 2500]
      if (seen.method === 'PUT' && holder === victim) return {kind: 'hang'}
      if (random() < 0.8) return undefined
      const kinds = [
        {kind: 'hang'},
        {kind: 'delay', ms: 600 * random()},
        {kind: 'cut', after: 'nothing'},
        {kind: 'answer', status: 500},
      ] as const
      return kinds[Math.floor(random() * kinds.length)]
    })
    const ended = new AbortController()
    const work = names.map(async name => {
      const chosen = randomSource(`what ${name} writes`)
      const store = await stage.open(times)
      const watch = await record(store)
      await takePart(store, name)
      while (!ended.signal.aborted) {
        const cluster = testCluster('paris', {addresses: [parseAddress(`${name}.example.net`)], replicas: 1 + Math.floor(chosen() * 900)})
        const own = testCluster(`${name}-${Math.floor(chosen() * 1e9)}`, {addresses: cluster.addresses})
        await store
          .commit(watch.fleet, [
            {kind: 'registration', name: cluster.name, value: cluster},
            {kind: 'registration', name: own.name, value: own},
          ])
          .catch(() => undefined)
        await sleep(5)
      }

      watch.stop()
    })
    await until(() => history!.holders().filter(holder => holder !== '').length >= 5, LONG)
    ended.abort()
    await Promise.all(work)
    expect(history!.writes().length).to.be.above(20)
    expect(new Set(history!.writes().map(({writer}) => writer)).size).to.be.above(1)
    expectHolderOnly()
  })

  it('do not retry a write after Retry-After when they no longer lead', async () => {
    // It leads for longer than it takes to send both writes, and not until they are to be sent again.
    const store = await stage.open({...electionTimes, leaseMs: 4000, renewMs: 3000})
    const [watch, told] = [await record(store), await takePart(store, 'a')]
    await until(() => told.leading.at(-1) === true)
    stage.proxy.play(({method, path}) => {
      if (path.includes('/leases')) return {kind: 'hang'}
      return method === 'PUT' || method === 'POST' || method === 'PATCH' || method === 'DELETE'
        ? {kind: 'answer', status: 429, headers: {'retry-after': '4'}}
        : undefined
    })
    const addresses = [parseAddress('a.example.net')]
    const [lyon, paris] = [testCluster('lyon', {addresses}), testCluster('paris', {addresses})]
    const error = await rejectedBy(
      store.commit(watch.fleet, [
        {kind: 'registration', name: lyon.name, value: lyon},
        {kind: 'registration', name: paris.name, value: paris},
        {kind: 'derived', object: 'ConfigMap/atlas-coredns', value: '{"labels":{},"text":"of a"}'},
      ]),
    )
    expect(error.code).to.equal('conflict')
    expect(error.message).to.match(/^this server does not lead, so it does not write Service\//)
    const sent = (path: string): number => stage.proxy.requests({path}).filter(({method}) => method !== 'GET').length
    expect([sent(stage.path('services')), sent(stage.path('services', 'paris')), history!.writes().length]).to.deep.equal([1, 1, 0])
    expect(told.leading).to.deep.equal([true, false])
    watch.stop()
  })

  it('keep leading when the response to a renewal is lost, and write nothing after their end', async () => {
    // Only what the test cuts is lost: a renewal has two seconds for its answer.
    const store = await stage.open({...electionTimes, leaseMs: 8000, renewMs: 6000, leaseRenewMs: 50, leaseRetryMs: 50})
    const [watch, told] = [await record(store), await takePart(store, 'a')]
    await until(() => told.leading.at(-1) === true)
    let lost = 0
    stage.proxy.play(seen => (isRenewal(seen) && (lost += 1) % 2 === 1 ? {kind: 'cut', after: 'nothing'} : undefined))
    await until(() => lost > 10)
    expect([told.leading, told.failed]).to.deep.equal([[true], []])
    await told.release()
    expect(
      (
        await stage.kubernetes.request<{spec: {holderIdentity?: string}}>(
          'GET',
          stage.path('leases', 'atlas', 'apis/coordination.k8s.io/v1'),
        )
      ).body.spec.holderIdentity ?? '',
    ).to.equal('')
    const {code} = await rejectedBy(
      store.commit(watch.fleet, [{kind: 'registration', name: testCluster('lyon').name, value: testCluster('lyon')}]),
    )
    expect(code).to.equal('conflict')
    watch.stop()
  })

  it('renew with the default limits of a request', async () => {
    const told = await takePart(await stage.open({...defaultElectionTimes, leaseRenewMs: 50}), 'a')
    await until(() => stage.proxy.requests().filter(isRenewal).length > 5)
    expect([told.leading, told.failed]).to.deep.equal([[true], []])
  })

  it('report why they can not take part, and when they can again', async () => {
    stage.proxy.play(({path}) => (path.includes('/leases') ? {kind: 'answer', status: 500} : undefined))
    const told = await takePart(await stage.open(electionTimes), 'a')
    await until(() => told.failed.length > 0)
    expect(told.failed[0]?.message).to.match(/can't get leases "atlas" .*: the API server answered 500/)
    expect(told.leading).to.deep.equal([])
    stage.proxy.play()
    await until(() => told.leading.length > 0 && told.failed.at(-1) === undefined)
  })

  it('count as living while they renew, as dead soon after they were killed, and not as dead while the leader can not look', async () => {
    const times = {...electionTimes, replicaMs: 3000, replicaRenewMs: 100, replicaLookMs: 100}
    const leader = await takePart(await stage.open(times), 'c')
    const steady = await takePart(await stage.open(times), 'steady', 'ads')
    await until(() => leader.living.at(-1)?.join() === 'steady')
    const child = contend('doomed', 'ads')
    await until(() => leader.living.at(-1)?.join() === 'doomed,steady', LONG)
    // Longer than a replica may be silent: its renewals hang like all other requests.
    const before = leader.living.length
    const isLease = ({path}: {readonly path: string}): boolean => path.includes('/leases')
    stage.proxy.play(seen => (isLease(seen) && !seen.path.endsWith('/leases/atlas') ? {kind: 'hang'} : undefined))
    await sleep(times.replicaMs * 1.3)
    // Afterwards the leader looks before any replica has renewed.
    stage.proxy.play(seen => (isRenewal(seen) ? {kind: 'delay', ms: 400} : undefined))
    await sleep(800)
    stage.proxy.play()
    expect(leader.living.slice(before)).to.deep.equal([])
    await child.kill()
    await until(() => leader.living.at(-1)?.join() === 'steady', LONG)
    await steady.release()
    await until(() => leader.living.at(-1)?.join() === '')
  })
})
