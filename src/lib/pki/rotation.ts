/** When a certificate is to be replaced, and the clock differences that certificates allow for. */
import type {CertificateSpec} from './certificate-specs.js'
import type {CertificateFacts} from './read.js'
import type {SignedFacts} from './signed.js'

/** How far before the present a certificate's life begins, in seconds, so that clocks which differ accept it. */
export const BACKDATED = 600

/** How far the clocks of two machines may differ, in seconds: a certificate is admitted for so long after its end. */
export const CLOCK_SKEW = 300

/** Over which part of its life renewals are spread, so that certificates issued together are not replaced together. */
const JITTER = 0.05

/** The last moment of a certificate that its signer still vouches for: its own end, or the end of the issuer that signed it. */
export function endOf({notAfter, signedBy}: SignedFacts): Date {
  return signedBy !== undefined && signedBy.notAfter < notAfter ? signedBy.notAfter : notAfter
}

/**
 * From when on a certificate is to be replaced: after `spec.renewal` of the life that it had when it was issued, and up to a
 * twentieth of that life later, by its serial. A certificate that ends no earlier than the issuers in force would gain nothing by
 * being issued again: it is left until its end, or until there is an issuer that lives longer.
 */
export function renewAt(facts: SignedFacts, spec: CertificateSpec): Date {
  const end = endOf(facts)
  if (facts.issuersEnd !== undefined && facts.notAfter >= facts.issuersEnd) return end
  const issued = issuedAt(facts)
  const life = facts.notAfter.getTime() - issued
  return new Date(Math.min(end.getTime(), issued + life * (spec.renewal + JITTER * fractionOf(facts.serial))))
}

/** Milliseconds since 1970; the backdating is no part of a certificate's life. */
export function issuedAt(facts: Pick<CertificateFacts, 'notAfter' | 'notBefore'>): number {
  return Math.min(facts.notBefore.getTime() + BACKDATED * 1000, facts.notAfter.getTime())
}

/** From 0 up to 1, by the last 32 bits of a serial in hex. */
function fractionOf(serial: string): number {
  return Number.parseInt(serial.slice(-8), 16) / 2 ** 32
}
