import {X509Certificate, createPublicKey} from 'node:crypto'
import {expect} from 'chai'
import fc from 'fast-check'
import {AtlasError} from '../../src/lib/model/errors.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import {SecretText} from '../../src/lib/model/secret.js'
import {identitySpec} from '../../src/lib/pki/certificate-specs.js'
import {issue} from '../../src/lib/pki/issue.js'
import {judgeKey} from '../../src/lib/pki/judge.js'
import {parseCertificates, parsePrivateKey, renderCertificates} from '../../src/lib/pki/pem.js'
import {readKey} from '../../src/lib/pki/read.js'
import {readCertifiedKey} from '../../src/lib/pki/signed.js'
import {testAuthority} from '../helpers/pki.js'
import {thrownBy} from '../helpers/thrown.js'

const now = new Date('2026-11-24T12:00:00Z')
const {settings, signer, root, issuer} = testAuthority(now)
const wanted = identitySpec(settings, parseClusterName('paris'), 1)
const identity = issue(wanted, issuer, now, signer)
const keyText = identity.key.reveal()
const keyBody = keyText.split('\n').slice(1, -2).join('')

describe('pki/pem: certificates', () => {
  it('a bundle is read in its order, with comments between, and CRLF', () => {
    const text = `# ours\n${root.certificate}\nsubject=another\n${issuer.certificate}`.replaceAll('\n', '\r\n')
    expect(parseCertificates(text).map(each => each.subject)).to.deep.equal([
      new X509Certificate(root.certificate).subject,
      new X509Certificate(issuer.certificate).subject,
    ])
  })

  it('rendered certificates are read again', () => {
    expect(renderCertificates(parseCertificates(identity.certificate))).to.equal(identity.certificate)
  })

  const lines = root.certificate.trimEnd().split('\n')
  const body = lines.slice(1, -1).join('\n')
  const der = Buffer.from(body, 'base64')
  const block = (bytes: Uint8Array): string =>
    `-----BEGIN CERTIFICATE-----\n${Buffer.from(bytes).toString('base64')}\n-----END CERTIFICATE-----\n`

  const refused: readonly (readonly [string, string, RegExp])[] = [
    ['nothing', '', /at least one certificate in PEM; there is none in its 0 characters/],
    ['no block', 'hello', /there is none in its 5 characters/],
    ['a block without end', lines.slice(0, -1).join('\n'), /must end with the line/],
    ['a block within a block', `${lines[0]}\n${root.certificate}`, /each on a line of its own/],
    ['an end without a beginning', lines.slice(1).join('\n'), /each on a line of its own/],
    ['a beginning in the middle of a line, which other readers skip', `x ${root.certificate}`, /each on a line of its own/],
    ['a certificate with an outdated label', root.certificate.replaceAll('CERTIFICATE', 'X509 CERTIFICATE'), /each on a line of its own/],
    ['a key beside the certificate', root.certificate + root.key.reveal(), /there is a private key in it/],
    ['what is not base64', root.certificate.replace(body, `${body}*`), /certificate 1 of the text must be base64/],
    ['headers in the block', root.certificate.replace(body, `Proc-Type: 4\n\n${body}`), /must be base64/],
    ['an empty block', block(new Uint8Array()), /must be base64/],
    ['bytes that are no certificate', block(Buffer.from('hello')), /do not decode as one/],
    ['a certificate with bytes behind it', block(Buffer.concat([der, Buffer.from([0])])), /do not decode as one/],
    ['a certificate that is cut off', block(der.subarray(0, -1)), /do not decode as one/],
    ['a broken second certificate', root.certificate + block(Buffer.from('hello')), /certificate 2 of the text/],
  ]
  for (const [what, text, message] of refused)
    it(`refuses ${what}`, () => {
      const error = thrownBy(() => parseCertificates(text))
      expect(error.code).to.equal('invalid')
      expect(error.message).to.match(message)
      expect(everythingIn(error)).not.to.contain(keyBody.slice(0, 16))
    })
})

