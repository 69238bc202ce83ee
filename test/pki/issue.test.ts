import {X509Certificate} from 'node:crypto'
import {expect} from 'chai'
import {parseClusterName} from '../../src/lib/model/names.js'
import {defaultSettings} from '../../src/lib/model/settings.js'
import {credentialSpec, credentialIssuerSpec, identitySpec, issuerSpec, rootSpec, serverSpec} from '../../src/lib/pki/certificate-specs.js'
import {issue, issueCredential} from '../../src/lib/pki/issue.js'
import {parseCertificates} from '../../src/lib/pki/pem.js'
import {readCertificates, readKey, recordOfCredential} from '../../src/lib/pki/read.js'
import {cryptoSigner} from '../../src/lib/pki/signer.js'
import {readCertificate, testAuthority} from '../helpers/pki.js'
import {thrownBy} from '../helpers/thrown.js'

const now = new Date('2026-11-24T12:00:00.900Z')
const PARIS = parseClusterName('paris')
const DAY = 86_400_000

describe('pki/issue: the content of each certificate', () => {
  const authority = testAuthority(now)
  const {settings, signer, root, issuer, credentialIssuer} = authority

  it('the root signs itself, is an authority for one step, and is named after its own serial', () => {
    const facts = readKey(root)
    expect(facts.isCa).to.equal(true)
    expect(facts.pathLength).to.equal(1)
    expect(facts.keyUsages).to.deep.equal(['keyCertSign', 'cRLSign'])
    expect(facts.purposes).to.equal(undefined)
    expect(facts.subject).to.equal(`CN=Atlas root ${facts.serial.slice(0, 8)}`)
    expect(facts.issuer).to.equal(facts.subject)
    expect([...facts.uris, ...facts.dns, ...facts.otherNames]).to.deep.equal([])
    expect(facts.notBefore.toISOString()).to.equal('2026-11-24T11:50:00.000Z')
    expect(facts.notAfter.getTime()).to.equal(Date.parse('2026-11-24T12:00:00Z') + 3650 * DAY)
    expect(facts.keyMatches).to.equal(true)
    expect(facts.chain).to.deep.equal([])
    expect(facts.authorityKeyId).to.equal(undefined)
    const parsed = new X509Certificate(root.certificate)
    expect(parsed.verify(parsed.publicKey)).to.equal(true)
  })

  it('two roots of one trust domain share no name, key or serial', () => {
    const [a, b] = [1, 2].map(() => readKey(issue(rootSpec(settings), undefined, now, cryptoSigner)))
    expect(a?.subject).not.to.equal(b?.subject)
    expect(a?.serial).not.to.equal(b?.serial)
    expect(a?.subjectKeyId).not.to.equal(b?.subjectKeyId)
  })

  it('the issuer signs only leaves, for servers and clients, and is stored without its root', () => {
    const facts = readKey(issuer)
    expect(facts.isCa).to.equal(true)
    expect(facts.pathLength).to.equal(0)
    expect(facts.purposes).to.deep.equal(['server', 'client'])
    expect(facts.keyUsages).to.deep.equal(['keyCertSign', 'cRLSign'])
    expect(facts.authorityKeyId).to.equal(readKey(root).subjectKeyId)
    expect(facts.chain).to.deep.equal([])
    expect(facts.notAfter.getTime()).to.equal(Date.parse('2026-11-24T12:00:00Z') + 365 * DAY)
  })

  it('the credential issuer is for clients only, and ends with its root', () => {
    const facts = readKey(credentialIssuer)
    expect(facts.purposes).to.deep.equal(['client'])
    expect(facts.pathLength).to.equal(0)
    expect(facts.notAfter).to.deep.equal(readKey(root).notAfter)
  })

  it("a cluster's identity carries its name and generation, two DNS names in this order, and its issuer behind it", () => {
    const identity = issue(identitySpec(settings, PARIS, 3), issuer, now, signer)
    const facts = readKey(identity)
    expect(facts.uris).to.deep.equal(['spiffe://atlas.internal/downstream/paris/3'])
    expect(facts.dns).to.deep.equal(['paris.downstream.atlas.internal', 'g3.paris.downstream.atlas.internal'])
    expect(facts.purposes).to.deep.equal(['server', 'client'])
    expect(facts.keyUsages).to.deep.equal(['digitalSignature'])
    expect(facts.isCa).to.equal(false)
    expect(facts.pathLength).to.equal(undefined)
    expect(facts.subject).to.equal('CN=downstream paris')
    expect(facts.chain).to.deep.equal([readKey(issuer).sha256])
    expect(facts.authorityKeyId).to.equal(readKey(issuer).subjectKeyId)
    expect(facts.notAfter.getTime() - facts.notBefore.getTime()).to.equal(30 * DAY + 600_000)
    expect(parseCertificates(identity.certificate)).to.have.length(2)
  })

  it("the observability identity also answers for every Service beside Atlas's own", () => {
    const facts = readKey(
      issue(identitySpec({...settings, namespace: 'monitoring', clusterDomain: 'corp.example'}, 'atlas', 1), issuer, now, signer),
    )
    expect(facts.uris).to.deep.equal(['spiffe://atlas.internal/observability'])
    expect(facts.dns).to.deep.equal(['observability.atlas.internal', '*.monitoring.svc.corp.example'])
  })

  it("the ADS server's certificate is for a server only", () => {
    const facts = readKey(issue(serverSpec(settings), issuer, now, signer))
    expect(facts.uris).to.deep.equal(['spiffe://atlas.internal/ads'])
    expect(facts.dns).to.deep.equal(['ads.atlas.internal'])
    expect(facts.purposes).to.deep.equal(['server'])
  })

  it('an ADS credential is for a client only, has no DNS name, and carries the roots', () => {
    const credential = issueCredential(credentialSpec(settings, PARIS, 2), credentialIssuer, [root.certificate], now, signer)
    const facts = readKey(credential)
    expect(facts.uris).to.deep.equal(['spiffe://atlas.internal/ads-client/paris/2'])
    expect(facts.dns).to.deep.equal([])
    expect(facts.purposes).to.deep.equal(['client'])
    expect(facts.chain).to.deep.equal([readKey(credentialIssuer).sha256])
    expect(facts.notAfter.getTime()).to.equal(Date.parse('2026-11-24T12:00:00Z') + 730 * DAY)
    expect(readCertificates(credential.roots).map(each => each.sha256)).to.deep.equal([readKey(root).sha256])
  })

  it('a credential of a rotation carries every root in force, in order', () => {
    const other = testAuthority(now, 'other').root
    const roots = [root.certificate.trimEnd(), other.certificate]
    const credential = issueCredential(credentialSpec(settings, 'atlas', 1), credentialIssuer, roots, now, signer)
    expect(readCertificates(credential.roots).map(each => each.sha256)).to.deep.equal([readKey(root).sha256, readKey(other).sha256])
  })

  it('the record of a credential has the hash that XFCC carries, and the digest of its roots', () => {
    const credential = issueCredential(credentialSpec(settings, PARIS, 1), credentialIssuer, [root.certificate], now, signer)
    const parsed = new X509Certificate(credential.certificate)
    const record = recordOfCredential(credential)
    expect(record.sha256).to.equal(parsed.fingerprint256.replaceAll(':', '').toLowerCase())
    expect(record.serial).to.equal(parsed.serialNumber.toLowerCase())
    expect(record.notAfter).to.equal(parsed.validToDate.toISOString())
    expect(record.rootsDigest).to.match(/^[\da-f]{64}$/)
    expect(record.state).to.equal('valid')
  })

  it('common names fit the 64 characters of X.520, for the longest cluster name too', () => {
    const longest = parseClusterName('a'.repeat(45))
    for (const wanted of [identitySpec(settings, longest, 1), credentialSpec(settings, longest, 1), credentialIssuerSpec(settings)])
      expect(wanted.commonName.length, wanted.name).to.be.at.most(wanted.ca === undefined ? 64 : 55)
  })

  it('dates from 2050 on are written and read back', () => {
    const late = {...defaultSettings, lifetimes: {...defaultSettings.lifetimes, root: 40 * 365 * 86_400}}
    const facts = readKey(issue(rootSpec(late), undefined, now, signer))
    expect(facts.notAfter.getUTCFullYear()).to.equal(2066)
  })
})

