/**
 * What openssl says of a rotation: in each stage its s_client is admitted at every port with what is in use, and verifies what that port shows;
 * afterwards no port admits what the former issuer and the former root have signed.
 */
import {expect} from 'chai'
import {credentialIn, identityIn, settingsIn} from '../../src/demo/lab/certificates.js'
import {dependencies} from '../../src/lib/cli/base-command.js'
import type {CertifiedKey, Credential} from '../../src/lib/model/authority.js'
import type {Fleet} from '../../src/lib/model/fleet.js'
import {type InternalPort, internalPorts, parseInternalClient} from '../../src/lib/model/internal-ports.js'
import {OBSERVABILITY, type Owner, parseClientName, parseClusterName} from '../../src/lib/model/names.js'
import type {RotationPart, RotationStage} from '../../src/lib/model/rotation.js'
import {ADS_PORT, ALERTS_PORT} from '../../src/lib/model/settings.js'
import {init} from '../../src/lib/ops/init.js'
import {followRotation} from '../../src/lib/ops/rotation/follow.js'
import {startRotation} from '../../src/lib/ops/rotation/start.js'
import {objectionTo, sClient} from '../helpers/openssl.js'
import {explainedRefusals} from '../helpers/refusals-page.js'
import {inSteps} from '../helpers/steps.js'
import type {TestEnvoy} from './envoy.js'
import {type MtlsPort, everyPort, isAdmitted, refusalOf} from './every-port.js'
import {until, untilReachable, untilSynced} from './look.js'
import {type Network, closeNetwork, openNetwork} from './network.js'

/** Openssl connects to paris; lyon is frozen where a stage is to wait. */
const [paris, lyon] = [parseClusterName('paris'), parseClusterName('lyon')]
const client = parseClientName('client')
const clients = [parseInternalClient(`${client}:${internalPorts.join(',')}`)]

describe('e2e: a rotation, as openssl sees it', function () {
  this.timeout(90_000)
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
      const ports = portsIn(present, true).filter(({port}) => internalPorts.includes(port as InternalPort))
      const admitted = await Promise.all(ports.map(async port => isAdmitted(port, port.admits)))
      return admitted.every(Boolean)
    })
  }

  /** Clients would get an hour to take up a new certificate. */
  const dismissClients = async (): Promise<unknown> => init(network.store, {clients: [], internalTls: []}, dependencies)

  const portsIn = (present: Fleet, withClients: boolean): readonly MtlsPort[] =>
    everyPort(network, present, {cluster: paris, ...(withClients && {internal: client})})

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
      20,
    ).catch((error: unknown) => {
      throw new Error(`the rotation is ${JSON.stringify(last)}`, {cause: error})
    })
  }

  /** What openssl says in a stage, which is the same afterwards. */
  async function judge(stage: RotationStage, withClients = true): Promise<void> {
    const present = await fleet()
    const roots = (present.trust?.roots ?? []).join('')
    const credential = applied.get(paris) ?? expect.fail('no credential')
    for (const port of portsIn(present, withClients)) {
      const opensAds = port.signer === 'credentialIssuer'
      const internal = internalPorts.includes(port.port as InternalPort) ? present.clients.get(client) : undefined
      const shows: CertifiedKey = opensAds ? credential : port.admits
      // An ADS credential and a client's Secret carry roots; what SDS delivers to Envoys, and what the server trusts, are issuers.
      const carried = opensAds ? credential.roots : internal?.roots
      const seen = await sClient({...port, shows, trusts: carried ?? port.ca.join(''), isPartial: carried === undefined})
      const what = `${port.port} in stage ${stage}`
      expect(seen, what).to.include({verifyReturnCode: '0 (ok)', protocol: 'TLSv1.3', isAnswered: true})
      expect(await objectionTo(seen.shown, roots, 'sslserver'), what).to.equal('')
      expect(await objectionTo(shows.certificate, roots, 'sslclient'), what).to.equal('')
    }

    expect((await fleet()).rotation?.stage, 'the stage afterwards').to.equal(stage)
  }

  /** What rightful clients had before a rotation opens no port now, and what they have now does. */
  async function expectRetired(parts: readonly MtlsPort['signer'][]): Promise<void> {
    const present = await fleet()
    const explained = [...explainedRefusals().values()].flat()
    const settled = portsIn(present, true).filter(({port, signer}) => parts.includes(signer) || port === ADS_PORT)
    expect(settled).to.have.length(parts.length === 2 ? 11 : 10)
    for (const port of settled) {
      const text = port.envoy === undefined ? 'tls-certificate-untrusted' : 'unable_to_get_local_issuer_certificate'
      expect((await refusalOf(network, port, formerOf(port, parts)))?.join(' '), String(port.port)).to.include(text)
      expect(explained).to.include(text)
      expect(await isAdmitted(port, port.admits), String(port.port)).to.equal(true)
    }
  }

  /** 6305 admits credentials, and the identity of the observability Envoy, by which a rotation of the issuer alone is seen. */
  function formerOf({port, signer}: MtlsPort, parts: readonly MtlsPort['signer'][]): CertifiedKey {
    if (signer === 'credentialIssuer') return parts.includes(signer) ? credentialIn(former, paris) : identityIn(former, OBSERVABILITY)
    if (port === ALERTS_PORT) return identityIn(former, paris)
    if (internalPorts.includes(port as InternalPort)) return former.clients.get(client) ?? expect.fail('no former client')
    return identityIn(former, OBSERVABILITY)
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
    await expectRetired(['issuer'])
  })

  it('of the root, announce', async () => {
    await begin('root')
    await untilHeld('root', 'announce', /^lyon /)
    await judge('announce')
  })

  it('of the root, credentials', async () => {
    lagging().thaw()
    await untilHeld('root', 'credentials', /does not carry the present roots|^client client has until/)
    expect((await waiting()).filter(each => each.includes('does not carry'))).to.have.length(3)
    await judge('credentials')
  })

  it('of the root, leaves', async () => {
    await apply()
    await untilHeld('root', 'credentials', /^client client has until/)
    lagging().freeze()
    await dismissClients()
    await untilHeld('root', 'leaves', /^lyon /)
    // With a client the stage before would have waited for an hour.
    await judge('leaves', false)
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
    await expectRetired(['issuer', 'credentialIssuer'])
  })
})
