/** A watched namespace stays complete under any fault between the store and the API server: nothing lost, nothing twice, no hot loop. */
import {expect} from 'chai'
import {listAll} from '../../../src/lib/store/kubernetes/list.js'
import {startListWatch} from '../../../src/lib/store/kubernetes/list-watch.js'
import {openAccess} from '../../../src/lib/store/kubernetes/access.js'
import {openClient} from '../../../src/lib/store/kubernetes/client.js'
import {defaultKubernetesTimes} from '../../../src/lib/store/kubernetes/times.js'
import {plain} from '../../helpers/fleet-changes.js'
import type {Fault} from '../../helpers/kubernetes/fault.js'
import type {Seen} from '../../helpers/kubernetes/fault-proxy.js'
import {randomSource} from '../../helpers/random.js'
import {type Recorder, record, sleep, until} from '../recorder.js'
import {quickTimes} from './place.js'
import {stageOf} from './stage.js'

const status = (code: number, reason: string): Fault => ({
  kind: 'answer',
  status: code,
  body: {kind: 'Status', apiVersion: 'v1', code, reason, message: reason},
})
const error = (code: number): Fault => ({
  kind: 'answer',
  status: 200,
  body: `${JSON.stringify({type: 'ERROR', object: {kind: 'Status', code, message: 'of the API server'}})}\n`,
})

/** What happens to the next watches of Services. */
const cases: readonly {readonly what: string; readonly faults: readonly Fault[]}[] = [
  {what: 'is cut before it answers', faults: [{kind: 'cut', after: 'nothing'}]},
  {what: 'is refused, twice', faults: [{kind: 'refuse'}, {kind: 'refuse'}]},
  {what: 'is cut after an event', faults: [{kind: 'cut', after: {events: 1}}]},
  {what: 'is cut within an event', faults: [{kind: 'cut', after: {events: 1, bytes: 100}}]},
  {what: 'ends within an event, like a complete response', faults: [{kind: 'end', after: {events: 2, bytes: 100}}]},
  {what: 'ends without an event', faults: [{kind: 'end', after: {bytes: 0}}]},
  {what: 'is never answered', faults: [{kind: 'hang'}]},
  {what: 'sends nothing more after an event', faults: [{kind: 'stall', after: {events: 1}}]},
  {what: 'sends nothing more within an event', faults: [{kind: 'stall', after: {events: 1, bytes: 77}}]},
  {what: 'is delayed', faults: [{kind: 'delay', ms: 150}]},
  {what: 'is answered 410', faults: [status(410, 'Expired')]},
  {what: 'is answered 410 repeatedly', faults: Array.from({length: 4}, () => status(410, 'Expired'))},
  {what: 'is answered 500, then 503', faults: [status(500, 'InternalError'), status(503, 'ServiceUnavailable')]},
  {what: 'is answered 504, for a version that is too new', faults: [status(504, 'Timeout')]},
  {what: 'is answered 403 for a while', faults: Array.from({length: 3}, () => status(403, 'Forbidden'))},
  {what: 'gets ERROR 410', faults: [error(410)]},
  {what: 'gets ERROR 500', faults: [error(500)]},
  {what: 'is answered with the page of a proxy', faults: [{kind: 'answer', status: 200, body: '<html>\n<p>log in</p>\n</html>\n'}]},
]

