/** Which kinds of key a certificate may have: those below whose certificates Envoy and Node both verify. */
import type {KeyObject} from 'node:crypto'
import {AtlasError} from '../model/errors.js'

/** P-256, P-384 and P-521 by OpenSSL's names. Envoy verifies no signature on secp256k1 or a Brainpool curve. */
const CURVES: ReadonlySet<string> = new Set(['prime256v1', 'secp384r1', 'secp521r1'])

const RSA_BITS_MIN = 2048

/**
 * Refuses the public key of a certificate if Envoy does not verify what it signed, or if it is too weak. Without this, a root from outside
 * would be accepted here, and every TLS handshake of every Envoy would fail later.
 * @param what names the certificate in messages, such as "the root"
 * @throws AtlasError `invalid`
 */
export function requireUsableKey(key: KeyObject, what: string): void {
  const {namedCurve, modulusLength = 0} = key.asymmetricKeyDetails ?? {}
  if (key.asymmetricKeyType === 'ec' && CURVES.has(namedCurve ?? '')) return
  if (key.asymmetricKeyType === 'rsa' && modulusLength >= RSA_BITS_MIN) return
  throw new AtlasError(
    'invalid',
    `${what} must have an EC key on P-256, P-384 or P-521, or an RSA key of at least ${RSA_BITS_MIN} bits; it has ${kindOf(key)}`,
    {hint: 'make a new key, for example with "openssl ecparam -name prime256v1 -genkey"'},
  )
}

function kindOf(key: KeyObject): string {
  const {namedCurve, modulusLength} = key.asymmetricKeyDetails ?? {}
  if (key.asymmetricKeyType === 'ec') return `an EC key on ${namedCurve ?? 'a curve without a name'}`
  if (key.asymmetricKeyType === 'rsa') return `an RSA key of ${modulusLength ?? 0} bits`
  return `a key of type ${key.asymmetricKeyType ?? 'unknown'}`
}
