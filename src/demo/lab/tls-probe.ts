/** Connects to a TLS port and counts the bytes that it sends: compares a refused client with an admitted one. */
import {type TLSSocket, connect} from 'node:tls'
import {setTimeout as sleep} from 'node:timers/promises'
import type {HostPort} from '../../lib/model/address.js'
import type {CertifiedKey} from '../../lib/model/authority.js'

export interface TlsTarget extends HostPort {
  /** SNI; a name on the server's certificate. */
  readonly servername: string
  /** PEM: the certificates by which the client verifies the server. */
  readonly ca: readonly string[]
}

export interface TlsClient {
  /** Undefined: the client shows none. */
  readonly certificate?: CertifiedKey
  readonly maxVersion?: 'TLSv1.2' | 'TLSv1.3'
}

export interface TlsProbe {
  /** How many bytes the server sent inside TLS. */
  readonly bytes: number
  /** The TLS alert, such as `certificate required`; undefined where there was none. */
  readonly alert: string | undefined
  /** The serial number of the server's certificate, lower-case hex. */
  readonly serial: string | undefined
}

/**
 * Completes a handshake, sends HTTP/2's client preface, and waits for the first byte or the end of the connection.
 * @throws Error when the server can't be reached, or its certificate can't be verified
 */
export async function probeTls(target: TlsTarget, client: TlsClient): Promise<TlsProbe> {
  return probe(target, client, VERIFICATION_MS)
}

/**
 * As `probeTls`, for a client that is refused with an alert. On a busy machine the server may verify the certificate later than the client sends
 * its first bytes, which turn the alert into a reset: then the client connects again, and waits for longer before it sends them.
 */
export async function probeUntilAlert(target: TlsTarget, client: TlsClient): Promise<TlsProbe> {
  let last = await probe(target, client, VERIFICATION_MS)
  for (const waitMs of LATE_VERIFICATION_MS) {
    if (last.alert !== undefined || last.bytes > 0) return last
    last = await probe(target, client, waitMs)
  }

  return last
}

async function probe(target: TlsTarget, client: TlsClient, waitMs: number): Promise<TlsProbe> {
  const timeoutMs = waitMs + ANSWER_MS
  const socket = connect({...tlsOptions(target, client), host: target.host, port: target.port, ALPNProtocols: ['h2']})
  let bytes = 0
  let serial: string | undefined
  const alert = await new Promise<string | undefined>((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new Error(`${target.host}:${target.port} neither answered nor closed within ${timeoutMs / 1000} s`))
    }, timeoutMs)
    const settle = (text: string | undefined): void => {
      clearTimeout(timer)
      resolve(text)
    }
    socket.once('secureConnect', () => {
      serial = socket.getPeerCertificate().serialNumber.toLowerCase()
      void greet(socket, waitMs)
    })
    socket.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      settle(undefined)
    })
    socket.on('error', (error: TlsError) => {
      if (isRefusal(error)) settle(alertOf(error))
      else {
        clearTimeout(timer)
        reject(error)
      }
    })
    socket.on('close', () => {
      settle(undefined)
    })
  }).finally(() => {
    socket.destroy()
  })
  return {bytes, alert, serial}
}

/** Options of node:tls and node:http2 for connecting to a target; the issuers in force are trust anchors, without their root. */
export function tlsOptions({servername, ca}: Pick<TlsTarget, 'ca' | 'servername'>, {certificate, maxVersion}: TlsClient) {
  return {
    servername,
    ca: [...ca],
    allowPartialTrustChain: true,
    maxVersion: maxVersion ?? ('TLSv1.3' as const),
    ...(certificate !== undefined && {cert: certificate.certificate, key: certificate.key.reveal()}),
  }
}

/** The client's preface of HTTP/2 and an empty SETTINGS frame: a server answers with its own (RFC 9113, 3.4). */
const GREETING = Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0])])

/**
 * How long the client waits before its first bytes. In TLS 1.3 the server verifies the client's certificate after the client's handshake is
 * done: bytes that arrive meanwhile would turn the server's alert into a reset.
 */
const VERIFICATION_MS = 150

/** The same in further tries, for a server that gets its turn late. */
const LATE_VERIFICATION_MS = [1000, 5000]

/** How long the client waits for an answer to its first bytes. */
const ANSWER_MS = 10_000

interface TlsError extends NodeJS.ErrnoException {
  readonly reason?: string
}

async function greet(socket: TLSSocket, waitMs: number): Promise<void> {
  await sleep(waitMs)
  if (!socket.destroyed) socket.write(GREETING)
}

function isRefusal({code = ''}: TlsError): boolean {
  return /ALERT|^ECONNRESET$|^EPIPE$/.test(code)
}

function alertOf({code = '', reason = ''}: TlsError): string | undefined {
  if (!code.includes('ALERT')) return undefined
  return reason.replace(/^.*alert /, '')
}
