/** Which certificates a rotation is replacing, seen from the leaves: who should have signed them, and which roots a credential should carry. */
import type {CertifiedKey, Credential} from '../../model/authority.js'
import type {Fleet} from '../../model/fleet.js'
import {rootsText} from '../../pki/issue.js'
import {readKey} from '../../pki/read.js'

/** What a rotation asks of leaves that are otherwise as they should be; undefined: nothing. */
export interface Successors {
  /** Who should have signed identities, and the certificates of the server and of clients. */
  readonly issuer: CertifiedKey | undefined
  /** Who should have signed ADS credentials. */
  readonly credentialIssuer: CertifiedKey | undefined
  /** PEM: the roots that ADS credentials should carry. */
  readonly roots: string | undefined
}

/** By the stage of the rotation that is under way. */
export function successorsIn({rotation, authority, trust}: Fleet): Successors {
  if (rotation === undefined || rotation.stage === 'announce') return noSuccessors
  const ofCredentials = rotation.part === 'root' && trust !== undefined
  return {
    issuer: rotation.stage === 'credentials' ? undefined : authority.get('issuer'),
    credentialIssuer: ofCredentials ? authority.get('credentialIssuer') : undefined,
    roots: ofCredentials ? rootsText(trust.roots) : undefined,
  }
}

const noSuccessors: Successors = {issuer: undefined, credentialIssuer: undefined, roots: undefined}

/** Whether a leaf carries another issuer than this one behind its own certificate, or other roots than these. */
export function isSucceeded(
  leaf: CertifiedKey & Partial<Credential>,
  {signer, roots}: {readonly signer: CertifiedKey | undefined; readonly roots?: string | undefined},
): boolean {
  if (signer !== undefined && readKey(leaf).chain[0] !== readKey(signer, 'the issuer').sha256) return true
  return roots !== undefined && leaf.roots !== roots
}
