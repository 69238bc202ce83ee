/**
 * Envoys of every supported version, alone and mixed as during an upgrade: the oldest accepts the configuration of the newest.
 * They reject deprecated and unknown fields (envoy.ts), so that a field that is too new for one of them is a NACK.
 */
import {expect} from 'chai'
import {certificatesOf, plainSerial} from '../../src/demo/lab/envoy-admin.js'
import {identityIn} from '../../src/demo/lab/certificates.js'
import {dependencies} from '../../src/lib/cli/base-command.js'
import type {Owner} from '../../src/lib/model/names.js'
import {removeCluster} from '../../src/lib/ops/cluster/remove.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import {rotateLeaves} from '../../src/lib/ops/rotate.js'
import {readKey} from '../../src/lib/pki/read.js'
import type {EnvoyVersion} from '../helpers/envoy-program.js'
import {load} from './load.js'
import {reportOf, until, untilReachable, untilSynced, whoAnswers} from './look.js'
import {type Network, closeNetwork, openNetwork} from './network.js'
import {adsPort, probeLogged, sidecarPort} from './mtls-ports.js'

type Versions = Readonly<Record<'atlas' | 'lyon' | 'paris', EnvoyVersion>>

const fleets: Readonly<Record<string, Versions>> = {
  'Envoy 1.36': {atlas: '1.36', paris: '1.36', lyon: '1.36'},
  'Envoy 1.37': {atlas: '1.37', paris: '1.37', lyon: '1.37'},
  'Envoy 1.38': {atlas: '1.38', paris: '1.38', lyon: '1.38'},
  'Envoy 1.39': {atlas: '1.39', paris: '1.39', lyon: '1.39'},
  'Envoy 1.40 in front of older ones': {atlas: '1.40', paris: '1.36', lyon: '1.38'},
  'Envoy 1.36 in front of newer ones': {atlas: '1.36', paris: '1.39', lyon: '1.40'},
}

for (const [name, versions] of Object.entries(fleets))
  describe(`e2e: ${name}`, function () {
    this.timeout(240_000)
    let network: Network

    before(async () => {
      network = await openNetwork({clusters: ['paris', 'lyon'], envoyVersion: owner => versions[owner as keyof Versions]})
      await untilReachable(network)
    })
    after(() => closeNetwork(network))

    it('accepts its whole configuration, and is shown with its version', async () => {
      await untilSynced(network)
      const {proxies} = await reportOf(network)
      const minors = Object.fromEntries(proxies.map(({cluster, envoyVersion}) => [cluster, envoyVersion?.replace(/\.\d+$/, '')]))
      expect(minors).to.deep.equal(versions)
    })

    it('starts from a bootstrap with the extensions of reverse tunnels, and its admin pages on a Unix socket', async () => {
      for (const {envoy} of [{envoy: network.observability}, ...network.members.values()]) {
        const side = envoy.owner === 'atlas' ? 'upstream' : 'downstream'
        const {configs} = JSON.parse(await envoy.page('/config_dump')) as {
          configs: {bootstrap?: {bootstrap_extensions: {name: string}[]}}[]
        }
        const names = configs.flatMap(({bootstrap}) => bootstrap?.bootstrap_extensions ?? []).map(({name: extension}) => extension)
        expect(names).to.deep.equal([`envoy.bootstrap.reverse_tunnel.${side}_socket_interface`])
        expect(envoy.admin).to.have.property('socketPath')
      }
    })

    it('rotates its leaves under load', async () => {
      const running = load(network)
      await rotateLeaves(network.store, [], dependencies)
      const fleet = await network.store.load()
      const shows = async (owner: Owner): Promise<boolean> => {
        const {admin} = owner === 'atlas' ? network.observability : network.member(owner).envoy
        const serials = (await certificatesOf(admin)).map(({serial}) => plainSerial(serial))
        return serials.includes(plainSerial(readKey(identityIn(fleet, owner)).serial))
      }
      for (const owner of ['atlas', parseClusterName('paris'), parseClusterName('lyon')] as const)
        await until(network, `${owner} to show its new leaf`, async () => shows(owner))
      await untilSynced(network)
      expect(await running.stop()).to.be.greaterThan(10)
    })

    it('refuses a client without a certificate, and logs why', async () => {
      const fleet = await network.store.load()
      for (const target of [adsPort(network, fleet), sidecarPort(network, fleet, 'paris')]) {
        const {bytes, failure} = await probeLogged(network, target, {})
        expect(bytes).to.equal(0)
        expect(failure).to.include('PEER_DID_NOT_RETURN_A_CERTIFICATE')
      }
    })

    it('forgets a removed cluster, and keeps the others', async () => {
      const running = load(network, ['lyon'])
      await removeCluster(network.store, 'paris', dependencies)
      await until(network, 'paris to be gone', async () => (await whoAnswers(network, 'paris')) === 'gRPC status 12')
      await untilSynced(network, ['atlas', 'lyon'])
      expect(await running.stop()).to.be.greaterThan(0)
    })
  })
