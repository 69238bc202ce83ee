/**
 * Every port in mutual TLS refuses every kind of wrong certificate, and the log of its Envoy or of the server says why, in words that
 * docs/reference/refusals.md explains. The trust domain is one that was chosen at `atlas init`.
 */
import {expect} from 'chai'
import {credentialIn, identityIn, settingsIn} from '../../src/demo/lab/certificates.js'
import {callOnce, grpcCodes, openTls} from '../../src/demo/lab/grpc.js'
import {tlsOptions} from '../../src/demo/lab/tls-probe.js'
import {dependencies} from '../../src/lib/cli/base-command.js'
import type {CertifiedKey} from '../../src/lib/model/authority.js'
import type {Fleet} from '../../src/lib/model/fleet.js'
import {internalPorts, parseInternalClient} from '../../src/lib/model/internal-ports.js'
import {OBSERVABILITY, parseClientName, parseClusterName} from '../../src/lib/model/names.js'
import {ADS_PORT, ALERTS_PORT, defaultSettings} from '../../src/lib/model/settings.js'
import {revokeCluster} from '../../src/lib/ops/cluster/revoke.js'
import {type Choices, init} from '../../src/lib/ops/init.js'
import {type CertificateSpec, credentialIssuerSpec, identitySpec, issuerSpec, rootSpec} from '../../src/lib/pki/certificate-specs.js'
import {issue} from '../../src/lib/pki/issue.js'
import {readKey} from '../../src/lib/pki/read.js'
import {cryptoSigner} from '../../src/lib/pki/signer.js'
import {serveRecording} from '../helpers/http1.js'
import {explainedRefusals} from '../helpers/refusals-page.js'
import {type MtlsPort, everyPort, isAdmitted, refusalOf} from './every-port.js'
import {fabricate} from './fabricated.js'
import {serverLog, until, untilReachable, untilSynced} from './look.js'
import {type Network, closeNetwork, openNetwork} from './network.js'

/** Of these only paris has an Envoy: oslo is revoked, one credential of rome is revoked, and that of bonn ends. */
const [paris, oslo, rome, bonn] = [
  parseClusterName('paris'),
  parseClusterName('oslo'),
  parseClusterName('rome'),
  parseClusterName('bonn'),
] as const
const [client, dismissed] = [parseClientName('client'), parseClientName('dismissed')]

/** Seconds: the life of the credential of bonn. */
const SHORT = 25

/** The text that a log has for a kind of certificate: at Envoys and at the server, and the ports at which it is another one. */
interface Refusals {
  readonly envoy: string
  readonly server: string
  readonly but?: Readonly<Record<number, string>>
}

const foreign: Refusals = {envoy: 'unable_to_get_local_issuer_certificate', server: 'tls-certificate-untrusted'}
const misnamed: Refusals = {envoy: 'SAN_matcher,_certificate_SANs_are_[X]', server: 'certificate-name'}

