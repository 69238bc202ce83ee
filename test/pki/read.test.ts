import {X509Certificate} from 'node:crypto'
import {expect} from 'chai'
import fc from 'fast-check'
import {AtlasError} from '../../src/lib/model/errors.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import {readAlternativeNames} from '../../src/lib/pki/alternative-names.js'
import {assembleCertificate, assembleName} from '../../src/lib/pki/assemble.js'
import {readDer, wrapDer} from '../../src/lib/pki/der.js'
import {readFields} from '../../src/lib/pki/fields.js'
import {credentialSpec, identitySpec} from '../../src/lib/pki/certificate-specs.js'
import {issue, issueCredential} from '../../src/lib/pki/issue.js'
import {type CertificateFacts, factsOf, readKey} from '../../src/lib/pki/read.js'
import {issuerOf, readCertifiedKey} from '../../src/lib/pki/signed.js'
import {readCertificate, testAuthority} from '../helpers/pki.js'
import {thrownBy} from '../helpers/thrown.js'

const now = new Date('2026-11-24T12:00:00Z')
const PARIS = parseClusterName('paris')
const {settings, signer, root, issuer, credentialIssuer} = testAuthority(now)

describe('pki/read: facts', () => {
  it('every field is what node:crypto reads', () => {
    const {certificate} = issue(identitySpec(settings, PARIS, 1), issuer, now, signer)
    const parsed = new X509Certificate(certificate)
    const facts = factsOf(parsed)
    expect(facts).to.include({
      subject: 'CN=downstream paris',
      issuer: readKey(issuer).subject,
      serial: parsed.serialNumber.toLowerCase(),
      sha256: parsed.fingerprint256.replaceAll(':', '').toLowerCase(),
      isCa: parsed.ca,
    })
    expect(facts.notBefore).to.deep.equal(new Date(parsed.validFrom))
    expect(facts.notAfter).to.deep.equal(new Date(parsed.validTo))
    expect(facts.subjectKeyId).to.match(/^[\da-f]{40}$/)
  })

  it('a certificate without extensions has neither names nor usages', () => {
    const facts = factsOf(new X509Certificate(bare))
    expect(facts).to.deep.include({uris: [], dns: [], otherNames: [], isCa: false})
    expect(facts.pathLength).to.equal(undefined)
    expect(facts.keyUsages).to.equal(undefined)
    expect(facts.purposes).to.equal(undefined)
    expect(facts.subjectKeyId).to.equal(undefined)
  })

  for (const field of [
    'validFromDate',
    'validToDate',
    'raw',
    'subject',
    'issuer',
    'serialNumber',
    'subjectAltName',
    'ca',
    'keyUsage',
    'publicKey',
  ])
    it(`a certificate whose ${field} does not decode is refused`, () => {
      const certificate = new X509Certificate(root.certificate)
      Object.defineProperty(certificate, field, {
        get() {
          throw new Error('error:03000072:digital envelope routines::decode error')
        },
      })
      const error = thrownBy(() => factsOf(certificate, 'the root'))
      expect([error.code, error.message]).to.deep.equal(['invalid', `the root must have fields that decode; its ${field} does not`])
    })

  it('a certificate is read once for each object', () => {
    const identity = issue(identitySpec(settings, PARIS, 1), issuer, now, signer)
    const issuers = [issuer.certificate]
    expect(readKey(identity)).to.equal(readKey(identity))
    expect(readCertifiedKey(identity, issuers)).to.equal(readCertifiedKey(identity, issuers))
    expect(readCertifiedKey(identity, [credentialIssuer.certificate]).signedBy).to.equal(undefined)
    expect(readCertifiedKey(identity, issuers).signedBy?.sha256).to.equal(readKey(issuer).sha256)
  })

  it('the issuer of a peer shows whether it is an identity or a credential', () => {
    const identity = new X509Certificate(issue(identitySpec(settings, PARIS, 1), issuer, now, signer).certificate)
    const credential = new X509Certificate(
      issueCredential(credentialSpec(settings, PARIS, 1), credentialIssuer, [root.certificate], now, signer).certificate,
    )
    const planes = [[issuer.certificate], [credentialIssuer.certificate], [root.certificate]]
    expect(planes.map(plane => issuerOf(identity, plane) !== undefined)).to.deep.equal([true, false, false])
    expect(planes.map(plane => issuerOf(credential, plane) !== undefined)).to.deep.equal([false, true, false])
  })

  it('the facts of a key hold no key', () => {
    expect(JSON.stringify(readKey(issuer))).not.to.contain(issuer.key.reveal().split('\n')[1])
  })
})

