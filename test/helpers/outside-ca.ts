/** A company's CA as openssl makes it: self-signed certificates, and intermediates below them, with every kind of key. */
import {execFileSync} from 'node:child_process'
import {readFileSync} from 'node:fs'
import path from 'node:path'
import {SecretText} from '../../src/lib/model/secret.js'

const ec = (curve: string): readonly string[] => ['ec', '-pkeyopt', `ec_paramgen_curve:${curve}`]

/** Arguments of `openssl req -newkey`: all kinds of key that Atlas accepts. */
export const keyKinds: Readonly<Record<string, readonly string[]>> = {
  'p-256': ec('prime256v1'),
  'p-384': ec('secp384r1'),
  'p-521': ec('secp521r1'),
  'rsa-2048': ['rsa:2048'],
  'rsa-3072': ['rsa:3072'],
  'rsa-4096': ['rsa:4096'],
}

export interface OutsideCa {
  /** PEM: its own certificate. */
  readonly certificate: string
  readonly key: SecretText
  readonly files: {readonly certificate: string; readonly key: string}
}

export interface CaOptions {
  /** Undefined: it signs itself. */
  readonly signer?: OutsideCa
  readonly newkey?: readonly string[]
  /** Undefined: no limit. */
  readonly pathLength?: number
  readonly isCa?: boolean
  readonly days?: number
  readonly usage?: string
  /** Each as `openssl req -addext` takes it. */
  readonly extensions?: readonly string[]
  readonly subject?: string
  /** With the key that is there under the same name. */
  readonly useKey?: boolean
}

/** Makes a certificate in `folder`, with its files there. */
export function makeCa(folder: string, name: string, options: CaOptions = {}): OutsideCa {
  const {signer, newkey = ec('prime256v1'), pathLength, isCa = true, days = 3650, extensions = []} = options
  const {usage = 'critical,keyCertSign,cRLSign', subject = `/O=Example/CN=${name}`} = options
  const files = {certificate: path.join(folder, `${name}.pem`), key: path.join(folder, `${name}-key.pem`)}
  const constraints = `basicConstraints=critical,CA:${isCa ? 'TRUE' : 'FALSE'}${pathLength === undefined ? '' : `,pathlen:${pathLength}`}`
  const args = ['req', '-x509', '-nodes', '-days', String(days), '-subj', subject]
  const withKey = options.useKey === true ? ['-key', files.key] : ['-newkey', ...newkey, '-keyout', files.key]
  const by = signer === undefined ? [] : ['-CA', signer.files.certificate, '-CAkey', signer.files.key]
  const added = [constraints, `keyUsage=${usage}`, ...extensions].flatMap(extension => ['-addext', extension])
  execFileSync('openssl', [...args, ...by, ...added, ...withKey, '-out', files.certificate], {stdio: 'pipe'})
  return {certificate: readFileSync(files.certificate, 'utf8'), key: new SecretText(readFileSync(files.key, 'utf8')), files}
}
