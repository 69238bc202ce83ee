/** Several addresses of one cluster are used in their order: each only while the health checks of all before it fail. */
import {expect} from 'chai'
import {dependencies} from '../../src/lib/cli/base-command.js'
import {parseAddresses, renderHostPort} from '../../src/lib/model/address.js'
import {defaultStack, targetsOf} from '../../src/lib/model/stack.js'
import {addCluster} from '../../src/lib/ops/cluster/add.js'
import {ask, serveRecording} from '../helpers/http1.js'
import {freePort} from '../helpers/serving.js'
import type {Place} from './envoy.js'
import {until, untilReachable, whoAnswers} from './look.js'
import {type Network, closeNetwork, openNetwork} from './network.js'

describe('e2e: several addresses of a cluster', function () {
  this.timeout(240_000)
  let network: Network

  before(async () => {
    network = await openNetwork({clusters: ['paris'], spare: 1, settings: {pagesByPath: true}})
    await untilReachable(network)
  })
  after(() => closeNetwork(network))

  /** A further Envoy of paris, at an address of its own. */
  async function another(place: Place) {
    const envoy = await network.makeEnvoy(network.member('paris').name, place)
    await envoy.start()
    await envoy.untilReady()
    return envoy
  }
  const second = async () => another({address: network.spareAddress(1), nodeId: 'paris-1'})

  /** @param port to which the observability Envoy connects, instead of 11901 */
  async function useAddresses(addresses: readonly string[], port = 11_901): Promise<void> {
    const ports = port === 11_901 ? [] : [[11_901, port] as const]
    const request = {addresses: parseAddresses(addresses.join(',')), ports: new Map(ports)}
    await addCluster(network.store, 'paris', {request, defaults: targetsOf(defaultStack)}, dependencies)
    await until(network, 'the addresses', async () => {
      const clusters = await network.observability.page('/clusters')
      return addresses.every(
        host => clusters.includes(`thanos/paris::${renderHostPort({host, port})}::health_flags::healthy`) || host === nowhere(),
      )
    })
  }

  /** Requests that reached an address, by Envoy's own count. */
  async function requestsTo(host: string, port = 11_901): Promise<number> {
    const clusters = await network.observability.page('/clusters')
    const prefix = `thanos/paris::${renderHostPort({host, port})}::rq_success::`
    return Number(
      clusters
        .split('\n')
        .find(line => line.startsWith(prefix))
        ?.slice(prefix.length) ?? 0,
    )
  }

  const nowhere = (): string => network.spareAddress(1).replace(/200$/, '249')
  const IPV6 = '::1'

  it('the first that answers gets every request, and the next one when it dies; the first has them again when it is back', async () => {
    const first = network.member('paris')
    const other = await second()
    const [one, two] = [first.address, network.spareAddress(1)]
    await useAddresses([nowhere(), one, two])
    await until(network, 'the first that answers', async () => (await whoAnswers(network, 'paris')) === 'paris/0')
    const before = await requestsTo(two)
    for (let turn = 0; turn < 20; turn += 1) expect(await whoAnswers(network, 'paris')).to.equal('paris/0')
    expect(await requestsTo(two), 'requests to the second').to.equal(before)

    await first.envoy.kill()
    await until(network, 'the second', async () => (await whoAnswers(network, 'paris')) === 'paris/0')
    expect(await requestsTo(two)).to.be.greaterThan(before)

    await first.envoy.start()
    await first.envoy.untilReady()
    await until(network, 'the first again', async () => {
      const count = await requestsTo(one)
      return (await whoAnswers(network, 'paris')) === 'paris/0' && (await requestsTo(one)) > count
    })
    await other.kill()
    expect(await whoAnswers(network, 'paris')).to.equal('paris/0')
  })

  it('three that are all alive, the last of them at IPv6, are used in their order: the next one only when those before it are dead', async () => {
    const first = network.member('paris')
    await first.envoy.kill()
    // There is one address of IPv6 for all tests on this machine, so that each port of it may be in use.
    const port = await freePort(IPV6)
    const others = [11_902, 11_903, 11_904].map(async each => [each, await freePort(IPV6)] as const)
    const ports = new Map([[11_901, port], ...(await Promise.all(others))])
    const addresses = [first.address, network.spareAddress(1), IPV6]
    const envoys = [
      await another({address: first.address, nodeId: 'paris-2', ports}),
      await another({address: network.spareAddress(1), nodeId: 'paris-3', ports}),
      await another({address: network.spareAddress(1).replace(/200$/, '201'), bindAddress: IPV6, nodeId: 'paris-4', ports}),
    ]
    await useAddresses(addresses, port)
    for (const [index, address] of addresses.entries()) {
      const counts = async () => Promise.all(addresses.map(async each => requestsTo(each, port)))
      await until(network, `requests to ${address}`, async () => {
        const before = await requestsTo(address, port)
        return (await whoAnswers(network, 'paris')) === 'paris/0' && (await requestsTo(address, port)) > before
      })
      const before = await counts()
      for (let turn = 0; turn < 10; turn += 1) expect(await whoAnswers(network, 'paris')).to.equal('paris/0')
      const after = await counts()
      expect(after.map((count, at) => count - (before[at] ?? 0))).to.deep.equal(addresses.map((_, at) => (at === index ? 10 : 0)))
      await envoys[index]?.kill()
    }
    await first.envoy.start()
    await first.envoy.untilReady()
    await useAddresses([first.address])
    await until(network, 'the first again', async () => (await whoAnswers(network, 'paris')) === 'paris/0')
  })

  it('pages come from the first to which a connection can be made, and from it again soon after it is back', async () => {
    const first = network.member('paris')
    const other = await second()
    const [one, two] = [first.address, network.spareAddress(1)]
    const prometheus = {host: network.spareAddress(0), port: 9090}
    const server = await serveRecording(prometheus, 'prometheus')
    network.onClose(server.close)
    const services = {prometheus}
    const request = {services, pages: {allowLocalTargets: true}, addresses: parseAddresses([one, two].join(','))}
    await addCluster(network.store, 'paris', {request, defaults: targetsOf(defaultStack)}, dependencies)
    const page = async () => ask({host: network.address, port: 10_904}, '/prom/paris/')
    const pagesFrom = async (address: string): Promise<number> => {
      const clusters = await network.observability.page('/clusters')
      return Number(new RegExp(`page/prom/paris::${address.replaceAll('.', '\\.')}:11904::rq_success::(\\d+)`).exec(clusters)?.[1] ?? -1)
    }
    await until(network, 'both addresses', async () => (await pagesFrom(two)) >= 0 && (await page()).body === 'prometheus')
    const [before, spare] = [await pagesFrom(one), await pagesFrom(two)]
    for (let turn = 0; turn < 20; turn += 1) expect((await page()).status).to.equal(200)
    expect([(await pagesFrom(one)) - before, (await pagesFrom(two)) - spare]).to.deep.equal([20, 0])

    await first.envoy.kill()
    const statuses: number[] = []
    for (let turn = 0; turn < 20; turn += 1) statuses.push((await page()).status)
    expect(statuses.filter(status => status !== 200).length, statuses.join(' ')).to.be.at.most(1)
    expect(await pagesFrom(two)).to.be.at.least(spare + 19)

    // An answer of the page itself, such as 500, is no reason to leave an address out.
    await first.envoy.start()
    await first.envoy.untilReady()
    await until(network, 'the first again', async () => {
      const count = await pagesFrom(one)
      return (await page()).status === 200 && (await pagesFrom(one)) > count
    })
    server.answer(500, {})
    const failing = await pagesFrom(two)
    for (let turn = 0; turn < 20; turn += 1) expect((await page()).status).to.equal(500)
    expect(await network.observability.page('/clusters')).to.match(new RegExp(`page/prom/paris::${one}:11904::health_flags::healthy`))
    expect(await pagesFrom(two)).to.equal(failing)
    await other.kill()
  })
})