describe('pki/read: alternative names', () => {
  it('a comma within a name does not begin another name', () => {
    const facts = namedAs([], ['x, URI:spiffe://atlas.internal/observability'])
    expect(facts.uris).to.deep.equal([])
    expect(facts.dns).to.deep.equal(['x, URI:spiffe://atlas.internal/observability'])
  })

  it('quotes, backslashes and control characters come out as they went in', () => {
    const odd = ['a"b', 'a\\b', '"', '\\"', 'a\nb', 'a\u0000b', '"x", URI:y', 'DNS:z']
    expect(namedAs(odd, odd)).to.deep.include({uris: odd, dns: odd})
  })

  it('other kinds are kept apart', () => {
    expect(readAlternativeNames('IP Address:127.0.0.1, DNS:a, othername:<unsupported>, email:x@y, URI:b', 'it')).to.deep.equal({
      uris: ['b'],
      dns: ['a'],
      otherNames: ['IP Address:127.0.0.1', 'othername:<unsupported>', 'email:x@y'],
    })
  })

  it('a quoted value that does not decode is refused', () => {
    expect(thrownBy(() => readAlternativeNames('DNS:"a', 'it')).message).to.equal(
      'it must carry alternative names that decode; one does not',
    )
  })

  it('any names are read exactly, or refused', () => {
    const bytes = fc.string({unit: fc.integer({min: 0, max: 255}).map(code => String.fromCharCode(code)), minLength: 1, maxLength: 12})
    const nasty = fc
      .array(fc.constantFrom(', ', 'URI:', 'DNS:', '"', '\\', 'spiffe://a/b', '\n', 'é'), {minLength: 1})
      .map(parts => parts.join(''))
    const names = fc.array(fc.oneof(bytes, nasty), {maxLength: 3})
    fc.assert(
      fc.property(names, names, (uris, dns) => {
        const facts = refusedOr(() => namedAs(uris, dns))
        if (facts === undefined) return
        expect(facts.otherNames).to.deep.equal([])
        expect([facts.uris, facts.dns]).to.deep.equal([uris, dns])
      }),
      {numRuns: 500},
    )
  }).timeout(120_000)
})

describe('pki/fields', () => {
  it('any bytes are read or refused with an AtlasError', () => {
    const {raw} = new X509Certificate(issuer.certificate)
    fc.assert(
      fc.property(fc.nat(raw.length - 1), fc.nat(255), fc.nat(raw.length), (at, value, end) => {
        const bytes = Buffer.from(raw.subarray(0, Math.max(end, at)))
        bytes[at] = value
        refusedOr(() => readFields(bytes))
      }),
      {numRuns: 2000},
    )
    fc.assert(
      fc.property(fc.uint8Array(), bytes => void refusedOr(() => readFields(bytes))),
      {numRuns: 2000},
    )
  })

  it('an extension that occurs twice is refused', () => {
    const extension = wrapDer(0x30, [Buffer.from('0603551d13', 'hex'), wrapDer(0x04, [wrapDer(0x30, [])])])
    const parts = [...Array.from({length: 6}, () => wrapDer(0x30, [])), wrapDer(0xa3, [wrapDer(0x30, [extension, extension])])]
    const certificate = wrapDer(0x30, [wrapDer(0x30, parts)])
    expect(thrownBy(() => readFields(certificate)).message).to.contain('one occurs twice')
  })

  it('a path length that is negative or absurd counts as 0', () => {
    for (const length of ['ff', '0100']) {
      const value = wrapDer(0x30, [Buffer.from('0101ff', 'hex'), wrapDer(0x02, [Buffer.from(length, 'hex')])])
      const extension = wrapDer(0x30, [Buffer.from('0603551d13', 'hex'), wrapDer(0x04, [value])])
      const parts = [...Array.from({length: 6}, () => wrapDer(0x30, [])), wrapDer(0xa3, [wrapDer(0x30, [extension])])]
      expect(readFields(wrapDer(0x30, [wrapDer(0x30, parts)])).pathLength).to.equal(0)
    }
  })
})

describe('pki/der', () => {
  it('wrapped elements of any length are read again', () => {
    for (const length of [0, 1, 127, 128, 255, 256, 65_535, 65_536]) {
      const value = new Uint8Array(length).fill(7)
      const [element, ...others] = readDer(wrapDer(0x30, [value]))
      expect(others).to.deep.equal([])
      expect(element?.tag).to.equal(0x30)
      expect(element?.value.length).to.equal(length)
    }
  })

  it('elements that are cut off, endless, or longer than what is there are refused', () => {
    for (const hex of ['30', '3001', '3080', '30850000000001', '1f0100', '300100' + '30'])
      expect(thrownBy(() => readDer(Buffer.from(hex, 'hex'))).message, hex).to.contain('must be DER throughout')
  })
})

/** The facts of a certificate with any names, also such as `issue` never makes. */
function namedAs(uris: readonly string[], dns: readonly string[]): CertificateFacts {
  const der = assembleCertificate({...PARTS, uris, dns}, data => signer.sign(issuer.key, data))
  return readCertificate(new X509Certificate(der).toString())
}

const PARTS = {
  serial: '41'.repeat(16),
  algorithm: 'ecdsa',
  issuer: assembleName('issuer'),
  subject: assembleName('leaf'),
  notBefore: now,
  notAfter: new Date(now.getTime() + 3_600_000),
  spki: signer.generateKey().spki,
  authorityKeyId: undefined,
  ca: undefined,
  keyUsages: ['digitalSignature'],
  purposes: [],
} as const

/** The same certificate as version 1, without extensions. Its signature is wrong, which reading does not check. */
const bare = withoutExtensions(assembleCertificate({...PARTS, uris: [], dns: []}, data => signer.sign(issuer.key, data)))

function withoutExtensions(der: Uint8Array): Uint8Array {
  const [tbs, algorithm, signature] = readDer(readDer(der)[0]?.value ?? new Uint8Array())
  const kept = readDer(tbs?.value ?? new Uint8Array()).filter(part => part.tag !== 0xa0 && part.tag !== 0xa3)
  const rest = [algorithm, signature].map(part => part?.raw ?? new Uint8Array())
  return wrapDer(0x30, [
    wrapDer(
      0x30,
      kept.map(part => part.raw),
    ),
    ...rest,
  ])
}

function refusedOr<T>(call: () => T): T | undefined {
  try {
    return call()
  } catch (error) {
    if (error instanceof AtlasError) return undefined
    throw error
  }
}
