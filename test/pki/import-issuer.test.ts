/** Issuers below a root that is kept offline: requests that openssl verifies and signs, which answers are taken, and why others are refused. */
import {execFileSync, spawnSync} from 'node:child_process'
import {mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {expect} from 'chai'
import type {CertifiedKey} from '../../src/lib/model/authority.js'
import {AtlasError} from '../../src/lib/model/errors.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import {isBelow} from '../../src/lib/ops/trust.js'
import {defaultSettings} from '../../src/lib/model/settings.js'
import {renderExtensions, requestCertificate} from '../../src/lib/pki/certificate-request.js'
import {credentialIssuerSpec, credentialSpec, identitySpec, issuerSpec} from '../../src/lib/pki/certificate-specs.js'
import {type OutsideAuthority, type Surroundings, importAuthority} from '../../src/lib/pki/import-issuer.js'
import {issue, issueCredential} from '../../src/lib/pki/issue.js'
import {judgeKey} from '../../src/lib/pki/judge.js'
import {parseCertificates, renderDer} from '../../src/lib/pki/pem.js'
import {readKey} from '../../src/lib/pki/read.js'
import {cryptoSigner} from '../../src/lib/pki/signer.js'
import {makeOfflineRoot} from '../helpers/offline-root.js'
import {makeCa} from '../helpers/outside-ca.js'
import {thrownBy} from '../helpers/thrown.js'

const PARIS = parseClusterName('paris')

describe('pki, issuers below a root that is kept offline', function () {
  this.timeout(60_000)
  const folder = mkdtempSync(path.join(tmpdir(), 'atlas-offline-'))
  after(() => rmSync(folder, {recursive: true}))
  const root = makeOfflineRoot(folder)
  const file = (name: string, text: string): string => {
    writeFileSync(path.join(folder, name), text)
    return path.join(folder, name)
  }

  const take = (given: OutsideAuthority, more: Partial<Surroundings> = {}) =>
    importAuthority(given, {part: 'root', settings: defaultSettings, now: new Date(), root: undefined, trust: undefined, ...more})

  /** openssl's objection to a leaf below the root; empty: none. */
  const objection = ({certificate}: CertifiedKey, anchor = root.ca.files.certificate, ...options: readonly string[]): string => {
    const [leaf, ...chain] = parseCertificates(certificate).map(String)
    const files = [...options, '-CAfile', anchor, '-untrusted', file('chain.pem', chain.join('')), file('leaf.pem', leaf ?? '')]
    const {status, stderr} = spawnSync('openssl', ['verify', '-x509_strict', ...files], {encoding: 'utf8'})
    return status === 0 ? '' : stderr
  }

  it('openssl verifies a request, and what it asks for', () => {
    const {request, key} = requestCertificate(issuerSpec(defaultSettings), cryptoSigner)
    const looked = (name: string, csr: string) =>
      spawnSync('openssl', ['req', '-verify', '-noout', '-text', '-in', file(name, csr)], {encoding: 'utf8'})
    const {stdout: text, stderr} = looked('a.csr', request)
    expect(stderr).to.contain('verify OK')
    expect(text).to.match(/Subject: CN = Atlas issuer [0-9a-f]{8}/)
    expect(text).to.match(/Basic Constraints: critical\s+CA:TRUE, pathlen:0/)
    expect(text).to.match(/Key Usage: critical\s+Certificate Sign, CRL Sign/)
    expect(text).to.match(/Extended Key Usage: \s+TLS Web Server Authentication, TLS Web Client Authentication/)
    expect(request).not.to.contain('PRIVATE')
    expect(key.reveal()).to.contain('PRIVATE KEY')
    const changed = Buffer.from(request.split('\n').slice(1, -2).join(''), 'base64')
    const at = changed.indexOf('Atlas issuer')
    changed[at] = (changed[at] ?? 0) ^ 1
    expect(looked('b.csr', renderDer(changed, 'CERTIFICATE REQUEST')).stderr).not.to.contain('verify OK')
  })

  it('what the root signs is taken, openssl verifies what is below it, and Atlas finds nothing to replace', () => {
    const authority = take({root: root.given, issuer: root.issue('issuer'), credentialIssuer: root.issue('credentialIssuer')})
    expect(authority.root && readKey(authority.root).hasKey).to.equal(false)
    const [issuer, credentialIssuer] = [authority.issuer!, authority.credentialIssuer!]
    for (const [key, spec] of [
      [issuer, issuerSpec(defaultSettings)],
      [credentialIssuer, credentialIssuerSpec(defaultSettings)],
    ] as const)
      expect(judgeKey(key, spec, [root.ca.certificate], new Date())).to.deep.equal([])
    for (const [by, spec] of [
      [issuer, identitySpec(defaultSettings, PARIS, 1)],
      [credentialIssuer, credentialSpec(defaultSettings, PARIS, 1)],
    ] as const) {
      const leaf = issue(spec, by, new Date(), cryptoSigner)
      expect(objection(leaf)).to.equal('')
      expect(judgeKey(leaf, spec, [by.certificate], new Date())).to.deep.equal([])
    }
  })

  it('what "openssl ca" signs, with the extensions that the request asks for, is taken, too', () => {
    const {request, key} = requestCertificate(issuerSpec(defaultSettings), cryptoSigner)
    const place = path.join(folder, 'ca')
    mkdirSync(place)
    writeFileSync(path.join(place, 'index.txt'), '')
    const section = `[ca]\ndefault_ca=d\n[d]\ndatabase=${place}/index.txt\nnew_certs_dir=${place}\nrand_serial=yes\npolicy=p\ndefault_md=sha256\ncopy_extensions=copy\nx509_extensions=e\n[p]\ncommonName=supplied\n[e]\nauthorityKeyIdentifier=keyid:always\n`
    const config = file('ca.cnf', section)
    const by = ['-cert', root.ca.files.certificate, '-keyfile', root.ca.files.key, '-days', '400', '-batch', '-notext']
    const out = path.join(folder, 'by-ca.pem')
    execFileSync('openssl', ['ca', '-config', config, ...by, '-in', file('c.csr', request), '-out', out], {stdio: 'pipe'})
    const given = {certificate: readFileSync(out, 'utf8'), key, name: 'the certificate', anyAge: false}
    const present = take({root: root.given, issuer: root.issue('issuer'), credentialIssuer: root.issue('credentialIssuer')}).root
    expect(take({issuer: given}, {part: 'issuer', root: present}).issuer?.certificate).to.contain('BEGIN CERTIFICATE')
  })

  it('others are refused with the reason and a remedy, which hold nothing of a key', () => {
    const [good, other] = [root.issue('issuer'), makeOfflineRoot(folder, 'other')]
    const present = {certificate: root.ca.certificate, key: take({root: {...root.given, key: root.ca.key}}).root!.key}
    const extensions = (text: string): string => `${text}\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid:always\n`
    const usage = 'keyUsage=critical,keyCertSign,cRLSign'
    const between = makeCa(folder, 'between', {signer: root.ca})
    const refusals: readonly (readonly [OutsideAuthority['issuer'], RegExp])[] = [
      [{...good, key: other.ca.key}, /it has another certificate's private key/],
      [{...good, key: undefined}, /its private key is missing/],
      [other.issue('issuer'), /was not signed by the root \(".*CN=offline"\) itself/],
      [root.issue('issuer', {by: between}), /was not signed by the root/],
      [root.issue('issuer', {extensions: extensions('basicConstraints=critical,CA:FALSE')}), /it is not allowed to sign certificates/],
      [
        root.issue('issuer', {extensions: extensions('basicConstraints=critical,CA:TRUE\nkeyUsage=critical,cRLSign')}),
        /not allowed to sign/,
      ],
      [
        root.issue('issuer', {extensions: extensions(`basicConstraints=critical,CA:TRUE\n${usage}\nextendedKeyUsage=clientAuth`)}),
        /signs no certificates for the purpose "server"/,
      ],
      [
        root.issue('issuer', {
          extensions: extensions(`basicConstraints=critical,CA:TRUE\nnameConstraints=critical,permitted;DNS:example.com`),
        }),
        /does not permit the DNS names below atlas\.internal/,
      ],
      [
        root.issue('issuer', {extensions: extensions('basicConstraints=critical,CA:TRUE\n1.2.3.4=critical,ASN1:NULL')}),
        /critical extension/,
      ],
      [
        root.issue('issuer', {
          extensions: `basicConstraints=critical,CA:TRUE\n${usage}\nsubjectKeyIdentifier=none\nauthorityKeyIdentifier=none\n`,
        }),
        /lacks its subject key identifier/,
      ],
      [root.issue('issuer', {digest: 'sha1'}), /signed over MD5 or SHA-1/],
      [root.issue('issuer', {days: 20}), /it ends on .*, within 30 days/],
    ]
    for (const [issuer, why] of refusals) {
      const {message, hint = ''} = thrownBy(() => take({issuer}, {part: 'issuer', root: present}))
      expect(message).to.match(why)
      expect(message + hint).not.to.contain(good.key.reveal().split('\n')[1] ?? 'none at all')
    }

    expect(take({issuer: root.issue('issuer', {digest: 'sha384'})}, {part: 'issuer', root: present}).issuer).not.to.equal(undefined)
    expect(take({issuer: {...root.issue('issuer', {days: 20}), anyAge: true}}, {part: 'issuer', root: present}).issuer).not.to.equal(
      undefined,
    )
    expect(thrownBy(() => take({issuer: good}, {part: 'issuer'})).message).to.contain('there is no root that could have signed it')
    const late = thrownBy(() => take({issuer: good}, {part: 'issuer', root: present, now: new Date('2050-01-01')}))
    expect(late.message).to.match(/it ended on/)
  })

  it('each has a key of its own, which no earlier certificate has', () => {
    const issuer = root.issue('issuer')
    file('same-key.pem', issuer.key.reveal())
    const again = path.join(folder, 'again.csr')
    execFileSync('openssl', ['req', '-new', '-key', path.join(folder, 'same-key.pem'), '-subj', '/CN=again', '-out', again], {
      stdio: 'pipe',
    })
    const ext = file('again.ext', renderExtensions(credentialIssuerSpec(defaultSettings)))
    const same = {...issuer, certificate: root.sign(again, ext)}
    const both = thrownBy(() => take({root: root.given, issuer, credentialIssuer: same}))
    expect(both.message).to.contain('has the key of another certificate of Atlas')
    const hintOf = (given: OutsideAuthority, more: Partial<Surroundings>): string | undefined => {
      const error = thrownBy(() => take(given, more))
      return error instanceof AtlasError ? error.hint : undefined
    }
    expect(hintOf({root: root.given, issuer, credentialIssuer: same}, {})).to.contain('"atlas init --request DIR"')
    const trust = {roots: [root.ca.certificate], issuers: [issuer.certificate], credentialIssuers: []}
    const present = {certificate: root.ca.certificate, key: root.ca.key}
    const serverToo = {...issuer, certificate: root.sign(again, file('i.ext', renderExtensions(issuerSpec(defaultSettings))))}
    expect(thrownBy(() => take({issuer: serverToo}, {part: 'issuer', root: present, trust})).message).to.contain('has the key of another')
    expect(hintOf({issuer: serverToo}, {part: 'issuer', root: present, trust})).to.contain('"atlas rotate --issuer --request DIR"')
    expect(hintOf({root: root.given, issuer, credentialIssuer: same}, {root: present, trust})).to.contain(
      '"atlas rotate --root --request DIR"',
    )
    expect(take({issuer}, {part: 'issuer', root: present, trust}).issuer, 'the same certificate again').not.to.equal(undefined)
  })

  it('all that belongs together is brought together', () => {
    const [issuer, credentialIssuer] = [root.issue('issuer'), root.issue('credentialIssuer')]
    const says = (given: OutsideAuthority, more: Partial<Surroundings> = {}): string => thrownBy(() => take(given, more)).message
    expect(says({root: root.given})).to.contain('comes without its key, so that Atlas can make no issuers below it')
    expect(says({root: root.given, issuer})).to.contain('comes without its key')
    expect(says({root: {...root.given, key: root.ca.key}, issuer, credentialIssuer})).to.contain('comes with its key')
    expect(says({issuer, credentialIssuer}, {part: 'issuer'})).to.contain('takes the certificate of the issuer alone')
  })

  it('two intermediates of one CA with the path length 0 are taken without it: the issuer is the root, and nothing above it', () => {
    const [issuer, credentialIssuer] = [root.issue('issuer'), root.issue('credentialIssuer')]
    const authority = take({issuer: {...issuer, certificate: issuer.certificate + root.ca.certificate}, credentialIssuer})
    const anchor = authority.root!
    expect([anchor.certificate, readKey(anchor).hasKey]).to.deep.equal([issuer.certificate, false])
    expect(isBelow(authority.issuer!, anchor) && isBelow(authority.credentialIssuer!, anchor)).to.equal(true)
    const identity = issue(identitySpec(defaultSettings, PARIS, 1), authority.issuer, new Date(), cryptoSigner)
    expect(objection(identity, file('anchor.pem', anchor.certificate), '-partial_chain')).to.equal('')
    const credential = issueCredential(
      credentialSpec(defaultSettings, PARIS, 1),
      authority.credentialIssuer!,
      [anchor.certificate],
      new Date(),
      cryptoSigner,
    )
    expect(judgeKey(credential, credentialSpec(defaultSettings, PARIS, 1), [credentialIssuer.certificate], new Date())).to.deep.equal([])
    // As the leader finds them in Secrets.
    const stored = {root: {...root.given, certificate: anchor.certificate}, issuer, credentialIssuer}
    expect(take(stored).root?.certificate).to.equal(issuer.certificate)
  })

  it('other pairs are refused with the reason', () => {
    const [issuer, credentialIssuer, other] = [root.issue('issuer'), root.issue('credentialIssuer'), makeOfflineRoot(folder, 'another')]
    const usage = 'keyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid:always\n'
    const longer = root.issue('issuer', {extensions: `basicConstraints=critical,CA:TRUE\n${usage}`})
    const own = makeCa(folder, 'own', {pathLength: 0})
    const refusals: readonly (readonly [OutsideAuthority, RegExp])[] = [
      [{issuer, credentialIssuer: other.issue('credentialIssuer')}, /were not signed by the same CA/],
      [{issuer: longer, credentialIssuer}, /it has not the path length 0/],
      [{issuer: {...issuer, ...own}, credentialIssuer}, /it is self-signed/],
      [{issuer: root.issue('issuer', {days: 300}), credentialIssuer}, /it ends on .*, within 365 days/],
      [{issuer, credentialIssuer: root.issue('credentialIssuer', {days: 300})}, /it ends on .*, within 365 days/],
      [
        {issuer: {...issuer, certificate: issuer.certificate + other.ca.certificate}, credentialIssuer},
        /was not signed by the certificate that follows/,
      ],
      [{issuer: {...issuer, key: credentialIssuer.key}, credentialIssuer}, /has another certificate's private key/],
      [{issuer}, /come without that of the root/],
      [{root: {...root.given, certificate: issuer.certificate}}, /comes without its key|has the path length 0/],
    ]
    for (const [given, why] of refusals) expect(thrownBy(() => take(given)).message).to.match(why)
    const present = take({issuer, credentialIssuer}).root
    expect(thrownBy(() => take({issuer: root.issue('issuer')}, {part: 'issuer', root: present})).message).to.contain(
      'the present issuer is the root itself',
    )
  })
})