describe('pki/issue: what is never issued', () => {
  const {settings, signer, root, issuer, credentialIssuer} = testAuthority(now)

  it('nothing outlives its issuer', () => {
    const late = new Date(now.getTime() + 355 * DAY)
    const leaf = readKey(issue(identitySpec(settings, PARIS, 1), issuer, late, signer))
    expect(leaf.notAfter).to.deep.equal(readKey(issuer).notAfter)
    const later = new Date(now.getTime() + 9.9 * 365 * DAY)
    expect(readKey(issue(issuerSpec(settings), root, later, signer)).notAfter).to.deep.equal(readKey(root).notAfter)
  })

  it('an issuer that has ended signs nothing', () => {
    const error = thrownBy(() => issue(identitySpec(settings, PARIS, 1), issuer, new Date(now.getTime() + 366 * DAY), signer))
    expect(error.code).to.equal('failed')
    expect(error.message).to.match(/^the identity of paris cannot be signed: its issuer ended on 2027-11-24T/)
  })

  it('an issuer that is not valid yet signs nothing, unless it is only 4 minutes ahead', () => {
    const ahead = (minutes: number): Date => new Date(now.getTime() - minutes * 60_000 - 600_000)
    expect(thrownBy(() => issue(identitySpec(settings, PARIS, 1), issuer, ahead(6), signer)).message).to.contain('is valid from')
    expect(readKey(issue(identitySpec(settings, PARIS, 1), issuer, ahead(4), signer)).isCa).to.equal(false)
  })

  it('a leaf signs nothing', () => {
    const leaf = issue(identitySpec(settings, PARIS, 1), issuer, now, signer)
    expect(thrownBy(() => issue(serverSpec(settings), leaf, now, signer)).message).to.contain('is not allowed to sign')
  })

  it('an issuer signs no issuer: its path ends there', () => {
    expect(thrownBy(() => issue(issuerSpec(settings), issuer, now, signer)).message).to.contain('has the path length 0; 1 is needed')
  })

  it('the credential issuer signs nothing that a server could show', () => {
    expect(thrownBy(() => issue(serverSpec(settings), credentialIssuer, now, signer)).message).to.contain('the purpose "server"')
    expect(thrownBy(() => issue(identitySpec(settings, PARIS, 1), credentialIssuer, now, signer)).message).to.contain('"server"')
  })

  it('an issuer with the key of another certificate signs nothing, and the message holds no key', () => {
    const mixed = {certificate: issuer.certificate, key: root.key}
    const error = thrownBy(() => issue(serverSpec(settings), mixed, now, signer))
    expect(error.message).to.contain("another certificate's private key")
    expect(JSON.stringify([error.message, error.hint, error.cause])).not.to.contain(root.key.reveal().split('\n')[1])
  })

  it('a root that an operator appended to an issuer does not get into a chain', () => {
    const both = {certificate: issuer.certificate + root.certificate, key: issuer.key}
    const leaf = issue(serverSpec(settings), both, now, signer)
    expect(readCertificates(leaf.certificate).map(each => each.sha256)).to.deep.equal([
      readCertificates(leaf.certificate)[0]?.sha256,
      readCertificate(issuer.certificate).sha256,
    ])
  })
})
