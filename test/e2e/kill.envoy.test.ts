/** kill -9 of every process in turn: requests that do not need it continue, and every Envoy is configured again. */
import {expect} from 'chai'
import {setTimeout as sleep} from 'node:timers/promises'
import {load} from './load.js'
import {proxyIn, reportOf, statusIn, until, untilReachable, untilSynced, whoAnswers} from './look.js'
import {type Network, closeNetwork, openNetwork} from './network.js'

/** Atlas promises that every Envoy is connected again within this, seconds, once the server is back: by the clock of the server, not by when a test looks. */
const AGAIN_S = 10
/** Seconds within which each has its configuration, by the clock of the test, whose looks take a while on a busy machine. */
const CONFIGURED_S = 30

const ALL = ['atlas', 'paris', 'lyon', 'oslo']

describe('e2e: kill -9', function () {
  this.timeout(240_000)
  let network: Network

  before(async () => {
    network = await openNetwork({clusters: ['paris', 'lyon', 'oslo']})
    await untilReachable(network)
  })
  after(() => closeNetwork(network))

  it('of the server: no request fails, and every Envoy connects to the next one', async () => {
    const requests = load(network)
    await sleep(300)
    await network.server().kill()
    await sleep(1000)
    await network.startServer()
    const back = Date.now()
    await untilSynced(network, undefined, CONFIGURED_S)
    await until(network, 'four streams', async () => (await reportOf(network)).proxies.length === 4)
    await expectSoon(back)
    expect(await requests.stop()).to.be.greaterThan(100)
  })

  it('of a downstream Envoy: no request to another cluster fails, and it is configured again', async () => {
    const requests = load(network, ['lyon', 'oslo'])
    const {envoy} = network.member('paris')
    await envoy.kill()
    await until(network, 'calls to paris to fail', async () => (await whoAnswers(network, 'paris')) === 'gRPC status 14')
    await until(network, 'status to say so', async () => (await statusIn(network)).withoutProxy.includes('paris' as never))
    await envoy.start()
    const back = Date.now()
    await untilReachable(network, ['paris'])
    await untilSynced(network, ['paris'], CONFIGURED_S)
    await expectSoon(back, ['paris'])
    expect(await requests.stop()).to.be.greaterThan(20)
  })

  it('of the observability Envoy: it is configured again, and relays to every other one', async () => {
    const before = await connectedSince()
    await network.observability.kill()
    await network.observability.start()
    const back = Date.now()
    await untilReachable(network)
    await untilSynced(network, undefined, CONFIGURED_S)
    await expectSoon(back)
    const after = await connectedSince()
    for (const [index, since] of before.entries()) expect((after[index] ?? '') > since, `stream ${index} is another`).to.equal(true)
  })

  it('of the server and, while it is away, of Envoys: restarted Envoys are configured within 10 s of its return', async () => {
    const [paris, oslo] = [network.member('paris'), network.member('oslo')]
    await network.server().kill()
    for (const envoy of [network.observability, paris.envoy]) {
      await envoy.kill()
      await envoy.start()
    }
    await sleep(3000)
    await oslo.envoy.kill()
    await oslo.envoy.start()
    const waiting = async (): Promise<boolean> => {
      const pages = await Promise.all([network.observability, paris.envoy, oslo.envoy].map(envoy => envoy.page('/ready').catch(String)))
      return pages.every(page => page === 'PRE_INITIALIZING\n')
    }
    await until(network, 'the new Envoys to wait', waiting)
    expect(await whoAnswers(network, 'lyon')).to.match(/^no answer/)
    await network.startServer()
    const back = Date.now()
    for (const envoy of [network.observability, paris.envoy, oslo.envoy]) await envoy.untilReady()
    await untilReachable(network)
    await untilSynced(network, undefined, CONFIGURED_S)
    await expectSoon(back)
  })

  /** After `untilSynced`: these have connected soon enough after that moment. */
  async function expectSoon(back: number, owners: readonly string[] = ALL): Promise<void> {
    const since = await connectedSince(owners)
    for (const [index, owner] of owners.entries()) expect((Date.parse(since[index] ?? '') - back) / 1000, owner).to.be.lessThan(AGAIN_S)
  }

  async function connectedSince(owners: readonly string[] = ALL): Promise<readonly string[]> {
    const proxies = await Promise.all(owners.map(owner => proxyIn(network, owner)))
    return proxies.map(proxy => proxy?.connectedSince ?? 'never')
  }
})
