/** Every client checks the server's name: it refuses a server that answers with another one's certificate. */
import {expect} from 'chai'
import {forge, identityIn} from '../../src/demo/lab/certificates.js'
import type {CertifiedKey} from '../../src/lib/model/authority.js'
import type {Fleet} from '../../src/lib/model/fleet.js'
import {OBSERVABILITY, parseClusterName} from '../../src/lib/model/names.js'
import {issuerSpec, rootSpec, serverSpec} from '../../src/lib/pki/certificate-specs.js'
import {issue} from '../../src/lib/pki/issue.js'
import {cryptoSigner} from '../../src/lib/pki/signer.js'
import {settingsIn} from '../../src/demo/lab/certificates.js'
import {statOf, until, untilReachable, untilSynced, whoAnswers} from './look.js'
import {type Network, closeNetwork, openNetwork} from './network.js'
import {impersonate} from './mtls-ports.js'

const [paris, lyon] = [parseClusterName('paris'), parseClusterName('lyon')]

describe('e2e: pins', function () {
  this.timeout(240_000)
  let network: Network
  let fleet: Fleet

  before(async () => {
    network = await openNetwork({clusters: [paris, lyon]})
    fleet = await network.store.load()
    await untilReachable(network)
  })
  after(() => closeNetwork(network))

  it("an Envoy of lyon that answers at paris' address is refused", async () => {
    const {address, envoy, backends} = network.member(paris)
    const [answered, served] = [backends[0]?.requests(), network.member(lyon).backends[0]?.requests()]
    const refusals = async () => statOf(network.observability, 'cluster.thanos/paris.ssl.fail_verify_san')
    expect(await refusals()).to.equal(0)
    await envoy.kill()
    const thief = await network.makeEnvoy(lyon, {address, nodeId: 'lyon-1'})
    await thief.start()
    await thief.untilReady()
    await until(network, 'the observability Envoy to have dialled it', async () => (await refusals()) > 2)
    for (let time = 0; time < 5; time += 1) expect(await whoAnswers(network, paris)).to.equal('gRPC status 14')
    expect(thief.logged('request')).to.deep.equal([])
    expect([backends[0]?.requests(), network.member(lyon).backends[0]?.requests()]).to.deep.equal([answered, served])
    const isLogged = (): boolean => thief.logged('connection').some(({failure}) => failure?.includes('CERTIFICATE_UNKNOWN') === true)
    await until(network, 'the log to say so', isLogged)
    await thief.kill()
    await envoy.start()
    await untilReachable(network, [paris])
  })

  /** While an impostor answers at a port, clients close the connection; once the true server is back, they connect again. */
  async function believesNobody(port: number, impostors: Readonly<Record<string, CertifiedKey>>): Promise<void> {
    for (const [who, key] of Object.entries(impostors)) {
      const impostor = await impersonate({host: network.address, port}, key)
      try {
        await until(network, `a client to connect to ${who}`, () => impostor.refusals().length >= 3)
        expect(impostor.believers(), who).to.equal(0)
        for (const refusal of impostor.refusals()) expect(refusal, who).to.match(/ALERT_(UNKNOWN_CA|CERTIFICATE_UNKNOWN)$/)
      } finally {
        await impostor.close()
      }
    }
  }

  it('a server with another certificate than that of atlas serve is refused, while requests continue', async () => {
    await network.server().kill()
    await believesNobody(6305, {
      'a server of another authority': forgedServer(fleet),
      "a server with lyon's identity": identityIn(fleet, lyon),
      'a server with the observability identity': identityIn(fleet, OBSERVABILITY),
    })
    for (const name of [paris, lyon]) expect(await whoAnswers(network, name)).to.equal(`${name}/0`)
    await network.startServer()
    await untilSynced(network)
  })

  it('a relay with another certificate than the observability identity is refused', async () => {
    await network.observability.kill()
    await believesNobody(10_900, {
      'a relay of another authority': forge(fleet).observability,
      "a relay with lyon's identity": identityIn(fleet, lyon),
      "a relay with the server's certificate": fleet.server ?? expect.fail('no server certificate'),
    })
    await network.observability.start()
    await untilReachable(network)
    await untilSynced(network)
  })
})

/** A certificate with the names of the server's, signed by another authority. */
function forgedServer(fleet: Fleet): CertifiedKey {
  const settings = settingsIn(fleet)
  const now = new Date()
  const root = issue(rootSpec(settings), undefined, now, cryptoSigner)
  const issuer = issue(issuerSpec(settings), root, now, cryptoSigner)
  return issue(serverSpec(settings), issuer, now, cryptoSigner)
}
