/** Roots from outside: which are taken, with what below them, and why others are refused. Real Envoys: test/e2e/outside-root.envoy.test.ts. */
import {spawnSync} from 'node:child_process'
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {expect} from 'chai'
import type {CertifiedKey} from '../../src/lib/model/authority.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import {SecretText} from '../../src/lib/model/secret.js'
import {type Settings, defaultSettings} from '../../src/lib/model/settings.js'
import {credentialIssuerSpec, credentialSpec, identitySpec, issuerSpec, rootSpec} from '../../src/lib/pki/certificate-specs.js'
import {type OutsideCertificate, importRoot} from '../../src/lib/pki/import-root.js'
import {issue, issueCredential} from '../../src/lib/pki/issue.js'
import {judgeKey} from '../../src/lib/pki/judge.js'
import {parseCertificates} from '../../src/lib/pki/pem.js'
import {rootsIn} from '../../src/lib/pki/goatlas-root.js'
import {cryptoSigner} from '../../src/lib/pki/signer.js'
import {type CaOptions, type OutsideCa, keyKinds, makeCa} from '../helpers/outside-ca.js'
import {handshake} from '../helpers/handshake.js'
import {thrownBy} from '../helpers/thrown.js'

const PARIS = parseClusterName('paris')
const settings: Settings = {...defaultSettings, trustDomain: 'thanos.example.com'}

