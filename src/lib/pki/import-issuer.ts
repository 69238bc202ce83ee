/**
 * The issuer and the credential issuer from outside. Either a root whose key is kept offline has signed both: Envoys trust that root in their
 * bootstraps, and the issuer alone for data, so that nothing else below the root opens a port. Or they are two intermediates of one CA which
 * may have no issuers below them (path length 0): then the issuer is the root, too, and nothing above it is trusted (`belongsTo` in signed.ts).
 */
import type {X509Certificate} from 'node:crypto'
import {type AuthorityPart, type CertifiedKey, type TrustBundle, keptElsewhere} from '../model/authority.js'
import {renderTime} from '../model/duration.js'
import {AtlasError, quote} from '../model/errors.js'
import type {RotationPart} from '../model/rotation.js'
import type {Settings} from '../model/settings.js'
import {type CertificateSpec, credentialIssuerSpec, issuerSpec} from './certificate-specs.js'
import {publicKeyOf, readFields} from './fields.js'
import {rootsIn} from './goatlas-root.js'
import {
  type OutsideCertificate,
  ROOT_LEFT_DAYS,
  chainIn,
  importRoot,
  refuserOf,
  whyBroken,
  whyForbidden,
  whyUnusable,
} from './import-root.js'
import {parseCertificates, renderCertificates} from './pem.js'
import {readKey} from './read.js'
import {belongsTo, isSameKey, isSignedBy} from './signed.js'

/** With whether one that ends soon is taken. */
export type Outside = OutsideCertificate & {readonly anyAge: boolean}

/** What a person, or a Secret, brings from outside. */
export type OutsideAuthority = Readonly<Partial<Record<AuthorityPart, Outside | undefined>>>

export type Authority = Readonly<Partial<Record<AuthorityPart, CertifiedKey>>>

/** SHA-256, lower-case hex, of those of these certificates that are there. @throws AtlasError `invalid` where one does not decode */
export function fingerprintsOf(authority: Authority, parts: readonly AuthorityPart[]): Partial<Record<AuthorityPart, string>> {
  return Object.fromEntries(parts.flatMap(part => (authority[part] === undefined ? [] : [[part, readKey(authority[part]).sha256]])))
}

export type IssuerPart = Exclude<AuthorityPart, 'root'>

export const issuerParts = ['issuer', 'credentialIssuer'] as const satisfies readonly IssuerPart[]

/** What certificates from outside are judged by. */
export interface Surroundings {
  /** What they replace, or begin: of `root` all three belong together. */
  readonly part: RotationPart
  readonly settings: Settings
  readonly now: Date
  /** The root in force; undefined: there is none. */
  readonly root: CertifiedKey | undefined
  /** The certificates in force, whose keys no other one may have. */
  readonly trust: TrustBundle | undefined
}

/**
 * Judges all that is brought together. Without a root among it, its issuers belong to the root in force.
 * @throws AtlasError `invalid` with the reason for which a certificate is refused, or for a set of certificates that is not complete; it never
 * carries a byte of a key
 */
export function importAuthority(given: OutsideAuthority, {part: rotated, settings, now, root: present, trust}: Surroundings): Authority {
  const both = intermediatesIn(given, rotated)
  if (both === undefined) requireSet(given, rotated)
  const authority = both === undefined ? importBelow(given, present, {settings, now}) : importIntermediates(both, {settings, now})
  const inForce = [...rootsIn(present), ...(trust === undefined ? [] : [trust.roots, trust.issuers, trust.credentialIssuers].flat())]
  requireOwnKeys(authority, inForce, present === undefined && trust === undefined ? 'init' : `rotate --${rotated}`)
  return authority
}

type Circumstances = Pick<Surroundings, 'now' | 'settings'>

/** @param present the root in force, below which issuers stand that come without a root */
function importBelow(given: OutsideAuthority, present: CertifiedKey | undefined, {settings, now}: Circumstances): Authority {
  const root = given.root && importRoot(given.root, settings, {now, anyAge: given.root.anyAge})
  if (given.root !== undefined) requireIssuers(given, given.root)
  const by = root ?? present
  const taken = issuerParts.flatMap(part => {
    const issuer = given[part]
    return issuer === undefined ? [] : [[part, importIssuer(part, issuer, by, {settings, now})] as const]
  })
  return {...(root !== undefined && {root}), ...Object.fromEntries(taken)}
}

type Intermediates = Readonly<Record<IssuerPart, Outside>>

/** Both issuers without a root, or with the issuer in its place, as a command has stored it. */
function intermediatesIn({root, issuer, credentialIssuer}: OutsideAuthority, rotated: RotationPart): Intermediates | undefined {
  if (rotated !== 'root' || issuer === undefined || credentialIssuer === undefined) return undefined
  return root === undefined || root.certificate === issuer.certificate ? {issuer, credentialIssuer} : undefined
}

