/** The trust bundle that follows from the certificates that sign. A certificate is never taken from it here. */
import type {CertifiedKey, TrustBundle} from '../model/authority.js'
import type {Fleet} from '../model/fleet.js'
import {remember} from '../model/remember.js'
import {rootsIn} from '../pki/goatlas-root.js'
import {parseCertificates, renderCertificates} from '../pki/pem.js'

/**
 * The bundle in the store, with the root and the issuers that sign now. Undefined before the issuers are signed: there is nothing to trust
 * then, and an empty bundle could not be read again.
 * @throws AtlasError `invalid` where a signing certificate does not decode
 */
export function wantedTrust({authority, trust}: Fleet): TrustBundle | undefined {
  const issuers = including(trust?.issuers, ownOf(authority.get('issuer')))
  const credentialIssuers = including(trust?.credentialIssuers, ownOf(authority.get('credentialIssuer')))
  const root = authority.get('root')
  if (issuers.length === 0 || credentialIssuers.length === 0) return undefined
  return {roots: including(trust?.roots, root === undefined ? [] : rootsOf(root)), issuers, credentialIssuers}
}

function including(bundle: readonly string[] = [], certificates: readonly string[]): readonly string[] {
  const missing = certificates.filter(certificate => !bundle.includes(certificate))
  return missing.length === 0 ? bundle : [...bundle, ...missing]
}

/** An issuer's own certificate alone: any other certificate in its file must not become trusted. */
function ownOf(issuer: CertifiedKey | undefined): readonly string[] {
  return issuer === undefined ? [] : [ownCertificate(issuer)]
}

/** Remembered, since each pass of the reconciler asks for each few owners. */
const ownCertificate = remember(({certificate}: CertifiedKey) => renderCertificates(parseCertificates(certificate).slice(0, 1)))
const rootsOf = remember((root: CertifiedKey) => rootsIn(root))
