/**
 * A root from outside: a CA certificate, usually an intermediate of a company's CA, with its key or without it. It is the trust anchor
 * itself; nothing that stands above it is trusted. Whether it is taken is decided here, and where it comes from by the callers.
 */
import type {X509Certificate} from 'node:crypto'
import {type CertifiedKey, keptElsewhere} from '../model/authority.js'
import {renderTime} from '../model/duration.js'
import {AtlasError, quote} from '../model/errors.js'
import {annotations, labels} from '../model/names.js'
import type {SecretText} from '../model/secret.js'
import type {Settings} from '../model/settings.js'
import {fieldOf, readFields} from './fields.js'
import type {Purpose} from './certificate-specs.js'
import {whyNoAuthority, whyNoSigner} from './issue.js'
import {whyNamesForbidden} from './name-constraints.js'
import {parseCertificates, renderCertificates} from './pem.js'
import {type CertificateFacts, type KeyFacts, readKey} from './read.js'
import {CLOCK_SKEW} from './rotation.js'
import {isSignedBy} from './signed.js'

/** A certificate that is to sign, from outside. */
export interface OutsideCertificate {
  /** PEM: the certificate, and the chain behind it, in this order. */
  readonly certificate: string
  /** Absent: it is kept offline, which only that of a root may be. */
  readonly key?: SecretText | undefined
  /** PEM: certificates one of which ends the chain, such as `ca.crt` of a cert-manager Secret. */
  readonly above?: string
  /** For messages, such as "the certificate in ca.pem". */
  readonly name: string
  /** Where it comes from, for what a person is to do about it; by default from files that the flags of a command name. */
  readonly from?: 'files' | 'secret'
}

/** A root must have so much of its life left, unless an operator takes less: each new root asks for work in every cluster. */
export const ROOT_LEFT_DAYS = 365

/**
 * The root with its own certificate alone. What is behind it in the file must verify, and is left out.
 * @param anyAge whether a root that ends within a year is taken
 * @throws AtlasError `invalid` with the reason for which it is refused; it never carries a byte of the key
 */
export function importRoot(
  {certificate, key, above, name, from = 'files'}: OutsideCertificate,
  settings: Settings,
  {now, anyAge}: {readonly now: Date; readonly anyAge: boolean},
): CertifiedKey {
  const refuse = refuserOf(name, 'the root')
  if ((above?.length ?? 0) > TEXT_MAX) throw refuse(`what stands above it is longer than ${TEXT_MAX} characters`)
  const [own, chain] = chainIn(certificate, name, refuse)
  const root: CertifiedKey = {certificate: renderCertificates([own]), key: key ?? keptElsewhere}
  const facts = readKey(root, name)
  const fault = whyUnusable(facts, ['server', 'client'], now)
  if (fault !== undefined) throw refuse(`it ${fault}`)
  if (facts.pathLength === 0)
    throw refuse('it has the path length 0, and 1 is needed, because Atlas makes two issuers below it', remedies[from].pathLength)
  const broken = whyBroken(withAbove(chain, above, name), now, {below: 1})
  if (broken !== undefined) throw refuse(broken, remedies[from].chain)
  const forbidden = whyForbidden(own, chain, settings)
  if (forbidden !== undefined) throw refuse(`it ${forbidden}`)
  if (!anyAge && facts.notAfter.getTime() < now.getTime() + ROOT_LEFT_DAYS * 86_400_000)
    throw refuse(
      `it ends on ${renderTime(facts.notAfter)}, within a year, and each new root asks for work in every cluster`,
      remedies[from].age,
    )
  return root
}

/** What a person does about a root that is refused. No command takes one that a watched Secret offers: its certificate, or the Secret itself, is changed. */
const remedies: Readonly<Record<'files' | 'secret', Readonly<Record<'age' | 'chain' | 'pathLength', string>>>> = {
  files: {
    age: 'take one that lives longer; --yes takes this one',
    chain: 'put behind the certificate those that signed it, each followed by its signer, or none',
    pathLength:
      'ask for an intermediate certificate with the path length 1; or bring two of one CA with the path length 0, with --issuer-cert, --issuer-key, --credential-issuer-cert and --credential-issuer-key in place of --ca-cert; or leave the root to Atlas',
  },
  secret: {
    age: `have one that lives longer issued into the Secret (cert-manager: spec.duration of its Certificate); or annotate the Secret with ${annotations.anyAge}: "true" to take this one`,
    chain: `put behind the certificate in tls.crt those that signed it, each followed by its signer, or none; ca.crt holds what stands above the last one`,
    pathLength: `have an intermediate certificate with the path length 1 issued into the Secret, by an issuer that may sign one; or take the label ${labels.authority} off the Secret and bring files`,
  },
}

