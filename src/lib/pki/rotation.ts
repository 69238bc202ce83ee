/** When a certificate is to be replaced. The stages of replacing an issuer or a root will stand here too; leaves need this alone. */
import type {CertificateFacts} from './read.js'
import type {CertificateSpec} from './certificate-specs.js'

/** How far before the present a certificate's life begins, in seconds, so that clocks which differ accept it. */
export const BACKDATED = 600

/** How far the clocks of two machines may differ, in seconds: a certificate is admitted for so long after its end. */
export const CLOCK_SKEW = 300

/** Over which part of its life renewals are spread, so that certificates issued together are not replaced together. */
const JITTER = 0.05

/**
 * From when on a certificate is to be replaced: after `wanted.renewal` of the life that it had when it was issued, and up to a
 * twentieth of that life later, by its serial. One that ends no earlier than the issuers in force gains nothing by being issued
 * anew: it is left until its end, or until there is an issuer that lives longer.
 */
export function renewAt(facts: CertificateFacts & {readonly issuersEnd?: Date | undefined}, wanted: CertificateSpec): Date {
  if (facts.issuersEnd !== undefined && facts.notAfter >= facts.issuersEnd) return facts.notAfter
  const issued = issuedAt(facts)
  const life = facts.notAfter.getTime() - issued
  return new Date(issued + life * (wanted.renewal + JITTER * fractionOf(facts.serial)))
}

/** Milliseconds since 1970; the backdating is no part of its life. */
function issuedAt(facts: CertificateFacts): number {
  return Math.min(facts.notBefore.getTime() + BACKDATED * 1000, facts.notAfter.getTime())
}

/** From 0 up to 1, by the last 32 bits of a serial in hex. */
function fractionOf(serial: string): number {
  return Number.parseInt(serial.slice(-8), 16) / 2 ** 32
}
