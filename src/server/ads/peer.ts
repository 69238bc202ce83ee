/** The certificate at the other end of a connection, as facts. What they open is decided in admission.ts. */
import {X509Certificate} from 'node:crypto'
import type {PeerCertificate} from 'node:tls'
import {readAlternativeNames} from '../../lib/pki/alternative-names.js'
import {issuerOf} from '../../lib/pki/signed.js'
import type {Peer} from './admission.js'

export type PeerReader = (certificate: Pick<PeerCertificate, 'fingerprint256' | 'raw'>) => Peer | undefined

/** As many are remembered; a fleet larger than that reads some again. */
const REMEMBERED = 4096

/**
 * Reads peers and remembers them by fingerprint: one relay connection carries the streams of a whole fleet.
 * The reader answers undefined for a certificate that does not decode.
 */
export function openPeerReader(): PeerReader {
  const known = new Map<string, Peer>()
  return certificate => {
    const before = known.get(certificate.fingerprint256)
    if (before !== undefined) return before
    const peer = readPeer(certificate.raw)
    if (peer === undefined) return undefined
    if (known.size >= REMEMBERED) known.clear()
    known.set(certificate.fingerprint256, peer)
    return peer
  }
}

function readPeer(der: Uint8Array): Peer | undefined {
  try {
    const certificate = new X509Certificate(der)
    const {uris} = readAlternativeNames(certificate.subjectAltName, 'the client certificate')
    const [notBefore, notAfter] = [certificate.validFromDate, certificate.validToDate]
    // Dates that don't decode would compare as neither early nor late.
    if (Number.isNaN(notBefore.getTime()) || Number.isNaN(notAfter.getTime())) return undefined
    let judged: {readonly issuers: readonly string[]; readonly verdict: boolean} | undefined
    return {
      uris,
      sha256: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
      notBefore,
      notAfter,
      isSignedBy(issuers) {
        if (judged?.issuers !== issuers) judged = {issuers, verdict: isSigned(certificate, issuers)}
        return judged.verdict
      },
    }
  } catch {
    return undefined
  }
}

/** Issuers that don't decode vouch for nobody. */
function isSigned(certificate: X509Certificate, issuers: readonly string[]): boolean {
  try {
    return issuerOf(certificate, issuers) !== undefined
  } catch {
    return false
  }
}
