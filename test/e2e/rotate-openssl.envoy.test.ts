/**
 * What openssl says of a rotation, that of leaves included: in each stage its s_client is admitted at every port with what is in use, and verifies
 * what that port shows. Afterwards no port admits what the former issuer and the former root have signed, no Envoy has their certificates, and none
 * believes a server below them.
 */
import {expect} from 'chai'
import {identityIn, settingsIn} from '../../src/demo/lab/certificates.js'
import {plainSerial} from '../../src/demo/lab/envoy-admin.js'
import {probeTls} from '../../src/demo/lab/tls-probe.js'
import {dependencies} from '../../src/lib/cli/base-command.js'
import type {CertifiedKey, Credential} from '../../src/lib/model/authority.js'
import type {Fleet} from '../../src/lib/model/fleet.js'
import {type InternalPort, internalPorts, parseInternalClient} from '../../src/lib/model/internal-ports.js'
import {OBSERVABILITY, type Owner, parseClientName, parseClusterName} from '../../src/lib/model/names.js'
import type {RotationPart, RotationStage} from '../../src/lib/model/rotation.js'
import {ADS_PORT} from '../../src/lib/model/settings.js'
import {init} from '../../src/lib/ops/init.js'
import {rotateLeaves} from '../../src/lib/ops/rotate.js'
import {followRotation} from '../../src/lib/ops/rotation/follow.js'
import {startRotation} from '../../src/lib/ops/rotation/start.js'
import {readKey} from '../../src/lib/pki/read.js'
import {objectionTo, sClient} from '../helpers/openssl.js'
import {inSteps} from '../helpers/steps.js'
import type {TestEnvoy} from './envoy.js'
import {type Clients, type MtlsPort, everyPort, isAdmitted} from './every-port.js'
import {until, untilReachable, untilSynced} from './look.js'
import {type Network, closeNetwork, openNetwork} from './network.js'
import {expectBelieved, expectDisbelieved, expectForgotten, expectHeld, expectRefused} from './retired.js'

/** Openssl connects to paris; lyon is frozen where a stage is to wait. */
const [paris, lyon] = [parseClusterName('paris'), parseClusterName('lyon')]
const client = parseClientName('client')
const clients = [parseInternalClient(`${client}:${internalPorts.join(',')}`)]
/** All eleven ports. */
const every: Clients = {cluster: paris, internal: client}

