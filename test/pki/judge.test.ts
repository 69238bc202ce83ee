import {X509Certificate} from 'node:crypto'
import {expect} from 'chai'
import type {CertifiedKey} from '../../src/lib/model/authority.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import {SecretText} from '../../src/lib/model/secret.js'
import {assembleCertificate, assembleName} from '../../src/lib/pki/assemble.js'
import {
  type CertificateSpec,
  credentialSpec,
  credentialIssuerSpec,
  identitySpec,
  issuerSpec,
  rootSpec,
  serverSpec,
} from '../../src/lib/pki/certificate-specs.js'
import {issue, issueCredential} from '../../src/lib/pki/issue.js'
import {judge, judgeKey} from '../../src/lib/pki/judge.js'
import {readKey} from '../../src/lib/pki/read.js'
import {renewAt} from '../../src/lib/pki/rotation.js'
import {readCertifiedKey} from '../../src/lib/pki/signed.js'
import {testAuthority} from '../helpers/pki.js'
import {thrownBy} from '../helpers/thrown.js'

const now = new Date('2026-11-24T12:00:00Z')
const SECOND = 1000
const DAY = 86_400 * SECOND
const at = (milliseconds: number): Date => new Date(now.getTime() + milliseconds)
const PARIS = parseClusterName('paris')

const {settings, signer, root, issuer, credentialIssuer} = testAuthority(now)
const issuers = [issuer.certificate]
const wanted = identitySpec(settings, PARIS, 1)
const identity = issue(wanted, issuer, now, signer)
const leafOf = (differing: Partial<CertificateSpec>, by = issuer): CertifiedKey => issue({...wanted, ...differing}, by, now, signer)
const [leafPem = '', issuerPem = ''] = identity.certificate.split(/(?<=-----END CERTIFICATE-----\n)/)

interface Case {
  readonly is: string
  readonly found: CertifiedKey | undefined
  readonly wanted?: CertificateSpec
  readonly issuers?: readonly string[]
  readonly when?: Date
  /** Code and text of each reason. */
  readonly reasons: readonly (readonly [string, RegExp])[]
}

