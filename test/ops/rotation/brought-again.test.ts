/** A rotation between two roots that are kept offline waits for longer than issuers live: a person has each issued again for its own key. */
import {execFileSync} from 'node:child_process'
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {expect} from 'chai'
import {type CertifiedKey, keptElsewhere} from '../../../src/lib/model/authority.js'
import {type Change, reduceAll} from '../../../src/lib/model/change.js'
import {OBSERVABILITY} from '../../../src/lib/model/names.js'
import {boundIssuers, planBrought} from '../../../src/lib/ops/rotation/brought-again.js'
import {planStart} from '../../../src/lib/ops/rotation/start.js'
import {requestAgain} from '../../../src/lib/pki/certificate-request.js'
import {issuerSpec} from '../../../src/lib/pki/certificate-specs.js'
import {cryptoSigner} from '../../../src/lib/pki/signer.js'
import {readKey} from '../../../src/lib/pki/read.js'
import {testDependencies, testSettings} from '../../helpers/dependencies.js'
import {type OfflineRoot, type SignOptions, makeOfflineRoot} from '../../helpers/offline-root.js'
import {thrownBy} from '../../helpers/thrown.js'
import {ModelNetwork} from './model-network.js'

const day = 86_400

describe('an issuer below a root that is kept offline, while a rotation of the root waits', function () {
  this.timeout(60_000)
  const folder = mkdtempSync(path.join(tmpdir(), 'atlas-again-'))
  after(() => rmSync(folder, {recursive: true}))
  const [root, other] = [makeOfflineRoot(folder), makeOfflineRoot(folder, 'other')]
  const year = {days: 365}

  let network: ModelNetwork
  beforeEach(() => {
    network = new ModelNetwork(testDependencies(new Date().toISOString()), ['lyon', 'paris'])
    begin(root)
    for (let round = 0; round < 3; round += 1) {
      network.settle()
      network.apply()
    }

    expect(network.fleet.rotation).to.equal(undefined)
    begin(other)
    network.settle()
    network.apply(['atlas', 'paris'])
    network.settle()
    expect(network.stage, 'lyon waits for hands').to.equal('credentials')
  })

  function begin(to: OfflineRoot): void {
    const next = {
      root: {certificate: to.ca.certificate, key: keptElsewhere},
      issuer: to.issue('issuer', year),
      credentialIssuer: to.issue('credentialIssuer'),
    }
    network.fleet = reduceAll(network.fleet, planStart(network.fleet, 'root', {...network.dependencies, skip: [], next}))
  }

  /** As openssl does it where the key of a root is, at the time of the network. */
  function signed(present: CertifiedKey, by: OfflineRoot, {days = 365, ...options}: SignOptions = {}): string {
    const {request, extensions} = requestAgain(present, issuerSpec(testSettings), cryptoSigner)
    const [requestFile, extensionsFile] = [path.join(folder, 'again.csr'), path.join(folder, 'again.ext')]
    writeFileSync(requestFile, request)
    writeFileSync(extensionsFile, options.extensions ?? extensions)
    const since = Math.round((network.dependencies.now().getTime() - Date.now()) / 86_400_000)
    return by.sign(requestFile, extensionsFile, {...options, days: since + days})
  }

  function brought(...certificates: readonly string[]): readonly Change[] {
    const given = certificates.map(certificate => ({certificate, key: undefined, name: 'the certificate in "issuer.pem"', anyAge: false}))
    return planBrought(network.fleet, testSettings, given, network.dependencies.now())
  }

  /** Days, in which identities are renewed as usual. */
  function wait(days: number): void {
    for (let passed = 0; passed < days; passed += 5) {
      network.dependencies.pass(5 * day)
      network.settle()
    }
  }

  const issuer = (part: 'issuer' | 'nextIssuer'): CertifiedKey => network.fleet.authority.get(part)!
  const left = (key: CertifiedKey): number => readKey(key).notAfter.getTime() - network.dependencies.now().getTime()

  it('is issued again for its own key, as is the next one; nothing else is replaced, and the rotation goes on after both would have ended', () => {
    wait(300)
    expect(boundIssuers(network.fleet).map(({part}) => part)).to.deep.equal(['issuer', 'nextIssuer'])
    const [former, formerNext] = [issuer('issuer'), issuer('nextIssuer')]
    network.settle()
    const {identities, credentials} = network.fleet
    network.fleet = reduceAll(network.fleet, brought(signed(former, root), signed(formerNext, other)))
    expect(brought(issuer('issuer').certificate, issuer('nextIssuer').certificate), 'again, before the leader').to.deep.equal([])
    network.settle()
    expect(network.fleet.identities).to.equal(identities)
    expect(network.fleet.credentials).to.equal(credentials)
    expect(issuer('issuer').key.reveal()).to.equal(former.key.reveal())
    expect(network.fleet.trust?.issuers).to.deep.equal([issuer('issuer').certificate, issuer('nextIssuer').certificate])
    expect(network.fleet.rotation?.given?.issuer).to.equal(readKey(issuer('nextIssuer')).sha256)

    const [leaf] = [network.fleet.identities.get(OBSERVABILITY)!.certificate]
    const [leafFile, anchorFile] = [path.join(folder, 'leaf.pem'), path.join(folder, 'anchor.pem')]
    writeFileSync(leafFile, leaf)
    writeFileSync(anchorFile, issuer('issuer').certificate)
    const at = String(Math.round(network.dependencies.now().getTime() / 1000))
    const flags = ['-partial_chain', '-attime', at, '-trusted', anchorFile]
    expect(execFileSync('openssl', ['verify', ...flags, leafFile], {encoding: 'utf8'})).to.contain('OK')

    wait(200)
    expect(left(former)).to.be.lessThan(0)
    expect(network.stage).to.equal('credentials')
    for (const [owner, identity] of network.fleet.identities) expect(left(identity), owner).to.be.greaterThan(0)
    for (let round = 0; round < 3; round += 1) {
      network.apply()
      network.settle()
    }

    expect(network.fleet.rotation).to.equal(undefined)
    expect(network.fleet.trust?.roots).to.deep.equal([other.ca.certificate])
    expect(issuer('issuer').key.reveal()).to.equal(formerNext.key.reveal())
  })

  it('that is to follow, and has ended, is waited for: it would sign nothing', () => {
    wait(300)
    network.fleet = reduceAll(network.fleet, brought(signed(issuer('issuer'), root)))
    wait(100)
    expect(left(issuer('nextIssuer'))).to.be.lessThan(0)
    network.apply()
    network.settle()
    expect(network.stage).to.equal('credentials')
    expect(network.waiting[0]).to.match(/^the next issuer has ended, .*"atlas rotate --issuer --request DIR"/)
    network.fleet = reduceAll(network.fleet, brought(signed(issuer('nextIssuer'), other)))
    network.settle()
    network.apply()
    network.settle()
    expect(network.fleet.rotation).to.equal(undefined)
  })

  it('that a leader has seen only after its end is still the one to follow, and is issued once more', () => {
    wait(300)
    network.fleet = reduceAll(network.fleet, brought(signed(issuer('issuer'), root, {days: 2000}), signed(issuer('nextIssuer'), other)))
    network.dependencies.pass(400 * day)
    network.settle()
    expect(network.waiting.join('; ')).to.match(/the next issuer has ended, .*"atlas rotate --issuer --request DIR"/)
    network.fleet = reduceAll(network.fleet, brought(signed(issuer('nextIssuer'), other)))
    network.settle()
    expect(network.waiting.join('; ')).not.to.include('ended')
  })

  it('in the last stages is the one that signs already', () => {
    network.apply()
    network.settle()
    expect(network.stage).to.equal('retire')
    wait(300)
    expect(boundIssuers(network.fleet).map(({part}) => part)).to.deep.equal(['issuer'])
    network.fleet = reduceAll(network.fleet, brought(signed(issuer('issuer'), other)))
    wait(200)
    expect(network.stage).to.equal('retire')
    expect(network.fleet.trust?.issuers).to.deep.equal([issuer('issuer').certificate])
    expect(left(network.fleet.identities.get(OBSERVABILITY)!)).to.be.greaterThan(0)
  })

  it('that is brought again is given once, and takes nothing else', () => {
    wait(300)
    const [present, next] = [issuer('issuer'), issuer('nextIssuer')]
    expect(brought(present.certificate)).to.deep.equal([])
    const refusals: readonly (readonly [certificate: string, why: RegExp])[] = [
      [root.issue('issuer', {days: 700}).certificate, /for none of the issuers that wait: it has another key/],
      [signed(present, other), /was not signed by the root \("O=Example, CN=offline"\) itself/],
      [signed(next, root), /was not signed by the root \("O=Example, CN=other"\) itself/],
      [signed(present, root, {days: 50}), /ends on .*, no later than the issuer itself/],
      [
        signed(present, root, {
          extensions:
            'basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\nextendedKeyUsage=serverAuth,clientAuth\nsubjectKeyIdentifier=00112233\nauthorityKeyIdentifier=keyid:always\n',
        }),
        /has the key identifier/,
      ],
    ]
    for (const [certificate, why] of refusals) expect(thrownBy(() => brought(certificate)).message).to.match(why)
  })

  it('is never one that another account has laid, whose key no bundle has', () => {
    const {trust, rotation} = network.fleet
    network.fleet = reduceAll(network.fleet, [{kind: 'authority', part: 'nextIssuer', value: other.issue('issuer', year)}])
    for (let pass = 0; pass < 3; pass += 1) network.fleet = reduceAll(network.fleet, network.plan())
    expect(network.fleet.trust).to.equal(trust)
    expect(network.fleet.rotation?.given).to.deep.equal(rotation?.given)
    expect(network.waiting[0]).to.match(/is not the one that the rotation began with/)
  })

  it('is refused where no rotation of the root waits, or the root has its key', () => {
    const {rotation: _, ...rest} = network.fleet
    network.fleet = {...rest, rotation: undefined}
    expect(thrownBy(() => brought(issuer('issuer').certificate)).code).to.equal('conflict')
  })
})
