/** A stream and an answer of a web page at their real length: silent for three minutes, through both Envoys. */
import {createServer} from 'node:http'
import {expect} from 'chai'
import {callOnce, openPlain} from '../../src/demo/lab/grpc.js'
import {dependencies} from '../../src/lib/cli/base-command.js'
import {defaultStack, targetsOf} from '../../src/lib/model/stack.js'
import {addCluster} from '../../src/lib/ops/cluster/add.js'
import {ask} from '../helpers/http1.js'
import {streamCall} from './backend.js'
import {hostOf, queryAddress, until, untilReachable} from './look.js'
import {type Network, closeNetwork, openNetwork} from './network.js'

describe('e2e: a long stream', function () {
  this.timeout(300_000)
  let network: Network

  before(async () => {
    network = await openNetwork({clusters: ['paris'], settings: {pagesByPath: true}})
    await untilReachable(network)
    await serveLatePage()
  })
  after(() => closeNetwork(network))

  /** A page of paris that answers a query after as many seconds as it names. */
  async function serveLatePage(): Promise<void> {
    const at = {host: network.spareAddress(0), port: 9090}
    const server = createServer((request, response) => {
      const seconds = Number(new URL(request.url ?? '/', 'http://x').searchParams.get('seconds'))
      setTimeout(() => response.end(`after ${seconds} s`), seconds * 1000)
    })
    await new Promise<void>(resolve => server.listen(at.port, at.host, resolve))
    network.onClose(() => {
      server.closeAllConnections()
      server.close()
    })
    const input = {request: {services: {prometheus: at}, pages: {allowLocalTargets: true}}, defaults: targetsOf(defaultStack)}
    await addCluster(network.store, 'paris', input, dependencies)
    await until(network, 'the page', async () => (await page(0)).body === 'after 0 s')
  }

  const page = async (seconds: number): ReturnType<typeof ask> =>
    ask({host: network.address, port: 10_904}, `/prom/paris/api/v1/query?seconds=${seconds}`, {timeoutMs: seconds * 1000 + 10_000})

  it('is an answer of a web page, which comes after 180 s', async () => {
    expect(await page(180)).to.include({status: 200, body: 'after 180 s'})
  })

  it('is silent for 180 s and ends normally', async () => {
    const {grpcStatus, messages} = await callOnce(openPlain(queryAddress(network)), streamCall(hostOf('paris'), 180))
    expect({grpcStatus, messages: messages.map(String)}).to.deep.equal({grpcStatus: 0, messages: ['begin', 'end']})
  })
})