const cases: readonly Case[] = [
  {is: 'a leaf as it was issued has no fault', found: identity, reasons: []},
  {is: 'a certificate that is not there is missing', found: undefined, reasons: [['missing', /^the identity of paris is missing$/]]},
  {
    is: 'a certificate that is no PEM does not decode',
    found: {certificate: 'hello', key: identity.key},
    reasons: [['undecodable', /^the identity of paris does not decode: .* at least one certificate/]],
  },
  {
    is: 'a key that is no PEM does not decode',
    found: {certificate: identity.certificate, key: new SecretText('hello')},
    reasons: [['undecodable', /the private key of the identity of paris must be a private key in PEM/]],
  },
  {
    is: "another certificate's key is a mismatch",
    found: {certificate: identity.certificate, key: issuer.key},
    reasons: [['key-mismatch', /the private key of the identity of paris is not its certificate's/]],
  },
  {
    is: "another cluster's leaf has the wrong name",
    found: identity,
    wanted: identitySpec(settings, parseClusterName('rome'), 1),
    reasons: [
      ['wrong-name', /the identity of rome must be named "spiffe:\/\/atlas.internal\/downstream\/rome\/1".*; it is named .*paris\/1"/],
    ],
  },
  {
    is: 'a leaf of an earlier generation has the wrong name',
    found: identity,
    wanted: identitySpec(settings, PARIS, 2),
    reasons: [['wrong-name', /paris\/2".*paris\/1"/]],
  },
  {
    is: 'a leaf whose SNI is missing has the wrong name',
    found: leafOf({dns: []}),
    reasons: [['wrong-name', /it is named "spiffe:\/\/atlas.internal\/downstream\/paris\/1"$/]],
  },
  {
    is: 'a leaf without the DNS name of its generation, as issued before this release, has the wrong name',
    found: leafOf({dns: ['paris.downstream.atlas.internal']}),
    reasons: [['wrong-name', /must be named .*"g1.paris.downstream.atlas.internal"; it is named .*"paris.downstream.atlas.internal"$/]],
  },
  {
    is: 'a leaf with its DNS names in another order has the wrong name',
    found: leafOf({dns: [...wanted.dns].reverse()}),
    reasons: [['wrong-name', /it is named .*"g1.paris.downstream.atlas.internal", "paris.downstream.atlas.internal"$/]],
  },
  {
    is: 'a leaf with a second URI has the wrong name',
    found: leafOf({uris: [...wanted.uris, 'spiffe://atlas.internal/observability']}),
    reasons: [['wrong-name', /observability/]],
  },
  {
    is: 'the same URI twice is not two names',
    found: leafOf({uris: [wanted.uris[0] ?? '', wanted.uris[0] ?? '']}),
    reasons: [['wrong-name', /paris/]],
  },
  {
    is: 'the same DNS name twice is not two names',
    found: issue(
      {...identitySpec(settings, 'atlas', 1), dns: ['observability.atlas.internal', 'observability.atlas.internal']},
      issuer,
      now,
      signer,
    ),
    wanted: identitySpec(settings, 'atlas', 1),
    reasons: [['wrong-name', /observability/]],
  },
  {
    is: 'a leaf of another issuer of the same root has the wrong issuer',
    found: identity,
    issuers: [issue(issuerSpec(settings), root, now, signer).certificate],
    reasons: [['wrong-issuer', /was signed by "CN=Atlas issuer [\da-f]{8}", none of the issuers in force/]],
  },
  {
    is: 'a leaf of the older of two issuers in force has no fault',
    found: identity,
    issuers: [issuer.certificate, credentialIssuer.certificate],
    reasons: [],
  },
  {
    is: 'without an issuer in force every leaf has the wrong issuer',
    found: identity,
    issuers: [],
    reasons: [['wrong-issuer', /none of the issuers/]],
  },
  {
    is: 'a leaf without its issuer behind it has the wrong issuer: a verifier that trusts only roots would refuse it',
    found: {certificate: leafPem, key: identity.key},
    reasons: [['wrong-issuer', /does not carry its issuer/]],
  },
  {
    is: 'a leaf with another certificate behind it has the wrong issuer',
    found: {certificate: leafPem + credentialIssuer.certificate + issuerPem, key: identity.key},
    reasons: [['wrong-issuer', /does not carry its issuer/]],
  },
  {
    is: 'a leaf signed with the key of a leaf has the wrong issuer',
    found: signedByLeaf(),
    issuers: [leafPem],
    reasons: [['wrong-issuer', /was signed by "CN=downstream paris"/]],
  },
  {
    is: 'a leaf for clients only has the wrong usage',
    found: leafOf({purposes: ['client']}),
    reasons: [['wrong-usage', /must be for the purposes "server", "client"; it is for "client"/]],
  },
  {is: 'a leaf for any purpose has the wrong usage', found: leafOf({purposes: []}), reasons: [['wrong-usage', /it is for nothing/]]},
  {
    is: 'a leaf that could sign has the wrong usage',
    found: issue({...wanted, ca: {pathLength: 0, isRoot: false}}, root, now, signer),
    issuers: [root.certificate],
    reasons: [
      ['wrong-usage', /must not be able to sign/],
      ['wrong-usage', /key usage digitalSignature/],
    ],
  },
  {is: 'a leaf is fresh for most of its life', found: identity, when: at(19.9 * DAY), reasons: []},
  {
    is: 'a leaf is due within a twentieth of its life after two thirds of it',
    found: identity,
    when: at(21.6 * DAY),
    reasons: [['near-expiry', /^the identity of paris ends on 2026-12-24T12:00:00.000Z and is due to be replaced$/]],
  },
  {
    is: 'a leaf has expired in the second of its end',
    found: identity,
    when: at(30 * DAY),
    reasons: [['expired', /^the identity of paris ended on 2026-12-24T12:00:00.000Z$/]],
  },
  {is: 'a clock that is 14 minutes behind accepts a new leaf', found: identity, when: at(-14 * 60 * SECOND), reasons: []},
  {
    is: 'a clock that is 16 minutes behind does not',
    found: identity,
    when: at(-16 * 60 * SECOND),
    reasons: [['not-yet-valid', /is valid from 2026-11-24T11:50:00.000Z only/]],
  },
  {
    is: 'every reason is named, the gravest first',
    found: {certificate: leafPem, key: issuer.key},
    wanted: serverSpec(settings),
    issuers: [],
    when: at(40 * DAY),
    reasons: [
      ['key-mismatch', /./],
      ['wrong-issuer', /./],
      ['wrong-name', /./],
      ['wrong-usage', /./],
      ['expired', /./],
    ],
  },
  {is: 'a root is judged without an issuer', found: root, wanted: rootSpec(settings), issuers: [], reasons: []},
  {is: 'an issuer is judged by its root', found: issuer, wanted: issuerSpec(settings), issuers: [root.certificate], reasons: []},
  {
    is: 'an issuer of another root has the wrong issuer',
    found: issuer,
    wanted: issuerSpec(settings),
    issuers: [testAuthority(now, 'other').root.certificate],
    reasons: [['wrong-issuer', /the issuer was signed by "CN=Atlas root/]],
  },
  {
    is: 'an issuer in the place of a root has the wrong usage: its path is too short',
    found: issuer,
    wanted: rootSpec(settings),
    reasons: [['wrong-usage', /a path length of at least 1; it has 0/]],
  },
  {
    is: 'the credential issuer in the place of the issuer has the wrong usage',
    found: credentialIssuer,
    wanted: issuerSpec(settings),
    issuers: [root.certificate],
    reasons: [['wrong-usage', /it lacks "server"/]],
  },
  {
    is: 'a leaf in the place of an issuer has the wrong usage',
    found: identity,
    wanted: {...credentialIssuerSpec(settings), purposes: []},
    reasons: [
      ['wrong-usage', /must be able to sign/],
      ['wrong-usage', /keyCertSign/],
    ],
  },
]

describe('pki/judge', () => {
  for (const each of cases)
    it(each.is, () => {
      const reasons = judgeKey(each.found, each.wanted ?? wanted, each.issuers ?? issuers, each.when ?? now)
      expect(reasons.map(({reason}) => reason)).to.deep.equal(each.reasons.map(([code]) => code))
      for (const [index, [, text]] of each.reasons.entries()) expect(reasons[index]?.message).to.match(text)
    })

  it('an issuer in force that does not decode is an error, not a reason to replace the certificates that it signed', () => {
    expect(thrownBy(() => judgeKey(identity, wanted, ['broken'], now)).message).to.contain('the issuers in force')
  })

  it('a leaf ends with its issuer, even if its own end is later', () => {
    const short = issue({...issuerSpec(settings), lifetime: 3600}, root, now, signer)
    const facts = readCertifiedKey(identity, issuers)
    const reasons = judge({...facts, signedBy: readKey(short), chain: [readKey(short).sha256]}, wanted, at(2 * 3600 * SECOND))
    expect(reasons.map(({reason}) => reason)).to.deep.equal(['expired'])
    expect(renewAt({...facts, signedBy: readKey(short)}, wanted)).to.deep.equal(readKey(short).notAfter)
  })

  it('facts alone are judged: missing and undecodable are reasons of their own', () => {
    expect(judge(undefined, wanted, now)[0]?.reason).to.equal('missing')
    expect(judge({undecodable: 'it is cut off'}, wanted, now)).to.deep.equal([
      {reason: 'undecodable', message: 'the identity of paris does not decode: it is cut off'},
    ])
  })
})

describe('pki/judge: ADS credentials', () => {
  const want = credentialSpec(settings, PARIS, 1)
  const anchors = [credentialIssuer.certificate]
  const credential = issueCredential(want, credentialIssuer, [root.certificate], now, signer)
  const codes = (...args: Parameters<typeof judgeKey>): string[] => judgeKey(...args).map(({reason}) => reason)

  it('a credential as issued has no fault, until half of its life', () => {
    expect(codes(credential, want, anchors, now)).to.deep.equal([])
    expect(codes(credential, want, anchors, at(364 * DAY))).to.deep.equal([])
    expect(codes(credential, want, anchors, at((365 + 37) * DAY))).to.deep.equal(['near-expiry'])
  })

  it('a credential that is not there is missing', () => {
    expect(codes(undefined, want, anchors, now)).to.deep.equal(['missing'])
  })

  it('a credential whose roots do not decode does not decode', () => {
    expect(codes({...credential, roots: ''}, want, anchors, now)).to.deep.equal(['undecodable'])
  })

  it('only the roots of another installation are wrong; together with the right root they are accepted', () => {
    const other = testAuthority(now, 'other').root.certificate
    expect(codes({...credential, roots: other}, want, anchors, now)).to.deep.equal(['wrong-roots'])
    expect(codes({...credential, roots: other + root.certificate}, want, anchors, now)).to.deep.equal([])
  })

  it('an issuer in the place of the roots is wrong', () => {
    expect(codes({...credential, roots: credentialIssuer.certificate}, want, anchors, now)).to.deep.equal(['wrong-roots'])
  })

  it('an identity in the place of a credential has the wrong issuer, name and usage', () => {
    const codesOf = codes({...identity, roots: root.certificate}, want, anchors, now)
    expect(codesOf).to.deep.equal(['wrong-issuer', 'wrong-name', 'wrong-usage'])
  })

  it('a credential of a downstream cluster in the place of the observability one has the wrong name', () => {
    expect(codes(credential, credentialSpec(settings, 'atlas', 1), anchors, now)).to.deep.equal(['wrong-name'])
  })
})

describe('pki/rotation', () => {
  it('renewals of a fleet issued at once are spread over a twentieth of their life', () => {
    const days = Array.from({length: 200}, () => {
      const facts = readCertifiedKey(issue(wanted, issuer, now, signer), issuers)
      return (renewAt(facts, wanted).getTime() - now.getTime()) / DAY
    })
    expect(Math.min(...days)).to.be.within(20, 20.2)
    expect(Math.max(...days)).to.be.within(21.3, 21.5)
  })

  it('the same certificate is due at the same moment for every caller', () => {
    const copy = {certificate: identity.certificate, key: new SecretText(identity.key.reveal())}
    expect(renewAt(readCertifiedKey(copy, [...issuers]), wanted)).to.deep.equal(renewAt(readCertifiedKey(identity, issuers), wanted))
  })

  it('a life of seconds has its two thirds too: the backdating is no part of it', () => {
    const short = {...wanted, lifetime: 30}
    const facts = readCertifiedKey(issue(short, issuer, now, signer), issuers)
    expect(renewAt(facts, short).getTime() - now.getTime()).to.be.within(20 * SECOND, 21.5 * SECOND)
  })

  it('a certificate that ends with its issuer is not replaced by another one with the same end', () => {
    const late = at(360 * DAY)
    const leaf = issue(wanted, issuer, late, signer)
    expect(readKey(leaf).notAfter).to.deep.equal(readKey(issuer).notAfter)
    expect(judgeKey(leaf, wanted, issuers, at(364.9 * DAY))).to.deep.equal([])
    expect(judgeKey(leaf, wanted, issuers, at(365 * DAY))[0]?.reason).to.equal('expired')
  })

  it('such a certificate is due as usual once there is an issuer that ends later', () => {
    const leaf = issue(wanted, issuer, at(360 * DAY), signer)
    const next = issue(issuerSpec(settings), root, at(360 * DAY), signer)
    const both = [issuer.certificate, next.certificate]
    expect(judgeKey(leaf, wanted, both, at(363 * DAY))).to.deep.equal([])
    expect(judgeKey(leaf, wanted, both, at(364 * DAY)).map(({reason}) => reason)).to.deep.equal(['near-expiry'])
  })
})

/** A forged certificate: another cluster's names, signed with the key of a stolen identity. */
function signedByLeaf(): CertifiedKey {
  const {key, spki} = signer.generateKey()
  const der = assembleCertificate(
    {
      serial: signer.serial(),
      algorithm: 'ecdsa',
      issuer: assembleName('downstream paris'),
      subject: assembleName('downstream paris'),
      notBefore: now,
      notAfter: at(DAY),
      spki,
      authorityKeyId: readKey(identity).subjectKeyId,
      ca: undefined,
      keyUsages: ['digitalSignature'],
      purposes: wanted.purposes,
      uris: wanted.uris,
      dns: wanted.dns,
    },
    data => signer.sign(identity.key, data),
  )
  const certificate = new X509Certificate(der)
  expect(certificate.verify(new X509Certificate(leafPem).publicKey)).to.equal(true)
  return {certificate: certificate.toString() + leafPem, key}
}
