/** Chains and handshakes as an independent program, openssl, judges them. */
import {spawn, spawnSync} from 'node:child_process'
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import path from 'node:path'
import type {CertifiedKey} from '../../src/lib/model/authority.js'
import type {HostPort} from '../../src/lib/model/address.js'
import {parseCertificates} from '../../src/lib/pki/pem.js'

export interface SClient extends HostPort {
  /** SNI, and the name that the server's certificate must have. */
  readonly servername: string
  /** PEM: all that the client trusts. */
  readonly trusts: string
  /** Whether an issuer may be trusted without its root, as Envoys do with what SDS delivers. */
  readonly isPartial: boolean
  readonly shows: CertifiedKey
}

export interface Handshake {
  /** Such as `0 (ok)`; empty where there was no handshake. */
  readonly verifyReturnCode: string
  readonly protocol: string
  /** Whether the server answered HTTP/2 afterwards: with TLS 1.3 it judges the client's certificate after the client's handshake. */
  readonly isAnswered: boolean
  /** PEM: the chain that the server showed. */
  readonly shown: string
}

/** The client's preface of HTTP/2 and an empty SETTINGS frame. */
const PREFACE = Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0])])

/** Runs `openssl s_client`, strict, until the server answers or ends the connection; at most 10 s. */
export async function sClient({host, port, servername, trusts, isPartial, shows}: SClient): Promise<Handshake> {
  return inFiles(async write => {
    const [leaf = '', ...chain] = parseCertificates(shows.certificate).map(String)
    const checks = ['-verify_return_error', '-x509_strict', '-verify_hostname', servername, ...(isPartial ? ['-partial_chain'] : [])]
    const own = ['-cert', write(leaf), '-cert_chain', write(chain.join('')), '-key', write(shows.key.reveal())]
    const args = [
      '-connect',
      `${host}:${port}`,
      '-servername',
      servername,
      '-CAfile',
      write(trusts),
      '-tls1_3',
      '-alpn',
      'h2',
      '-showcerts',
    ]
    const child = spawn('openssl', ['s_client', ...args, ...checks, ...own], {stdio: ['pipe', 'pipe', 'ignore']})
    let output = ''
    // A frame of HTTP/2 begins with a zero byte, which no text of openssl has.
    const isAnswered = (): boolean => output.includes('\0')
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(resolve, 10_000)
      child.on('error', reject)
      child.on('close', () => {
        clearTimeout(timer)
        resolve()
      })
      child.stdin.on('error', () => undefined)
      child.stdout.on('data', (chunk: Buffer) => {
        const wasVerified = output.includes('Verify return code')
        output += chunk.toString('latin1')
        if (!wasVerified && output.includes('Verify return code')) child.stdin.write(PREFACE)
        if (isAnswered()) child.stdin.end()
      })
    }).finally(() => child.kill())
    return {
      verifyReturnCode: /Verify return code: (.*)/.exec(output)?.[1] ?? '',
      protocol: /New, (TLSv[\d.]+),/.exec(output)?.[1] ?? '',
      isAnswered: isAnswered(),
      shown: (output.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n/g) ?? []).join(''),
    }
  })
}

/** What `openssl verify -x509_strict` says against a chain, whose leaf is its first certificate; empty: nothing. */
export async function objectionTo(chain: string, roots: string, purpose: 'sslclient' | 'sslserver'): Promise<string> {
  return inFiles(async write => {
    const [leaf = '', ...others] = parseCertificates(chain).map(String)
    const untrusted = others.length === 0 ? [] : ['-untrusted', write(others.join(''))]
    const args = ['verify', '-x509_strict', '-purpose', purpose, '-CAfile', write(roots), ...untrusted, write(leaf)]
    const {status, stderr} = spawnSync('openssl', args, {encoding: 'utf8'})
    return status === 0 ? '' : stderr || `exit code ${status ?? 'none'}`
  })
}

async function inFiles<T>(use: (write: (text: string) => string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(path.join(tmpdir(), 'atlas-openssl-'))
  let files = 0
  try {
    return await use(text => {
      const file = path.join(folder, `${(files += 1)}.pem`)
      writeFileSync(file, text, {mode: 0o600})
      return file
    })
  } finally {
    rmSync(folder, {recursive: true})
  }
}
