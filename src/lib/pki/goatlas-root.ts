/** The root of a 2021 installation: recognising it, and replacing its certificate by one that strict verifiers accept. */
import type {X509Certificate} from 'node:crypto'
import type {CertifiedKey} from '../model/authority.js'
import {AtlasError} from '../model/errors.js'
import {assembleCertificate} from './assemble.js'
import {publicKeyOf, readFields} from './fields.js'
import {type CertificateSpec, extensionsFor} from './certificate-specs.js'
import {algorithmOf, whyNoSigner, wholeSeconds} from './issue.js'
import {parseCertificates, parsePrivateKey, renderCertificates, renderDer} from './pem.js'
import {readKey} from './read.js'
import {isNamedBy2021} from './root-names.js'
import {BACKDATED} from './rotation.js'
import {isSignedBy} from './signed.js'
import type {Signer} from './signer.js'

/**
 * Whether this is a root as the 2021 program made it, with the certificate of that program: of its organisation, self-signed, and
 * without the right to sign revocation lists, or (built by Go 1.14 or earlier) without a key identifier. Strict verifiers refuse it.
 * @throws AtlasError `invalid` where certificate or key does not decode
 */
export function isRootOf2021(root: CertifiedKey): boolean {
  const facts = readKey(root, 'the root')
  return isNamedBy2021(facts) && facts.isCa && (facts.subjectKeyId === undefined || facts.keyUsages?.includes('cRLSign') !== true)
}

/**
 * The same root with a new certificate, followed by the old one. Key and name stay the same, byte for byte, so that every certificate
 * below the old one verifies below the new one too. A key identifier stays, since certificates below the root cite it. Path length and key
 * usages are those of `spec`. The new certificate ends with the old one, because a new certificate does not make the key younger; the
 * root must be replaced before.
 * @param spec what the root should be; its lifetime is not used
 * @throws AtlasError `failed` where the root has ended, has another certificate's key, or may not sign; `invalid` where its key is too weak
 */
export function reissueRoot(spec: CertificateSpec, root: CertifiedKey, now: Date, signer: Signer): CertifiedKey {
  const facts = readKey(root, spec.name)
  const key = parsePrivateKey(root.key, `the private key of ${spec.name}`)
  const [old] = parseCertificates(root.certificate, spec.name)
  const fault = whyNoSigner(facts, now)
  if (fault !== undefined || old === undefined || spec.ca === undefined)
    throw new AtlasError('failed', `${spec.name} found here (Secret atlas-ca) cannot be adopted: it ${fault ?? 'has no certificate'}`, {
      hint: 'to start with a new root, keep a copy of Secret atlas-ca, delete it, and run "atlas init" again; every cluster then needs its new values',
    })
  const fields = readFields(old.raw)
  const parts = {
    serial: signer.serial(),
    algorithm: algorithmOf(key),
    issuer: fields.subject,
    subject: fields.subject,
    notBefore: wholeSeconds(now.getTime() - BACKDATED * 1000),
    notAfter: facts.notAfter,
    spki: publicKeyOf(old, spec.name),
    ...(fields.subjectKeyId !== undefined && {subjectKeyId: fields.subjectKeyId}),
    authorityKeyId: undefined,
    ...extensionsFor(spec),
  } as const
  const reissued = renderDer(assembleCertificate(parts, data => signer.sign(root.key, data)))
  return {certificate: reissued + renderCertificates([old]), key: root.key}
}

/**
 * The certificates of a root that are trusted, PEM, oldest first: its own, and earlier ones with the same name and key. Any other
 * certificate in its file is not trusted.
 * @throws AtlasError `invalid`
 */
export function rootsIn(root: CertifiedKey | undefined): readonly string[] {
  if (root === undefined) return []
  const [own, ...others] = parseCertificates(root.certificate, 'the root')
  if (own === undefined) return []
  const identity = identityOf(own)
  const earlier = others.filter(other => isSignedBy(other, own) && identityOf(other) === identity)
  return [...earlier.reverse(), own].map(certificate => renderCertificates([certificate]))
}

/** Name and key, in hex. */
function identityOf(certificate: X509Certificate): string {
  return Buffer.concat([readFields(certificate.raw).subject, publicKeyOf(certificate, 'the root')]).toString('hex')
}
