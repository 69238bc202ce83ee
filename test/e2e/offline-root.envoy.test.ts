/** A network whose root has no key in the store: the issuer that the root has signed elsewhere takes the place of the former one under load. */
import {execFileSync} from 'node:child_process'
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {expect} from 'chai'
import {credentialIn, identityIn, settingsIn} from '../../src/demo/lab/certificates.js'
import {probeTls} from '../../src/demo/lab/tls-probe.js'
import {certificatesOf, plainSerial} from '../../src/demo/lab/envoy-admin.js'
import {dependencies} from '../../src/lib/cli/base-command.js'
import type {CertifiedKey} from '../../src/lib/model/authority.js'
import type {Fleet} from '../../src/lib/model/fleet.js'
import {OBSERVABILITY, parseClusterName} from '../../src/lib/model/names.js'
import {rotateLeaves} from '../../src/lib/ops/rotate.js'
import {followRotation} from '../../src/lib/ops/rotation/follow.js'
import {startRotation} from '../../src/lib/ops/rotation/start.js'
import {credentialSpec, identitySpec} from '../../src/lib/pki/certificate-specs.js'
import {issue} from '../../src/lib/pki/issue.js'
import {parseCertificates} from '../../src/lib/pki/pem.js'
import {readKey} from '../../src/lib/pki/read.js'
import {atlas} from '../helpers/atlas.js'
import {type OfflineRoot, makeOfflineRoot} from '../helpers/offline-root.js'
import {cryptoSigner} from '../../src/lib/pki/signer.js'
import {type RunningLoad, load} from './load.js'
import {dumpOf, until, untilReachable, untilSynced, whoAnswers} from './look.js'
import {adsPort, impersonate, serverPort, sidecarPort} from './mtls-ports.js'
import {type Network, closeNetwork, openNetwork} from './network.js'

const paris = parseClusterName('paris')

/** Seconds; a credential is used when a connection begins, and its stream ends a tenth later. */
const ADS_CONNECTION = 4
/** The same of the connection and the stream of the observability Envoy. */
const ended = {'connection-age': `${ADS_CONNECTION}s`, 'max-age': `${ADS_CONNECTION}s`}

