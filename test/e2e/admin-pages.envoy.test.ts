/** A registration that names the Envoy's own ports as its Thanos sidecar reaches nothing of Envoy's admin pages. */
import {expect} from 'chai'
import {callOnce, openPlain} from '../../src/demo/lab/grpc.js'
import {STATS_PORT} from '../../src/lib/envoy/admin.js'
import type {HostPort} from '../../src/lib/model/address.js'
import {targetsOf, defaultStack} from '../../src/lib/model/stack.js'
import {dependencies} from '../../src/lib/cli/base-command.js'
import {addCluster} from '../../src/lib/ops/cluster/add.js'
import {visit} from '../helpers/http2.js'
import {oneCall} from './backend.js'
import {hostOf, queryAddress, statOf, until, untilReachable, untilSynced} from './look.js'
import {type Network, closeNetwork, openNetwork} from './network.js'
import {listeningSockets} from './sockets.js'

/** Where the admin pages were before they moved to a Unix socket. */
const FORMER_ADMIN_PORT = 9901

const pages = ['/config_dump', '/certs', '/quitquitquit', '/clusters', '/ready', '/stats/prometheus', '/drain_listeners?graceful']

describe("e2e: a registration that names its Envoy's own ports", function () {
  this.timeout(240_000)
  let network: Network

  before(async () => {
    network = await openNetwork({clusters: ['paris']})
    await untilReachable(network)
  })
  after(() => closeNetwork(network))

  for (const port of [STATS_PORT, FORMER_ADMIN_PORT])
    it(`reaches no admin page by port ${port}`, async () => {
      const {envoy, address} = network.member('paris')
      await target({host: address, port})
      for (const path of pages) {
        const call = {...oneCall(hostOf('paris')), path}
        const {grpcStatus, messages} = await callOnce(openPlain(queryAddress(network)), call)
        expect(grpcStatus, path).to.not.equal(0)
        expect(messages, path).to.deep.equal([])
        expect((await visit(queryAddress(network), {authority: hostOf('paris'), path})).status, path).to.equal(404)
      }

      // What the Thanos path passes ends at the target, which has no such page.
      const {grpcStatus} = await callOnce(openPlain(queryAddress(network)), oneCall(hostOf('paris')))
      expect(grpcStatus).to.not.equal(0)
      expect(await statOf(envoy, 'server.live')).to.equal(1)
      expect(listeningSockets(envoy.pid())).to.have.members(
        [11_901, 11_902, 11_903, 11_904, 10_903, STATS_PORT].map(each => `${address}:${each}`),
      )
    })

  /** Registers paris with this target, and waits until its Envoy has it. */
  async function target(thanos: HostPort): Promise<void> {
    const input = {request: {services: {thanos}}, defaults: targetsOf(defaultStack)}
    await addCluster(network.store, 'paris', input, dependencies)
    const {envoy} = network.member('paris')
    await until(network, 'the new target to reach the Envoy', async () =>
      (await envoy.page('/clusters')).includes(`${thanos.host}:${thanos.port}`),
    )
    await untilSynced(network)
  }
})