describe('e2e: a rotation, as openssl sees it', function () {
  this.timeout(360_000)
  inSteps()
  let network: Network
  let former: Fleet
  /** The credentials in the files of the Envoys. */
  const applied = new Map<Owner, Credential>()

  before(async () => {
    network = await openNetwork({clusters: [paris, lyon], times: {rotation: '200ms', 'clock-held': '1s'}, settings: {clients}})
    await untilReachable(network)
    await remember()
    await admitClients()
  })
  after(() => closeNetwork(network))

  const fleet = async (): Promise<Fleet> => network.store.load()
  const waiting = async (): Promise<readonly string[]> => (await fleet()).rotation?.waitingFor ?? []
  const envoys = (): readonly TestEnvoy[] => [network.observability, ...[...network.members.values()].map(({envoy}) => envoy)]
  const lagging = (): TestEnvoy => network.member(lyon).envoy

  async function remember(): Promise<void> {
    for (const [owner, credential] of (await fleet()).credentials) applied.set(owner, credential)
  }

  /** Puts the credentials in the store into the Envoys' files, and restarts the Envoys, so that they connect with them. */
  async function apply(): Promise<void> {
    await remember()
    await Promise.all(
      envoys().map(async envoy => {
        await envoy.writeFiles()
        await envoy.kill()
        await envoy.start()
        await envoy.untilReady()
      }),
    )
  }

  /** Switches the internal ports to mutual TLS. */
  async function admitClients(): Promise<void> {
    await init(network.store, {clients, internalTls: internalPorts}, dependencies)
    await until(network, 'the internal ports to admit their client', async () => {
      const present = await fleet()
      if (!present.clients.has(client)) return false
      const ports = everyPort(network, present, every).filter(({port}) => internalPorts.includes(port as InternalPort))
      const admitted = await Promise.all(ports.map(async port => isAdmitted(port, port.admits)))
      return admitted.every(Boolean)
    })
  }

  /** Clients would get an hour to take up a new certificate. */
  const dismissClients = async (): Promise<unknown> => init(network.store, {clients: [], internalTls: []}, dependencies)

  /** Waits for a stage in which nothing is waited for but this. */
  async function untilHeld(part: RotationPart, stage: RotationStage, by: RegExp): Promise<void> {
    let last: unknown
    await until(
      network,
      `the stage ${stage}, in which ${by.source} is waited for alone`,
      async () => {
        const {rotation} = await fleet()
        last = rotation
        const lacking = rotation?.waitingFor ?? []
        return rotation?.part === part && rotation.stage === stage && lacking.length > 0 && lacking.every(each => by.test(each))
      },
      60,
    ).catch((error: unknown) => {
      throw new Error(`the rotation is ${JSON.stringify(last)}`, {cause: error})
    })
  }

  /**
   * What openssl says in a stage, which is the same afterwards.
   * @param stage undefined: no rotation in stages is under way
   * @param leaves each port's client; by default what the store has
   */
  async function judge(stage: RotationStage | undefined, leaves?: Fleet): Promise<void> {
    const present = await fleet()
    const roots = (present.trust?.roots ?? []).join('')
    const credential = applied.get(paris) ?? expect.fail('no credential')
    const [server, clientSide] = [new Set<string>(), new Set<string>()]
    const handshakes = everyPort(network, leaves ?? present, every).map(async port => {
      const opensAds = port.signer === 'credentialIssuer'
      const internal = internalPorts.includes(port.port as InternalPort) ? present.clients.get(client) : undefined
      const shows: CertifiedKey = opensAds ? credential : port.admits
      // An ADS credential and a client's Secret carry roots; what SDS delivers to Envoys, and what the server trusts, are issuers.
      const carried = opensAds ? credential.roots : internal?.roots
      const seen = await sClient({...port, shows, trusts: carried ?? port.ca.join(''), isPartial: carried === undefined})
      const what = `${port.port} in stage ${stage ?? 'none'}`
      expect(seen, what).to.include({verifyReturnCode: '0 (ok)', protocol: 'TLSv1.3', isAnswered: true})
      server.add(seen.shown)
      clientSide.add(shows.certificate)
    })
    await Promise.all(handshakes)
    // Several ports have the same.
    for (const chain of server) expect(await objectionTo(chain, roots, 'sslserver'), chain).to.equal('')
    for (const chain of clientSide) expect(await objectionTo(chain, roots, 'sslclient'), chain).to.equal('')
    expect((await fleet()).rotation?.stage, 'the stage afterwards').to.equal(stage)
  }

  async function begin(part: RotationPart): Promise<void> {
    former = await fleet()
    expect(settingsIn(former).internalTls).to.deep.equal(internalPorts)
    lagging().freeze()
    await startRotation(network.store, part, {}, dependencies)
  }

  async function end(): Promise<void> {
    await followRotation(network.store, {waitMs: 60_000, changed: () => undefined})
    await untilSynced(network)
  }

  it('of leaves: with the former ones, which are still valid, and with the new ones when every port shows its own', async () => {
    const before = await fleet()
    await rotateLeaves(network.store, [], dependencies)
    await judge(undefined, before)
    const present = await fleet()
    await Promise.all(
      everyPort(network, present, every).map(async port => {
        const [own, old] = [present, before].map(each => plainSerial(readKey(shownAt(each, port)).serial))
        expect(own, String(port.port)).not.to.equal(old)
        await until(network, `${port.port} to show its new certificate`, async () => {
          const {serial = ''} = await probeTls(port, {certificate: port.admits})
          return plainSerial(serial) === own
        })
      }),
    )
    await judge(undefined)
  })

  it('of the issuer, announce', async () => {
    await begin('issuer')
    await untilHeld('issuer', 'announce', /^lyon /)
    await judge('announce')
  })

  it('of the issuer, leaves', async () => {
    lagging().thaw()
    await untilHeld('issuer', 'leaves', /^client client has until/)
    await judge('leaves')
  })

  it('of the issuer, retire', async () => {
    lagging().freeze()
    await dismissClients()
    await untilHeld('issuer', 'retire', /^lyon /)
    await admitClients()
    await judge('retire')
  })

  it('of the issuer, afterwards: every port refuses what the former one has signed', async () => {
    lagging().thaw()
    await end()
    const tried = await expectRefused(network, former, every)
    // The clients of 10900 are below the credential issuer.
    expect(tried).to.have.length(10).and.not.include(10_900)
    await expectForgotten(network, former, await fleet())
  })

  it('of the issuer, afterwards: no Envoy believes a cluster with a former identity, and for ADS the root counts until it is replaced', async () => {
    const present = await fleet()
    const member = network.member(paris)
    await member.envoy.kill()
    await expectDisbelieved(network, {host: member.address, port: 11_901}, identityIn(former, paris), identityIn(present, paris))
    await member.envoy.start()
    await network.observability.kill()
    // As the command says of a thief of its key.
    await expectBelieved(network, {host: network.address, port: 10_900}, identityIn(former, OBSERVABILITY))
    await network.observability.start()
    await untilSynced(network)
  })

  it('of the root, announce', async () => {
    await begin('root')
    await untilHeld('root', 'announce', /^lyon /)
    await judge('announce')
  })

  it('of the root, credentials', async () => {
    lagging().thaw()
    await untilHeld('root', 'credentials', /does not carry the present roots|^client client has until/)
    const areThree = async (): Promise<boolean> => (await waiting()).filter(each => each.includes('does not carry')).length === 3
    await until(network, 'all three Envoys to be waited for', areThree)
    await judge('credentials')
  })

  it('of the root, leaves', async () => {
    await apply()
    await untilHeld('root', 'credentials', /^client client has until/)
    lagging().freeze()
    await dismissClients()
    await untilHeld('root', 'leaves', /^lyon /)
    await expectHeld(network, (await fleet()).trust ?? expect.fail('no bundle'), [network.observability, network.member(paris).envoy])
    // It was away, since the stage before would have waited for an hour with it.
    await admitClients()
    await judge('leaves')
    await dismissClients()
  })

  it('of the root, retire', async () => {
    lagging().thaw()
    await untilHeld('root', 'retire', /does not carry the present roots/)
    await admitClients()
    await judge('retire')
  })

  it('of the root, afterwards: every port refuses what is below the former one', async () => {
    await apply()
    await end()
    expect(await expectRefused(network, former, every)).to.have.length(11)
    const present = await fleet()
    await expectForgotten(network, former, present)
    expect(present.clients.get(client)?.roots, 'ca.crt of the client').to.equal(present.trust?.roots.join(''))
  })

  it('of the root, afterwards: no Envoy believes a server below the former one', async () => {
    const present = await fleet()
    const [own, next] = [former.server ?? expect.fail('no certificate'), present.server ?? expect.fail('no certificate')]
    const {address} = network
    const member = network.member(paris)
    await member.envoy.kill()
    await expectDisbelieved(network, {host: member.address, port: 11_901}, identityIn(former, paris), identityIn(present, paris))
    await network.server().kill()
    await expectDisbelieved(network, {host: address, port: ADS_PORT}, own, next)
    await network.observability.kill()
    const observability = [former, present].map(each => identityIn(each, OBSERVABILITY)) as [CertifiedKey, CertifiedKey]
    await expectDisbelieved(network, {host: address, port: 10_900}, ...observability)
  })
})

/** The certificate that a port shows. */
function shownAt(fleet: Fleet, {envoy}: MtlsPort): CertifiedKey {
  return envoy === undefined ? (fleet.server ?? expect.fail('no certificate')) : identityIn(fleet, envoy.owner)
}
