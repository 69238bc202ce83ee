/** A root that is kept offline, as openssl makes it, and what its owner signs: requests of Atlas, by the command that Atlas prints. */
import {execFileSync} from 'node:child_process'
import {readFileSync, writeFileSync} from 'node:fs'
import path from 'node:path'
import type {CertifiedKey} from '../../src/lib/model/authority.js'
import {defaultSettings} from '../../src/lib/model/settings.js'
import {renderExtensions, requestCertificate} from '../../src/lib/pki/certificate-request.js'
import {credentialIssuerSpec, issuerSpec} from '../../src/lib/pki/certificate-specs.js'
import type {IssuerPart, Outside} from '../../src/lib/pki/import-issuer.js'
import {cryptoSigner} from '../../src/lib/pki/signer.js'
import {type OutsideCa, makeCa} from './outside-ca.js'
import type {Ran} from './ran.js'

export interface SignOptions {
  readonly days?: number
  /** In place of those that the request asks for; as `openssl x509 -extfile` reads them. */
  readonly extensions?: string
  /** In place of the root. */
  readonly by?: OutsideCa
  /** Over which the signature is; SHA-256 by default. */
  readonly digest?: 'sha1' | 'sha256' | 'sha384'
}

export interface OfflineRoot {
  readonly ca: OutsideCa
  /** As a certificate from outside, without its key. */
  readonly given: Outside
  /** Signs the request in a file. @returns PEM */
  sign(request: string, extensions: string, options?: SignOptions): string
  /** Makes a request as Atlas does, and signs it. */
  issue(part: IssuerPart, options?: SignOptions): CertifiedKey & Outside
}

const specs = {issuer: issuerSpec(defaultSettings), credentialIssuer: credentialIssuerSpec(defaultSettings)}

/** With a path length of 1, in `folder`. */
export function makeOfflineRoot(folder: string, name = 'offline'): OfflineRoot {
  const ca = makeCa(folder, name, {pathLength: 1})
  const file = (what: string): string => path.join(folder, `${name}-${what}`)

  function sign(request: string, extensions: string, {days = 3650, by = ca, digest = 'sha256'}: SignOptions = {}): string {
    const signing = ['-CA', by.files.certificate, '-CAkey', by.files.key, '-CAcreateserial', `-${digest}`, '-days', String(days)]
    execFileSync('openssl', ['x509', '-req', '-in', request, '-extfile', extensions, ...signing, '-out', file('signed.pem')], {
      stdio: 'pipe',
    })
    return readFileSync(file('signed.pem'), 'utf8')
  }

  return {
    ca,
    given: {certificate: ca.certificate, name: 'the certificate in "root.pem"', anyAge: false},
    sign,
    issue(part, options = {}) {
      const {request, key} = requestCertificate(specs[part], cryptoSigner)
      writeFileSync(file('request.csr'), request)
      writeFileSync(file('request.ext'), options.extensions ?? renderExtensions(specs[part]))
      const certificate = sign(file('request.csr'), file('request.ext'), options)
      return {certificate, key, name: `the certificate in "${part}.pem"`, anyAge: false}
    },
  }
}

/** Runs the openssl commands that Atlas has printed for the requests in a folder, with these roots beside them. */
export function runPrinted(
  {stdout, stderr}: Ran,
  requests: string,
  {root, next}: {readonly root: OutsideCa; readonly next: OutsideCa},
): void {
  const commands = `${stdout}${stderr}`.split('\n').filter(line => line.includes('openssl x509 -req'))
  if (commands.length === 0) throw new Error(`no openssl command was printed: ${stdout}${stderr}`)
  for (const [name, ca] of [
    ['ca', root],
    ['next-ca', next],
  ] as const) {
    writeFileSync(path.join(requests, `${name}.pem`), ca.certificate)
    writeFileSync(path.join(requests, `${name}-key.pem`), ca.key.reveal(), {mode: 0o600})
  }

  for (const command of commands) execFileSync('sh', ['-c', command], {cwd: requests, stdio: 'pipe'})
}
