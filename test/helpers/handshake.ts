/** One TLS 1.3 handshake of node:tls with mutual certificates, anchored as Atlas anchors them. */
import {type TLSSocket, connect, createSecureContext, createServer} from 'node:tls'
import type {CertifiedKey} from '../../src/lib/model/authority.js'
import {readCertificate} from './pki.js'

export interface Side {
  readonly own: CertifiedKey
  readonly trusts: string
}

export interface Seen {
  /** Whether each side accepts the other. */
  readonly server: string
  readonly client: string
  /** The client's names, as the server reads them. */
  readonly uris: readonly string[]
}

/** Both sides present a certificate, and look at the other's without ending the connection. */
export async function handshake(server: Side, client: Side & {readonly dials: string}): Promise<Seen> {
  const options = ({own, trusts}: Side): object => ({
    cert: own.certificate,
    key: own.key.reveal(),
    ca: trusts,
    allowPartialTrustChain: true,
    rejectUnauthorized: false,
    minVersion: 'TLSv1.3',
  })
  // Node's TLS server drops allowPartialTrustChain from its own options; a context made apart keeps it.
  const context = createSecureContext(options(server))
  const listener = createServer({...options(server), requestCert: true, SNICallback: (_, done) => done(null, context)})
  await new Promise<void>(resolve => listener.listen(0, '127.0.0.1', resolve))
  try {
    const accepted = new Promise<TLSSocket>((resolve, reject) => {
      listener.once('secureConnection', resolve)
      listener.once('tlsClientError', reject)
    })
    const {port} = listener.address() as {port: number}
    const socket = connect({...options(client), host: '127.0.0.1', port, servername: client.dials})
    await new Promise<void>((resolve, reject) => {
      socket.once('secureConnect', resolve)
      socket.once('error', reject)
    })
    const peer = await accepted
    const {raw} = peer.getPeerCertificate()
    const {uris} = readCertificate(`-----BEGIN CERTIFICATE-----\n${raw.toString('base64')}\n-----END CERTIFICATE-----\n`)
    const seen = {server: verdict(peer), client: verdict(socket), uris}
    socket.destroy()
    peer.destroy()
    return seen
  } finally {
    listener.close()
  }
}

function verdict(socket: TLSSocket): string {
  if (socket.authorized) return 'authorized'
  const error: unknown = socket.authorizationError
  return error instanceof Error ? ((error as NodeJS.ErrnoException).code ?? error.message) : String(error)
}
