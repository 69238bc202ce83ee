/**
 * A signer without randomness: the same seed gives the same keys, serials and signatures, byte for byte. For golden files and
 * simulation. Its signatures verify as usual, but the seed gives away the keys: never for an installation.
 */
import {createECDH, createHash, createHmac, createPrivateKey, sign} from 'node:crypto'
import {SecretText} from '../model/secret.js'
import {wrapDer} from './der.js'
import {type Signer, serialFrom} from './signer.js'

/** Order of the group of P-256 (FIPS 186-5). */
const ORDER = 0xffff_ffff_0000_0000_ffff_ffff_ffff_ffff_bce6_faad_a717_9e84_f3b9_cac2_fc63_2551n

/** A new signer that counts from the seed on; the n-th key and the n-th serial depend on nothing else. */
export function symbolicSigner(seed: string): Signer {
  let keys = 0
  let serials = 0
  return {
    generateKey() {
      keys += 1
      return keyFrom(`${seed}/key/${keys}`)
    },

    sign(key, data) {
      const parsed = createPrivateKey(key.reveal())
      if (parsed.asymmetricKeyType !== 'ec') return sign('sha256', data, parsed)
      const {d} = parsed.export({format: 'jwk'})
      return signEcdsa(Buffer.from(d ?? '', 'base64url'), data)
    },

    serial() {
      serials += 1
      return serialFrom(createHash('sha256').update(`${seed}/serial/${serials}`).digest())
    },
  }
}

function keyFrom(label: string): ReturnType<Signer['generateKey']> {
  const scalar = toBytes((toNumber(createHash('sha256').update(label).digest()) % (ORDER - 1n)) + 1n)
  const point = pointOf(scalar)
  const jwk = {kty: 'EC', crv: 'P-256', d: base64(scalar), x: base64(point.subarray(1, 33)), y: base64(point.subarray(33))}
  const key = createPrivateKey({key: jwk, format: 'jwk'})
  return {
    key: new SecretText(key.export({type: 'pkcs8', format: 'pem'}).toString()),
    spki: wrapDer(0x30, [P256_ALGORITHM, wrapDer(0x03, [Uint8Array.of(0), point])]),
  }
}

/** AlgorithmIdentifier: id-ecPublicKey, prime256v1. */
const P256_ALGORITHM = Buffer.from('301306072a8648ce3d020106082a8648ce3d030107', 'hex')

/** ECDSA with a nonce from key and message (RFC 6979); not in constant time, which a simulation does not need. */
function signEcdsa(scalar: Uint8Array, data: Uint8Array): Uint8Array {
  const hash = createHash('sha256').update(data).digest()
  const [d, z] = [toNumber(scalar), toNumber(hash) % ORDER]
  for (const k of nonces(scalar, toBytes(z))) {
    const r = toNumber(pointOf(toBytes(k)).subarray(1, 33)) % ORDER
    const s = (inverse(k) * (z + r * d)) % ORDER
    if (r !== 0n && s !== 0n) return wrapDer(0x30, [integer(r), integer(s)])
  }

  throw new Error('unreachable: nonces never end')
}

/** RFC 6979 section 3.2, with HMAC-SHA-256. */
function* nonces(scalar: Uint8Array, hash: Uint8Array): Generator<bigint, void> {
  let [k, v] = [Buffer.alloc(32, 0), Buffer.alloc(32, 1)]
  const stir = (...parts: readonly Uint8Array[]): void => {
    k = hmac(k, v, ...parts)
    v = hmac(k, v)
  }

  stir(Uint8Array.of(0), scalar, hash)
  stir(Uint8Array.of(1), scalar, hash)
  for (;;) {
    v = hmac(k, v)
    const nonce = toNumber(v)
    if (nonce > 0n && nonce < ORDER) yield nonce
    stir(Uint8Array.of(0))
  }
}

function hmac(key: Uint8Array, ...parts: readonly Uint8Array[]): Buffer<ArrayBuffer> {
  return Buffer.from(createHmac('sha256', key).update(Buffer.concat(parts)).digest())
}

/** The point `scalar`·G, uncompressed: 4, x, y. */
function pointOf(scalar: Uint8Array): Buffer {
  const curve = createECDH('prime256v1')
  curve.setPrivateKey(scalar)
  return curve.getPublicKey()
}

/** Modulo the order, by the extended Euclidean algorithm. */
function inverse(value: bigint): bigint {
  let [low, high, x, y] = [value % ORDER, ORDER, 1n, 0n]
  while (low > 1n) {
    const quotient = high / low
    ;[low, high] = [high % low, low]
    ;[x, y] = [y - quotient * x, x]
  }

  return ((x % ORDER) + ORDER) % ORDER
}

function integer(value: bigint): Uint8Array {
  const hex = value.toString(16)
  const bytes = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex')
  const isNegative = (bytes[0] ?? 0) > 0x7f
  return wrapDer(0x02, isNegative ? [Uint8Array.of(0), bytes] : [bytes])
}

function toNumber(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).toString('hex') || '0'}`)
}

function toBytes(value: bigint): Uint8Array {
  return Buffer.from(value.toString(16).padStart(64, '0'), 'hex')
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64url')
}
