/** Admission to the server's web pages: the observability Envoy alone may ask for them. TLS has verified the connection before. Pure. */
import {quote} from '../../lib/model/errors.js'
import type {Fleet} from '../../lib/model/fleet.js'
import {spiffe} from '../../lib/model/names.js'
import {type Denied, type Peer, deny} from '../mtls/denial.js'

/** Judged again at each request: a connection may outlive its certificate, or the issuer of that. Undefined: admitted. */
export function denialOf({settings, trust}: Fleet, peer: Peer | undefined, now: Date): Denied | undefined {
  if (settings === undefined || trust === undefined) return deny('not-initialized', 'this server has no settings or no trust bundle yet')
  if (peer === undefined) return deny('certificate-missing', 'the connection carries no client certificate that can be read')
  const wanted = spiffe.observability(settings.trustDomain)
  const [uri = '', ...more] = peer.uris
  if (uri !== wanted || more.length > 0)
    return deny(
      'certificate-name',
      `the certificate's name ${quote(peer.uris.join(', '))} is not accepted on the pages port; wanted ${wanted}`,
    )
  if (peer.notAfter < now || peer.notBefore > now)
    return deny(
      'certificate-expired',
      `the certificate of ${quote(uri)} is valid from ${peer.notBefore.toISOString()} to ${peer.notAfter.toISOString()}`,
    )
  if (!peer.isSignedBy(trust.issuers))
    return deny('certificate-issuer', `the certificate of ${quote(uri)} is not signed by an issuer in force`)
  return undefined
}
