/** First health checks of many downstream clusters: spread over a second, so that they don't all open a connection at once, and repeated every second until one succeeds. */
import net from 'node:net'
import {expect} from 'chai'
import {buildSnapshot} from '../../src/lib/envoy/build.js'
import {parseAddresses} from '../../src/lib/model/address.js'
import {startEnvoy} from '../helpers/envoy-process.js'
import {staticBootstrap} from '../helpers/envoy-static.js'
import {testCluster} from '../helpers/fleet.js'
import {testAuthority} from '../helpers/pki.js'
import {certified} from './certified.js'
import {fleetOf, nodeOf, snapshotOf} from './fixture.js'

const CLUSTERS = 40
const peer = '127.0.47.11'
const admin = {host: '127.0.47.1', port: 9901}

for (const version of ['1.36', '1.40'] as const)
  describe(`envoy ${version}: first health checks`, function () {
    this.timeout(240_000)

    it('are spread, and are repeated every second while no cluster was healthy yet', async () => {
      const now = new Date()
      const arrivals: number[] = []
      // Ends every connection, so that every check fails.
      const server = net.createServer(socket => {
        arrivals.push(Date.now())
        socket.on('error', () => undefined).destroy()
      })
      await new Promise<void>(resolve => server.listen(11_901, peer, resolve))
      const names = Array.from({length: CLUSTERS}, (_each, index) => `c${String(index)}`)
      const clusters = names.map(name => testCluster(name, {addresses: parseAddresses(peer)}))
      const fleet = certified(fleetOf(clusters), now, testAuthority(new Date(now.getTime() - 86_400_000), 'health'))
      const node = nodeOf('atlas', {'atlas.bind_address': admin.host, 'atlas.local_address': admin.host})
      const config = staticBootstrap(snapshotOf(buildSnapshot(fleet, node)), {
        admin: {address: {socket_address: {address: admin.host, port_value: admin.port}}},
        node: {id: 'atlas-0', cluster: 'atlas'},
      })
      const envoy = await startEnvoy(config, admin, {version})
      try {
        const end = Date.now() + 40_000
        while (arrivals.length < CLUSTERS * 5) {
          if (Date.now() > end) throw new Error(`${String(arrivals.length)} checks came in 40 s`)
          await new Promise(resolve => setTimeout(resolve, 50))
        }
      } finally {
        await envoy.stop()
        server.close()
      }

      const [start, firstRound, fifthRound] = [arrivals[0] ?? 0, arrivals[CLUSTERS - 1] ?? 0, arrivals[CLUSTERS * 5 - 1] ?? 0]
      expect(firstRound - start, 'milliseconds from the first check to that of the last cluster').to.be.greaterThan(400)
      expect(fifthRound - start, 'milliseconds for five rounds; 20 s at the interval of healthy clusters').to.be.lessThan(18_000)
    })
  })
