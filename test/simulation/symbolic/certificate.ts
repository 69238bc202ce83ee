/** Stands in for what pem.ts uses of node:crypto: a certificate is its facts in JSON, a private key is a name (hook.mjs). */
import {createHash} from 'node:crypto'

export {createHash} from 'node:crypto'

/** What a symbolic certificate states. Names are plain text, keys their names. */
export interface Statement {
  readonly serial: string
  readonly issuer: string
  readonly subject: string
  /** Milliseconds since 1970. */
  readonly notBefore: number
  readonly notAfter: number
  readonly publicKey: string
  readonly subjectKeyId: string
  readonly authorityKeyId?: string
  readonly pathLength?: number
  readonly keyUsages: readonly string[]
  readonly purposes: readonly string[]
  readonly uris: readonly string[]
  readonly dns: readonly string[]
}

/** A statement, and the signature over its text. */
interface Signed {
  readonly text: string
  readonly signature: string
}

/** The bytes of a certificate. */
export function renderSigned(statement: Statement, sign: (data: Uint8Array) => Uint8Array): Uint8Array {
  const text = JSON.stringify(statement)
  const signed: Signed = {text, signature: Buffer.from(sign(Buffer.from(text))).toString('hex')}
  return Buffer.from(JSON.stringify(signed))
}

/** @throws SyntaxError where the bytes are no symbolic certificate */
export function readSigned(raw: Uint8Array): Read {
  const known = byBytes.get(raw)
  if (known !== undefined) return known
  // Nearly every certificate is read several times: alone, in a chain, and by who judges it.
  const text = Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength).toString('latin1')
  const result = byText.get(text) ?? parseSigned(raw)
  if (byText.size >= TEXTS) byText.clear()
  byText.set(text, result)
  byBytes.set(raw, result)
  return result
}

interface Read {
  readonly signed: Signed
  readonly statement: Statement
}

/** Certificates that are remembered by their content. */
const TEXTS = 2048

const byBytes = new WeakMap<Uint8Array, Read>()
const byText = new Map<string, Read>()

function parseSigned(raw: Uint8Array): Read {
  const signed = JSON.parse(Buffer.from(raw).toString()) as Signed
  return {signed, statement: JSON.parse(signed.text) as Statement}
}

/** What only the holder of the private key makes: nothing in the simulation forges. */
export function signatureOf(key: string, data: Uint8Array | string): string {
  return createHash('sha256').update(key).update(data).digest('hex')
}

/** A key as pem.ts and read.ts look at it. */
interface SymbolicKey {
  readonly asymmetricKeyType: 'ec'
  readonly asymmetricKeyDetails: {readonly namedCurve: 'prime256v1'}
  readonly label: string
}

function keyOf(label: string): SymbolicKey {
  return {asymmetricKeyType: 'ec', asymmetricKeyDetails: {namedCurve: 'prime256v1'}, label}
}

/** In place of node:crypto's: the name between the lines of a private key. */
export function createPrivateKey({key}: {readonly key: string}): SymbolicKey {
  return keyOf(key.split('\n')[1] ?? '')
}

const PURPOSES: Readonly<Record<string, string>> = {server: '1.3.6.1.5.5.7.3.1', client: '1.3.6.1.5.5.7.3.2'}

/** In place of node:crypto's, with the fields and methods that `pki` uses. */
export class X509Certificate {
  readonly raw: Buffer
  readonly #signed: Signed
  readonly #statement: Statement

  constructor(der: Uint8Array) {
    this.raw = Buffer.from(der)
    const {signed, statement} = readSigned(this.raw)
    this.#signed = signed
    this.#statement = statement
  }

  get subject(): string {
    return this.#statement.subject
  }

  get issuer(): string {
    return this.#statement.issuer
  }

  get serialNumber(): string {
    return this.#statement.serial.toUpperCase()
  }

  get validFromDate(): Date {
    return new Date(this.#statement.notBefore)
  }

  get validToDate(): Date {
    return new Date(this.#statement.notAfter)
  }

  get publicKey(): SymbolicKey {
    return keyOf(this.#statement.publicKey)
  }

  get ca(): boolean {
    return this.#statement.pathLength !== undefined
  }

  get keyUsage(): readonly string[] | undefined {
    const {purposes} = this.#statement
    return purposes.length === 0 ? undefined : purposes.map(purpose => PURPOSES[purpose] ?? purpose)
  }

  get subjectAltName(): string | undefined {
    const {uris, dns} = this.#statement
    const names = [...uris.map(uri => `URI:${uri}`), ...dns.map(name => `DNS:${name}`)]
    return names.length === 0 ? undefined : names.join(', ')
  }

  checkPrivateKey({label}: SymbolicKey): boolean {
    return label === this.#statement.publicKey
  }

  checkIssued(issuer: X509Certificate): boolean {
    const {authorityKeyId} = this.#statement
    return this.issuer === issuer.subject && (authorityKeyId === undefined || authorityKeyId === issuer.#statement.subjectKeyId)
  }

  verify({label}: SymbolicKey): boolean {
    return this.#signed.signature === signatureOf(label, this.#signed.text)
  }

  toString(): string {
    const lines = this.raw.toString('base64').match(/.{1,64}/g) ?? []
    return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n')
  }
}
