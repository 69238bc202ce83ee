/** Reads the client certificate of a connection. What it allows is decided in admission.ts. */
import {X509Certificate} from 'node:crypto'
import type {PeerCertificate} from 'node:tls'
import {remember} from '../../lib/model/remember.js'
import {readAlternativeNames} from '../../lib/pki/alternative-names.js'
import {issuerOf} from '../../lib/pki/signed.js'
import type {Peer} from './denial.js'

/** Of a connection, or what grpc-js has made of its certificate. */
export type PeerReader = (certificate: X509Certificate | Pick<PeerCertificate, 'fingerprint256' | 'raw'>) => Peer | undefined

/** Certificates that are remembered; when there are more, all are forgotten and read again. */
const REMEMBERED = 4096

/**
 * Reads peers and remembers them by fingerprint: one relay connection carries the streams of a whole fleet.
 * The reader returns undefined for a certificate that does not decode.
 */
export function openPeerReader(): PeerReader {
  const known = new Map<string, Peer>()
  return certificate => {
    const {fingerprint256} = certificate
    const before = known.get(fingerprint256)
    if (before !== undefined) return before
    const peer = readPeer(certificate)
    if (peer === undefined) return undefined
    if (known.size >= REMEMBERED) known.clear()
    known.set(fingerprint256, peer)
    return peer
  }
}

/** Undefined for a certificate that does not decode. */
export function readPeer(of: Parameters<PeerReader>[0]): Peer | undefined {
  try {
    const certificate = of instanceof X509Certificate ? of : new X509Certificate(of.raw)
    const {uris} = readAlternativeNames(certificate.subjectAltName, 'the client certificate')
    const [notBefore, notAfter] = [certificate.validFromDate, certificate.validToDate]
    // Dates that don't decode would compare as neither early nor late.
    if (Number.isNaN(notBefore.getTime()) || Number.isNaN(notAfter.getTime())) return undefined
    return {
      uris,
      sha256: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
      notBefore,
      notAfter,
      isSignedBy: remember((issuers: readonly string[]) => isSigned(certificate, issuers)),
    }
  } catch {
    return undefined
  }
}

/** False where the issuers don't decode. */
function isSigned(certificate: X509Certificate, issuers: readonly string[]): boolean {
  try {
    return issuerOf(certificate, issuers) !== undefined
  } catch {
    return false
  }
}