describe('pki/pem: private keys', () => {
  it('reads PKCS#8 and SEC1', () => {
    const key = parsePrivateKey(identity.key)
    const sec1 = new SecretText(key.export({type: 'sec1', format: 'pem'}).toString())
    expect(createPublicKey(parsePrivateKey(sec1)).equals(createPublicKey(key))).to.equal(true)
  })

  const key = parsePrivateKey(identity.key)
  const refused: readonly (readonly [string, string, RegExp])[] = [
    ['nothing', '', /it holds no such block/],
    ['a certificate', root.certificate, /it holds no such block/],
    ['two keys', keyText + keyText, /or more than one/],
    ['an encrypted key', key.export({type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x'}).toString(), /it is encrypted/],
    [
      'an encrypted key in the older form',
      key.export({type: 'sec1', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x'}).toString(),
      /it is encrypted/,
    ],
    ['a broken key', keyText.replace(keyBody.slice(0, 8), 'AAAAAAAA'), /does not decode/],
    ['a key that is cut off', keyText.slice(0, 120), /does not decode/],
  ]
  for (const [what, text, message] of refused)
    it(`refuses ${what}, and quotes no part of it`, () => {
      const error = thrownBy(() => parsePrivateKey(new SecretText(text)))
      expect(error.message).to.match(message)
      expect(everythingIn(error)).not.to.contain(keyBody.slice(40, 60))
    })
})

describe('pki/pem: any text', () => {
  const pieces = fc.constantFrom(
    '-----BEGIN CERTIFICATE-----',
    '-----END CERTIFICATE-----',
    '-----BEGIN PRIVATE KEY-----',
    '-----END PRIVATE KEY-----',
    '\n',
    'MIIB',
    '====',
    ' ',
    identity.certificate,
    root.certificate,
    keyText,
  )
  const texts = fc.oneof(
    fc.string({unit: 'binary'}),
    fc.array(fc.oneof(pieces, fc.base64String()), {maxLength: 12}).map(parts => parts.join('')),
  )

  it('is read as certificates or refused with an AtlasError, which holds no key', () => {
    fc.assert(
      fc.property(texts, text => {
        const error = errorOf(() => parseCertificates(text))
        if (error !== undefined) expect(everythingIn(error)).not.to.contain(keyBody.slice(0, 16))
      }),
      {numRuns: 1000},
    )
  })

  it('is read as a key or refused with an AtlasError, which holds no key', () => {
    fc.assert(
      fc.property(texts, text => {
        const error = errorOf(() => parsePrivateKey(new SecretText(text)))
        if (error !== undefined) expect(everythingIn(error)).not.to.contain(keyBody.slice(0, 16))
      }),
      {numRuns: 1000},
    )
  })

  it('a certificate with changed bytes is refused, or not one that the issuer signed', () => {
    const [leaf = '', chain = ''] = identity.certificate.split(/(?<=-----END CERTIFICATE-----\n)/)
    const der = new X509Certificate(leaf).raw
    const change = fc.record({at: fc.nat(der.length - 1), xor: fc.integer({min: 1, max: 255})})
    fc.assert(
      fc.property(fc.array(change, {minLength: 1, maxLength: 3}), changes => {
        const bytes = Buffer.from(der)
        for (const {at, xor} of changes) bytes[at] = (bytes[at] ?? 0) ^ xor
        fc.pre(!bytes.equals(der))
        const certificate = `-----BEGIN CERTIFICATE-----\n${bytes.toString('base64')}\n-----END CERTIFICATE-----\n${chain}`
        const changed = {certificate, key: identity.key}
        errorOf(() => expect(readCertifiedKey(changed, [issuer.certificate]).signedBy).to.equal(undefined))
        const reasons = judgeKey(changed, wanted, [issuer.certificate], now).map(({reason}) => reason)
        expect(reasons.some(reason => reason === 'undecodable' || reason === 'wrong-issuer')).to.equal(true)
      }),
      {numRuns: 2000, examples: [[[{at: 369, xor: 1}]]]}, // seed -1667242742, path 1:7:0:1:1
    )
  }).timeout(120_000)

  it('a changed key is refused, or does not match', () => {
    const lines = keyText.split('\n')
    fc.assert(
      fc.property(fc.nat(keyBody.length - 1), fc.constantFrom(...'ABCDEFGHabcdefgh0123+/='), (at, letter) => {
        fc.pre(keyBody[at] !== letter)
        const body = keyBody.slice(0, at) + letter + keyBody.slice(at + 1)
        const text = [lines[0], body, lines.at(-2), ''].join('\n')
        const changed = {certificate: identity.certificate, key: new SecretText(text)}
        let matches = false
        const error = errorOf(() => {
          matches = readKey(changed).keyMatches && !parsePrivateKey(changed.key).equals(parsePrivateKey(identity.key))
        })
        expect(matches).to.equal(false)
        if (error !== undefined) expect(everythingIn(error)).not.to.contain(body.slice(40, 60))
      }),
      {numRuns: 500},
    )
  })
})

/** The AtlasError of a call that fails; any other error fails the test. */
function errorOf(call: () => unknown): AtlasError | undefined {
  try {
    call()
    return undefined
  } catch (error) {
    if (error instanceof AtlasError) return error
    throw error
  }
}

/** Everything in an error that could reach a log or a screen. */
function everythingIn(error: AtlasError): string {
  return JSON.stringify([error.message, error.hint, String(error.cause), error.stack])
}
