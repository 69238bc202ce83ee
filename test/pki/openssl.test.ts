/** Every kind of chain, verified by an independent program: openssl, strict. */
import {execFileSync, spawnSync} from 'node:child_process'
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {expect} from 'chai'
import type {CertifiedKey} from '../../src/lib/model/authority.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import {SecretText} from '../../src/lib/model/secret.js'
import {credentialSpec, credentialIssuerSpec, identitySpec, issuerSpec, rootSpec, serverSpec} from '../../src/lib/pki/certificate-specs.js'
import {issue, issueCredential} from '../../src/lib/pki/issue.js'
import {judgeKey} from '../../src/lib/pki/judge.js'
import {parseCertificates} from '../../src/lib/pki/pem.js'
import {readKey} from '../../src/lib/pki/read.js'
import {cryptoSigner} from '../../src/lib/pki/signer.js'
import {testAuthority} from '../helpers/pki.js'

const now = new Date('2026-11-24T12:00:00Z')
const PARIS = parseClusterName('paris')

describe('pki, as openssl verifies it', () => {
  const folder = mkdtempSync(join(tmpdir(), 'atlas-pki-'))
  after(() => rmSync(folder, {recursive: true}))
  let files = 0
  const file = (text: string): string => {
    files += 1
    const path = join(folder, `${files}.pem`)
    writeFileSync(path, text)
    return path
  }

  /** openssl's objection, or empty. The chain is what follows the first certificate. */
  const objection = (leaf: CertifiedKey, anchor: string, ...options: string[]): string => {
    const [first, ...chain] = parseCertificates(leaf.certificate).map(String)
    const untrusted = chain.length === 0 ? [] : ['-untrusted', file(chain.join(''))]
    const at = ['-attime', String(Math.floor(now.getTime() / 1000) + 60)]
    const args = ['verify', '-x509_strict', ...at, ...options, '-CAfile', file(anchor), ...untrusted, file(first ?? '')]
    const run = spawnSync('openssl', args, {encoding: 'utf8'})
    return run.status === 0 ? '' : run.stderr
  }

  const SERVER = ['-purpose', 'sslserver']
  const CLIENT = ['-purpose', 'sslclient']
  const {settings, signer, root, issuer, credentialIssuer} = testAuthority(now)
  const identity = issue(identitySpec(settings, PARIS, 1), issuer, now, signer)
  const observability = issue(identitySpec(settings, 'atlas', 1), issuer, now, signer)
  const server = issue(serverSpec(settings), issuer, now, signer)
  const credential = issueCredential(credentialSpec(settings, PARIS, 1), credentialIssuer, [root.certificate], now, signer)

  it('the root and both issuers are valid under the root alone', () => {
    expect(objection(root, root.certificate)).to.equal('')
    expect(objection(issuer, root.certificate)).to.equal('')
    expect(objection(credentialIssuer, root.certificate)).to.equal('')
  })

  it('an identity is a server by its SNI and a client', () => {
    expect(objection(identity, root.certificate, ...SERVER, '-verify_hostname', 'paris.downstream.atlas.internal')).to.equal('')
    expect(objection(identity, root.certificate, ...SERVER, '-verify_hostname', 'rome.downstream.atlas.internal')).to.contain('mismatch')
    expect(objection(identity, root.certificate, ...CLIENT)).to.equal('')
  })

  it('the observability identity answers for the Services of its namespace', () => {
    const sidecar = 'paris-thanos-sidecar0.atlas.svc.cluster.local'
    expect(objection(observability, root.certificate, ...SERVER, '-verify_hostname', sidecar)).to.equal('')
    expect(objection(observability, root.certificate, ...CLIENT)).to.equal('')
  })

  it('the certificate of the ADS server is for servers, not for clients', () => {
    expect(objection(server, root.certificate, ...SERVER, '-verify_hostname', 'ads.atlas.internal')).to.equal('')
    expect(objection(server, root.certificate, ...CLIENT)).to.contain('unsuitable certificate purpose')
  })

  it('an ADS credential is for clients, not for servers', () => {
    expect(objection(credential, credential.roots, ...CLIENT)).to.equal('')
    expect(objection(credential, credential.roots, ...SERVER)).to.contain('unsuitable certificate purpose')
  })

  it('an issuer alone is a sufficient anchor; another issuer of the same root is not', () => {
    const other = issue(issuerSpec(settings), root, now, signer)
    expect(objection(identity, issuer.certificate, ...SERVER, '-partial_chain')).to.equal('')
    expect(objection(identity, other.certificate, ...SERVER, '-partial_chain')).to.contain('unable to get local issuer')
    expect(objection(credential, credentialIssuer.certificate, ...CLIENT, '-partial_chain')).to.equal('')
    expect(objection(credential, issuer.certificate, ...CLIENT, '-partial_chain')).to.contain('unable to get local issuer')
  })

  it("another installation's certificates are refused", () => {
    const other = testAuthority(now, 'other')
    const foreign = issue(identitySpec(settings, PARIS, 1), other.issuer, now, signer)
    expect(objection(foreign, root.certificate, ...CLIENT)).to.contain('unable to get local issuer')
  })

  it('the real signer makes the same chains', () => {
    const ca = issue(rootSpec(settings), undefined, now, cryptoSigner)
    const between = issue(issuerSpec(settings), ca, now, cryptoSigner)
    const leaf = issue(identitySpec(settings, 'atlas', 1), between, now, cryptoSigner)
    expect(objection(leaf, ca.certificate, ...SERVER, '-verify_hostname', 'observability.atlas.internal')).to.equal('')
  })

  it('openssl prints the fields as Atlas set them', () => {
    const text = execFileSync('openssl', ['x509', '-noout', '-text', '-in', file(identity.certificate)], {encoding: 'utf8'})
    for (const line of [
      'Version: 3 (0x2)',
      'Signature Algorithm: ecdsa-with-SHA256',
      'ASN1 OID: prime256v1',
      'X509v3 Basic Constraints: critical\n                CA:FALSE',
      'X509v3 Key Usage: critical\n                Digital Signature',
      'X509v3 Extended Key Usage: \n                TLS Web Server Authentication, TLS Web Client Authentication',
      'URI:spiffe://atlas.internal/downstream/paris/1, DNS:paris.downstream.atlas.internal',
    ])
      expect(text).to.contain(line)
    const issuerText = execFileSync('openssl', ['x509', '-noout', '-text', '-in', file(issuer.certificate)], {encoding: 'utf8'})
    expect(issuerText).to.contain('X509v3 Basic Constraints: critical\n                CA:TRUE, pathlen:0')
    expect(issuerText).to.contain('X509v3 Key Usage: critical\n                Certificate Sign, CRL Sign')
  })

  describe('with an adopted root', () => {
    const adopt = (extensions: string[]): CertifiedKey => {
      const [key, certificate] = [join(folder, 'old-key.pem'), join(folder, 'old.pem')]
      const subject = ['-utf8', '-subj', '/C=DE/O=Bücher \\/ Söhne/CN=Old root']
      const options = ['-new', '-x509', '-key', key, '-days', '3650', '-set_serial', '1637000000', ...subject, ...extensions]
      execFileSync('openssl', ['req', '-config', config, ...options, '-out', certificate], {stdio: 'pipe'})
      return {certificate: readFileSync(certificate, 'utf8'), key: new SecretText(readFileSync(key, 'utf8'))}
    }

    const config = join(folder, 'openssl.cnf')

    before(function () {
      this.timeout(60_000)
      writeFileSync(config, '[req]\ndistinguished_name = dn\nstring_mask = pkix\n[dn]\n')
      execFileSync('openssl', ['genrsa', '-traditional', '-out', join(folder, 'old-key.pem'), '4096'], {stdio: 'pipe'})
      expect(readFileSync(join(folder, 'old-key.pem'), 'utf8')).to.contain('BEGIN RSA PRIVATE KEY')
    })

    // A root is valid from the second that it is made in.
    let today: Date
    beforeEach(() => {
      today = new Date()
    })

    it('a root of RSA-4096 in PKCS#1 signs issuers, which repeat its name byte for byte', () => {
      const old = adopt(['-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=critical,keyCertSign,cRLSign'])
      const between = issue(issuerSpec(settings), old, today, signer)
      const leaf = issue(identitySpec(settings, PARIS, 1), between, today, signer)
      const credentials = issue(credentialIssuerSpec(settings), old, today, cryptoSigner)
      const client = issueCredential(credentialSpec(settings, PARIS, 1), credentials, [old.certificate], today, signer)
      expect(verify(leaf, old.certificate, 'sslserver')).to.equal('')
      expect(verify(client, old.certificate, 'sslclient')).to.equal('')
      expect(judgeKey(old, rootSpec(settings), [], today)).to.deep.equal([])
      expect(judgeKey(between, issuerSpec(settings), [old.certificate], today)).to.deep.equal([])
      expect(judgeKey(leaf, identitySpec(settings, PARIS, 1), [between.certificate], today)).to.deep.equal([])
      expect(judgeKey(client, credentialSpec(settings, PARIS, 1), [credentials.certificate], today)).to.deep.equal([])
      expect(readKey(leaf).chain).to.have.length(1)
    })

    it('below a root without key identifiers, as the 2021 program made it, the chain verifies, though not strictly', () => {
      const none = ['-addext', 'subjectKeyIdentifier=none', '-addext', 'authorityKeyIdentifier=none']
      const old = adopt(['-addext', 'basicConstraints=critical,CA:TRUE', ...none])
      expect(readKey(old).subjectKeyId).to.equal(undefined)
      const between = issue(issuerSpec(settings), old, today, signer)
      const leaf = issue(identitySpec(settings, PARIS, 1), between, today, signer)
      const [first, issuerText] = parseCertificates(leaf.certificate).map(String)
      const args = ['verify', '-CAfile', file(old.certificate), '-untrusted', file(issuerText ?? ''), file(first ?? '')]
      expect(spawnSync('openssl', args, {encoding: 'utf8'}).stderr).to.equal('')
      // The data plane anchors at Atlas's own issuer, which strict verifiers accept.
      expect(verify(leaf, between.certificate, 'sslserver', '-partial_chain')).to.equal('')
    })

    const verify = (leaf: CertifiedKey, anchor: string, purpose: string, ...options: string[]): string => {
      const [first, ...chain] = parseCertificates(leaf.certificate).map(String)
      const args = ['-purpose', purpose, ...options, '-CAfile', file(anchor), '-untrusted', file(chain.join('')), file(first ?? '')]
      const run = spawnSync('openssl', ['verify', '-x509_strict', ...args], {encoding: 'utf8'})
      return run.status === 0 ? '' : run.stderr
    }
  })
})
