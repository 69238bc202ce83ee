import {X509Certificate, createPrivateKey, createPublicKey, verify} from 'node:crypto'
import {expect} from 'chai'
import fc from 'fast-check'
import {SecretText} from '../../src/lib/model/secret.js'
import {cryptoSigner} from '../../src/lib/pki/signer.js'
import {symbolicSigner} from '../../src/lib/pki/symbolic.js'
import {testAuthority} from '../helpers/pki.js'

const now = new Date('2026-11-24T12:00:00Z')

describe('pki/symbolic', () => {
  it('the same seed gives the same certificates and keys, byte for byte', () => {
    const [a, b] = [testAuthority(now), testAuthority(now)]
    expect(a.root.certificate).to.equal(b.root.certificate)
    expect(a.credentialIssuer.certificate).to.equal(b.credentialIssuer.certificate)
    expect(a.issuer.key.equals(b.issuer.key)).to.equal(true)
  })

  it('another seed gives other certificates', () => {
    const [a, b] = [testAuthority(now), testAuthority(now, 'other')]
    expect(a.root.certificate).not.to.equal(b.root.certificate)
    expect(a.root.key.equals(b.root.key)).to.equal(false)
  })

  it('no two keys or serials of one signer are the same', () => {
    const signer = symbolicSigner('many')
    const all = Array.from({length: 100}, () => signer)
    expect(new Set(all.map(each => each.generateKey().key.reveal())).size).to.equal(100)
    expect(new Set(all.map(each => each.serial())).size).to.equal(100)
  })

  it('the n-th key does not depend on other calls', () => {
    const [a, b] = [symbolicSigner('x'), symbolicSigner('x')]
    a.serial()
    a.sign(a.generateKey().key, Buffer.from('hello'))
    b.generateKey()
    expect(a.generateKey().key.reveal()).to.equal(b.generateKey().key.reveal())
  })

  it('signatures are those of RFC 6979, appendix A.2.5, P-256 with SHA-256', () => {
    const hex = (text: string): string => Buffer.from(text, 'hex').toString('base64url')
    const d = hex('C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721')
    const x = hex('60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6')
    const y = hex('7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299')
    const key = createPrivateKey({key: {kty: 'EC', crv: 'P-256', d, x, y}, format: 'jwk'})
    const pem = new SecretText(key.export({type: 'pkcs8', format: 'pem'}).toString())
    const signature = (text: string): string => Buffer.from(symbolicSigner('any').sign(pem, Buffer.from(text))).toString('hex')
    expect(signature('sample')).to.equal(
      '3046022100efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716' +
        '022100f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8',
    )
    expect(signature('test')).to.equal(
      '3045022100f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367' +
        '0220019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083',
    )
  })

  it('every signature verifies, over any data and key', () => {
    fc.assert(
      fc.property(fc.string(), fc.uint8Array(), (seed, data) => {
        const signer = symbolicSigner(seed)
        const {key, spki} = signer.generateKey()
        const publicKey = createPublicKey({key: Buffer.from(spki), format: 'der', type: 'spki'})
        expect(publicKey.equals(createPublicKey(key.reveal()))).to.equal(true)
        expect(verify('sha256', data, publicKey, signer.sign(key, data))).to.equal(true)
      }),
      {numRuns: 200},
    )
  }).timeout(120_000)
})

describe('pki/signer: serials', () => {
  it('a serial has 32 hex digits, is positive, and OpenSSL prints it alike', () => {
    for (const signer of [cryptoSigner, symbolicSigner('serials')])
      for (let round = 0; round < 50; round += 1) expect(signer.serial()).to.match(/^[4-7][\da-f]{31}$/)
    const {root} = testAuthority(now)
    expect(new X509Certificate(root.certificate).serialNumber).to.have.length(32)
  })
})
