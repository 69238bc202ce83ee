/** The certificates in real TLS 1.3 handshakes of node:tls, anchored as Atlas anchors them. */
import {type TLSSocket, connect, createSecureContext, createServer} from 'node:tls'
import {expect} from 'chai'
import type {CertifiedKey} from '../../src/lib/model/authority.js'
import {parseClusterName, sni} from '../../src/lib/model/names.js'
import {credentialSpec, identitySpec, issuerSpec, serverSpec} from '../../src/lib/pki/certificate-specs.js'
import {issue, issueCredential} from '../../src/lib/pki/issue.js'
import {readCertificate, testAuthority} from '../helpers/pki.js'

const now = new Date()
const PARIS = parseClusterName('paris')

describe('pki, in TLS handshakes', () => {
  const {settings, signer, root, issuer, credentialIssuer} = testAuthority(now)
  const domain = settings.trustDomain
  const identity = issue(identitySpec(settings, PARIS, 1), issuer, now, signer)
  const observability = issue(identitySpec(settings, 'atlas', 1), issuer, now, signer)
  const server = issue(serverSpec(settings), issuer, now, signer)
  const credential = issueCredential(credentialSpec(settings, PARIS, 1), credentialIssuer, [root.certificate], now, signer)

  it('data plane: both sides trust only the issuer', async () => {
    const seen = await handshake(
      {own: identity, trusts: issuer.certificate},
      {own: observability, trusts: issuer.certificate, dials: sni.downstream(domain, PARIS)},
    )
    expect(seen).to.deep.equal({server: 'authorized', client: 'authorized', uris: ['spiffe://atlas.internal/observability']})
  })

  it('data plane: the leaf of a retired issuer of the same root is refused', async () => {
    const retired = issue(issuerSpec(settings), root, now, signer)
    const old = issue(identitySpec(settings, 'atlas', 1), retired, now, signer)
    const seen = await handshake(
      {own: identity, trusts: issuer.certificate},
      {own: old, trusts: issuer.certificate, dials: sni.downstream(domain, PARIS)},
    )
    expect(seen.server).to.equal('UNABLE_TO_GET_ISSUER_CERT_LOCALLY')
  })

  it('control plane: the server admits the credential, whose roots verify the server', async () => {
    const seen = await handshake(
      {own: server, trusts: credentialIssuer.certificate},
      {own: credential, trusts: credential.roots, dials: sni.ads(domain)},
    )
    expect(seen).to.deep.equal({server: 'authorized', client: 'authorized', uris: ['spiffe://atlas.internal/ads-client/paris/1']})
  })

  it('control plane: an identity is refused', async () => {
    const seen = await handshake(
      {own: server, trusts: credentialIssuer.certificate},
      {own: identity, trusts: root.certificate, dials: sni.ads(domain)},
    )
    expect(seen.server).to.equal('UNABLE_TO_GET_ISSUER_CERT_LOCALLY')
  })

  it('a credential is refused as a server, even by a client that trusts its issuer', async () => {
    const seen = await handshake(
      {own: credential, trusts: issuer.certificate},
      {own: observability, trusts: root.certificate, dials: sni.ads(domain)},
    )
    expect(seen.client).to.equal('INVALID_PURPOSE')
  })
})

interface Side {
  readonly own: CertifiedKey
  readonly trusts: string
}

interface Seen {
  /** Whether each side accepts the other. */
  readonly server: string
  readonly client: string
  /** The client's names, as the server reads them. */
  readonly uris: readonly string[]
}

async function handshake(server: Side, client: Side & {readonly dials: string}): Promise<Seen> {
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
