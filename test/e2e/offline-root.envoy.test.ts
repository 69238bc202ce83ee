/** A network whose root has no key in the store: the issuer that the root has signed elsewhere takes the place of the former one under load. */
import {execFileSync} from 'node:child_process'
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {expect} from 'chai'
import {credentialIn, identityIn, settingsIn} from '../../src/demo/lab/certificates.js'
import {probeTls} from '../../src/demo/lab/tls-probe.js'
import {dependencies} from '../../src/lib/cli/base-command.js'
import type {CertifiedKey} from '../../src/lib/model/authority.js'
import {OBSERVABILITY, parseClusterName} from '../../src/lib/model/names.js'
import {followRotation, startRotation} from '../../src/lib/ops/rotation/start.js'
import {credentialSpec, identitySpec} from '../../src/lib/pki/certificate-specs.js'
import {issue} from '../../src/lib/pki/issue.js'
import {parseCertificates} from '../../src/lib/pki/pem.js'
import {type OfflineRoot, makeOfflineRoot} from '../helpers/offline-root.js'
import {cryptoSigner} from '../../src/lib/pki/signer.js'
import {load} from './load.js'
import {until, untilReachable, untilSynced, whoAnswers} from './look.js'
import {adsPort, impersonate, serverPort, sidecarPort} from './mtls-ports.js'
import {type Network, closeNetwork, openNetwork} from './network.js'

const paris = parseClusterName('paris')

describe('e2e: a root that is kept offline', function () {
  this.timeout(120_000)
  const folder = mkdtempSync(path.join(tmpdir(), 'atlas-offline-'))
  let root: OfflineRoot
  let network: Network

  before(async () => {
    root = makeOfflineRoot(folder)
    const outside = {root: root.given, issuer: root.issue('issuer'), credentialIssuer: root.issue('credentialIssuer')}
    network = await openNetwork({clusters: [paris], outside, times: {rotation: '200ms', 'clock-held': '1s'}})
    await untilReachable(network)
  })
  after(async () => {
    await closeNetwork(network)
    rmSync(folder, {recursive: true})
  })

  /** Throws unless openssl verifies each certificate in force below the root. */
  async function requireVerified(): Promise<void> {
    const fleet = await network.store.load()
    for (const {certificate} of [identityIn(fleet, paris), identityIn(fleet, OBSERVABILITY), credentialIn(fleet, paris)]) {
      const [leaf, ...chain] = parseCertificates(certificate).map(String)
      const [leafFile, chainFile] = [path.join(folder, 'leaf.pem'), path.join(folder, 'chain.pem')]
      writeFileSync(leafFile, leaf ?? '')
      writeFileSync(chainFile, chain.join(''))
      const files = ['-CAfile', root.ca.files.certificate, '-untrusted', chainFile, leafFile]
      expect(execFileSync('openssl', ['verify', '-x509_strict', ...files], {encoding: 'utf8'})).to.contain('OK')
    }
  }

  it('works, with no key of the root in the store', async () => {
    expect(await whoAnswers(network, paris)).to.equal('paris/0')
    const {authority} = await network.store.load()
    expect(authority.get('root')?.key.reveal()).to.equal('')
    await requireVerified()
  })

  it('the next issuer, which the root has signed, follows without a failed request, and the former one opens no port', async () => {
    const former = await network.store.load()
    const running = load(network, undefined, {reconnects: true})
    const issuer = root.issue('issuer')
    await startRotation(network.store, 'issuer', {next: {issuer}}, dependencies)
    await followRotation(network.store, {waitMs: 90_000, changed: () => undefined})
    await untilSynced(network)
    await running.stop()
    const present = await network.store.load()
    expect(present.trust?.issuers).to.deep.equal([issuer.certificate])
    expect(present.trust?.roots).to.deep.equal([root.ca.certificate])
    await requireVerified()
    for (const [target, rightful] of [
      [sidecarPort(network, present, paris), identityIn(present, OBSERVABILITY)],
      [serverPort(network, present), credentialIn(present, paris)],
    ] as const) {
      expect((await probeTls(target, {certificate: identityIn(former, OBSERVABILITY)})).bytes, 'former').to.equal(0)
      expect((await probeTls(target, {certificate: rightful})).bytes, 'present').to.be.greaterThan(0)
    }
  })

  it('an Envoy that starts again is configured', async () => {
    const {envoy} = network.member(paris)
    await envoy.kill()
    await envoy.start()
    await envoy.untilReady()
    await untilReachable(network)
    expect(await whoAnswers(network, paris)).to.equal('paris/0')
  })
})

describe('e2e: two intermediates of a company as issuers', function () {
  this.timeout(120_000)
  const folder = mkdtempSync(path.join(tmpdir(), 'atlas-intermediates-'))
  let company: OfflineRoot
  let network: Network

  before(async () => {
    company = makeOfflineRoot(folder)
    network = await openNetwork({
      clusters: [paris],
      outside: {issuer: company.issue('issuer'), credentialIssuer: company.issue('credentialIssuer')},
    })
    await untilReachable(network)
  })
  after(async () => {
    await closeNetwork(network)
    rmSync(folder, {recursive: true})
  })

  it('work, and the issuer is the only anchor of bootstraps', async () => {
    expect(await whoAnswers(network, paris)).to.equal('paris/0')
    const fleet = await network.store.load()
    expect(fleet.trust?.roots).to.deep.equal([fleet.authority.get('issuer')?.certificate])
    expect(credentialIn(fleet, paris).roots).to.equal(fleet.authority.get('issuer')?.certificate)
  })

  it('a leaf below another intermediate of the company opens no port', async () => {
    const fleet = await network.store.load()
    const [settings, now] = [settingsIn(fleet), new Date()]
    const withCompany = (leaf: CertifiedKey): CertifiedKey => ({...leaf, certificate: leaf.certificate + company.ca.certificate})
    const stranger = withCompany(issue(identitySpec(settings, OBSERVABILITY, 1), company.issue('issuer'), now, cryptoSigner))
    const credential = withCompany(issue(credentialSpec(settings, paris, 1), company.issue('credentialIssuer'), now, cryptoSigner))
    for (const [target, forged, rightful] of [
      [sidecarPort(network, fleet, paris), stranger, identityIn(fleet, OBSERVABILITY)],
      [adsPort(network, fleet), credential, credentialIn(fleet, paris)],
      [serverPort(network, fleet), stranger, credentialIn(fleet, OBSERVABILITY)],
    ] as const) {
      expect((await probeTls(target, {certificate: forged})).bytes, 'forged').to.equal(0)
      expect((await probeTls(target, {certificate: rightful})).bytes, 'rightful').to.be.greaterThan(0)
    }
  })

  it('an Envoy that starts again believes the issuer alone', async () => {
    const fleet = await network.store.load()
    const impostorKey = issue(identitySpec(settingsIn(fleet), OBSERVABILITY, 1), company.issue('issuer'), new Date(), cryptoSigner)
    await network.observability.kill()
    const impostor = await impersonate({host: network.address, port: 10_900}, impostorKey)
    try {
      await until(network, 'an Envoy to connect', () => impostor.refusals().length >= 2, 30)
      expect(impostor.believers()).to.equal(0)
    } finally {
      await impostor.close()
    }

    await network.observability.start()
    await untilReachable(network)
  })
})