const TEXT_MAX = 65_536
const CHAIN_MAX = 8

type Refuser = (why: string, hint?: string) => AtlasError

/** Makes the errors for a certificate that cannot be `what`. */
export function refuserOf(name: string, what: string): Refuser {
  return (why, hint) => new AtlasError('invalid', `${name} cannot be ${what}: ${why}`, hint === undefined ? {} : {hint})
}

/** The first certificate of a file from outside, and all of them. @throws AtlasError `invalid` */
export function chainIn(text: string, name: string, refuse: Refuser): readonly [X509Certificate, readonly X509Certificate[]] {
  if (text.length > TEXT_MAX) throw refuse(`its file is longer than ${TEXT_MAX} characters`)
  const chain = parseCertificates(text, name)
  const [own] = chain
  if (own === undefined || chain.length > CHAIN_MAX) throw refuse(`more than ${CHAIN_MAX} certificates are in its file`)
  return [own, chain]
}

/** Why a certificate from outside cannot sign for these purposes. Completes "it …". */
export function whyUnusable(facts: KeyFacts, purposes: readonly Purpose[], now: Date): string | undefined {
  return (facts.hasKey ? whyNoSigner(facts, now) : whyNoAuthority(facts, now)) ?? whyNotAbove(facts, purposes, now)
}

/** Certificates that Atlas makes have no such faults. */
function whyNotAbove(facts: CertificateFacts, purposes: readonly Purpose[], now: Date): string | undefined {
  if (facts.subject === '') return 'has no subject'
  if (facts.notBefore.getTime() > now.getTime() + CLOCK_SKEW * 1000) return `is valid from ${facts.notBefore.toISOString()} only`
  const lacking = purposes.find(purpose => facts.purposes?.includes(purpose) === false)
  return lacking === undefined ? undefined : `signs no certificates for the purpose "${lacking}"`
}

/** The chain, and the one of `above` that signed its last certificate; as it is where that one is in it already. */
function withAbove(chain: readonly X509Certificate[], above: string | undefined, name: string): readonly X509Certificate[] {
  const last = chain.at(-1)
  if (above === undefined || above.trim() === '' || last === undefined) return chain
  const anchors = parseCertificates(above, `what stands above ${name}`)
  if (anchors.length > CHAIN_MAX || anchors.some(({fingerprint256}) => fingerprint256 === last.fingerprint256)) return chain
  const signer = anchors.find(anchor => isSignedBy(last, anchor)) ?? anchors[0]
  return signer === undefined ? chain : [...chain, signer]
}

/**
 * Each certificate must be signed by the one behind it. The path length counts the issuers below: those before it in the chain, and those that
 * Atlas makes below the first (`below`).
 */
export function whyBroken(chain: readonly X509Certificate[], now: Date, {below}: {readonly below: 0 | 1}): string | undefined {
  for (const [index, certificate] of chain.entries()) {
    const which = `certificate ${index + 1} of its chain`
    const signer = chain[index + 1]
    const {pathLength} = readFields(certificate.raw)
    if (index > 0 && (!fieldOf(certificate, 'ca', which) || (pathLength !== undefined && pathLength < index + below)))
      return `${which} may not have so many issuers below it`
    const [from, until] = [fieldOf(certificate, 'validFromDate', which), fieldOf(certificate, 'validToDate', which)]
    if (until <= now || from.getTime() > now.getTime() + CLOCK_SKEW * 1000)
      return `${which} is valid from ${from.toISOString()} until ${until.toISOString()}`
    if (signer !== undefined && !isSignedBy(certificate, signer)) return `${which} was not signed by the certificate that follows it`
    const isItsOwn = fieldOf(certificate, 'subject', which) === fieldOf(certificate, 'issuer', which)
    if (signer === undefined && isItsOwn && !isSignedBy(certificate, certificate)) return `the signature of ${which} is wrong`
  }

  return undefined
}

/** By any certificate of the chain: what stands above may be in force elsewhere. Completes "it …". */
export function whyForbidden(own: X509Certificate, chain: readonly X509Certificate[], settings: Settings): string | undefined {
  const [unknown] = readFields(own.raw).unknownCritical
  if (unknown !== undefined) return `has a critical extension that verifiers may not know (${quote(unknown)})`
  return chain
    .flatMap(({raw}) => readFields(raw).nameConstraints ?? [])
    .map(extension => whyNamesForbidden(extension, settings))
    .find(why => why !== undefined)
}