/** The anchor of all bootstraps is the issuer itself, so that each must live as long as a root is asked to. */
function importIntermediates(both: Intermediates, circumstances: Circumstances): Authority {
  const [issuer, credentialIssuer] = [both.issuer, both.credentialIssuer].map(each => intermediateIn(each, circumstances))
  if (issuer === undefined || credentialIssuer === undefined || !belongsTo(credentialIssuer, issuer))
    throw new AtlasError('invalid', `${both.issuer.name} and ${both.credentialIssuer.name} were not signed by the same CA`, {
      hint: 'have one CA sign both; each names the key identifier of that CA',
    })
  const root: CertifiedKey = {certificate: renderCertificates([issuer]), key: keptElsewhere}
  const taken = issuerParts.map(part => [part, importIssuer(part, both[part], root, circumstances)] as const)
  return {root, ...Object.fromEntries(taken)}
}

/** What stands above it in its file must verify, and is left out. */
function intermediateIn({certificate, name}: Outside, {settings, now}: Circumstances): X509Certificate {
  const refuse = refuserOf(name, 'one of two intermediates')
  const [own, chain] = chainIn(certificate, name, refuse)
  const broken = whyBroken(chain, now, {below: 0})
  if (broken !== undefined) throw refuse(broken, 'put behind the certificate those that signed it, each followed by its signer, or none')
  const forbidden = whyForbidden(own, chain, settings)
  if (forbidden !== undefined) throw refuse(`it ${forbidden}`)
  if (readFields(own.raw).pathLength !== 0)
    throw refuse('it has not the path length 0', 'name the root that signed it with --ca-cert; one with a longer path is a root itself')
  if (isSignedBy(own, own)) throw refuse('it is self-signed', 'have a CA sign both issuers')
  return own
}

function requireSet(given: OutsideAuthority, rotated: RotationPart): void {
  const isOfRoot = given.root !== undefined || given.credentialIssuer !== undefined
  if (rotated === 'issuer' && isOfRoot)
    throw new AtlasError('invalid', 'a rotation of the issuer takes the certificate of the issuer alone', {
      hint: 'the root and the credential issuer are replaced together: "atlas rotate --root"',
    })
  if (rotated === 'root' && given.root === undefined && (given.issuer !== undefined || given.credentialIssuer !== undefined))
    throw new AtlasError('invalid', 'the certificates of the issuers come without that of the root that signed them', {
      hint: 'name it with --ca-cert; or bring both issuers, two intermediates with the path length 0',
    })
}

/** A root without its key can sign nothing here, and below one with its key Atlas makes the issuers. */
function requireIssuers(given: OutsideAuthority, {name, key}: Outside): void {
  const isAnyGiven = issuerParts.some(part => given[part] !== undefined)
  if (key !== undefined && isAnyGiven)
    throw new AtlasError('invalid', `${name} comes with its key, by which Atlas makes its issuers itself`, {
      hint: 'leave out --ca-key, or the issuers',
    })
  if (key !== undefined || issuerParts.every(part => given[part] !== undefined)) return
  throw new AtlasError('invalid', `${name} comes without its key, so that Atlas can make no issuers below it`, {
    hint: 'bring its key (--ca-key); or write requests for both issuers (the same command with --request DIR and without --ca-cert), have them signed, and add --certificate DIR',
  })
}

function importIssuer(
  part: IssuerPart,
  {certificate, key, name, anyAge}: Outside,
  root: CertifiedKey | undefined,
  {settings, now}: Circumstances,
): CertifiedKey {
  const {spec, leftDays: usual} = wanted(part, settings)
  const refuse = refuserOf(name, spec.name)
  const [own] = chainIn(certificate, name, refuse)
  if (key === undefined) throw refuse('its private key is missing', 'name the file with the key, too')
  const issuer: CertifiedKey = {certificate: renderCertificates([own]), key}
  const facts = readKey(issuer, name)
  const fault = whyUnusable(facts, spec.purposes, now) ?? whyForbidden(own, [own], settings)
  if (fault !== undefined) throw refuse(`it ${fault}`, SIGN_AS_ASKED)
  // Of two issuers with the same name, verifiers choose by these.
  if (facts.subjectKeyId === undefined || facts.authorityKeyId === undefined)
    throw refuse('it lacks its subject key identifier, or that of its signer', SIGN_AS_ASKED)
  if (root === undefined) throw refuse('there is no root that could have signed it')
  const anchors = rootsIn(root).flatMap(pem => parseCertificates(pem))
  const isRoot = anchors.some(anchor => anchor.raw.equals(own.raw))
  if (readKey(root).pathLength === 0 && part === 'issuer' && !isRoot)
    throw refuse('the present issuer is the root itself (path length 0), and is replaced together with the credential issuer', BRING_BOTH)
  const leftDays = isRoot ? ROOT_LEFT_DAYS : usual
  if (!anchors.some(anchor => belongsTo(own, anchor)))
    throw refuse(
      `it was not signed by the root (${quote(readKey(root).subject)}) itself`,
      'have the request signed with the root, with no other certificate between them',
    )
  // The signature of an anchor is not looked at by those who trust it.
  if (!isRoot && readFields(own.raw).isWeaklySigned)
    throw refuse('it is signed over MD5 or SHA-1, which verifiers refuse', 'have it signed over SHA-256 (openssl: -sha256)')
  if (!anyAge && facts.notAfter.getTime() < now.getTime() + leftDays * 86_400_000)
    throw refuse(
      `it ends on ${renderTime(facts.notAfter)}, within ${leftDays} days`,
      'have it signed for a longer time; --yes takes this one',
    )
  return issuer
}