describe('e2e: a root that is kept offline', function () {
  this.timeout(240_000)
  const folder = mkdtempSync(path.join(tmpdir(), 'atlas-offline-'))
  let root: OfflineRoot
  let network: Network

  before(async () => {
    root = makeOfflineRoot(folder)
    const outside = {root: root.given, issuer: root.issue('issuer'), credentialIssuer: root.issue('credentialIssuer')}
    network = await openNetwork({
      ...{clusters: [paris], outside, times: {rotation: '200ms', 'clock-held': '1s', ...ended}},
      settings: {timeouts: {adsConnection: ADS_CONNECTION}},
    })
    await untilReachable(network)
  })
  after(async () => {
    await closeNetwork(network)
    rmSync(folder, {recursive: true})
  })

  /** Throws unless openssl verifies each certificate in force, or each of `leaves`, below a root. */
  async function requireVerified({ca} = root, leaves?: readonly CertifiedKey[]): Promise<void> {
    const fleet = await network.store.load()
    for (const {certificate} of leaves ?? [identityIn(fleet, paris), identityIn(fleet, OBSERVABILITY), credentialIn(fleet, paris)]) {
      const [leaf, ...chain] = parseCertificates(certificate).map(String)
      const [leafFile, chainFile] = [path.join(folder, 'leaf.pem'), path.join(folder, 'chain.pem')]
      writeFileSync(leafFile, leaf ?? '')
      writeFileSync(chainFile, chain.join(''))
      const files = ['-CAfile', ca.files.certificate, '-untrusted', chainFile, leafFile]
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
    const issuer = root.issue('issuer', {days: 300})
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

  describe('that is itself replaced, by a rotation that waits until credentials are applied', () => {
    const again = path.join(folder, 'again')
    let other: OfflineRoot
    let running: RunningLoad
    let issued: Fleet

    const rotate = async (...args: readonly string[]): Promise<void> => {
      const {code, stderr} = await atlas('rotate', '--issuer', '--store', path.join(network.folder, 'store'), ...args)
      expect(code, stderr).to.equal(0)
    }
    const applyAll = async (): Promise<void> => {
      for (const envoy of [network.observability, network.member(paris).envoy]) await envoy.writeFiles()
    }
    const partsOf = ({authority}: Fleet): readonly CertifiedKey[] => [authority.get('issuer')!, authority.get('nextIssuer')!]
    const shows = async (pem = ''): Promise<boolean> => {
      const [, ...lines] = pem.trim().split('\n')
      const dumps = [await dumpOf(network.observability), await dumpOf(network.member(paris).envoy)]
      // The end of a certificate is its signature, of which Envoy's page breaks the lines in the same way.
      return dumps.every(dump => lines.slice(0, -1).every(line => dump.includes(line)))
    }

    it('has both issuers issued again by hand for their own keys meanwhile, and no identity is replaced', async () => {
      other = makeOfflineRoot(folder, 'other')
      running = load(network, undefined, {reconnects: true})
      const next = {root: other.given, issuer: other.issue('issuer', {days: 300}), credentialIssuer: other.issue('credentialIssuer')}
      await startRotation(network.store, 'root', {next}, dependencies)
      await until(network, 'the credentials to be waited for', async () => {
        const {rotation} = await network.store.load()
        const waiting = rotation?.waitingFor ?? []
        return waiting.length === 2 && waiting.every(each => each.includes('with a credential that does not carry the present roots'))
      })
      const before = await network.store.load()
      await rotate('--request', again)
      for (const [name, by] of [
        ['issuer', root.ca],
        ['next-issuer', other.ca],
      ] as const) {
        const file = path.join(again, name)
        writeFileSync(`${file}.pem`, root.sign(`${file}.csr`, `${file}.ext`, {days: 400, by}))
      }

      await rotate('--certificate', again)
      issued = await network.store.load()
      expect(issued.rotation?.stage).to.equal('credentials')
      for (const [index, part] of partsOf(issued).entries()) {
        const former = partsOf(before)[index]
        expect(part.key.reveal()).to.equal(former?.key.reveal())
        expect(issued.trust?.issuers).to.include(part.certificate).and.not.to.include(former?.certificate)
        await until(network, 'both Envoys to have its certificate', async () => shows(part.certificate))
      }

      expect(issued.identities).to.deep.equal(before.identities)
      await untilReachable(network)
    })

    it('signs an identity with the issuer that was issued again, which the other Envoy accepts', async () => {
      await rotateLeaves(network.store, [paris], dependencies)
      const identity = identityIn(await network.store.load(), paris)
      expect(readKey(identity).chain[0]).to.equal(readKey(issued.authority.get('issuer')!).sha256)
      const serial = plainSerial(readKey(identity).serial)
      const isShown = async (): Promise<boolean> =>
        (await certificatesOf(network.member(paris).envoy.admin)).some(certificate => certificate.serial === serial)
      await until(network, 'the Envoy to have it', isShown)
      await requireVerified(root, [identity])
      await untilReachable(network)
    })

    it('goes on to its end with the next issuer that was issued again, and no request has failed', async () => {
      await applyAll()
      await until(network, 'credentials without the former root', async () => {
        const {credentials, trust} = await network.store.load()
        return trust?.roots.length === 1 && [...credentials.values()].every(({roots}) => roots === trust.roots.join(''))
      })
      await applyAll()
      await followRotation(network.store, {waitMs: 60_000, changed: () => undefined})
      await untilSynced(network)
      expect(await running.stop()).to.be.greaterThan(300)
      const present = await network.store.load()
      expect(present.trust?.issuers).to.deep.equal([issued.authority.get('nextIssuer')?.certificate])
      expect(present.trust?.roots).to.deep.equal([other.ca.certificate])
      await requireVerified(other)
      const former = identityIn(issued, OBSERVABILITY)
      expect((await probeTls(sidecarPort(network, present, paris), {certificate: former})).bytes, 'former').to.equal(0)
    })
  })
})

describe('e2e: two intermediates of a company as issuers', function () {
  this.timeout(240_000)
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
