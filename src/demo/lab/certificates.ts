/** Certificates for test clients: real ones from the store, as a thief would have them, and forged ones of another authority. */
import {AtlasError} from '../../lib/model/errors.js'
import type {CertifiedKey, Credential} from '../../lib/model/authority.js'
import {type Fleet, generationOf} from '../../lib/model/fleet.js'
import {OBSERVABILITY, type Owner} from '../../lib/model/names.js'
import type {Settings} from '../../lib/model/settings.js'
import {credentialSpec, credentialIssuerSpec, identitySpec, issuerSpec, rootSpec} from '../../lib/pki/certificate-specs.js'
import {issue} from '../../lib/pki/issue.js'
import {cryptoSigner} from '../../lib/pki/signer.js'

/** The settings of the installation. */
export function settingsIn(fleet: Fleet): Settings {
  return required(fleet.settings, 'its settings')
}

/** The issuers in force, by which a client verifies the servers. */
export function issuersIn(fleet: Fleet): readonly string[] {
  return required(fleet.trust, 'its trust bundle').issuers
}

/** The certificate that SDS delivers to the owner's Envoy. */
export function identityIn(fleet: Fleet, owner: Owner): CertifiedKey {
  return required(fleet.identities.get(owner), `the identity of ${owner}`)
}

/** The certificate with which the owner's Envoy opens ADS. */
export function credentialIn(fleet: Fleet, owner: Owner): Credential {
  return required(fleet.credentials.get(owner), `the ADS credential of ${owner}`)
}

/** Certificates with the same names as the real ones, signed by another authority. */
export interface Forged {
  readonly observability: CertifiedKey
  credential(owner: Owner): CertifiedKey
}

/** Makes another authority with the same trust domain: only its keys differ from the real one's. */
export function forge(fleet: Fleet): Forged {
  const settings = settingsIn(fleet)
  const now = new Date()
  const root = issue(rootSpec(settings), undefined, now, cryptoSigner)
  const issuer = issue(issuerSpec(settings), root, now, cryptoSigner)
  const credentialIssuer = issue(credentialIssuerSpec(settings), root, now, cryptoSigner)
  return {
    observability: issue(identitySpec(settings, OBSERVABILITY, 1), issuer, now, cryptoSigner),
    credential: owner => issue(credentialSpec(settings, owner, generationOf(fleet, owner)), credentialIssuer, now, cryptoSigner),
  }
}

function required<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new AtlasError('failed', `the store does not hold ${what}`)
  return value
}