describe('store/kubernetes: a watched namespace', () => {
  const stage = stageOf()
  let watch: Recorder | undefined
  afterEach(() => watch?.stop())

  const isServices = ({path, isWatch}: Seen): boolean => isWatch && path === stage.path('services')
  /** The reported addresses of paris, in order. */
  const addresses = (): readonly string[] =>
    (watch?.changes ?? []).flatMap(change =>
      change.kind === 'registration' && change.name === 'paris' ? (change.value?.addresses.map(({host}) => host) ?? ['gone']) : [],
    )
  const isAt = (address: string) => () => addresses().at(-1) === address
  const expectWhole = async (): Promise<void> => {
    const fresh = await stage.open()
    const loaded = await fresh.load()
    expect(plain(watch!.fleet)).to.deep.equal(plain(loaded))
    expect([...watch!.fleet.revisions].sort()).to.deep.equal([...loaded.revisions].sort())
  }

  /** As `until`, without the time in which this process, and with it the store, did not run: where a short sleep ended late. */
  async function untilWithin(limitMs: number, isSo: () => boolean): Promise<void> {
    let ran = 0
    while (!isSo()) {
      const before = performance.now()
      await sleep(5)
      ran += Math.min(performance.now() - before, 50)
      expect(ran, 'milliseconds').to.be.below(limitMs)
    }
  }

  for (const {what, faults} of cases)
    it(`when the watch ${what}`, async () => {
      await stage.seed(['paris', 'lyon'])
      // Longer than a busy machine takes for an answer: of a watch that fails twice before all is listed, `record` rejects.
      watch = await record(await stage.open({watchIdleMs: 600}))
      const left = [...faults]
      stage.proxy.play(seen => (isServices(seen) ? left.shift() : undefined))
      stage.proxy.cutAll()
      const all = ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4']
      for (const address of all) await stage.move('paris', address)
      await stage.remove('services', 'lyon')
      await until(() => left.length === 0 && watch?.fleet.registrations.size === 1 && isAt('10.0.0.4')())
      await sleep(30)
      // Changes that arrive together are reported together; none is reported twice, or after a later one.
      expect(addresses()).to.deep.equal(all.filter(address => addresses().includes(address)))
      await until(() => watch!.failures.length === watch!.recoveries)
      await expectWhole()
    })

  it('whose watches are accepted and say nothing: a removal is seen within 10 s', async function () {
    this.timeout(120_000)
    await stage.seed(['paris', 'lyon'])
    stage.proxy.play(seen => (seen.isWatch ? {kind: 'stall', after: {bytes: 0}} : undefined))
    watch = await record(await stage.open())
    await stage.remove('services', 'lyon')
    await untilWithin(10_000, () => watch?.fleet.registrations.size === 1)
  })

  it('when a character is cut in two, and an object arrives in many pieces', async () => {
    await stage.seed([])
    watch = await record(await stage.open())
    const text = `x${'é€𝄞'.repeat(60_000)}`
    const {body} = await stage.kubernetes.request<{metadata: {resourceVersion: string}}>('POST', stage.path('configmaps'), {
      metadata: {name: 'atlas-thanos-endpoints'},
      data: {'endpoints.yaml': text},
    })
    await until(() => watch?.fleet.endpoints?.text === text)
    expect(watch.fleet.revisions.get('ConfigMap/atlas-thanos-endpoints')).to.equal(body.metadata.resourceVersion)
  })

  it('waits as long as a busy API server asks', async () => {
    await stage.seed(['paris'])
    const asked: number[] = []
    stage.proxy.play(seen => {
      if (!isServices(seen)) return undefined
      asked.push(performance.now())
      return seen.nth <= 2 ? {...(status(429, 'TooManyRequests') as Fault & {kind: 'answer'}), headers: {'retry-after': '1'}} : undefined
    })
    watch = await record(await stage.open())
    await stage.move('paris', '10.0.0.1')
    await until(isAt('10.0.0.1'))
    const [first = 0, second = 0, third = 0] = asked
    expect(second - first).to.be.within(990, 10_000)
    expect(third - second).to.be.within(990, 10_000)
    await expectWhole()
  })

  it('is listed completely where the API server forgets a list before its second page', async () => {
    await stage.seed(['paris'])
    const names = Array.from({length: 520}, (_, index) => `other-${index}`)
    const create = async (name: string): Promise<unknown> =>
      stage.admin.call({
        info: {verb: 'create', resource: 'configmaps', group: '', namespace: stage.namespace},
        path: stage.path('configmaps'),
        body: {metadata: {name}},
      })
    for (let from = 0; from < names.length; from += 20) await Promise.all(names.slice(from, from + 20).map(create))
    const client = openClient(await openAccess({kubeconfig: stage.proxy.kubeconfig, namespace: stage.namespace}))
    const selection = {resource: 'configmaps', namespace: stage.namespace} as const
    const whole = await listAll(client, selection)
    expect(stage.proxy.requests({path: stage.path('configmaps')})).to.have.length(2)
    expect(whole.objects.length).to.be.at.least(521)
    // The fault never ends, and the list must still end.
    stage.proxy.play(({query}) => (query.has('continue') ? status(410, 'Expired') : undefined))
    const again = await listAll(client, selection)
    expect(again.objects.map(({metadata}) => metadata.name).sort()).to.deep.equal(whole.objects.map(({metadata}) => metadata.name).sort())
    expect(stage.proxy.requests({path: stage.path('configmaps')})).to.have.length(2 + 3)
    client.close()
    watch = await record(await stage.open())
    await expectWhole()
  })

  it('loses what went while a list was made, and what stands beside Thanos too', async () => {
    await stage.seed(['paris', 'lyon'])
    const store = await stage.open()
    await store.commit(await store.load(), [{kind: 'endpoints', value: {text: 'endpoints: []\n'}}])
    watch = await record(store)
    expect(watch.fleet.endpoints?.text).to.equal('endpoints: []\n')
    // From now on every watch is refused, and then only a list tells.
    stage.proxy.play(({isWatch}) => (isWatch ? status(410, 'Expired') : undefined))
    stage.proxy.cutAll()
    await stage.remove('services', 'lyon')
    await stage.remove('configmaps', 'atlas-thanos-endpoints')
    await until(() => watch?.fleet.registrations.size === 1 && watch.fleet.endpoints === undefined)
    await expectWhole()
  })

  it('is reported in part while another part can not be watched, and the failure is reported once', async () => {
    await stage.seed(['paris'])
    watch = await record(await stage.open())
    stage.proxy.play(({path}) => (path === stage.path('configmaps') ? status(403, 'Forbidden') : undefined))
    stage.proxy.cutAll()
    await until(() => watch?.failures.length === 1)
    for (const address of ['10.0.0.1', '10.0.0.2', '10.0.0.3']) {
      await stage.move('paris', address)
      await until(isAt(address))
    }

    expect([watch.failures.length, watch.recoveries]).to.deep.equal([1, 0])
    stage.proxy.play()
    await until(() => watch?.recoveries === 1)
    expect(watch.failures).to.have.length(1)
    await expectWhole()
  })

  it('does not count as watched where every watch is accepted and cut at once', async () => {
    await stage.seed(['paris'])
    const store = await stage.open()
    watch = await record(store)
    stage.proxy.play(seen => (isServices(seen) ? {kind: 'answer', status: 200, body: ''} : undefined))
    stage.proxy.cutAll()
    await until(() => watch?.failures.length === 1)
    await sleep(500)
    expect([watch.failures.length, watch.recoveries], 'no flapping').to.deep.equal([1, 0])
    expect(performance.now() - store.heardAt()!).to.be.above(400)
    stage.proxy.play()
    await stage.move('paris', '10.0.0.1')
    await until(isAt('10.0.0.1'))
    await until(() => watch?.recoveries === 1)
  })

  it('never quotes the response', async () => {
    await stage.seed(['paris'])
    const secret = 'LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0t'
    watch = await record(await stage.open())
    stage.proxy.play(({isWatch}) =>
      isWatch ? {kind: 'answer', status: 200, body: `{"type":"ADDED","object":{"data":{"key":"${secret}\n`} : undefined,
    )
    stage.proxy.cutAll()
    await until(() => (watch?.failures.length ?? 0) > 0)
    expect(String(watch.failures[0]?.message))
      .to.match(/not a watch event/)
      .and.not.include('LS0t')
    expect(String((watch.failures[0]?.cause as Error | undefined)?.message)).not.to.include('LS0t')
  })

  it('backs off while everything fails, and keeps its connections while nothing does', async () => {
    await stage.seed(['paris'])
    const {retryMs, retryMaxMs} = defaultKubernetesTimes
    watch = await record(await stage.open({retryMs, retryMaxMs}))
    stage.proxy.play(() => status(500, 'InternalError'))
    stage.proxy.cutAll()
    stage.proxy.reset()
    await sleep(2500)
    // Services, ConfigMaps, Secrets, the endpoints: each at once, again at once, then after 0.2, 0.4, 0.8 s … less a jitter.
    expect(stage.proxy.requests().length).to.be.at.most(4 * 7)
    await until(() => stage.proxy.requests().length >= 4 * 3)
    stage.proxy.play()
    stage.proxy.reset()
    const client = openClient(await openAccess({kubeconfig: stage.proxy.kubeconfig, namespace: stage.namespace}))
    const before = stage.proxy.connections()
    for (let call = 0; call < 200; call += 1) await listAll(client, {resource: 'services', namespace: stage.namespace})
    expect(stage.proxy.connections() - before).to.be.at.most(1)
    client.close()
  })

  it('after 2,000 changes through connections that are cut all the time', async () => {
    const names = Array.from({length: 20}, (_, index) => `c-${index}`)
    await stage.seed(names)
    watch = await record(await stage.open())
    // The events of the API server, as a list-watch reports them.
    const told = new Map<string, number[]>(names.map(name => [name, []]))
    const ended = new AbortController()
    const client = openClient(await openAccess({kubeconfig: stage.proxy.kubeconfig, namespace: stage.namespace}))
    // The newest version of each, by a list or an event.
    const latest = new Map<string, number>()
    let lists = 0
    startListWatch(
      client,
      {resource: 'services', namespace: stage.namespace},
      quickTimes,
      {
        listed(objects) {
          lists += 1
          for (const {metadata} of objects) latest.set(metadata.name, Number(metadata.resourceVersion))
        },
        changed(events) {
          for (const {object} of events) {
            told.get(object.metadata.name)?.push(Number(object.metadata.resourceVersion))
            latest.set(object.metadata.name, Number(object.metadata.resourceVersion))
          }
        },
        restored: () => undefined,
        failed: () => undefined,
        recovered: () => undefined,
      },
      ended.signal,
    )
    await until(() => lists > 0)
    const random = randomSource('cuts of a watch')
    let cuts = 0

    stage.proxy.play(seen => {
      if (!seen.isWatch || random() < 0.2) return undefined
      cuts += 1
      const after = {events: Math.floor(random() * 60), bytes: Math.floor(random() * 300)}
      return random() < 0.7 ? {kind: 'cut', after} : {kind: 'end', after}
    })
    stage.proxy.cutAll()
    const written = new Map<string, number[]>(names.map(name => [name, []]))
    const write = async (name: string, change: number): Promise<void> => {
      written.get(name)?.push(await stage.move(name, `10.0.0.${change}`))
      if (random() < 0.01) stage.proxy.cutAll()
    }

    await Promise.all(
      names.map(async name => {
        for (let change = 1; change <= 100; change += 1) await write(name, change)
      }),
    )
    let last = 100
    // On a loaded machine fewer watches begin in this time.
    while (cuts <= 20) {
      last += 1
      await Promise.all(names.map(async name => write(name, last)))
      await sleep(100)
    }

    const addressOf = (name: string): string | undefined =>
      [...(watch?.fleet.registrations.values() ?? [])].find(cluster => cluster.name === name)?.addresses[0]?.host
    await until(() => names.every(name => addressOf(name) === `10.0.0.${last}` && latest.get(name) === written.get(name)!.at(-1)), 150_000)
    ended.abort()
    client.close()
    expect(cuts).to.be.above(20)
    // Connections that were cut for more than a second count as an outage (list-watch.ts): then the objects are listed again, and the changes until
    // that list are no events.
    if (lists === 1) expect([...told]).to.deep.equal([...written])
    for (const [name, versions] of told)
      expect(versions, 'in order, nothing twice').to.deep.equal(written.get(name)!.filter(version => versions.includes(version)))
    for (const name of names) {
      const places = watch.changes.flatMap(change =>
        change.kind === 'registration' && change.name === name ? Number(change.value?.addresses[0]?.host.split('.')[3]) : [],
      )
      expect(places, 'in order, nothing twice').to.deep.equal([...new Set(places)].sort((a, b) => a - b))
    }

    await expectWhole()
  }).timeout(200_000)
})
