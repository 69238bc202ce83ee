/** The certificates in real TLS 1.3 handshakes of node:tls, anchored as Atlas anchors them. */
import {expect} from 'chai'
import {parseClusterName, sni} from '../../src/lib/model/names.js'
import {credentialSpec, identitySpec, issuerSpec, serverSpec} from '../../src/lib/pki/certificate-specs.js'
import {issue, issueCredential} from '../../src/lib/pki/issue.js'
import {handshake} from '../helpers/handshake.js'
import {testAuthority} from '../helpers/pki.js'

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