describe('e2e: certificates that are refused', function () {
  this.timeout(240_000)
  let network: Network
  let fleet: Fleet
  let ports: readonly MtlsPort[]
  /** Taken before their owners were revoked, dismissed, or their time was over. */
  let stolen: Readonly<Record<'client' | 'credential' | 'ended' | 'identity' | 'one', CertifiedKey>>
  const explained = [...explainedRefusals().values()].flat()
  const toldByServer = new Set<string>()

  before(async () => {
    const every = (name: string) => parseInternalClient(`${name}:${internalPorts.join(',')}`)
    network = await openNetwork({
      clusters: [paris],
      spare: 3,
      settings: {trustDomain: 'thanos.example.com', clients: [client, dismissed].map(name => every(name))},
    })
    await untilReachable(network)
    for (const name of [oslo, rome]) await network.register(name)
    const choose = async (choices: Choices): Promise<unknown> => init(network.store, choices, dependencies)
    const alertmanager = {host: network.spareAddress(1), port: 9093}
    network.onClose((await serveRecording(alertmanager, 'am')).close)
    await choose({lifetimes: {credential: SHORT}, alertmanagers: [alertmanager]})
    await network.register(bonn)
    await choose({lifetimes: {credential: defaultSettings.lifetimes.credential}})

    fleet = await network.store.load()
    stolen = {
      credential: credentialIn(fleet, oslo),
      identity: identityIn(fleet, oslo),
      one: credentialIn(fleet, rome),
      ended: credentialIn(fleet, bonn),
      client: fleet.clients.get(dismissed) ?? expect.fail('no client'),
    }
    ports = everyPort(network, fleet, {cluster: paris, internal: client})
    for (const port of [10_900, ADS_PORT]) {
      await until(network, `${port} to admit all`, async () => isAdmitted(at(port), stolen.credential))
      expect(await isAdmitted(at(port), stolen.one)).to.equal(true)
      expect(await isAdmitted(at(port), stolen.ended)).to.equal(true)
    }

    await choose({internalTls: internalPorts, clients: [every(client)]})
    await revokeCluster(network.store, oslo, {reissue: false}, dependencies)
    await revokeCluster(network.store, rome, {reissue: true, credential: readKey(stolen.one).sha256.slice(0, 16)}, dependencies)
    fleet = await network.store.load()
    for (const port of [10_900, ALERTS_PORT])
      await until(network, `${port} to refuse what is revoked`, async () => !(await isAdmitted(at(port), revokedFor(at(port)))))
    for (const port of internalPorts) await until(network, `${port} to speak mutual TLS`, async () => isAdmitted(at(port), at(port).admits))
    // The waiting above has used up what the server logs of a cluster in a minute.
    await network.server().kill()
    await network.startServer()
    await untilSynced(network, [OBSERVABILITY, paris])
  })
  after(() => closeNetwork(network))

  const at = (port: number): MtlsPort => ports.find(each => each.port === port) ?? expect.fail(`there is no port ${port}`)
  const signerOf = ({signer}: MtlsPort): CertifiedKey => fleet.authority.get(signer) ?? expect.fail(`no ${signer}`)

  /** What was a rightful client's until it was revoked. */
  function revokedFor({port, signer}: MtlsPort): CertifiedKey {
    if (signer === 'credentialIssuer') return stolen.credential
    return internalPorts.some(each => each === port) ? stolen.client : stolen.identity
  }

  /** Issuers of another installation, with the same names. */
  function strangers({signer}: MtlsPort): CertifiedKey {
    const [settings, now] = [settingsIn(fleet), new Date()]
    const root = issue(rootSpec(settings), undefined, now, cryptoSigner)
    return issue((signer === 'issuer' ? issuerSpec : credentialIssuerSpec)(settings), root, now, cryptoSigner)
  }

  function misnamedFor(port: MtlsPort): CertifiedKey {
    const settings = settingsIn(fleet)
    // 10903 admits the names of downstream clusters, the other ports do not.
    const spec = port.port === ALERTS_PORT ? identitySpec(settings, OBSERVABILITY, 1) : identitySpec(settings, oslo, 1)
    return fabricate(spec, signerOf(port))
  }

  function inDefaultDomain({spec}: MtlsPort): CertificateSpec {
    const [chosen, given] = [settingsIn(fleet).trustDomain, defaultSettings.trustDomain]
    const renamed = (names: readonly string[]): readonly string[] => names.map(name => name.replace(chosen, given))
    return {...spec, uris: renamed(spec.uris), dns: renamed(spec.dns)}
  }

  it('the rightful one is admitted at every port', async () => {
    expect(ports.map(({port}) => port)).to.have.members([10_900, ...internalPorts, 10_903, 11_901, 11_902, 11_903, 11_904, 6305, 6306])
    for (const port of ports) expect(await isAdmitted(port, port.admits), String(port.port)).to.equal(true)
  })

  const kinds: Readonly<Record<string, {make(port: MtlsPort): CertifiedKey; readonly refusals: Refusals}>> = {
    'of another installation, with the same names': {make: port => fabricate(port.spec, strangers(port)), refusals: foreign},
    'that names the issuer, which has not signed it': {
      make: port => fabricate(port.spec, signerOf(port), {signedBy: strangers(port).key}),
      refusals: {envoy: 'certificate_signature_failure', server: 'tls-certificate-untrusted'},
    },
    'that has expired': {
      make: port => fabricate(port.spec, signerOf(port), {from: -0.1, to: -0.01}),
      refusals: {envoy: 'certificate_has_expired', server: 'tls-certificate-expired'},
    },
    'that is not valid yet': {
      make: port => fabricate(port.spec, signerOf(port), {from: 0.5}),
      refusals: {envoy: 'certificate_is_not_yet_valid', server: 'tls-certificate-expired'},
    },
    'with another name': {make: misnamedFor, refusals: misnamed},
    'with its name in the default trust domain, which is not the one that was chosen': {
      make: port => fabricate(inDefaultDomain(port), signerOf(port)),
      refusals: misnamed,
    },
    'that is for servers alone': {
      make: port => fabricate({...port.spec, purposes: ['server']}, signerOf(port)),
      refusals: {envoy: 'unsupported_certificate_purpose', server: 'tls-certificate-untrusted'},
    },
    'that signs itself': {
      make: port => issue(port.spec, undefined, new Date(), cryptoSigner),
      refusals: {envoy: 'unable_to_get_local_issuer_certificate', server: 'tls-certificate-untrusted'},
    },
    // There is no revocation of the observability Envoy, which alone 11901 to 11904 and 6306 admit: what is revoked of a cluster has another name.
    'of a cluster that is revoked, or of a client that is not named any more': {
      make: revokedFor,
      refusals: {
        ...misnamed,
        but: {
          [10_900]: 'rbac_access_denied_matched_policy[denied]',
          [ALERTS_PORT]: 'rbac_access_denied_matched_policy[denied]',
          [ADS_PORT]: 'cluster-revoked',
        },
      },
    },
  }

  for (const [title, {make, refusals}] of Object.entries(kinds))
    it(`one ${title} is refused at every port, with the reason`, async () => {
      const told: Record<number, string> = {}
      const wanted: Record<number, string> = {}
      for (const port of ports) {
        const {envoy, server, but} = refusals
        const certificate = make(port)
        const text = but?.[port.port] ?? (port.envoy === undefined ? server : envoy)
        const [name = ''] = readKey(certificate).uris
        const reasons = (await refusalOf(network, port, certificate)) ?? ['it is admitted']
        if (port.envoy === undefined) toldByServer.add(text)
        wanted[port.port] = text
        told[port.port] = reasons.some(reason => reason.includes(text.replace('[X]', `[${name}`))) ? text : reasons.join(' | ')
      }

      expect(told).to.deep.equal(wanted)
      expect(explained).to.include.members(Object.values(wanted))
    })

  // Only 10900 and 6305 admit credentials.
  it('a credential that is revoked alone, and one that has ended, are refused at 10900 and 6305', async () => {
    await until(network, 'the credential to end', () => readKey(stolen.ended).notAfter.getTime() < Date.now(), SHORT + 2)
    const mark = network.observability.mark()
    const wanted = [
      [10_900, stolen.one, 'credential-revoked'],
      [ADS_PORT, stolen.one, 'credential-revoked'],
      [10_900, stolen.ended, 'certificate_has_expired'],
      [ADS_PORT, stolen.ended, 'credential-expired'],
    ] as const
    for (const [port, certificate, text] of wanted) {
      if (port === ADS_PORT) toldByServer.add(text)
      expect((await refusalOf(network, at(port), certificate))?.join(' '), String(port)).to.include(text)
      expect(explained).to.include(text)
    }

    // Both say whose it is: the Envoy the name in the certificate, the server the cluster on whose record it is, and what to do.
    const [name] = readKey(stolen.ended).uris
    const refused = network.observability.logged('connection', mark).filter(({failure}) => failure?.includes('certificate_has_expired'))
    expect(refused.map(({peer}) => peer)).to.deep.equal([name])
    const toldOf = () => serverLog(network).filter(({reason}) => reason === 'credential-expired')
    await until(network, 'the line of the server', () => toldOf().length > 0)
    const told = toldOf()
    expect(told.map(({cluster}) => cluster)).to.deep.equal([bonn])
    expect(told[0]?.['message']).to.match(/; apply the newest one, of Secret bonn-envoy-ads \(atlas cluster values bonn --format secret\)$/)
  })

  it('10903 logs a refused client also where it says that it speaks gRPC, whose refusal has status 200', async () => {
    const mark = network.observability.mark()
    const call = {path: '/am/alertmanager0/api/v2/alerts', message: new Uint8Array(), timeoutMs: 5000, until: 'end'} as const
    const {grpcStatus} = await callOnce(openTls(at(ALERTS_PORT), tlsOptions(at(ALERTS_PORT), {certificate: stolen.identity})), call)
    expect(grpcStatus).to.equal(grpcCodes.permissionDenied)
    await until(network, 'its line', () =>
      network.observability.logged('request', mark).some(({details}) => details === 'rbac_access_denied_matched_policy[denied]'),
    )
  })

  it('the log of the server has each of its reasons', async () => {
    const logged = (): readonly unknown[] => serverLog(network).flatMap(({msg, reason}) => (msg === 'refused' ? [reason] : []))
    await until(network, [...toldByServer].join(', '), () => [...toldByServer].every(reason => logged().includes(reason)))
  })
})