/**
 * The issuer, which its root has issued again for its own key: what that key has signed must go on to be accepted, whichever of the two
 * certificates a verifier has.
 * @throws AtlasError `invalid` with the reason for which it is refused
 */
export function importAgain(
  present: CertifiedKey,
  given: Pick<Outside, 'anyAge' | 'certificate' | 'name'>,
  root: CertifiedKey,
  circumstances: Circumstances,
): CertifiedKey {
  const refuse = refuserOf(given.name, 'the issuer')
  if (!isSameKey(present.certificate, given.certificate))
    throw refuse('it has another key, or another subject, than the issuer', SIGN_AS_ASKED)
  const issuer = importIssuer('issuer', {...given, key: present.key}, root, circumstances)
  const [before, after] = [readKey(present), readKey(issuer)]
  if (before.subjectKeyId !== after.subjectKeyId)
    throw refuse(
      `it has the key identifier ${after.subjectKeyId ?? ''}, and the issuer has ${before.subjectKeyId ?? 'none'}`,
      SIGN_AS_ASKED,
    )
  if (after.notAfter <= before.notAfter)
    throw refuse(`it ends on ${renderTime(after.notAfter)}, no later than the issuer itself`, 'have it signed for a longer time')
  return issuer
}

/** The command that brings two intermediates. */
export const ROTATE_BOTH =
  'atlas rotate --root --issuer-cert FILE --issuer-key FILE --credential-issuer-cert FILE --credential-issuer-key FILE'

/** Where the issuer is the root itself, the next one needs another credential issuer, too. */
export const BRING_BOTH = `bring two others: "${ROTATE_BOTH}"`

const SIGN_AS_ASKED = 'have it signed with the extensions of the request, as the printed command does'

/**
 * What an issuer should be, and how many days of its life must be left: one that ended sooner than an identity would shorten it, and one
 * that replaces the credential issuer asks for work in every cluster.
 */
function wanted(part: IssuerPart, settings: Settings): {readonly spec: CertificateSpec; readonly leftDays: number} {
  if (part === 'credentialIssuer') return {spec: credentialIssuerSpec(settings), leftDays: ROOT_LEFT_DAYS}
  return {spec: issuerSpec(settings), leftDays: Math.ceil(settings.lifetimes.identity / 86_400)}
}

/**
 * A thief of a former key must have nothing of its successor, and each plane of trust has a key of its own.
 * @param inForce PEM: a certificate that is given again is among them
 * @param command that writes requests for the same certificates
 */
function requireOwnKeys(authority: Authority, inForce: readonly string[], command: 'init' | `rotate --${RotationPart}`): void {
  const given = Object.values(authority).flatMap(({certificate}) => parseCertificates(certificate))
  const known = new Set(given.map(String))
  const others = inForce.flatMap(pem => parseCertificates(pem)).filter(each => !known.has(String(each)))
  for (const part of issuerParts) {
    const issuer = authority[part]
    const [own] = issuer === undefined ? [] : parseCertificates(issuer.certificate)
    if (own === undefined || issuer === undefined) continue
    const key = hexOf(own)
    if ([...others, ...given.filter(each => String(each) !== String(own))].some(other => hexOf(other) === key))
      throw new AtlasError('invalid', `the certificate ${quote(readKey(issuer).subject)} has the key of another certificate of Atlas`, {
        hint: `make a new key and a new request for it: "atlas ${command} --request DIR"`,
      })
  }
}

function hexOf(certificate: X509Certificate): string {
  return Buffer.from(publicKeyOf(certificate, 'the certificate')).toString('hex')
}
