/** Keys, signatures and serial numbers: the only source of randomness in pki. */
import {createPrivateKey, generateKeyPairSync, randomBytes, sign} from 'node:crypto'
import {remember} from '../model/remember.js'
import {SecretText} from '../model/secret.js'

export interface GeneratedKey {
  /** PEM, PKCS#8. */
  readonly key: SecretText
  /** The public half: DER of a SubjectPublicKeyInfo. */
  readonly spki: Uint8Array
}

export interface Signer {
  /** A new ECDSA P-256 key. */
  generateKey(): GeneratedKey
  /** A signature over SHA-256 of `data`: ECDSA in DER for an EC key, PKCS#1 v1.5 for an RSA key. `key` is PEM. */
  sign(key: SecretText, data: Uint8Array): Uint8Array
  /** A new serial number: 32 lower-case hex digits, the first of them 4 to 7, so that it is positive and never shortened. */
  serial(): string
}

/** The real signer, over node:crypto. */
export const cryptoSigner: Signer = {
  generateKey() {
    const pair = generateKeyPairSync('ec', {
      namedCurve: 'P-256',
      publicKeyEncoding: {type: 'spki', format: 'der'},
      privateKeyEncoding: {type: 'pkcs8', format: 'pem'},
    })
    return {key: new SecretText(pair.privateKey), spki: pair.publicKey}
  },

  sign(key, data) {
    return sign('sha256', data, keyObjectOf(key))
  },

  serial() {
    return serialFrom(randomBytes(16))
  },
}

/** Decoded once, as long as the key is in use: an issuer signs for each owner of a fleet. */
const keyObjectOf = remember((key: SecretText) => createPrivateKey(key.reveal()))

/** 16 bytes as a serial number: 126 of their bits are kept (RFC 5280 section 4.1.2.2 wants it positive and at most 20 bytes). */
export function serialFrom(bytes: Uint8Array): string {
  const [first = 0, ...rest] = bytes.subarray(0, 16)
  return Buffer.from([(first & 0x3f) | 0x40, ...rest]).toString('hex')
}
