/** A network whose root is an intermediate of a company's CA: it works, and nothing else of that company opens a port or is believed. */
import {mkdtempSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {expect} from 'chai'
import {credentialIn, identityIn, settingsIn} from '../../src/demo/lab/certificates.js'
import {probeTls} from '../../src/demo/lab/tls-probe.js'
import type {CertifiedKey} from '../../src/lib/model/authority.js'
import type {Fleet} from '../../src/lib/model/fleet.js'
import {OBSERVABILITY, parseClusterName} from '../../src/lib/model/names.js'
import {credentialIssuerSpec, credentialSpec, identitySpec, issuerSpec, serverSpec} from '../../src/lib/pki/certificate-specs.js'
import {issue} from '../../src/lib/pki/issue.js'
import {cryptoSigner} from '../../src/lib/pki/signer.js'
import {type OutsideCa, keyKinds, makeCa} from '../helpers/outside-ca.js'
import {reportOf, until, untilReachable, untilSynced, whoAnswers} from './look.js'
import {adsPort, impersonate, probeLogged, serverPort, sidecarPort} from './mtls-ports.js'
import {type Network, closeNetwork, openNetwork} from './network.js'

const paris = parseClusterName('paris')
const foreign = /unable_to_get_local_issuer_certificate|self.signed_certificate_in_certificate_chain/

/** Describes such a network. @param kind the kind of the intermediate's key, of `keyKinds` */
export function describeOutsideRoot(kind: string): void {
  const newkey = keyKinds[kind] ?? []
  describe(`e2e: a root from outside, an intermediate with a key of kind ${kind}`, function () {
    this.timeout(240_000)
    const folder = mkdtempSync(path.join(tmpdir(), 'atlas-outside-'))
    let network: Network
    let fleet: Fleet
    /** Certificates with the names of this network, below another intermediate of the same company; with the whole chain behind them. */
    let strangers: Readonly<Record<'credential' | 'observability' | 'server', CertifiedKey>>

    before(async () => {
      const company = makeCa(folder, 'company')
      const [own, other] = ['own', 'other'].map(name => makeCa(folder, name, {signer: company, newkey, pathLength: 1}))
      if (own === undefined || other === undefined) throw new Error('both were made')
      const root = {certificate: own.certificate + company.certificate, key: own.key, name: 'the certificate', anyAge: false}
      network = await openNetwork({clusters: [paris], outside: {root}, settings: {trustDomain: 'thanos.example.com'}})
      fleet = await network.store.load()
      strangers = strangersBelow(other, company, fleet)
      await untilReachable(network)
    })
    after(async () => {
      await closeNetwork(network)
      rmSync(folder, {recursive: true})
    })

    it('every certificate is below that intermediate, and it alone is the anchor', async () => {
      expect(await whoAnswers(network, paris)).to.equal('paris/0')
      const root = fleet.authority.get('root')
      expect(fleet.trust?.roots).to.deep.equal([root?.certificate])
      expect(credentialIn(fleet, paris).roots).to.equal(root?.certificate)
      expect(root?.certificate.match(/BEGIN/g)).to.have.length(1)
    })

    it('a leaf below another intermediate of the same company opens no port', async () => {
      const rightful = [
        [adsPort(network, fleet), credentialIn(fleet, paris), strangers.credential],
        [sidecarPort(network, fleet, paris), identityIn(fleet, OBSERVABILITY), strangers.observability],
      ] as const
      for (const [target, own, stranger] of rightful) {
        const {bytes, failure} = await probeLogged(network, target, {certificate: stranger})
        expect(bytes).to.equal(0)
        expect(failure).to.match(foreign)
        expect((await probeTls(target, {certificate: own})).bytes).to.be.greaterThan(0)
      }

      const target = serverPort(network, fleet)
      for (const certificate of [strangers.credential, strangers.observability])
        expect((await probeTls(target, {certificate})).bytes).to.equal(0)
      expect((await probeTls(target, {certificate: credentialIn(fleet, OBSERVABILITY)})).bytes).to.be.greaterThan(0)
      expect((await reportOf(network)).refusals.map(({reason}) => reason)).to.include('tls-certificate-untrusted')
    })

    it('no Envoy believes a server below another intermediate of the same company', async () => {
      const believesNobody = async (port: number, key: CertifiedKey): Promise<void> => {
        const impostor = await impersonate({host: network.address, port}, key)
        try {
          await until(network, `an Envoy to connect at ${port}`, () => impostor.refusals().length >= 2)
          expect(impostor.believers()).to.equal(0)
        } finally {
          await impostor.close()
        }
      }
      await network.server().kill()
      await believesNobody(6305, strangers.server)
      await network.startServer()
      await untilSynced(network)
      await network.observability.kill()
      await believesNobody(10_900, strangers.observability)
      await network.observability.start()
      await untilReachable(network)
    })
  })
}

function strangersBelow(
  other: OutsideCa,
  company: OutsideCa,
  fleet: Fleet,
): Record<'credential' | 'observability' | 'server', CertifiedKey> {
  const [settings, now] = [settingsIn(fleet), new Date()]
  const issuer = issue(issuerSpec(settings), other, now, cryptoSigner)
  const credentialIssuer = issue(credentialIssuerSpec(settings), other, now, cryptoSigner)
  const withChain = (leaf: CertifiedKey): CertifiedKey => ({
    ...leaf,
    certificate: leaf.certificate + other.certificate + company.certificate,
  })
  return {
    credential: withChain(issue(credentialSpec(settings, paris, 1), credentialIssuer, now, cryptoSigner)),
    observability: withChain(issue(identitySpec(settings, OBSERVABILITY, 1), issuer, now, cryptoSigner)),
    server: withChain(issue(serverSpec(settings), issuer, now, cryptoSigner)),
  }
}
