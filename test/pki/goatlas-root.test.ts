/** Adopting a root of the 2021 program: how it is recognised, what its new certificate keeps, and that openssl accepts what it signed. */
import {spawnSync} from 'node:child_process'
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {expect} from 'chai'
import type {CertifiedKey} from '../../src/lib/model/authority.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import {SecretText} from '../../src/lib/model/secret.js'
import {defaultSettings} from '../../src/lib/model/settings.js'
import {isRootOf2021, reissueRoot} from '../../src/lib/pki/goatlas-root.js'
import {readFields} from '../../src/lib/pki/fields.js'
import {credentialSpec, credentialIssuerSpec, identitySpec, issuerSpec, rootSpec, serverSpec} from '../../src/lib/pki/certificate-specs.js'
import {issue, issueCredential} from '../../src/lib/pki/issue.js'
import {judgeKey} from '../../src/lib/pki/judge.js'
import {parseCertificates} from '../../src/lib/pki/pem.js'
import {readCertificates, readKey} from '../../src/lib/pki/read.js'
import {cryptoSigner} from '../../src/lib/pki/signer.js'
import {type GoatlasAuthority, goatlasAuthority} from '../helpers/goatlas.js'
import {testAuthority} from '../helpers/pki.js'
import {thrownBy} from '../helpers/thrown.js'

const now = new Date('2026-11-24T12:00:00Z')
const PARIS = parseClusterName('paris')
const settings = defaultSettings
const wanted = rootSpec(settings)

const of = (certificate: CertifiedKey): readonly string[] => parseCertificates(certificate.certificate).map(String)