describe('pki, a root from outside', function () {
  this.timeout(60_000)
  const folder = mkdtempSync(path.join(tmpdir(), 'atlas-import-'))
  after(() => rmSync(folder, {recursive: true}))
  const company = makeCa(folder, 'company')
  let made = 0
  const ca = (options: CaOptions = {}): OutsideCa => {
    made += 1
    return makeCa(folder, `ca-${made}`, options)
  }

  const below = (options: CaOptions = {}): OutsideCa => ca({signer: company, ...options})
  const offered = ({certificate, key}: OutsideCa, ...chain: readonly OutsideCa[]): OutsideCertificate => ({
    certificate: [certificate, ...chain.map(each => each.certificate)].join(''),
    key,
    name: 'the certificate in "ca.pem"',
  })
  const take = (root: OutsideCertificate, now = new Date()): CertifiedKey => importRoot(root, settings, {now, anyAge: false})
  const refusal = (root: OutsideCertificate, now?: Date): string =>
    thrownBy(() => take(root, now)).message.replace(/^the certificate in "ca.pem" /, '')

  /** openssl's objection to a leaf with its chain; empty: none. */
  const objection = (leaf: CertifiedKey, anchor: string, ...options: readonly string[]): string => {
    const [first, ...chain] = parseCertificates(leaf.certificate).map(String)
    const file = (name: string, text: string): string => {
      writeFileSync(path.join(folder, name), text)
      return path.join(folder, name)
    }
    const files = ['-CAfile', file('anchor.pem', anchor), '-untrusted', file('chain.pem', chain.join('')), file('leaf.pem', first ?? '')]
    const {status, stderr} = spawnSync('openssl', ['verify', '-x509_strict', '-partial_chain', ...options, ...files], {encoding: 'utf8'})
    return status === 0 ? '' : stderr
  }

  for (const [kind, newkey] of Object.entries(keyKinds))
    for (const how of ['self-signed', 'an intermediate'] as const)
      it(`${kind}, ${how}: openssl and Node verify what is below it, and Atlas finds nothing to replace`, async () => {
        const taken = take(offered(how === 'self-signed' ? ca({newkey}) : below({newkey, pathLength: 1})))
        expect(parseCertificates(taken.certificate)).to.have.length(1)
        const now = new Date()
        const issuer = issue(issuerSpec(settings), taken, now, cryptoSigner)
        const credentialIssuer = issue(credentialIssuerSpec(settings), taken, now, cryptoSigner)
        const identity = issue(identitySpec(settings, PARIS, 1), issuer, now, cryptoSigner)
        const observability = issue(identitySpec(settings, 'atlas', 1), issuer, now, cryptoSigner)
        const credential = issueCredential(credentialSpec(settings, PARIS, 1), credentialIssuer, rootsIn(taken), now, cryptoSigner)
        expect(objection(identity, taken.certificate, '-purpose', 'sslserver')).to.equal('')
        expect(objection(observability, taken.certificate, '-purpose', 'sslclient')).to.equal('')
        expect(objection(credential, credential.roots, '-purpose', 'sslclient')).to.equal('')
        expect(objection(identity, company.certificate)).to.contain('unable to get')
        const reasons = [
          judgeKey(taken, rootSpec(settings), [], now),
          judgeKey(issuer, issuerSpec(settings), [taken.certificate], now),
          judgeKey(identity, identitySpec(settings, PARIS, 1), [issuer.certificate], now),
          judgeKey(credential, credentialSpec(settings, PARIS, 1), [credentialIssuer.certificate], now),
        ]
        expect(reasons).to.deep.equal([[], [], [], []])
        // What an Envoy does at 10900: its bootstrap's only anchor is the root.
        const seen = await handshake(
          {own: observability, trusts: credentialIssuer.certificate},
          {own: credential, trusts: credential.roots, dials: 'observability.thanos.example.com'},
        )
        expect(seen).to.include({server: 'authorized', client: 'authorized'})
      })

  it('what stands above it is left out, and another intermediate of the same company verifies nothing', () => {
    const taken = take(offered(below({pathLength: 1}), company))
    const other = below({pathLength: 1})
    const now = new Date()
    const stranger = issue(issuerSpec(settings), {certificate: other.certificate, key: other.key}, now, cryptoSigner)
    const leaf = issue(identitySpec(settings, 'atlas', 1), stranger, now, cryptoSigner)
    const withCompany = {...leaf, certificate: leaf.certificate + other.certificate + company.certificate}
    expect(parseCertificates(taken.certificate)).to.have.length(1)
    expect(objection(withCompany, taken.certificate)).to.contain('self-signed certificate in certificate chain')
  })

  it('a chain behind it is taken where each certificate is signed by the next', () => {
    const middle = below({pathLength: 2})
    const own = ca({signer: middle, pathLength: 1})
    for (const chain of [[], [middle], [middle, company]]) expect(take(offered(own, ...chain)).certificate).to.contain('BEGIN')
    for (const above of [middle.certificate, company.certificate, ''])
      expect(take({...offered(own, middle), above}).certificate).to.contain('BEGIN')
    expect(refusal({...offered(own, middle), above: ca().certificate})).to.contain('certificate 2 of its chain was not signed')
    expect(refusal(offered(own, company))).to.equal(
      'cannot be the root: certificate 1 of its chain was not signed by the certificate that follows it',
    )
    const short = below({pathLength: 1})
    expect(refusal(offered(ca({signer: short, pathLength: 1}), short))).to.contain(
      'certificate 2 of its chain may not have so many issuers',
    )
  })

  it('every other one is refused with the reason, and no byte of a key', () => {
    const refusals: readonly (readonly [OutsideCertificate, RegExp])[] = [
      [{...offered(below({pathLength: 1})), key: company.key}, /it has another certificate's private key/],
      [offered(below({isCa: false, usage: 'digitalSignature'})), /it is not allowed to sign certificates/],
      [offered(below({usage: 'critical,digitalSignature,cRLSign'})), /it is not allowed to sign certificates/],
      [offered(below({pathLength: 0})), /it has the path length 0, and 1 is needed, because Atlas makes two issuers below it/],
      [offered(below({newkey: ['rsa:1024']})), /must have an EC key on .*; it has an RSA key of 1024 bits/],
      [offered(below({newkey: ['ec', '-pkeyopt', 'ec_paramgen_curve:secp256k1']})), /it has an EC key on secp256k1/],
      [offered(below({newkey: ['ed25519']})), /it has a key of type ed25519/],
      [offered(below({days: 300})), /it ends on .*, within a year, and each new root asks for work in every cluster/],
      [offered(below({extensions: ['extendedKeyUsage=serverAuth']})), /it signs no certificates for the purpose "client"/],
      [offered(below({extensions: ['1.2.3.4=critical,ASN1:UTF8String:odd']})), /it has a critical extension that verifiers may not know/],
      [{...offered(company), certificate: company.certificate + company.key.reveal()}, /there is a private key in it/],
      [{...offered(company), key: new SecretText('none')}, /must be a private key in PEM/],
      [{...offered(company), certificate: `${company.certificate}${' '.repeat(65_536)}`}, /is longer than 65536 characters/],
      [offered(company, ...Array.from({length: 8}, () => company)), /more than 8 certificates are in its file/],
    ]
    for (const [root, why] of refusals) {
      const {message, hint = ''} = thrownBy(() => take(root))
      expect(message).to.match(why)
      expect(message + hint).not.to.contain(root.key!.reveal().split('\n')[1] ?? 'none at all')
    }

    expect(refusal(offered(company), new Date('2020-01-01'))).to.match(/it is valid from .* only/)
    expect(refusal(offered(company), new Date('2050-01-01'))).to.match(/it ended on /)
    const old = offered(below({days: 300}))
    expect(importRoot(old, settings, {now: new Date(), anyAge: true}).certificate).to.contain('BEGIN')
  })

  it('name constraints are taken where they permit every name that Atlas gives', () => {
    const names = 'permitted;DNS:thanos.example.com,permitted;DNS:svc.cluster.local'
    const verdicts: readonly (readonly [constraints: string, why: RegExp | undefined])[] = [
      [`${names},permitted;URI:thanos.example.com`, undefined],
      ['permitted;URI:.example.com', undefined],
      ['permitted;RID:1.2.3.4', /constrains names of a kind that Atlas does not know/],
      [`${names},permitted;email:example.com,permitted;IP:10.0.0.0/255.0.0.0`, undefined],
      ['excluded;DNS:other.example.com,excluded;URI:.other.com', undefined],
      ['permitted;DNS:thanos.example.com', /does not permit the DNS names below atlas\.svc\.cluster\.local/],
      ['permitted;DNS:downstream.thanos.example.com', /does not permit the DNS names below thanos\.example\.com/],
      ['permitted;URI:example.com', /does not permit URIs such as spiffe:\/\/thanos\.example\.com\/observability/],
      ['excluded;URI:.example.com', /excludes URIs such as spiffe/],
      ['excluded;DNS:paris.downstream.thanos.example.com', /excludes DNS names below thanos\.example\.com/],
      ['excluded;DNS:local', /excludes DNS names below atlas\.svc\.cluster\.local/],
    ]
    for (const [constraints, why] of verdicts) {
      const root = offered(below({pathLength: 1, extensions: [`nameConstraints=critical,${constraints}`]}))
      if (why !== undefined) {
        expect(refusal(root), constraints).to.match(why)
        continue
      }

      const taken = take(root)
      const issuer = issue(issuerSpec(settings), taken, new Date(), cryptoSigner)
      for (const owner of ['atlas', PARIS] as const) {
        const leaf = issue(identitySpec(settings, owner, 1), issuer, new Date(), cryptoSigner)
        expect(objection(leaf, taken.certificate), constraints).to.equal('')
      }
    }
  })
})