describe('pki, adopting the root of the 2021 program', function () {
  this.timeout(60_000)
  const folder = mkdtempSync(path.join(tmpdir(), 'atlas-adopted-'))
  after(() => rmSync(folder, {recursive: true}))
  let files = 0
  const file = (text: string): string => {
    files += 1
    const place = path.join(folder, `${files}.pem`)
    writeFileSync(place, text)
    return place
  }

  /** Empty, or what openssl objects to. */
  const objection = (leaf: CertifiedKey, anchors: readonly string[], ...options: string[]): string => {
    const [first = '', ...chain] = of(leaf)
    const untrusted = chain.length === 0 ? [] : ['-untrusted', file(chain.join(''))]
    const at = ['-attime', String(now.getTime() / 1000 + 60)]
    const args = ['verify', ...at, ...options, '-CAfile', file(anchors.join('')), ...untrusted, file(first)]
    const run = spawnSync('openssl', args, {encoding: 'utf8'})
    return run.status === 0 ? '' : run.stderr
  }

  const STRICT = '-x509_strict'
  let goatlas: GoatlasAuthority
  before(() => {
    goatlas = goatlasAuthority()
  })

  it('is recognised; a root of Atlas, a re-issued one and roots of other programs are not taken for it', () => {
    const {root, issuer} = testAuthority(now)
    const anew = reissueRoot(wanted, goatlas.ca, now, cryptoSigner)
    expect([goatlas.ca, goatlas.client, root, issuer, anew].map(isRootOf2021)).to.deep.equal([true, false, false, false, false])
  })

  it('keeps key and name byte for byte, and the old certificate behind the new one', () => {
    const anew = reissueRoot(wanted, goatlas.ca, now, cryptoSigner)
    const [facts, old, ...others] = readCertificates(anew.certificate)
    expect(others).to.deep.equal([])
    expect(of(anew)[1]).to.equal(of(goatlas.ca)[0])
    expect(anew.key.reveal()).to.equal(goatlas.ca.key.reveal()).and.to.contain('BEGIN RSA PRIVATE KEY')
    expect(readKey(anew).keyMatches).to.equal(true)
    const [ours, theirs] = parseCertificates(anew.certificate).map(each => readFields(each.raw).subject)
    expect(Buffer.from(ours ?? []).equals(Buffer.from(theirs ?? [1]))).to.equal(true)
    expect(facts).to.deep.include({
      isCa: true,
      pathLength: 1,
      keyUsages: ['keyCertSign', 'cRLSign'],
      purposes: undefined,
      subjectKeyId: old?.subjectKeyId,
    })
    expect(facts?.serial).to.match(/^[4-7][0-9a-f]{31}$/)
    expect(facts?.notBefore.toISOString()).to.equal('2026-11-24T11:50:00.000Z')
    expect(judgeKey(anew, wanted, [], now)).to.deep.equal([])
  })

  it('the new certificate ends with the old one, even if new roots live longer', () => {
    const [facts] = readCertificates(reissueRoot(wanted, goatlas.ca, now, cryptoSigner).certificate)
    expect(facts?.notAfter.toISOString()).to.equal('2031-10-30T12:00:00.000Z')
  })

  it('strict openssl accepts the new certificate as a root', () => {
    const anew = reissueRoot(wanted, goatlas.ca, now, cryptoSigner)
    const [certificate = ''] = of(anew)
    expect(objection({...anew, certificate}, [certificate], STRICT)).to.equal('')
    const text = spawnSync('openssl', ['x509', '-noout', '-text', '-in', file(certificate)], {encoding: 'utf8'}).stdout
    for (const line of [
      'Signature Algorithm: sha256WithRSAEncryption',
      'Issuer: C = US, O = goatlas.io, OU = Atlas, L = Washington, ST = DC',
      'Subject: C = US, O = goatlas.io, OU = Atlas, L = Washington, ST = DC',
      'Public-Key: (4096 bit)',
      'X509v3 Basic Constraints: critical\n                CA:TRUE, pathlen:1',
      'X509v3 Key Usage: critical\n                Certificate Sign, CRL Sign',
      'X509v3 Subject Key Identifier: ',
    ])
      expect(text).to.contain(line)
  })

  for (const keyIdentifier of [true, false])
    describe(`${keyIdentifier ? 'with' : 'without'} a key identifier in the old one`, () => {
      let old: GoatlasAuthority
      let root: CertifiedKey
      let leaves: Readonly<Record<'client' | 'identity' | 'observability' | 'server', CertifiedKey>>
      before(() => {
        old = goatlasAuthority({keyIdentifier})
        root = reissueRoot(wanted, old.ca, now, cryptoSigner)
        const issuer = issue(issuerSpec(settings), root, now, cryptoSigner)
        const credentialIssuer = issue(credentialIssuerSpec(settings), root, now, cryptoSigner)
        const credential = issueCredential(credentialSpec(settings, PARIS, 1), credentialIssuer, of(root), now, cryptoSigner)
        expect(judgeKey(issuer, issuerSpec(settings), [of(root)[0] ?? ''], now)).to.deep.equal([])
        expect(judgeKey(credential, credentialSpec(settings, PARIS, 1), [credentialIssuer.certificate], now)).to.deep.equal([])
        leaves = {
          identity: issue(identitySpec(settings, PARIS, 1), issuer, now, cryptoSigner),
          observability: issue(identitySpec(settings, 'atlas', 1), issuer, now, cryptoSigner),
          server: issue(serverSpec(settings), issuer, now, cryptoSigner),
          client: credential,
        }
      })

      it('all that Atlas issues verifies strictly under the re-issued root', () => {
        const [anew = ''] = of(root)
        for (const [name, leaf] of Object.entries(leaves))
          expect(objection(leaf, [anew], STRICT, '-purpose', name === 'client' ? 'sslclient' : 'sslserver'), name).to.equal('')
        expect(objection(leaves.identity, [anew], STRICT, '-verify_hostname', 'paris.downstream.atlas.internal')).to.equal('')
      })

      it(
        keyIdentifier
          ? 'all that Atlas issues verifies strictly under the old root, too'
          : 'all that Atlas issues does not verify strictly under the old root',
        () => {
          const strict = objection(leaves.identity, [of(old.ca)[0] ?? ''], STRICT)
          if (keyIdentifier) expect(strict).to.equal('')
          else expect(strict).to.contain('Missing Subject Key Identifier')
        },
      )

      it('all that Atlas issues verifies under the old certificate alone, as in an Envoy that has only that, and under both in either order', () => {
        const [anew = '', before = ''] = of(root)
        for (const [name, leaf] of Object.entries(leaves))
          for (const anchors of [[before], [before, anew], [anew, before]])
            expect(objection(leaf, anchors), `${name} under ${anchors.length}`).to.equal('')
      })

      it('what the 2021 program has issued verifies under the new certificate, so that its network goes on', () => {
        const [anew = ''] = of(root)
        expect(objection(old.server, [anew], '-purpose', 'sslserver')).to.equal('')
        expect(objection(old.client, [anew], '-purpose', 'sslclient')).to.equal('')
      })

      it('no certificate of the 2021 program is signed by an issuer of Atlas, or has a name of Atlas', () => {
        const issuer = issue(issuerSpec(settings), root, now, cryptoSigner)
        for (const leaf of [old.server, old.client]) {
          expect(objection(leaf, [issuer.certificate], '-partial_chain')).to.contain('unable to get local issuer')
          expect(readKey(leaf)).to.deep.include({uris: [], dns: []})
        }
      })
    })

  it('a root that has ended, has another key, or has too weak a key is refused', () => {
    const ended = goatlasAuthority({from: new Date('2014-01-01T00:00:00Z'), until: new Date('2024-01-01T00:00:00Z')})
    const error = thrownBy(() => reissueRoot(wanted, ended.ca, now, cryptoSigner))
    expect(error.message).to.contain('Secret atlas-ca').and.to.contain('ended on 2024-01-01')
    expect(error.hint).to.contain('atlas init')
    const other = {certificate: goatlas.ca.certificate, key: ended.ca.key}
    expect(thrownBy(() => reissueRoot(wanted, other, now, cryptoSigner)).message).to.contain("another certificate's private key")
    expect(thrownBy(() => reissueRoot(wanted, goatlas.client, now, cryptoSigner)).message).to.contain('not allowed to sign')
    const weak = goatlasAuthority({bits: 1024})
    expect(thrownBy(() => reissueRoot(wanted, weak.ca, now, cryptoSigner)).message).to.contain('2048 bits')
    const broken = {
      certificate: goatlas.ca.certificate,
      key: new SecretText('-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n'),
    }
    expect(thrownBy(() => reissueRoot(wanted, broken, now, cryptoSigner)).code).to.equal('invalid')
  })
})
